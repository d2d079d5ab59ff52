//! The materials of pipelines.

use chrono::{DateTime, Utc};

use super::model::Moment;

/// A material with all changes that ever became known. What it means for DX stands beside what documents say of it, so that nothing has to
/// be read out of addresses and names to know what is right.
#[derive(Clone, Debug)]
pub struct Material {
    /// Its kind.
    pub kind: Kind,
    /// Its repository, as DX names it; none if it names none.
    pub repository: Option<&'static str>,
    /// The branch that its runs are of.
    pub head_branch: Option<&'static str>,
    /// The pull request that its runs are of.
    pub pr_number: Option<i64>,
    /// Its changes, in the order in which they became known.
    pub changes: Vec<Change>,
}

impl Material {
    /// The newest change that was known after so many events.
    #[must_use]
    pub fn newest(&self, events: u64) -> Option<&Change> {
        let is_known = |change: &&Change| change.known.happened(events);
        self.changes.iter().rev().find(is_known)
    }
}

/// The description of a material in documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A git repository.
    Git {
        /// The address, as GoCD shows it.
        url: &'static str,
        /// The branch or refspec.
        branch: &'static str,
    },
    /// A Mercurial repository.
    Mercurial {
        /// The address.
        url: &'static str,
    },
    /// Another pipeline's stage.
    Dependency {
        /// The pipeline.
        pipeline: &'static str,
        /// The stage.
        stage: &'static str,
    },
    /// A package of a repository of packages.
    Package {
        /// The repository.
        repository: &'static str,
        /// The package.
        package: &'static str,
    },
}

/// A change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The moment at which the server saw it.
    pub known: Moment,
    /// The time of its check-in.
    pub checked_in: DateTime<Utc>,
    /// Its name.
    pub revision: String,
    /// Its author; none for a dependency.
    pub author: Option<Author>,
}

/// The author of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// As the version control system writes it.
    pub text: &'static str,
    /// The e-mail address that DX must get.
    pub email: Option<&'static str>,
    /// The GitHub user that DX must get.
    pub github: Option<&'static str>,
}
