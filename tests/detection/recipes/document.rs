//! Reading the recipes' files.

use std::path::PathBuf;

use pipefold_tests::workspace_root;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::Value;

/// A file of `examples/ci`.
pub fn files(path: &str) -> PathBuf {
    workspace_root().join("examples/ci").join(path)
}

/// The text of a file of `examples/ci`.
fn text(path: &str) -> String {
    let path = files(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The one YAML document in a file, with aliases resolved and tags left out.
pub fn document(path: &str) -> Value {
    let text = text(path);
    let documents = Yaml::load_from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(documents.len(), 1, "{path}: documents");
    plain(&documents[0])
}

fn plain(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Boolean(value)) => Value::from(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::from(*value),
        Yaml::Value(Scalar::FloatingPoint(value)) => Value::from(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => Value::from(value.as_ref()),
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Sequence(items) => items.iter().map(plain).collect(),
        Yaml::Mapping(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| (key.as_str().expect("keys are text").to_owned(), plain(value)))
                .collect(),
        ),
        Yaml::Tagged(_, inner) => plain(inner),
        other => panic!("no value: {other:?}"),
    }
}

/// The texts between `'''` and `'''` in a file of Groovy, or all of a file that is a shell script.
pub fn blocks(path: &str) -> Vec<String> {
    let text = text(path);
    if !text.contains("'''") {
        return vec![text];
    }
    text.split("'''").skip(1).step_by(2).map(str::to_owned).collect()
}

/// A value of a file as a CI system expands it: each placeholder of the table replaced.
///
/// # Panics
/// If the value has a placeholder that the table lacks: the recipe uses one that no system would know, or a test forgot it.
pub fn fill(value: &str, table: &[(&str, &str)]) -> String {
    const MARKS: [&str; 3] = ["${{", "$(", "{{"];
    let mut filled = value.to_owned();
    let mut left = value.to_owned();
    for (placeholder, replacement) in table {
        filled = filled.replace(placeholder, replacement);
        left = left.replace(placeholder, "");
    }
    assert!(
        !MARKS.iter().any(|mark| left.contains(mark)),
        "nothing replaces {value}"
    );
    filled
}
