//! The differences between two JSON values, a field a line.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::terminal::excerpt;

/// A field that two values do not have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path of the field, such as `run.email` or `jobs[lint].status`.
    pub field: String,
    /// Its value on either side; none where it is absent.
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// The fields that differ, in the order of their paths.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let (before, after) = (leaves(before), leaves(after));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |path: &&String| before.get(*path) != after.get(*path);
    paths
        .into_iter()
        .filter(differs)
        .map(|path| Difference {
            field: path.clone(),
            before: before.get(path).map(|value| (*value).clone()),
            after: after.get(path).map(|value| (*value).clone()),
        })
        .collect()
}

/// The texts, numbers and empty lists within a value, by their paths.
pub fn leaves(value: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    collect(String::new(), value, &mut found);
    found
}

fn collect<'a>(path: String, value: &'a Value, found: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (key, value) in object {
                let dot = if path.is_empty() { "" } else { "." };
                collect(format!("{path}{dot}{key}"), value, found);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (number, value) in (1..).zip(list) {
                let name = name_of(value).map_or_else(|| number.to_string(), str::to_owned);
                let mut path = format!("{path}[{name}]");
                // Two notifications of one step.
                if list.len() > 1 && list.iter().filter(|other| name_of(other) == Some(&name)).count() > 1 {
                    path = format!("{path}[{number}]");
                }
                collect(path, value, found);
            }
        }
        value => {
            found.insert(path, value);
        }
    }
}

/// The name of an item of a list: a job has a reference id. A notification's is its run's, and no name of it.
fn name_of(item: &Value) -> Option<&str> {
    let is_job = item.get("pipeline_name").is_none();
    item.get("reference_id").filter(|_| is_job)?.as_str()
}

/// A value as people read it, cut to a line.
pub fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), |value| excerpt(&value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_field_that_differs_is_named() {
        let before = json!({ "run": { "email": "m", "a": { "t": "1" } }, "jobs": [{ "reference_id": "x", "status": "failure" }] });
        let after = json!({ "run": { "a": { "t": "1" } }, "jobs": [{ "reference_id": "y", "status": "failure" }] });
        let named: Vec<_> = differences(&before, &after)
            .into_iter()
            .map(|it| (it.field, shown(it.before.as_ref()), shown(it.after.as_ref())))
            .collect();
        let expected = [
            ("jobs[x].reference_id", "\"x\"", "absent"),
            ("jobs[x].status", "\"failure\"", "absent"),
            ("jobs[y].reference_id", "absent", "\"y\""),
            ("jobs[y].status", "absent", "\"failure\""),
            ("run.email", "\"m\"", "absent"),
        ];
        let expected = expected.map(|(field, before, after)| (field.to_owned(), before.to_owned(), after.to_owned()));
        assert_eq!(named, expected);
        assert_eq!(differences(&before, &before), []);
    }

    #[test]
    fn items_of_one_name_do_not_hide_each_other() {
        let before = json!([{ "reference_id": "x", "n": 1 }, { "reference_id": "x", "n": 2 }]);
        let after = json!([{ "reference_id": "x", "n": 3 }, { "reference_id": "x", "n": 2 }]);
        let found = differences(&before, &after);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].field, "[x][1].n");
    }
}
