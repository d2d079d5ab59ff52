//! Values that are made from JSON Schemas.

use serde_json::{Map, Value, json};

/// A way to fill in a schema.
#[derive(Clone, Copy, Debug)]
pub struct Filling {
    /// True for all properties, false for the required ones.
    pub all: bool,
    /// True for null wherever it is allowed.
    pub nulls: bool,
}

/// Makes deliveries of the definitions of a schema. `facts` are values by the path of their property, such as `workflow_run.id`.
pub struct Maker<'a> {
    pub definitions: &'a Value,
    pub filling: Filling,
    pub facts: &'a Value,
}

impl Maker<'_> {
    /// Returns a value of a schema.
    ///
    /// # Panics
    /// If the schema has what this cannot fill in.
    pub fn make(&self, schema: &Value, path: &str) -> Value {
        if let Some(fact) = self.facts.get(path) {
            return fact.clone();
        }
        let merged = self.resolved(schema);
        if let Some(one) = merged.get("const") {
            return one.clone();
        }
        if let Some(values) = merged.get("enum").and_then(Value::as_array) {
            let has_null = values.contains(&Value::Null);
            return match values.iter().find(|value| !value.is_null()) {
                Some(first) if !(self.filling.nulls && has_null) => first.clone(),
                _ => Value::Null,
            };
        }
        if let Some(choices) = merged
            .get("oneOf")
            .or_else(|| merged.get("anyOf"))
            .and_then(Value::as_array)
        {
            let mut made: Vec<Value> = choices.iter().map(|choice| self.make(choice, path)).collect();
            let at = made
                .iter()
                .position(|value| value.is_null() == self.filling.nulls)
                .unwrap_or(0);
            return made.swap_remove(at);
        }
        let types: Vec<&str> = match merged.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ if merged.contains_key("properties") => vec!["object"],
            _ => vec!["string"],
        };
        if self.filling.nulls && types.contains(&"null") {
            return Value::Null;
        }
        match types.into_iter().find(|kind| *kind != "null") {
            None => Value::Null,
            Some("object") => self.object(&merged, path),
            Some("array") => match merged.get("items") {
                Some(items) if self.filling.all => json!([self.make(items, &format!("{path}[]"))]),
                _ => json!([]),
            },
            Some("integer" | "number") => json!(7),
            Some("boolean") => json!(true),
            Some("string") => match merged.get("format").and_then(Value::as_str) {
                Some("uri" | "uri-template") => json!("https://github.example/some/page"),
                Some("date-time") => json!("2001-02-03T04:05:06Z"),
                _ => json!("text"),
            },
            Some(other) => panic!("{path}: the type {other}"),
        }
    }

    fn object(&self, merged: &Map<String, Value>, path: &str) -> Value {
        let required: Vec<&str> = match merged.get("required").and_then(Value::as_array) {
            Some(names) => names.iter().filter_map(Value::as_str).collect(),
            None => Vec::new(),
        };
        let properties = merged
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let made = properties
            .filter(|(name, _)| self.filling.all || required.contains(&name.as_str()))
            .map(|(name, schema)| {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                (name.clone(), self.make(schema, &path))
            });
        Value::Object(made.collect())
    }

    /// Returns a schema with its references and all parts of `allOf` in one object. A later part narrows an earlier one.
    fn resolved(&self, schema: &Value) -> Map<String, Value> {
        let mut schema = schema.as_object().cloned().unwrap_or_default();
        if let Some(Value::String(name)) = schema.remove("$ref") {
            let name = name.strip_prefix("#/definitions/").unwrap();
            return self.resolved(&self.definitions[name]);
        }
        let Some(Value::Array(parts)) = schema.remove("allOf") else {
            return schema;
        };
        for part in parts {
            for (key, value) in self.resolved(&part) {
                match (schema.get_mut(&key), value) {
                    (Some(Value::Object(have)), Value::Object(more)) => have.extend(more),
                    (Some(Value::Array(have)), Value::Array(more)) => have.extend(more),
                    (_, value) => drop(schema.insert(key, value)),
                }
            }
        }
        schema
    }
}
