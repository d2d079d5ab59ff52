//! The operator's settings of the mapping, and patterns for names.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use pipefold::glob;
use thiserror::Error;

use crate::ServerUrl;
use crate::documents::Name;

/// The operator's settings of the mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The server's name in reference ids.
    pub server_id: ServerId,
    /// The address under which people reach the server's pages.
    pub pages: ServerUrl,
    /// The treatment of stages that are run again.
    pub reruns: Reruns,
    /// The treatment of stages that a person approves after the others.
    pub late_stages: LateStages,
    /// By pipeline: the stage that must succeed for the run to be a success.
    pub final_stages: BTreeMap<Name, Name>,
    /// The git material that names the repository and the commit, if there are several. By default the first whose address names a
    /// repository.
    pub material: Option<Pattern>,
    /// The e-mail addresses of GoCD's users.
    pub users: Users,
    /// Pipelines whose counters started again, with the server's name in the reference ids of their runs since then.
    pub restarted: Vec<(Name, ServerId)>,
}

impl Mapping {
    /// Returns the defaults for a server.
    #[must_use]
    pub fn new(server_id: ServerId, pages: ServerUrl) -> Self {
        Self {
            server_id,
            pages,
            reruns: Reruns::default(),
            late_stages: LateStages::default(),
            final_stages: BTreeMap::new(),
            material: None,
            users: Users::default(),
            restarted: Vec::new(),
        }
    }

    /// Returns the server's name in the reference ids of a pipeline's runs.
    #[must_use]
    pub fn server_id(&self, pipeline: &Name) -> &ServerId {
        self.restarted(pipeline).unwrap_or(&self.server_id)
    }

    /// Returns the server's name that the operator set for this pipeline after a restart of its counters.
    #[must_use]
    pub fn restarted(&self, pipeline: &Name) -> Option<&ServerId> {
        // Of several the last counts: a flag goes before a file.
        let mut named = self.restarted.iter().rev();
        named.find(|(name, _)| name.is_same(pipeline)).map(|(_, id)| id)
    }
}

/// E-mail addresses by GoCD's user names, without regard to case as in GoCD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<String, String>);

impl Users {
    /// Returns the address of a user.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_lowercase()).map(String::as_str)
    }
}

impl Extend<(String, String)> for Users {
    fn extend<T: IntoIterator<Item = (String, String)>>(&mut self, users: T) {
        let users = users.into_iter().map(|(name, address)| (name.to_lowercase(), address));
        self.0.extend(users);
    }
}

/// The treatment of stages that are run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reruns {
    /// They start another attempt, which is a run of its own in DX.
    #[default]
    Attempts,
    /// The latest run of each stage counts. The run's end is reported after it was quiet for this long, since a later success could not
    /// take a failure back.
    Latest {
        /// The quiet time.
        quiet: TimeDelta,
    },
    /// All runs count, so that a failure stays one: DX's own rule.
    Merge,
}

/// The treatment of a stage, other than the first, that a person approved, perhaps days later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LateStages {
    /// Its result counts, and the run's end is before it.
    #[default]
    Keep,
    /// Its end is the run's end too.
    Extend,
}

/// A GoCD server's name in reference ids. One server has many addresses, so it is by default the host of the configured one
/// ([`ServerUrl::host`]). A server that was set up again, and counts from 1 again, needs another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerId(String);

/// The error of a text that cannot name a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a GoCD server's id has 1 to 255 bytes and neither spaces nor control characters, such as ci.example.com")]
pub struct ServerIdError;

impl ServerId {
    /// Takes 1 to 255 bytes without white space and control characters.
    ///
    /// # Errors
    ///
    /// [`ServerIdError`] for anything else.
    pub fn new(text: &str) -> Result<Self, ServerIdError> {
        let is_fit =
            !text.is_empty() && text.len() <= 255 && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        if is_fit {
            Ok(Self(text.to_owned()))
        } else {
            Err(ServerIdError)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A pattern in which `*` matches any characters, also none and also `/`, and `?` any one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Takes a pattern.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        glob::matches(&self.0, text, |one, other| one == other)
    }

    /// Returns true if a pipeline's name matches, without regard to case as in GoCD.
    #[must_use]
    pub fn matches_name(&self, name: &Name) -> bool {
        glob::matches(&self.0, name.as_str(), |one, other| one.eq_ignore_ascii_case(&other))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_case_of_a_pipelines_name_does_not_count() {
        let name = |text| Name::new(text).unwrap();
        assert!(Pattern::new("WEB-*").matches_name(&name("web-Deploy")));
        assert!(!Pattern::new("WEB-*").matches_name(&name("api")));
    }
}
