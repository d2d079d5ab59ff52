//! A table of deliveries, and changes to each of their fields.

use crate::rules::violations;
use pipefold_sources::{Attribute, Delivery, Header, Notification, Setting, Translation, systems, translate};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The time of receipt of every delivery here.
pub const RECEIVED_AT: &str = "2026-03-01T12:00:00Z";

/// A delivery, and what it means.
pub struct Sample {
    /// The setting `use`.
    pub system: &'static str,
    /// Names and values.
    pub headers: &'static [(&'static str, &'static str)],
    pub body: &'static str,
    /// Fields of each notification with their values, in the order of the contract. `attributes` are `key=value`, separated by spaces.
    pub expected: &'static [Fields],
    /// JSON pointers of the fields that `reference_id` and `pipeline_name` are made of: another value may change them.
    pub names: &'static [&'static str],
}

/// The fields of a notification that are present, with their values.
pub type Fields = &'static [(&'static str, &'static str)];

/// Translates a body.
pub fn translated(system: &str, headers: &[(&str, &str)], body: &str) -> Result<Translation, String> {
    let headers = headers.iter().map(|(name, value)| Header {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    });
    translate(&Delivery {
        headers: headers.collect(),
        body: body.to_owned(),
        received_at: RECEIVED_AT.to_owned(),
        settings: vec![Setting {
            name: "use".to_owned(),
            value: system.to_owned(),
        }],
    })
}

/// Translates a body into the fields of its notifications.
///
/// # Panics
/// If it gives none.
pub fn notifications(system: &str, headers: &[(&str, &str)], body: &str) -> Vec<Vec<(&'static str, String)>> {
    match translated(system, headers, body) {
        Ok(Translation::Notifications(notifications)) => notifications.iter().map(fields).collect(),
        other => panic!("{system}: {other:?}\n{body}"),
    }
}

/// Returns the reason for ignoring a body.
///
/// # Panics
/// If it is not ignored.
pub fn reason(system: &str, headers: &[(&str, &str)], body: &str) -> String {
    match translated(system, headers, body) {
        Ok(Translation::Ignored(reason)) => reason,
        other => panic!("{system}: {other:?}\n{body}"),
    }
}

