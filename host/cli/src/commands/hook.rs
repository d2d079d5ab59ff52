//! `hook`: the plugin's verdict for hosts in any language, JSON in and JSON out.

mod read;

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context as _, Error, bail};
use pipefold::config::{Environment, nearest};
use pipefold::detect::Fields;
use pipefold::forms::{merged, verdict};
use pipefold::{Attribute, Judge, NoVerdict, Notification};
use pipefold_sandbox::{OwnedQuestion, Question};
use serde::de::value::Error as NoValue;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::{Map, Value, json};

use super::context::settings;
use super::diagnostic::print;
use super::{policies, print_json, stream};
use crate::args::{GlobalFlags, HookArgs, HookName};
use crate::terminal::excerpt;

/// The most bytes that are read.
pub const MAX_INPUT: u64 = read::MAX_INPUT as u64;

/// `pipefold hook`
pub fn run(global: &GlobalFlags, args: &HookArgs) -> anyhow::Result<ExitCode> {
    match args.hook {
        Some(hook) => answer_one(global, hook),
        None => {
            let judge = judge(global)?;
            let code = stream::answer_all(&judge)?;
            policies::say_work(&judge, global);
            Ok(code)
        }
    }
}

fn answer_one(global: &GlobalFlags, hook: HookName) -> anyhow::Result<ExitCode> {
    let mut input = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_INPUT + 1)
        .read_to_end(&mut input)
        .context("cannot read stdin")?;
    if input.len() as u64 > MAX_INPUT {
        bail!("stdin {}", read::TOO_LARGE);
    }
    let judge = judge(global)?;
    let asked = ask(&judge, hook, &input)?;
    policies::say_work(&judge, global);
    let (answer, code) = match asked {
        Ok(answer) => (answer, 0),
        Err(NoVerdict::Refused(refused)) => (json!({ "violations": refused.violations }), 2),
        Err(error) => return Err(error.into()),
    };
    print_json(&answer)?;
    Ok(ExitCode::from(code))
}

fn ask(judge: &Judge, hook: HookName, input: &[u8]) -> anyhow::Result<Result<Value, NoVerdict>> {
    let one = || read::one(input, "stdin").map_err(Error::msg);
    let many = || read::many(input, "stdin").map_err(Error::msg);
    Ok(match hook {
        HookName::Start => judge.ask(&Question::PipelineStart(&one()?)).map(verdict),
        HookName::Step => judge.ask(&Question::Step(&one()?)).map(verdict),
        HookName::Finish => judge.ask(&Question::PipelineFinish(&many()?)).map(verdict),
        HookName::Merge => judge.merge(&many()?).map(merged),
    })
}

/// The policies and the rules. Unlike a build, the caller of a hook waits for its answer: missing ones are a failure.
fn judge(global: &GlobalFlags) -> anyhow::Result<Judge> {
    let environment = Environment::from_process();
    let mut diagnostics = Vec::new();
    let settings = settings(global, Fields::default(), &environment)?;
    let judge = policies::judge(global, &environment, &settings, &mut diagnostics)?;
    print(&diagnostics, global);
    Ok(judge)
}

/// Reads a question of its parts in a JSON object: the hook's name, and a notification or a history.
pub fn question(
    hook: &str,
    one: Option<Map<String, Value>>,
    history: Option<Vec<Map<String, Value>>>,
) -> anyhow::Result<OwnedQuestion> {
    Ok(match (hook, one, history) {
        ("start" | "pipeline-start", Some(event), None) => {
            OwnedQuestion::PipelineStart(notification(event, "notification")?)
        }
        ("step", Some(event), None) => OwnedQuestion::Step(notification(event, "notification")?),
        ("finish" | "pipeline-finish", None, Some(history)) => OwnedQuestion::PipelineFinish(numbered(history)?),
        ("start" | "pipeline-start" | "step", ..) => bail!("the hook {hook} takes a `notification`, and no `history`"),
        ("finish" | "pipeline-finish", ..) => bail!("the hook {hook} takes a `history`, a list, and no `notification`"),
        _ => bail!("there is no hook {:?}: start, step or finish", excerpt(hook)),
    })
}

/// Reads the notifications of a history.
pub fn numbered(history: Vec<Map<String, Value>>) -> anyhow::Result<Vec<Notification>> {
    let numbered = history.into_iter().zip(1..);
    numbered
        .map(|(event, number)| notification(event, &format!("history[{number}]")))
        .collect()
}

/// Reads one notification of an object; `place` is where the object is from.
pub fn notification(object: Map<String, Value>, place: &str) -> anyhow::Result<Notification> {
    named(object, place, "a notification")
}

/// Reads a value by the names of its fields, which serde would also read by position. An error names the field.
pub fn named<T: DeserializeOwned>(object: Map<String, Value>, place: &str, what: &str) -> anyhow::Result<T> {
    let names = field_names::<T>();
    if let Some(unknown) = object.keys().find(|key| !names.contains(&key.as_str())) {
        let hint = nearest(unknown, names.iter().copied()).map_or_else(
            || "wit/types.wit has them all".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        let shown: String = unknown.chars().take(LONGEST_SHOWN).collect();
        bail!("{place}: `{shown}` is no field of {what}; {hint}");
    }
    match serde_json::from_value(Value::Object(object.clone())) {
        Ok(read) => Ok(read),
        // Serde's error does not name the field; by itself, the wrong field fails in the same way.
        Err(error) => {
            let fails = |(key, value): (String, Value)| {
                let alone = Value::Object(Map::from_iter([(key.clone(), value)]));
                let error = serde_json::from_value::<T>(alone).err()?.to_string();
                (!error.starts_with("missing field")).then_some((key, error))
            };
            match object.into_iter().find_map(fails) {
                Some((field, error)) => bail!("{place}: {field}: {}", error.replace("i64", "a whole number")),
                None => bail!("{place}: {error}"),
            }
        }
    }
}

/// The characters shown of an unknown name: twice the longest known name.
const LONGEST_SHOWN: usize = 32;

/// The names of a structure's fields, from the type itself.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &[&str] = &[];
    // Deserialization fails, after it has named the fields.
    let _ = T::deserialize(FieldNames(&mut names));
    names
}

