//! What an element's attributes say.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attribute;
use quick_xml::name::QName;

use super::error::{ReadError, ReadFault};
use super::limits::{MAX_ATTRIBUTES, MAX_TEXT};
use super::scanner::{Element, Scanner, shown};
use crate::address::Href;
use crate::documents::{Category, Counter, Name};

/// The words of every entry of a feed, to be shared instead of copied.
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

/// How many attributes need no memory of their own: all of almost every element.
const INLINE: usize = 6;

/// An element's attributes, each at most once.
#[derive(Default)]
pub struct Attributes<'e> {
    first: [(&'e str, Cow<'e, str>); INLINE],
    rest: Vec<(&'e str, Cow<'e, str>)>,
    count: usize,
}

impl<'e> Attributes<'e> {
    /// Takes a start tag's attributes, all that follows the element's name.
    pub fn parse(mut text: &'e str) -> Result<Self, ReadFault> {
        let mut found = Self::default();
        loop {
            text = text.trim_ascii_start();
            if text.is_empty() {
                return Ok(found);
            }
            let Some((name, raw, rest)) = split(text) else {
                return Err(malformed(format!("there is no attribute in `{}`", shown(text))));
            };
            if found.count == MAX_ATTRIBUTES {
                return Err(ReadFault::TooManyAttributes);
            }
            if raw.len() > MAX_TEXT {
                return Err(ReadFault::TextTooLong);
            }
            // Among a bounded number, each is soon compared with all.
            if found.iter().any(|(other, _)| *other == name) {
                return Err(malformed(format!("the attribute `{}` is there twice", shown(name))));
            }
            let value = value(name, raw).map_err(|error| malformed(error.to_string()))?;
            match found.first.get_mut(found.count) {
                Some(place) => *place = (name, value),
                None => found.rest.push((name, value)),
            }
            found.count += 1;
            text = rest;
        }
    }

    fn iter(&self) -> impl Iterator<Item = &(&'e str, Cow<'e, str>)> {
        self.first.iter().take(self.count).chain(&self.rest)
    }

    /// A value that is there and not blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.iter().find(|(key, _)| *key == name)?;
        Some(value.as_ref()).filter(|value| !value.trim().is_empty())
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A text that is one of few on any server.
    pub fn word(&self, name: &str) -> Option<Cow<'static, str>> {
        self.get(name)
            .map(|value| match COMMON.iter().find(|common| **common == value) {
                Some(common) => Cow::Borrowed(*common),
                None => Cow::Owned(value.to_owned()),
            })
    }

    /// A link that does not identify anything: one that is none counts as absent.
    pub fn href(&self, name: &str) -> Option<Href> {
        Href::new(self.get(name)?)
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.trim().parse().ok()
    }

    pub fn needed_name(&self, name: &'static str, at: &Scanner<'_>, of: &Element<'_>) -> Result<Name, ReadError> {
        let value = self
            .get(name)
            .ok_or_else(|| at.error_in(of, ReadFault::Missing(name)))?;
        Name::new(value).map_err(|_| {
            at.unfit(
                of,
                name,
                "a name of at most 4096 bytes without control characters",
                value,
            )
        })
    }

    pub fn needed_counter(&self, name: &'static str, at: &Scanner<'_>, of: &Element<'_>) -> Result<Counter, ReadError> {
        let value = self
            .get(name)
            .ok_or_else(|| at.error_in(of, ReadFault::Missing(name)))?;
        Counter::parse(value.trim()).ok_or_else(|| at.unfit(of, name, "a number from 1", value))
    }

    pub fn needed(&self, name: &'static str, at: &Scanner<'_>, of: &Element<'_>) -> Result<&str, ReadError> {
        self.get(name).ok_or_else(|| at.error_in(of, ReadFault::Missing(name)))
    }

    pub fn needed_href(&self, name: &'static str, at: &Scanner<'_>, of: &Element<'_>) -> Result<Href, ReadError> {
        let value = self.needed(name, at, of)?;
        Href::new(value).ok_or_else(|| at.unfit(of, name, "an address", value))
    }
}

/// Takes the first attribute off: its name, its value as it is written, and what comes after it. The library's own iterator, which also
/// reads HTML's and checks what is checked here, took a third of the time that a feed takes.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let end = text
        .bytes()
        .position(|byte| byte == b'=' || byte.is_ascii_whitespace())?;
    let (name, rest) = text
        .split_at_checked(end)
        .filter(|(name, _)| !name.is_empty() && !name.contains(['"', '\'', '<']))?;
    let value = rest.trim_ascii_start().strip_prefix('=')?.trim_ascii_start();
    let quote = value.bytes().next().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let value = value.get(1..)?;
    let end = value.find(char::from(quote))?;
    Some((name, value.get(..end)?, value.get(end + 1..)?))
}

/// What a value stands for.
fn value<'e>(name: &'e str, raw: &'e str) -> Result<Cow<'e, str>, quick_xml::Error> {
    // Mostly there is nothing to undo, which is cheaper to see than to do; without an early way out, many bytes are seen at once.
    if raw
        .bytes()
        .fold(true, |is_plain, byte| is_plain & (byte >= b' ') & (byte != b'&'))
    {
        return Ok(Cow::Borrowed(raw));
    }
    Attribute {
        key: QName(name),
        value: Cow::Borrowed(raw),
    }
    .normalized_value(XmlVersion::Implicit1_0)
}

fn malformed(why: String) -> ReadFault {
    ReadFault::Malformed(why)
}
