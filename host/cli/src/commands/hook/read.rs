//! The reading of notifications from JSON, with errors that name the field. `plugin/core` compiles it too: both read the same forms.
//!
//! It holds no tree of the text, so that the memory is that of the notifications: a core module has little, and a larger input is an error.
//! Of several members with one name the last counts.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::Error;

use super::{Attribute, Notification, nearest};

/// The most bytes of an input: the largest history that the rules allow, with every character escaped in JSON.
pub const MAX_INPUT: usize = 64 << 20;

/// What an input with more is, behind its name.
pub const TOO_LARGE: &str = "has more than 64 MiB, more than any valid history";

/// The most notifications that are read: ten times as many as the rules allow, which say how many they got.
const MAX_NOTIFICATIONS: usize = 100_000;

/// The most attributes of an input: as many as the rules allow to all notifications of the largest history.
const MAX_ATTRIBUTES: usize = 320_000;

/// The characters shown of an unknown name: twice the longest known name.
const LONGEST_SHOWN: usize = 32;

/// The most bytes shown of a value with a wrong type.
const LONGEST_VALUE: usize = 64;

/// The names of a notification's fields.
pub const FIELDS: [&str; 19] = [
    "pipeline_name",
    "pipeline_source",
    "reference_id",
    "started_at",
    "finished_at",
    "status",
    "repository",
    "commit_sha",
    "pr_number",
    "source_url",
    "head_branch",
    "email",
    "github_username",
    "gitlab_username",
    "step",
    "step_id",
    "allowed_to_fail",
    "urgent",
    "attributes",
];

/// A place for the value of a field.
enum Field<'e> {
    Text(&'e mut Option<String>),
    Whole(&'e mut Option<i64>),
    Truth(&'e mut bool),
    Attributes(&'e mut Vec<Attribute>),
}

/// The field at this place in [`FIELDS`].
fn field(event: &mut Notification, at: usize) -> Field<'_> {
    match at {
        0 => Field::Text(&mut event.pipeline_name),
        1 => Field::Text(&mut event.pipeline_source),
        2 => Field::Text(&mut event.reference_id),
        3 => Field::Text(&mut event.started_at),
        4 => Field::Text(&mut event.finished_at),
        5 => Field::Text(&mut event.status),
        6 => Field::Text(&mut event.repository),
        7 => Field::Text(&mut event.commit_sha),
        8 => Field::Whole(&mut event.pr_number),
        9 => Field::Text(&mut event.source_url),
        10 => Field::Text(&mut event.head_branch),
        11 => Field::Text(&mut event.email),
        12 => Field::Text(&mut event.github_username),
        13 => Field::Text(&mut event.gitlab_username),
        14 => Field::Text(&mut event.step),
        15 => Field::Text(&mut event.step_id),
        16 => Field::Truth(&mut event.allowed_to_fail),
        17 => Field::Truth(&mut event.urgent),
        _ => Field::Attributes(&mut event.attributes),
    }
}

/// Reads one notification. `place` names the input in errors.
///
/// # Errors
/// What is wrong with the text, or with a field and its name, on one line.
pub fn one(input: &[u8], place: &str) -> Result<Notification, String> {
    let read = read(input, Object { attributes: &mut 0 });
    match read.map_err(|error| format!("{place} is not the JSON object of one notification: {error}"))? {
        Ok(event) => Ok(event),
        Err(wrong) => Err(format!("{place}{wrong}")),
    }
}

/// Reads the notifications of a run.
///
/// # Errors
/// As [`one`], with the number of the notification.
pub fn many(input: &[u8], place: &str) -> Result<Vec<Notification>, String> {
    let read = read(input, List);
    let what = "is not the JSON array of a run's notifications, each an object";
    match read.map_err(|error| format!("{place} {what}: {error}"))? {
        Ok(events) => Ok(events),
        Err((number, wrong)) => Err(format!("{place}, notification {number}{wrong}")),
    }
}

/// Reads a JSON text to its end.
fn read<'de, S: DeserializeSeed<'de>>(input: &'de [u8], seed: S) -> Result<S::Value, Error> {
    let mut json = serde_json::Deserializer::from_slice(input);
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// A name or value that no notification has, found in a text that is JSON.
pub enum Wrong {
    /// An unknown name, cut.
    Name(String),
    /// A field and the fault of its value.
    Value(&'static str, Error),
}

impl Display for Wrong {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, ": `{name}` is no field of a notification; ")?;
                match nearest(name, FIELDS) {
                    Some(near) => write!(f, "did you mean {near}?"),
                    None => f.write_str("wit/types.wit has them all"),
                }
            }
            Self::Value(field, error) => write!(f, ": {field}: {error}"),
        }
    }
}

/// A reader of the notifications of a run.
struct List;

