//! What an operator decides.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use thiserror::Error;

use super::pattern::Pattern;
use crate::ServerUrl;
use crate::documents::Name;

/// How runs of a server become runs of DX.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// What names the server in reference ids.
    pub server_id: ServerId,
    /// The address under which people reach the server's pages.
    pub pages: ServerUrl,
    /// What becomes of stages that are run again.
    pub reruns: Reruns,
    /// What becomes of stages that a person lets run after the others.
    pub late_stages: LateStages,
    /// By pipeline: the stage without whose success the run is no success.
    pub final_stages: BTreeMap<Name, Name>,
    /// Which git material names the repository and the commit, where there are several. Else the first whose address names a repository.
    pub material: Option<Pattern>,
    /// Who GoCD's users are.
    pub users: Users,
    /// Pipelines whose counters began again, with what names the server for their runs since then.
    pub restarted: Vec<(Name, ServerId)>,
}

impl Mapping {
    /// The defaults for a server.
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

    /// What names the server in the reference ids of a pipeline's runs.
    #[must_use]
    pub fn server_id(&self, pipeline: &Name) -> &ServerId {
        self.restarted(pipeline).unwrap_or(&self.server_id)
    }

    /// The same, if the operator said so for this pipeline.
    #[must_use]
    pub fn restarted(&self, pipeline: &Name) -> Option<&ServerId> {
        // Of several the last: a flag goes before a file.
        let mut said = self.restarted.iter().rev();
        said.find(|(name, _)| name.is_same(pipeline)).map(|(_, id)| id)
    }
}

/// E-mail addresses by GoCD's user names, which it finds without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<String, String>);

impl Users {
    /// The address of a user.
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

/// What becomes of stages that are run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reruns {
    /// They begin another attempt, which is a run of its own in DX.
    #[default]
    Attempts,
    /// The latest run of each stage counts. How the run went is not told before it was quiet for this long, since a later success could
    /// not take a failure back.
    Latest {
        /// How long.
        quiet: TimeDelta,
    },
    /// Everything counts, so that a failure stays one: DX's own rule.
    Merge,
}

/// What becomes of a stage, other than the first, that a person let run: days may pass before that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LateStages {
    /// Its result counts, and the run has ended before it.
    #[default]
    Keep,
    /// Its end is the run's end too.
    Extend,
}

/// What names a GoCD server in reference ids. One server has many addresses, so it is by default the host of the one that was configured
/// ([`ServerUrl::host`]); a server that was set up again, and counts from 1 again, needs another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerId(String);

/// A text that cannot name a server.
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
