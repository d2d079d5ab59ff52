//! What documents left open.

use thiserror::Error;

use crate::documents::{Counter, Name};

/// Something that a run's documents do not say, or say in a way that cannot be used. The run is mapped as well as it can be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Warning {
    /// An attempt is not reported: DX needs a start.
    #[error("attempt {attempt} is left out, for no document says when it began")]
    NoStart {
        /// Which attempt.
        attempt: u32,
    },
    /// A start is later than the true one.
    #[error("attempt {attempt} began at some time before the end of its first stage, which is taken for its start")]
    ApproximateStart {
        /// Which attempt.
        attempt: u32,
    },
    /// A stage has ended in a way that is not known.
    #[error("how stage {stage} went in its run {counter} is not known; it is left out")]
    UnknownResult {
        /// The stage.
        stage: Name,
        /// Which run of it.
        counter: Counter,
    },
    /// A job's document is about another stage's run.
    #[error(
        "the document of job {job} is about another stage's run, as after a re-run of failed jobs; its times are not used"
    )]
    OtherJob {
        /// The job.
        job: Name,
    },
    /// The materials name several repositories.
    #[error("the git materials name {count} repositories; {chosen} is taken (--material chooses another)")]
    SeveralMaterials {
        /// How many.
        count: usize,
        /// The one that is taken.
        chosen: String,
    },
    /// The material's address names no repository.
    #[error("no git material has an address that names a repository as owner/name; repository and commit are left out")]
    NoRepository,
    /// The revision is none of git's.
    #[error("the revision of {repository} is no commit's name of 40 or 64 hexadecimal digits; it is left out")]
    NotACommit {
        /// The repository.
        repository: String,
    },
    /// The material is the trial merge of a pull request.
    #[error("the revision of {repository} is a trial merge of a pull request, which is on no branch; it is left out")]
    TrialMerge {
        /// The repository.
        repository: String,
    },
    /// The revision is not this run's.
    #[error("the server names the newest revisions it knows, not this run's; commit and committer are left out")]
    OtherRevision,
}

impl Warning {
    /// What the warnings of a kind have in common, to count them by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoStart { .. } => "no start",
            Self::ApproximateStart { .. } => "approximate start",
            Self::UnknownResult { .. } => "unknown result",
            Self::OtherJob { .. } => "job of another stage's run",
            Self::SeveralMaterials { .. } => "several materials",
            Self::NoRepository => "no repository",
            Self::NotACommit { .. } => "revision that is no commit",
            Self::TrialMerge { .. } => "trial merge",
            Self::OtherRevision => "revision of another run",
        }
    }
}
