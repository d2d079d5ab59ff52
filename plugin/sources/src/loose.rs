//! JSON values that may be missing, null or of another type than documented. Such a value is absent, and the rest of the delivery is read.
//!
//! Only documented fields are kept in memory, whatever else a delivery holds and however deep.

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Formatter};
use std::marker::PhantomData;

/// A value that JSON may hold in the place of a `Self`, by its types.
pub(crate) trait Loose<'de>: Sized {
    /// The value of a text.
    fn text(_: &str) -> Option<Self> {
        None
    }
    /// The value of a whole number.
    fn whole(_: i128) -> Option<Self> {
        None
    }
    /// The value of a truth value.
    fn truth(_: bool) -> Option<Self> {
        None
    }
    /// The value of an object.
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    /// The value of a list.
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A text that is not blank.
impl Loose<'_> for String {
    fn text(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl Loose<'_> for i64 {
    fn whole(number: i128) -> Option<Self> {
        number.try_into().ok()
    }
}

impl Loose<'_> for bool {
    fn truth(truth: bool) -> Option<Self> {
        Some(truth)
    }
}

/// An id, which may be a number or a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub String);

impl Loose<'_> for Id {
    fn text(text: &str) -> Option<Self> {
        String::text(text).map(Self)
    }

    fn whole(number: i128) -> Option<Self> {
        Some(Self(number.to_string()))
    }
}

/// An object with documented fields.
pub(crate) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Loose<'de> for Object<T> {
    fn object<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|fields| Some(Self(fields)))
    }
}

/// Defines a struct of the documented fields of an object. Each field is an `Option`, read by [`loose`]; the struct is [`Loose`] itself, and its default has no field.
macro_rules! fields {
    ($($(#[$about:meta])* $name:ident { $($(#[$how:meta])* $field:ident: $type:ty,)* })*) => { $(
        #[derive(Default, serde::Deserialize)]
        $(#[$about])*
        struct $name {
            $($(#[$how])* #[serde(default, deserialize_with = "crate::loose::loose")] $field: Option<$type>,)*
        }

        impl<'de> crate::loose::Loose<'de> for $name {
            fn object<A: serde::de::MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
                let object = <crate::loose::Object<Self> as crate::loose::Loose>::object(map)?;
                Ok(object.map(|object| object.0))
            }
        }
    )* };
}
pub(crate) use fields;

/// The elements of a list that are of the documented type.
pub(crate) struct List<T>(pub Vec<T>);

/// An element of a list.
struct Element<T>(Option<T>);

impl<'de, T: Loose<'de>> Deserialize<'de> for Element<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        loose(deserializer).map(Self)
    }
}

impl<'de, T: Loose<'de>> Loose<'de> for List<T> {
    fn list<A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        let elements = Vec::<Element<T>>::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(Some(Self(
            elements.into_iter().filter_map(|element| element.0).collect(),
        )))
    }
}

/// Reads a field, for `#[serde(default, deserialize_with = "loose")]`.
pub(crate) fn loose<'de, T: Loose<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(AnyType(PhantomData))
}

struct AnyType<T>(PhantomData<T>);

impl<'de, T: Loose<'de>> Visitor<'de> for AnyType<T> {
    type Value = Option<T>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(T::truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(T::whole(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(T::whole(number.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::object(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::list(list)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Probe {
        #[serde(default, deserialize_with = "loose")]
        name: Option<String>,
        #[serde(default, deserialize_with = "loose")]
        id: Option<Id>,
        #[serde(default, deserialize_with = "loose")]
        list: Option<List<Object<Probe>>>,
    }

    fn read(json: &str) -> Probe {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn another_type_is_absent() {
        for other in ["null", "1", "1.5", "-1", "true", "{\"a\":[1]}", "[{}]", "\" \""] {
            assert_eq!(read(&format!("{{\"name\":{other}}}")).name, None, "{other}");
        }
        assert_eq!(read("{\"name\":\" a\\n\"}").name.unwrap(), "a");
        assert_eq!(
            read("{\"id\":18446744073709551615}").id.unwrap().0,
            "18446744073709551615"
        );
        assert_eq!(read("{\"id\":1e30}").id, None);
        let listed = read("{\"list\":[1,{\"name\":\"a\"},null,{\"name\":2}]}")
            .list
            .unwrap()
            .0;
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[0].0.name.as_deref(), Some("a"));
    }

    #[test]
    fn undocumented_fields_may_be_deep() {
        let deep = format!(
            "{{\"x\":{}{},\"name\":\"a\"}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(read(&deep).name.unwrap(), "a");
        let deep = format!("{{\"name\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(&deep).name, None);
    }
}
