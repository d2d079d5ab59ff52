//! An element with its attributes.

use std::borrow::Cow;

use pipefold_sandbox::foreign;
use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

use super::error::ReadFault;
use super::error::limits::{MAX_ATTRIBUTES, MAX_TEXT};
use crate::address::Href;
use crate::documents::{Category, Counter, Name};

/// The characters of a value that an error shows.
const SHOWN_CHARACTERS: usize = 80;

/// The texts that every entry of a feed has, shared instead of copied.
const COMMON: &[&str] = &[
    Category::SCHEME,
    "application/vnd.go+xml",
    "text/html",
    "stage",
    "Stage",
    "completed",
    "Completed",
    "passed",
    "Passed",
    "failed",
    "Failed",
    "cancelled",
    "Cancelled",
];

/// An element whose start was read.
pub struct Element<'b> {
    pub start: BytesStart<'b>,
    /// True for `<like-this/>`: no end follows.
    pub is_empty: bool,
}

impl Element<'_> {
    /// The name without the prefix.
    pub fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// Returns true if the element is in GoCD's namespace, by the prefix that every server uses for it.
    pub fn is_go(&self) -> bool {
        self.start
            .name()
            .prefix()
            .is_some_and(|prefix| prefix.into_inner() == "go")
    }

    /// The attributes, each at most once.
    pub fn attributes(&self) -> Result<Attributes<'_>, ReadFault> {
        let mut found = Vec::new();
        for attribute in self.start.attributes() {
            let attribute = attribute.map_err(malformed)?;
            let name = attribute.key.into_inner();
            // The library leaves this to its user.
            if name.contains(['"', '\'', '<']) {
                return Err(malformed(format!("`{name}` is not an attribute's name")));
            }
            if found.len() == MAX_ATTRIBUTES {
                return Err(ReadFault::TooManyAttributes);
            }
            if attribute.value.len() > MAX_TEXT {
                return Err(ReadFault::TextTooLong);
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(malformed)?;
            found.push((name, value));
        }
        Ok(Attributes(found))
    }
}

fn malformed(error: impl ToString) -> ReadFault {
    ReadFault::Malformed(shown(&error.to_string()))
}

/// The beginning of a text from a document, safe to show in a terminal.
pub fn shown(text: &str) -> String {
    foreign::cut(text, SHOWN_CHARACTERS)
}

/// The names and values of an element's attributes.
pub struct Attributes<'e>(Vec<(&'e str, Cow<'e, str>)>);

impl Attributes<'_> {
    /// The value of an attribute that is there and not blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| *key == name)?;
        Some(value.as_ref()).filter(|value| !value.trim().is_empty())
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A value that is mostly one of [`COMMON`].
    pub fn word(&self, name: &str) -> Option<Cow<'static, str>> {
        self.get(name)
            .map(|value| match COMMON.iter().find(|common| **common == value) {
                Some(common) => Cow::Borrowed(*common),
                None => Cow::Owned(value.to_owned()),
            })
    }

    /// A link that identifies nothing. An invalid one counts as absent.
    pub fn href(&self, name: &str) -> Option<Href> {
        Href::new(self.get(name)?)
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.trim().parse().ok()
    }

    pub fn needed(&self, name: &'static str) -> Result<&str, ReadFault> {
        self.get(name).ok_or(ReadFault::Missing(name))
    }

    pub fn needed_name(&self, name: &'static str) -> Result<Name, ReadFault> {
        let value = self.needed(name)?;
        Name::new(value).map_err(|_| unfit(name, "a name of at most 4096 bytes without control characters", value))
    }

    pub fn needed_counter(&self, name: &'static str) -> Result<Counter, ReadFault> {
        let value = self.needed(name)?;
        Counter::parse(value.trim()).ok_or_else(|| unfit(name, "a number from 1", value))
    }

    pub fn needed_href(&self, name: &'static str) -> Result<Href, ReadFault> {
        let value = self.needed(name)?;
        Href::new(value).ok_or_else(|| unfit(name, "an address", value))
    }
}

/// The fault of a value that identifies a run and is not what it has to be.
pub fn unfit(what: &'static str, expected: &'static str, value: &str) -> ReadFault {
    ReadFault::Unfit {
        what,
        expected,
        value: shown(value),
    }
}