/// The fields of a notification that are present.
pub fn fields(notification: &Notification) -> Vec<(&'static str, String)> {
    let of = notification.clone();
    let attributes = of
        .attributes
        .iter()
        .map(|Attribute { key, value }| format!("{key}={value}"));
    let attributes = attributes.collect::<Vec<_>>().join(" ");
    let all = [
        ("pipeline_name", of.pipeline_name),
        ("pipeline_source", of.pipeline_source),
        ("reference_id", of.reference_id),
        ("started_at", of.started_at),
        ("finished_at", of.finished_at),
        ("status", of.status),
        ("repository", of.repository),
        ("commit_sha", of.commit_sha),
        ("pr_number", of.pr_number.map(|number| number.to_string())),
        ("source_url", of.source_url),
        ("head_branch", of.head_branch),
        ("email", of.email),
        ("github_username", of.github_username),
        ("gitlab_username", of.gitlab_username),
        ("step", of.step),
        ("step_id", of.step_id),
        ("allowed_to_fail", of.allowed_to_fail.then(|| "true".to_owned())),
        ("urgent", of.urgent.then(|| "true".to_owned())),
        ("attributes", Some(attributes).filter(|all| !all.is_empty())),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// A body with other values, each at a JSON pointer; a field that it does not have is added.
pub fn with(body: &str, values: &[(&str, Value)]) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    for (pointer, value) in values {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match body.pointer_mut(parent).unwrap() {
            Value::Object(fields) => drop(fields.insert(key.to_owned(), value.clone())),
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value.clone(),
            _ => panic!("{pointer}"),
        }
    }
    body.to_string()
}

/// A field of a notification; empty if it is absent.
pub fn value(fields: &[(&'static str, String)], name: &str) -> String {
    let found = fields.iter().find(|field| field.0 == name);
    found.map(|field| field.1.clone()).unwrap_or_default()
}

/// Some fields of a notification, the absent ones empty.
pub fn values(fields: &[(&'static str, String)], names: &[&str]) -> Vec<String> {
    names.iter().map(|name| value(fields, name)).collect()
}

impl Sample {
    /// Checks the notifications, also without the headers: a gateway may have dropped them.
    pub fn check(&self) {
        let expected: Vec<Vec<(&str, String)>> = self
            .expected
            .iter()
            .map(|fields| {
                fields
                    .iter()
                    .map(|(name, value)| (*name, (*value).to_owned()))
                    .collect()
            })
            .collect();
        assert_eq!(
            notifications(self.system, self.headers, self.body),
            expected,
            "{}",
            self.body
        );
        assert_eq!(
            notifications(self.system, &[], self.body),
            expected,
            "without headers: {}",
            self.body
        );
        self.check_changes();
    }

    /// Removes each field, and puts values of each type in its place. The result is an error, a reason, or notifications of the same run, unless
    /// its names are made of the field.
    fn check_changes(&self) {
        let body: Value = serde_json::from_str(self.body).unwrap();
        let whole = notifications(self.system, self.headers, self.body);
        let mut pointers = Vec::new();
        collect(&body, "", &mut pointers);
        let touches_names = |pointer: &str| self.names.contains(&pointer);
        for pointer in &pointers {
            for changed in changes(&body, pointer) {
                self.check_change(&changed, &whole[0], touches_names(pointer), pointer);
            }
        }
        // Two at once, spread over all pairs.
        for at in 0..400 {
            let (one, other) = (
                &pointers[at * 7919 % pointers.len()],
                &pointers[at * 104_729 % pointers.len()],
            );
            let first = changes(&body, one);
            let first = &first[at % first.len()];
            if first.pointer(other).is_none() {
                continue;
            }
            let second = changes(first, other);
            let (touched, named) = (touches_names(one) || touches_names(other), format!("{one} {other}"));
            self.check_change(&second[at / 3 % second.len()], &whole[0], touched, &named);
        }
    }

    fn check_change(&self, changed: &Value, whole: &[(&'static str, String)], names_touched: bool, named: &str) {
        let text = changed.to_string();
        let Ok(Translation::Notifications(given)) = translated(self.system, self.headers, &text) else {
            return;
        };
        for notification in &given {
            assert_eq!(violations(notification), [], "{named}: {notification:?}");
            for name in ["pipeline_name", "pipeline_source", "reference_id"] {
                let (given, whole) = (value(&fields(notification), name), value(whole, name));
                assert!(names_touched || given == whole, "{named}: {given:?} {text}");
            }
        }
    }
}

/// JSON pointers of all values below the root.
fn collect(value: &Value, at: &str, pointers: &mut Vec<String>) {
    let mut add = |key: String, value: &Value| {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        pointers.push(at.clone());
        collect(value, &at, pointers);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| add(key.clone(), value)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(at, value)| add(at.to_string(), value)),
        _ => {}
    }
}

/// The body without a value, and with others in its place.
fn changes(body: &Value, pointer: &str) -> Vec<Value> {
    let others = [
        serde_json::json!(null),
        serde_json::json!("x"),
        serde_json::json!(""),
        serde_json::json!(7),
        serde_json::json!(-1.5),
        serde_json::json!(u64::MAX),
        serde_json::json!(true),
        serde_json::json!([]),
        serde_json::json!([{}, "x", null]),
        serde_json::json!({}),
        serde_json::json!({"id": "x", "name": 7}),
    ];
    let replaced = others.into_iter().map(|other| {
        let mut changed = body.clone();
        *changed.pointer_mut(pointer).unwrap() = other;
        changed
    });
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let mut without = body.clone();
    match without.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.remove(&key.replace("~1", "/").replace("~0", "~"))),
        Value::Array(list) => drop(list.remove(key.parse().unwrap())),
        _ => unreachable!(),
    }
    replaced.chain([without]).collect()
}

/// A delivery that another project published, below `webhooks`; none where it is not at hand, which is printed past the test harness so that it is counted.
pub fn published(test: &str, path: &str) -> Option<String> {
    let root = std::env::var_os("PIPEFOLD_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
        PathBuf::from,
    );
    let file = root.join("webhooks").join(path);
    if file.exists() {
        return Some(std::fs::read_to_string(&file).unwrap());
    }
    // A failure to write cannot be reported either.
    let _ = writeln!(std::io::stdout(), "skipped: {test}: there is no {}", file.display());
    None
}

#[test]
fn the_systems_are_sorted_and_each_refuses_what_is_no_object() {
    let names: Vec<&str> = systems::ALL.iter().map(|system| system.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    for name in names {
        for body in [
            "",
            "[]",
            "null",
            "\"x\"",
            "[{\"action\":\"completed\"}]",
            "{",
            "payload=%ff",
        ] {
            assert!(
                !matches!(translated(name, &[], body), Ok(Translation::Notifications(_))),
                "{name}: {body}"
            );
        }
    }
}
