//! Values that may be missing, null or of another type than documented in JSON. Such a value is absent, and the rest of the delivery is read.

use crate::json::{self, Shape, Value};

/// A value that JSON may hold in the place of a `Self`, by its types.
pub(crate) trait Loose: Sized {
    /// The part of a JSON value that is read.
    const SHAPE: &'static Shape = &Shape::Simple;

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
    /// The value of any JSON value in the form of [`SHAPE`](Self::SHAPE).
    // Fields of one type share the code.
    #[inline(never)]
    fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Self::text(&text),
            Value::Whole(number) => Self::whole(number),
            Value::Truth(truth) => Self::truth(truth),
            Value::Absent | Value::Object(_) | Value::List(_) => None,
        }
    }
}

/// Reads a value out of a JSON text; `None` if it is of another type.
///
/// # Errors
/// The fault of a text that is not JSON.
pub(crate) fn read<T: Loose>(text: &str) -> Result<Option<T>, json::Error> {
    json::read(text, T::SHAPE).map(T::of)
}

/// A text that is not blank.
impl Loose for String {
    fn text(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl Loose for i64 {
    fn whole(number: i128) -> Option<Self> {
        number.try_into().ok()
    }
}

impl Loose for bool {
    fn truth(truth: bool) -> Option<Self> {
        Some(truth)
    }
}

/// An id, which may be a number or a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub String);

impl Loose for Id {
    fn text(text: &str) -> Option<Self> {
        String::text(text).map(Self)
    }

    fn whole(number: i128) -> Option<Self> {
        Some(Self(number.to_string()))
    }
}

/// The elements of a list that are of the documented type.
pub(crate) struct List<T>(pub Vec<T>);

impl<T: Loose> Loose for List<T> {
    const SHAPE: &'static Shape = &Shape::List(T::SHAPE);

    fn of(value: Value<'_>) -> Option<Self> {
        match value {
            Value::List(values) => Some(Self(values.into_iter().filter_map(T::of).collect())),
            _ => None,
        }
    }
}

/// The members of an object, in the order of its shape.
pub(crate) struct Members<'a>(std::vec::IntoIter<Value<'a>>);

// All structs share this code.
impl<'a> Members<'a> {
    /// Returns the members of a value; `None` if it is no object.
    #[inline(never)]
    pub(crate) fn of(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Object(values) => Some(Self(values.into_iter())),
            _ => None,
        }
    }

    /// Returns the next member's value.
    #[inline(never)]
    pub(crate) fn next<T: Loose>(&mut self) -> Option<T> {
        self.0.next().and_then(T::of)
    }
}

