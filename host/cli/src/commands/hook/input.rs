//! Notifications from JSON. An error names its field: the JSON was written by a program.

use anyhow::{Context as _, bail};
use pipefold::Notification;
use pipefold::config::nearest;
use serde::de::value::Error as Unasked;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde_json::{Map, Value};

/// One notification, by the names of its fields and never by position, as which serde would also read a list.
pub(super) fn one(input: &[u8]) -> anyhow::Result<Notification> {
    let object = serde_json::from_slice(input).context("stdin is not the JSON object of one notification")?;
    notification(object, "stdin")
}

/// The notifications of a run.
pub(super) fn many(input: &[u8]) -> anyhow::Result<Vec<Notification>> {
    let what = "stdin is not the JSON array of a run's notifications, each an object";
    let objects: Vec<Map<String, Value>> = serde_json::from_slice(input).context(what)?;
    let numbered = objects.into_iter().zip(1..);
    numbered
        .map(|(object, number)| notification(object, &format!("stdin, notification {number}")))
        .collect()
}

fn notification(object: Map<String, Value>, place: &str) -> anyhow::Result<Notification> {
    if let Some(unknown) = object.keys().find(|key| !fields().contains(&key.as_str())) {
        let known = fields().iter().copied();
        let hint = nearest(unknown, known).map_or_else(
            || "wit/types.wit has them all".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        let shown: String = unknown.chars().take(LONGEST_SHOWN).collect();
        bail!("{place}: `{shown}` is no field of a notification; {hint}");
    }
    match serde_json::from_value(Value::Object(object.clone())) {
        Ok(notification) => Ok(notification),
        // Serde does not say which; by itself, one of them fails in the same way.
        Err(error) => {
            let fails = |(key, value): (String, Value)| {
                let alone = Value::Object(Map::from_iter([(key.clone(), value)]));
                Some((key, serde_json::from_value::<Notification>(alone).err()?))
            };
            match object.into_iter().find_map(fails) {
                Some((field, error)) => bail!(
                    "{place}: {field}: {}",
                    error.to_string().replace("i64", "a whole number")
                ),
                None => bail!("{place}: {error}"),
            }
        }
    }
}

/// Characters shown of a name that is none: twice those of the longest that is one.
const LONGEST_SHOWN: usize = 32;

/// The names of a notification's fields, from the type itself.
fn fields() -> &'static [&'static str] {
    let mut names: &[&str] = &[];
    // It asks for its fields, and gets none: that is no notification, but names them.
    let _ = Notification::deserialize(Asked(&mut names));
    names
}

/// Is asked for a structure's fields, and notes their names.
struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Unasked;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Unasked> {
        *self.0 = fields;
        Err(Unasked::custom("there is no value"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unasked> {
        Err(Unasked::custom("it is no structure"))
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
        assert!(object.keys().all(|key| fields().contains(&key.as_str())));
        assert!(fields().contains(&"gitlab_username") && fields().len() >= 17);
    }
}