impl<'de> DeserializeSeed<'de> for List {
    type Value = Result<Vec<Notification>, (usize, Wrong)>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Result<Vec<Notification>, (usize, Wrong)>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut events, mut first, mut count, mut attributes) = (Vec::new(), None, 0, 0);
        // The text is read to its end in any case: a fault of its form comes before those of fields.
        while let Some(event) = list.next_element_seed(Object {
            attributes: &mut attributes,
        })? {
            count += 1;
            if count > MAX_NOTIFICATIONS {
                return Err(A::Error::custom(format_args!(
                    "more than {MAX_NOTIFICATIONS} notifications"
                )));
            }
            match event {
                Ok(event) if first.is_none() => events.push(event),
                Ok(_) => {}
                Err(wrong) => first = first.or(Some((count, wrong))),
            }
        }
        Ok(first.map_or(Ok(events), Err))
    }
}

/// A reader of one notification, with the number of attributes that were read before it.
struct Object<'n> {
    attributes: &'n mut usize,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Result<Notification, Wrong>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Result<Notification, Wrong>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut event = Notification::default();
        let mut unknown: Option<String> = None;
        let mut wrong: BTreeMap<&str, Error> = BTreeMap::new();
        while let Some(name) = map.next_key_seed(Name)? {
            match name {
                Ok(at) => {
                    let attributes = &mut *self.attributes;
                    let value = Value {
                        field: field(&mut event, at),
                        attributes,
                    };
                    match map.next_value_seed(value)? {
                        Ok(()) => wrong.remove(FIELDS[at]),
                        Err(error) => wrong.insert(FIELDS[at], error),
                    };
                }
                Err(name) => {
                    map.next_value::<IgnoredAny>()?;
                    // The first by name, whatever their order.
                    if unknown.as_ref().is_none_or(|least| name < *least) {
                        unknown = Some(name);
                    }
                }
            }
        }
        Ok(match (unknown, wrong.pop_first()) {
            (Some(name), _) => Err(Wrong::Name(name)),
            (None, Some((field, error))) => Err(Wrong::Value(field, error)),
            (None, None) => Ok(event),
        })
    }
}

/// A reader of a field's name: its place in [`FIELDS`], else the name, cut.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let known = FIELDS.iter().position(|known| *known == name);
        Ok(known.ok_or_else(|| name.chars().take(LONGEST_SHOWN).collect()))
    }
}

/// A reader of the value of a field, or of an attribute as a text. What it got is an error within the value: the text is JSON all the same.
struct Value<'e, 'n> {
    field: Field<'e>,
    attributes: &'n mut usize,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = Result<(), Error>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl Value<'_, '_> {
    fn wrong<E>(&self, unexpected: Unexpected<'_>) -> Result<Result<(), Error>, E> {
        Ok(Err(match (&self.field, unexpected) {
            (Field::Whole(_), Unexpected::Unsigned(_)) => Error::invalid_value(unexpected, self),
            _ => Error::invalid_type(unexpected, self),
        }))
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = Result<(), Error>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.field {
            Field::Text(_) => "a string",
            Field::Whole(_) => "a whole number",
            Field::Truth(_) => "a boolean",
            Field::Attributes(_) => "an object of texts",
        })
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        match self.field {
            Field::Text(text) => *text = None,
            Field::Whole(number) => *number = None,
            _ => return self.wrong(Unexpected::Unit),
        }
        Ok(Ok(()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        let Field::Truth(place) = self.field else {
            return self.wrong(Unexpected::Bool(truth));
        };
        *place = truth;
        Ok(Ok(()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        let Field::Whole(place) = self.field else {
            return self.wrong(Unexpected::Signed(number));
        };
        *place = Some(number);
        Ok(Ok(()))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => self.wrong(Unexpected::Unsigned(number)),
        }
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        self.wrong(Unexpected::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let Field::Text(place) = self.field else {
            let end = text.floor_char_boundary(LONGEST_VALUE);
            return self.wrong(Unexpected::Str(text.get(..end).unwrap_or_default()));
        };
        *place = Some(text.to_owned());
        Ok(Ok(()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.wrong(Unexpected::Seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Field::Attributes(place) = self.field else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return self.wrong(Unexpected::Map);
        };
        let mut attributes: BTreeMap<String, Result<String, Error>> = BTreeMap::new();
        while let Some(key) = map.next_key()? {
            *self.attributes += 1;
            if *self.attributes > MAX_ATTRIBUTES {
                return Err(A::Error::custom(format_args!("more than {MAX_ATTRIBUTES} attributes")));
            }
            let mut text = None;
            let value = Value {
                field: Field::Text(&mut text),
                attributes: &mut 0,
            };
            let read = map.next_value_seed(value)?;
            // Unlike a field, an attribute has no other way to be absent than to be left out.
            let read = read.and_then(|()| text.ok_or_else(|| Error::invalid_type(Unexpected::Unit, &"a string")));
            attributes.insert(key, read);
        }
        let texts = attributes
            .into_iter()
            .map(|(key, value)| Ok(Attribute { key, value: value? }));
        Ok(texts.collect::<Result<_, _>>().map(|texts| *place = texts))
    }
}