/// Defines structs of the documented fields of objects. Each field is an `Option`; the struct is [`Loose`] itself, and its default has no field.
///
/// A field's name in JSON is its own. As in serde, `#[serde(rename = "…")]` gives it another one, and `#[serde(rename_all = "camelCase")]` writes all names
/// of a struct so.
macro_rules! fields {
    ($($(#[$($about:tt)*])* $name:ident $(<$data:ident>)? { $($(#[$($how:tt)*])* $field:ident: $type:ty,)* })*) => { $(
        #[derive(Default)]
        struct $name $(<$data>)? {
            $($field: Option<$type>,)*
        }

        impl $(<$data: $crate::loose::Loose>)? $crate::loose::Loose for $name $(<$data>)? {
            const SHAPE: &'static $crate::json::Shape = &$crate::json::Shape::Object($crate::loose::members!(
                [$(#[$($about)*])*] $($field: $type, [$(#[$($how)*])*],)*
            ));

            fn of(value: $crate::json::Value<'_>) -> Option<Self> {
                #[allow(unused_mut, unused_variables, reason = "there may be no field")]
                let mut members = $crate::loose::Members::of(value)?;
                // In the order of the shape.
                Some(Self { $($field: members.next(),)* })
            }
        }
    )* };
}
pub(crate) use fields;

/// Returns the members of an object's shape, by the attributes and the fields of its struct.
macro_rules! members {
    ([#[serde(rename_all = "camelCase")] $(#[$($about:tt)*])*] $($field:ident: $type:ty, $how:tt,)*) => {
        &[$(($crate::loose::name!($how {
            const BYTES: [u8; $crate::loose::camel_length(stringify!($field))] = $crate::loose::camel(stringify!($field));
            match std::str::from_utf8(&BYTES) {
                Ok(name) => name,
                Err(_) => unreachable!(),
            }
        }), <$type as $crate::loose::Loose>::SHAPE)),*]
    };
    ([#[$($other:tt)*] $(#[$($about:tt)*])*] $($fields:tt)*) => {
        $crate::loose::members!([$(#[$($about)*])*] $($fields)*)
    };
    ([] $($field:ident: $type:ty, $how:tt,)*) => {
        &[$(($crate::loose::name!($how { stringify!($field) }), <$type as $crate::loose::Loose>::SHAPE)),*]
    };
}
pub(crate) use members;

/// Returns the name that a field's attributes give it, else the other one.
macro_rules! name {
    ([#[serde(rename = $name:literal)] $($rest:tt)*] $other:tt) => { $name };
    ([#[$($about:tt)*] $($rest:tt)*] $other:tt) => { $crate::loose::name!([$($rest)*] $other) };
    ([] $other:block) => { $other };
}
pub(crate) use name;

/// Returns the length of a name in camel case.
pub(crate) const fn camel_length(name: &str) -> usize {
    let (name, mut at, mut length) = (name.as_bytes(), 0, 0);
    while at < name.len() {
        length += (name[at] != b'_') as usize;
        at += 1;
    }
    length
}

/// Returns a name in camel case.
pub(crate) const fn camel<const LENGTH: usize>(name: &str) -> [u8; LENGTH] {
    let (name, mut at, mut length) = (name.as_bytes(), 0, 0);
    let mut camel = [0; LENGTH];
    while at < name.len() {
        if name[at] != b'_' {
            let begins = at > 0 && name[at - 1] == b'_';
            camel[length] = if begins {
                name[at].to_ascii_uppercase()
            } else {
                name[at]
            };
            length += 1;
        }
        at += 1;
    }
    camel
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fields! {
        Probe {
            name: String,
            id: Id,
            whole: i64,
            list: List<Element>,
        }

        Element { name: String, }

        #[serde(rename_all = "camelCase")]
        /// Names in JSON.
        Named {
            id: i64,
            pull_request_id: i64,
            /// Named by itself.
            #[serde(rename = "_ref")]
            branch_name: String,
        }
    }

    fn probe(json: &str) -> Probe {
        read(json).unwrap().unwrap()
    }

    #[test]
    fn another_type_is_absent() {
        for other in ["null", "1", "1.5", "-1", "true", "{\"a\":[1]}", "[{}]", "\" \""] {
            assert_eq!(probe(&format!("{{\"name\":{other}}}")).name, None, "{other}");
        }
        assert_eq!(probe("{\"name\":\" a\\n\"}").name.unwrap(), "a");
        let listed = probe("{\"list\":[1,{\"name\":\"a\"},null,{\"name\":2},[{}],\"x\",{}]}")
            .list
            .unwrap()
            .0;
        let names: Vec<Option<&str>> = listed.iter().map(|element| element.name.as_deref()).collect();
        assert_eq!(names, [Some("a"), None, None]);
        for other in ["null", "1", "\"x\"", "[]", "[{\"name\":\"a\"}]"] {
            assert!(read::<Probe>(other).unwrap().is_none(), "{other}");
        }
    }

    #[test]
    fn numbers_are_exact_to_the_ends_of_64_bits() {
        for (number, id) in [
            ("9007199254740993", Some("9007199254740993")),
            ("9223372036854775807", Some("9223372036854775807")),
            ("-9223372036854775808", Some("-9223372036854775808")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("18446744073709551616", None),
            ("-9223372036854775809", None),
            ("1e30", None),
            ("1.0", None),
            ("0", Some("0")),
        ] {
            let read = probe(&format!("{{\"id\":{number},\"whole\":{number}}}"));
            assert_eq!(read.id.map(|id| id.0).as_deref(), id, "{number}");
            let whole = id.and_then(|id| id.parse::<i64>().ok());
            assert_eq!(read.whole, whole, "{number}");
        }
        assert_eq!(probe("{\"id\":\" 07 \"}").id.unwrap().0, "07");
    }

    #[test]
    fn names_of_fields() {
        let named: Named =
            read("{\"id\":1,\"pullRequestId\":2,\"_ref\":\"main\",\"pull_request_id\":4,\"branchName\":\"x\"}")
                .unwrap()
                .unwrap();
        assert_eq!((named.id, named.pull_request_id), (Some(1), Some(2)));
        assert_eq!(named.branch_name.as_deref(), Some("main"));
    }

    #[test]
    fn undocumented_fields_may_be_deep() {
        let deep = format!(
            "{{\"x\":{}{},\"name\":\"a\"}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(probe(&deep).name.unwrap(), "a");
        let deep = format!("{{\"name\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(probe(&deep).name, None);
    }
}
