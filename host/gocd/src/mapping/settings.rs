//! The operator's settings of the mapping, and patterns for names.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use thiserror::Error;

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

/// A text in which `*` stands for any characters, also none and also `/`, and `?` for any one.
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

    /// Whether all of a text fits. Takes time in proportion to the product of the lengths at most.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.fits(text, |one, other| one == other)
    }

    /// Whether a pipeline's name fits, whatever its case: GoCD finds names in that way.
    #[must_use]
    pub fn matches_name(&self, name: &Name) -> bool {
        self.fits(name.as_str(), |one, other| one.eq_ignore_ascii_case(&other))
    }

    fn fits(&self, text: &str, is_same: impl Fn(char, char) -> bool) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) = (self.0.chars().collect(), text.chars().collect());
        let (mut at, mut place) = (0, 0);
        // Behind the last star, and how much of the text it stands for so far. An earlier star need not be tried again.
        let mut star: Option<(usize, usize)> = None;
        while let Some(&c) = text.get(place) {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at + 1, place));
                    at += 1;
                }
                Some(&wanted) if wanted == '?' || is_same(wanted, c) => {
                    at += 1;
                    place += 1;
                }
                _ => {
                    let Some((behind, from)) = star else { return false };
                    star = Some((behind, from + 1));
                    (at, place) = (behind, from + 1);
                }
            }
        }
        pattern.iter().skip(at).all(|c| *c == '*')
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("org/repo", "org/repo", true),
            ("org/repo", "org/repos", false),
            ("org/*", "org/a/b", true),
            ("*/repo", "org/repo", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ba", "aba", false),
            ("a*ab", "aaab", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("w?b", "weeb", false),
            ("?", "é", true),
            ("*?", "", false),
            ("?*-?", "web-1", true),
            ("Web", "web", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn the_case_of_a_pipelines_name_does_not_count() {
        let name = |text| Name::new(text).unwrap();
        assert!(Pattern::new("WEB-*").matches_name(&name("web-Deploy")));
        assert!(!Pattern::new("WEB-*").matches_name(&name("api")));
    }

    #[test]
    fn many_stars_take_no_longer_than_the_product() {
        assert!(!Pattern::new(&format!("{}c", "*a".repeat(1000))).matches(&"a".repeat(4000)));
    }
}