/// A deserializer that notes the names of a structure's fields.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = NoValue;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, NoValue> {
        *self.0 = fields;
        Err(NoValue::custom("there is no value"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoValue> {
        Err(NoValue::custom("it is no structure"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_type() {
        let event = Notification {
            step: Some("a".into()),
            pr_number: Some(1),
            urgent: true,
            ..Notification::default()
        };
        let Value::Object(object) = serde_json::to_value(event).unwrap() else {
            panic!("no object")
        };
        assert_eq!(object.len(), 3);
        let names = field_names::<Notification>();
        assert!(object.keys().all(|key| names.contains(&key.as_str())));
        assert!(names.contains(&"gitlab_username") && names.len() >= 17);
    }

    /// A notification with all fields.
    fn full() -> Notification {
        let text = |text: &str| Some(text.to_owned());
        Notification {
            pipeline_name: text("a"),
            pipeline_source: text("b"),
            reference_id: text("c"),
            started_at: text("d"),
            finished_at: text("e"),
            status: text("f"),
            repository: text("g"),
            commit_sha: text("h"),
            pr_number: Some(-1),
            source_url: text("i"),
            head_branch: text("j"),
            email: text("k"),
            github_username: text("l"),
            gitlab_username: text("m"),
            step: text("n"),
            step_id: text("\n\u{1f600}"),
            allowed_to_fail: true,
            urgent: true,
            attributes: ["o", "p"]
                .map(|key| Attribute {
                    key: key.into(),
                    value: "q".into(),
                })
                .into(),
        }
    }

    #[test]
    fn the_forms_are_those_of_the_type() {
        let value = serde_json::to_value(full()).unwrap();
        let mut fields = read::FIELDS;
        fields.sort_unstable();
        assert!(value.as_object().unwrap().keys().eq(fields));
        let text = value.to_string();
        assert_eq!(read::one(text.as_bytes(), "it"), Ok(full()));
        assert_eq!(
            read::many(format!("[{text},{{}}]").as_bytes(), "it"),
            Ok(vec![full(), Notification::default()])
        );
    }

    #[test]
    fn the_last_of_several_members_counts() {
        let json =
            r#"{"step":1,"step":"a","pr_number":1,"pr_number":null,"attributes":{"k":1},"attributes":{"k":2,"k":"v"}}"#;
        let event = read::one(json.as_bytes(), "it").unwrap();
        assert_eq!((event.step.as_deref(), event.pr_number), (Some("a"), None));
        assert_eq!(event.attributes[0].value, "v");
    }

    #[test]
    fn wrong_fields_are_named_in_order_and_behind_faults_of_the_text() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for (json, error) in [
            (
                r#"[{"step":1,"email":[{}]}]"#,
                ", notification 1: email: invalid type: sequence, expected a string",
            ),
            (
                r#"[{},{"z":1,"step":1,"y":{}},{"x":1}]"#,
                ", notification 2: `y` is no field of a notification; wit/types.wit has them all",
            ),
            (
                r#"[{"x":1},{"y":1}}"#,
                " is not the JSON array of a run's notifications, each an object: expected `,` or `]` at line 1 column 17",
            ),
            (
                r#"[{"attributes":{"b":1,"a":null}}]"#,
                ", notification 1: attributes: invalid type: null, expected a string",
            ),
            (
                r#"[{"attributes":null}]"#,
                ", notification 1: attributes: invalid type: null, expected an object of texts",
            ),
            (
                r#"[{"pr_number":9223372036854775808}]"#,
                ", notification 1: pr_number: invalid value: integer `9223372036854775808`, expected a whole number",
            ),
            (
                r#"[{"pr_number":1.0}]"#,
                ", notification 1: pr_number: invalid type: floating point `1.0`, expected a whole number",
            ),
            (
                &format!(r#"[{{"step":{deep}}}]"#),
                ", notification 1: step: invalid type: sequence, expected a string",
            ),
            (
                &format!(r#"[{{"urgent":"{}"}}]"#, "a".repeat(9999)),
                &format!(
                    ", notification 1: urgent: invalid type: string \"{}\", expected a boolean",
                    "a".repeat(64)
                ),
            ),
        ] {
            assert_eq!(read::many(json.as_bytes(), "it"), Err(format!("it{error}")));
        }
    }

    #[test]
    fn a_text_has_bounded_numbers_of_notifications_and_attributes() {
        let many = |count: usize| read::many(format!("[{}{{}}]", "{},".repeat(count - 1)).as_bytes(), "it");
        assert_eq!(many(100_000).unwrap().len(), 100_000);
        assert!(
            many(100_001)
                .unwrap_err()
                .contains(": more than 100000 notifications at line 1")
        );
        let some = format!(r#"{{"attributes":{{{}"z":""}}}}"#, r#""a":"","#.repeat(31));
        let attributes =
            |count: usize| read::many(format!("[{}{{}}]", format!("{some},").repeat(count)).as_bytes(), "it");
        assert_eq!(attributes(10_000).unwrap().len(), 10_001);
        assert!(
            attributes(10_001)
                .unwrap_err()
                .contains(": more than 320000 attributes at line 1")
        );
    }
}
