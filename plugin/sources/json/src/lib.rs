//! The reading of a JSON text into a small tree: the values that a mapping reads, and nothing of the rest.
//!
//! The tree has the form of a [`Shape`], which a mapping of `pipefold-sources` defines with `fields!`. A value of another type is absent, and a member with
//! another name is skipped, however large or deep it is. So the memory is that of the documented fields, and the recursion is as deep as the shape.
//!
//! There is one reader for all mappings: code that is generic over their structs would be compiled for each of them. It is a crate of its own, as it is compiled
//! for speed and the mappings for size.
#![warn(missing_docs)]

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
pub use serde_json::Error;
use std::borrow::Cow;
use std::fmt::{self, Formatter};

/// The part of a JSON value that a mapping reads.
#[derive(Debug)]
pub enum Shape {
    /// A text, a whole number or a truth value.
    Simple,
    /// Members of an object.
    Object(&'static [Member]),
    /// The elements of a list that have this shape.
    List(&'static Shape),
}

/// The name and the shape of a member of an object.
pub type Member = (&'static str, &'static Shape);

/// A JSON value in the form of its shape.
#[derive(Debug, Default, PartialEq)]
pub enum Value<'a> {
    /// No value, null, a fraction, or a value of another type.
    #[default]
    Absent,
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number of 64 bits.
    Whole(i128),
    /// A truth value.
    Truth(bool),
    /// The members in the order of the shape. Absent ones at the end may be left out.
    Object(Vec<Value<'a>>),
    /// The elements that have the shape.
    List(Vec<Value<'a>>),
}

/// Reads a JSON text. Of several members with one name the last counts.
///
/// # Errors
/// The fault of a text that is not JSON.
pub fn read<'a>(text: &'a str, shape: &'static Shape) -> Result<Value<'a>, Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Reader(shape).deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// A reader of one value.
#[derive(Clone, Copy)]
struct Reader(&'static Shape);

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl Reader {
    /// Returns a value if a simple one is read here.
    fn simple<'de>(self, value: Value<'de>) -> Value<'de> {
        match self.0 {
            Shape::Simple => value,
            _ => Value::Absent,
        }
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Absent)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value<'de>, E> {
        Ok(self.simple(Value::Truth(truth)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(self.simple(Value::Whole(number.into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(self.simple(Value::Whole(number.into())))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Absent)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(self.simple(Value::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(match self.0 {
            Shape::Simple => Value::Text(Cow::Owned(text.to_owned())),
            _ => Value::Absent,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let Shape::Object(members) = self.0 else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Absent);
        };
        let mut values = Vec::new();
        while let Some(known) = map.next_key_seed(Key(members))? {
            let Some(at) = known else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if values.is_empty() {
                values.resize_with(members.len(), Value::default);
            }
            let value = map.next_value_seed(Reader(members[at].1))?;
            values[at] = value;
        }
        Ok(Value::Object(values))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let Shape::List(element) = *self.0 else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Absent);
        };
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Reader(element))? {
            if value != Value::Absent {
                values.push(value);
            }
        }
        Ok(Value::List(values))
    }
}

/// A reader of a member's name: its place in the shape, if it is there.
struct Key(&'static [Member]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|member| member.0 == name))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LEAF: &Shape = &Shape::Simple;
    const INNER: &Shape = &Shape::Object(&[("a", LEAF)]);
    const OUTER: &Shape = &Shape::Object(&[("a", LEAF), ("o", INNER), ("l", &Shape::List(INNER))]);

    fn text(text: &str) -> Value<'_> {
        Value::Text(text.into())
    }

    /// An object of [`OUTER`] that has the text `a` alone.
    fn only_a(a: &str) -> Value<'_> {
        Value::Object(vec![text(a), Value::Absent, Value::Absent])
    }

    #[test]
    fn members_of_the_shape_are_kept_and_others_are_not() {
        let json = "{\"x\":{\"a\":1},\"l\":[{\"a\":true,\"o\":1},{},7,[{\"a\":1}]],\"o\":{\"l\":[],\"a\":-1},\"a\":\"\\u0061\"}";
        let list = vec![Value::Object(vec![Value::Truth(true)]), Value::Object(vec![])];
        assert_eq!(
            read(json, OUTER).unwrap(),
            Value::Object(vec![
                text("a"),
                Value::Object(vec![Value::Whole(-1)]),
                Value::List(list)
            ])
        );
    }

    #[test]
    fn the_last_of_several_members_counts() {
        for (json, a) in [
            ("{\"a\":\"1\",\"a\":\"2\"}", text("2")),
            ("{\"a\":\"1\",\"\\u0061\":\"2\"}", text("2")),
            ("{\"a\":\"1\",\"a\":null}", Value::Absent),
            ("{\"a\":\"1\",\"a\":{}}", Value::Absent),
            ("{\"a\":[\"1\"],\"a\":3}", Value::Whole(3)),
        ] {
            assert_eq!(read(json, INNER).unwrap(), Value::Object(vec![a]), "{json}");
        }
        let json = "{\"o\":{\"a\":1},\"a\":\"x\",\"o\":2}";
        assert_eq!(read(json, OUTER).unwrap(), only_a("x"));
    }

    #[test]
    fn nesting_may_be_deep_under_any_name() {
        for (open, close) in [
            ("[", "]"),
            ("{\"x\":", "}"),
            ("{\"o\":", "}"),
            ("{\"l\":[", "]}"),
            ("{\"a\":", "}"),
        ] {
            let deep = format!("{}0{}", open.repeat(100_000), close.repeat(100_000));
            for name in ["x", "o", "l"] {
                let json = format!("{{\"{name}\":{deep},\"a\":\"b\"}}");
                let Value::Object(values) = read(&json, OUTER).unwrap() else {
                    panic!("{name} {open}");
                };
                assert_eq!(values[0], text("b"), "{name} {open}");
            }
            let json = format!("{{\"a\":{deep}}}");
            let absent = Value::Object(vec![Value::Absent, Value::Absent, Value::Absent]);
            assert_eq!(read(&json, OUTER).unwrap(), absent, "{open}");
            assert!(read(&json[..json.len() - 1], OUTER).is_err(), "{open}");
        }
    }

    #[test]
    fn large_names_and_values_are_skipped() {
        let name = "a".repeat(1 << 20);
        let escaped = "\\u0061".repeat(1 << 18);
        let json = format!("{{\"{name}\":1,\"{escaped}\":2,\"a\":\"b\",\"o\":{{\"{name}\":3}}}}");
        let values = vec![text("b"), Value::Object(vec![]), Value::Absent];
        assert_eq!(read(&json, OUTER).unwrap(), Value::Object(values));

        // Each in a place where another type, or nothing, is read.
        let large = [
            format!("\"{}\"", "x\\n".repeat(7 << 20)),
            format!("[{}0]", "0,".repeat(10 << 20)),
            format!("[{}{{}}]", "{\"a\":[{}]},".repeat(2 << 20)),
            format!("{{{}\"y\":0}}", "\"x\":\"y\",".repeat(5 << 19)),
        ];
        for large in &large {
            assert!(large.len() > 20_000_000);
            let json = format!("{{\"x\":{large},\"a\":\"b\"}}");
            assert_eq!(read(&json, OUTER).unwrap(), only_a("b"));
        }
        let json = format!("{{\"a\":{},\"l\":{}}}", large[3], large[0]);
        let absent = Value::Object(vec![Value::Absent, Value::Absent, Value::Absent]);
        assert_eq!(read(&json, OUTER).unwrap(), absent);
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        for json in [
            "",
            "{",
            "{\"a\":1}x",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":01}",
            "{\"x\":tru}",
            "{\"a\":\"\u{1}\"}",
        ] {
            assert!(read(json, OUTER).is_err(), "{json}");
        }
        assert_eq!(read(" {} ", OUTER).unwrap(), Value::Object(vec![]));
    }
}
