//! The keys of a file in a JSON object, for programs that have their configuration in another place.

use super::{ConfigError, File, Trust};
use serde_json::{Map, Value};
use std::path::Path;

impl File {
    /// Reads an object with the keys of an operator's file. `path` is the name of the configuration in errors, and its directory the base of
    /// relative paths; nothing is opened there. A member that is null counts as absent.
    ///
    /// # Errors
    /// As [`File::parse`]. The lines in errors are those of a document that is made of the object: only the keys have a meaning.
    pub fn from_json(path: &Path, object: Map<String, Value>) -> Result<Self, ConfigError> {
        let mut table = toml::Table::new();
        for (key, value) in object {
            match toml(value) {
                Ok(Some(value)) => drop(table.insert(key, value)),
                Ok(None) => {}
                Err(problem) => return Err(wrong(path, key, problem.into())),
            }
        }
        let text = toml::to_string(&table).map_err(|error| wrong(path, String::new(), error.to_string()))?;
        Self::parse(path, &text, Trust::Operator)
    }
}

fn wrong(path: &Path, key: String, problem: String) -> ConfigError {
    ConfigError::Value {
        path: path.to_path_buf(),
        line: 1,
        key,
        problem,
    }
}

/// The value in TOML; none for null.
fn toml(value: Value) -> Result<Option<toml::Value>, &'static str> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Bool(truth) => truth.into(),
        Value::String(text) => text.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(point)) if number.is_f64() => point.into(),
            _ => return Err("a number here is too large"),
        },
        Value::Array(list) => {
            let list = list
                .into_iter()
                .map(|item| toml(item)?.ok_or("a list here has a null in it"));
            toml::Value::Array(list.collect::<Result<_, _>>()?)
        }
        Value::Object(object) => {
            let pairs = object.into_iter().map(|(key, value)| Ok((key, toml(value)?)));
            let pairs: Vec<(String, Option<toml::Value>)> = pairs.collect::<Result<_, &'static str>>()?;
            let table: toml::Table = pairs
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?)))
                .collect();
            table.into()
        }
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(object: Value) -> Result<File, ConfigError> {
        let Value::Object(object) = object else { unreachable!() };
        File::from_json(Path::new("/place/of the configuration"), object)
    }

    #[test]
    fn an_object_is_read_as_the_file_with_the_same_keys() {
        let of_json = read(json!({
            "spool": "spool", "spool_limit": 1024, "ca_file": null, "budgets": { "start": "1s", "stop": null },
            "policy": [{ "use": "rules", "rules": [{ "set": { "branch": "a.\"b\"\n" } }] }, { "file": "b.wasm" }],
            "attributes": { "a.b": "1" }, "pipeline_source": "größer",
        }));
        let text = r#"
            spool = "spool"
            spool_limit = 1024
            pipeline_source = "größer"
            budgets.start = "1s"
            attributes = { "a.b" = "1" }
            policy = [{ use = "rules", rules = [{ set = { branch = "a.\"b\"\n" } }] }, { file = "b.wasm" }]
        "#;
        let of_toml = File::parse(Path::new("/place/of the configuration"), text, Trust::Operator).unwrap();
        // The lines of rules differ.
        let without_places = |mut file: File| {
            file.operator
                .policies
                .iter_mut()
                .for_each(|policy| policy.places = Default::default());
            file
        };
        assert_eq!(without_places(of_json.unwrap()), without_places(of_toml));
    }

    #[test]
    fn what_toml_cannot_hold_is_named() {
        for (object, expected) in [
            (
                json!({ "spool_limit": u64::MAX }),
                "`spool_limit`: a number here is too large",
            ),
            (json!({ "policy": [null] }), "`policy`: a list here has a null in it"),
            (json!({ "spool_limit": 1.5 }), "`spool_limit`: this has to be a size"),
        ] {
            let error = read(object).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
