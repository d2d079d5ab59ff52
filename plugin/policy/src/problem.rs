//! Faults of rules, as messages.

use crate::Problem;

/// The longest name of a setting in a message, in characters. The host cuts a problem's key at 100.
const MOST_NAME: usize = 60;

/// The faults found so far, in the order of the rules.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a fault of a setting.
    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem {
            key: key.into(),
            message: message.into(),
        });
    }

    /// The faults, if there is one.
    pub fn into_list(self) -> Vec<Problem> {
        self.0
    }

    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A name out of the settings, for a key or a message.
pub fn shown(name: &str) -> String {
    name.chars().take(MOST_NAME).collect()
}

/// The known word that is most like this one, if it is like it at all. The host compares the keys of its file in the same way.
pub fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing is quadratic.
    if given.len() > 64 {
        return None;
    }
    let given = given.to_ascii_lowercase().replace('-', "_");
    let (distance, name) = known
        .map(|name| (strsim::osa_distance(&given, name), name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= (given.len() / 3).clamp(1, 3)).then_some(name)
}
