//! Attributes of a run: facts that DX has no field for, each with its origin.

use std::collections::BTreeMap;

use crate::source::{Origin, Sourced};
use pipefold_sandbox::{Attribute, Fault, Violation};

/// The name of the attributes in a notification, and of their table in a file.
pub const NAME: &str = "attributes";

/// The variable with attributes: `KEY=VALUE`, one a line.
pub const VARIABLE: &str = "PIPEFOLD_ATTRIBUTES";

/// The attributes that one source, or all of them by precedence, gives. Keys and values are unchecked, without blanks at their ends.
///
/// A blank value counts as absent, as in [`Fields`](super::Fields).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    values: BTreeMap<String, Sourced<String>>,
    /// Texts that are not `KEY=VALUE`.
    unreadable: Vec<Sourced<String>>,
}

impl Attributes {
    /// The attributes of a text with one `KEY=VALUE` a line: a value may hold every other character, so nothing else separates them.
    #[must_use]
    pub fn from_lines(text: &str, origin: &Origin) -> Self {
        let mut attributes = Self::default();
        for line in text.lines() {
            attributes.add(line, origin.clone());
        }
        attributes
    }

    /// Adds a text `KEY=VALUE`; a blank one is ignored. Of several values of a key, the last counts.
    pub fn add(&mut self, text: &str, origin: Origin) {
        match text.split_once('=') {
            Some((key, value)) => self.set(key, value, origin),
            None if text.trim().is_empty() => {}
            None => self.unreadable.push(Sourced::new(text.to_owned(), origin)),
        }
    }

    /// Sets an attribute; a blank value removes it.
    pub fn set(&mut self, key: &str, value: &str, origin: Origin) {
        let (key, value) = (key.trim().to_owned(), value.trim());
        if value.is_empty() {
            self.values.remove(&key);
        } else {
            self.values.insert(key, Sourced::new(value.to_owned(), origin));
        }
    }

    /// The attributes, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Sourced<String>)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Adds the attributes of a source of less precedence.
    pub(super) fn complete(&mut self, source: &Self) {
        for (key, value) in &source.values {
            self.values.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self.unreadable.extend_from_slice(&source.unreadable);
    }

    /// Removes the texts that are not `KEY=VALUE`.
    pub(super) fn leave_out_unreadable(&mut self) {
        self.unreadable.clear();
    }

    /// The attributes of a notification, and a violation for each text that is not `KEY=VALUE`.
    pub(super) fn to_list(&self) -> (Vec<Attribute>, Vec<Violation>) {
        let attribute = |(key, value): (&str, &Sourced<String>)| Attribute {
            key: key.to_owned(),
            value: value.value.clone(),
        };
        let list = self.iter().map(attribute).collect();
        (list, self.unreadable.iter().map(no_attribute).collect())
    }
}

fn no_attribute(given: &Sourced<String>) -> Violation {
    // Enough to recognise what was given; it may be megabytes.
    let shown: String = given.value.chars().take(40).collect();
    Violation {
        fault: Fault::InvalidAttribute,
        field: NAME.to_owned(),
        message: format!(
            "{shown:?} (from {}) is not an attribute; give KEY=VALUE, such as team=payments",
            given.origin
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn pairs(attributes: &Attributes) -> Vec<(&str, &str)> {
        let pair = |(key, value)| {
            let Sourced { value, .. }: &Sourced<String> = value;
            (key, value.as_str())
        };
        attributes.iter().map(pair).collect()
    }

    #[test]
    fn a_line_is_an_attribute() {
        let text = "team=payments\r\n\n queue = linux, arm64 \nurl=https://ci/?a=b&c=d\nempty=\nteam=billing\n  \n";
        let attributes = Attributes::from_lines(text, &Origin::Variable(VARIABLE));
        let expected = [
            ("queue", "linux, arm64"),
            ("team", "billing"),
            ("url", "https://ci/?a=b&c=d"),
        ];
        assert_eq!(pairs(&attributes), expected);
        assert_eq!(attributes.to_list().1, []);
    }

    #[test]
    fn a_blank_value_leaves_the_key_to_other_sources() {
        let mut flags = Attributes::default();
        flags.add("team=", Origin::Flag("--attribute"));
        flags.add("queue=fast", Origin::Flag("--attribute"));
        flags.complete(&Attributes::from_lines("team=a\nqueue=b\npool=c", &Origin::Default));
        assert_eq!(pairs(&flags), [("pool", "c"), ("queue", "fast"), ("team", "a")]);
    }

    #[test]
    fn a_text_without_a_key_is_a_violation() {
        let mut attributes = Attributes::default();
        attributes.add("team\u{1b}", Origin::Flag("--attribute"));
        attributes.add(&"x".repeat(1_000_000), Origin::Flag("--attribute"));
        let (list, violations) = attributes.to_list();
        assert_eq!((list.len(), violations.len()), (0, 2));
        assert!(violations[1].message.len() < 200);
        insta::assert_snapshot!(
            violations[0],
            @r#"attributes: "team\u{1b}" (from --attribute) is not an attribute; give KEY=VALUE, such as team=payments"#
        );
        attributes.leave_out_unreadable();
        assert_eq!(attributes, Attributes::default());
    }
}
