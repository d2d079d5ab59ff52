//! A run of a pipeline: its materials, stages and jobs, and their outcomes.

use chrono::{DateTime, FixedOffset};

use super::{Counter, Name, PipelineLocator, StageLocator, Urn};
use crate::Resource;
use crate::address::Href;

/// A run of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// The pipeline's name; in the new dialect in the spelling that was asked for.
    pub name: Name,
    /// Which run of it.
    pub counter: Counter,
    /// A name of the run for people. Runs may share one; the new dialect has none.
    pub label: Option<String>,
    /// The document's own address.
    pub self_link: Option<Href>,
    /// The name that the document gives itself.
    pub urn: Option<Urn>,
    /// The run that comes after this one. In the new dialect the address is wrong.
    pub inserted_before: Option<Href>,
    /// The run that comes before this one. In the new dialect the address is wrong.
    pub inserted_after: Option<Href>,
    /// The earliest time at which the latest run of a stage was scheduled: it moves on when the first stages are run again.
    pub scheduled: Option<Timestamp>,
    /// What it was made from. In the new dialect the revisions are the newest ones that the server knows, not this run's.
    pub materials: Vec<Material>,
    /// The latest run of each stage that has run, by the addresses of their documents.
    pub stages: Vec<Href>,
    /// Who let the latest run of the first stage go: a person, `changes`, or a timer.
    pub approved_by: Option<String>,
}

impl Pipeline {
    /// Which run this is.
    #[must_use]
    pub fn locator(&self) -> PipelineLocator {
        PipelineLocator {
            name: self.name.clone(),
            counter: self.counter,
        }
    }

    /// The documents of its stages; links that lead elsewhere are left out.
    #[must_use]
    pub fn stage_resources(&self) -> Vec<Resource> {
        let is_stage = |resource: &Resource| matches!(resource, Resource::StageById(_) | Resource::Stage(_));
        self.stages.iter().filter_map(Href::resource).filter(is_stage).collect()
    }
}

/// A material of a pipeline, with its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// The material's address. The old dialect's leads nowhere.
    pub uri: Option<Href>,
    /// What it is.
    pub kind: MaterialKind,
    /// The changes, newest first: the first is the revision that the run used (in the new dialect the newest one known when it was asked for).
    pub changesets: Vec<Changeset>,
}

/// The kinds of materials, with what the server says of each. Addresses are as shown to people: passwords are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaterialKind {
    /// A git repository.
    Git {
        /// Its address.
        url: String,
        /// The branch, or a refspec.
        branch: Option<String>,
        /// Whether it is cloned without history (GoCD 16.3 and later).
        shallow_clone: Option<bool>,
    },
    /// A Mercurial repository.
    Mercurial {
        /// Its address.
        url: String,
    },
    /// A Subversion repository.
    Subversion {
        /// Its address.
        url: String,
        /// Who the server is for it.
        username: Option<String>,
        /// Whether externals are looked at.
        check_externals: Option<bool>,
    },
    /// A Perforce server.
    Perforce {
        /// `server:port`.
        url: String,
        /// Who the server is for it.
        username: Option<String>,
        /// The view.
        view: Option<String>,
    },
    /// A Team Foundation Server.
    Tfs {
        /// Its address.
        url: String,
        /// Who the server is for it.
        username: Option<String>,
        /// The domain of that user.
        domain: Option<String>,
        /// The project.
        project_path: Option<String>,
    },
    /// A stage of another pipeline.
    Dependency {
        /// The pipeline.
        pipeline: String,
        /// The stage.
        stage: String,
    },
    /// A package.
    Package {
        /// The package repository.
        repository: String,
        /// The package.
        package: String,
    },
    /// What a plugin fetches.
    PluggableScm {
        /// Its name in GoCD's configuration.
        name: String,
    },
    /// Something that this library does not know, by the server's word for it.
    Other(String),
}

/// A change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changeset {
    /// The change's address; of another pipeline's stage, that of its document.
    pub uri: Option<Href>,
    /// Who made it, for git and Mercurial mostly `Name <address>`.
    pub user: Option<String>,
    /// When.
    pub checked_in: Option<Timestamp>,
    /// The revision; for another pipeline `PIPELINE/COUNTER/STAGE/COUNTER`.
    pub revision: Option<String>,
    /// What its author said about it.
    pub message: Option<String>,
}

/// A run of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The stage's name, as the server stores it.
    pub name: Name,
    /// Which run of it within the pipeline's run.
    pub counter: Counter,
    /// The document's own address.
    pub self_link: Option<Href>,
    /// The name that the document gives itself.
    pub urn: Option<Urn>,
    /// The pipeline's run.
    pub pipeline: StagePipeline,
    /// When a job of it last changed; before any did, when the stage was made.
    pub updated: Option<Timestamp>,
    /// How it went. `Failed` while the state is [`StageState::Failing`] is not the end.
    pub result: StageResult,
    /// Where it is.
    pub state: StageState,
    /// Who let it run: a person, `changes`, or a timer.
    pub approved_by: Option<String>,
    /// Its jobs, by the addresses of their documents, in no order.
    pub jobs: Vec<Href>,
}

/// The pipeline's run that a stage or a job belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePipeline {
    /// The pipeline.
    pub name: Name,
    /// Which run of it.
    pub counter: Counter,
    /// A name of the run for people.
    pub label: Option<String>,
    /// The address of its document. A job's document has none.
    pub href: Option<Href>,
}

impl StagePipeline {
    /// Which run this is.
    #[must_use]
    pub fn locator(&self) -> PipelineLocator {
        PipelineLocator {
            name: self.name.clone(),
            counter: self.counter,
        }
    }
}

impl Stage {
    /// Which run this is.
    #[must_use]
    pub fn locator(&self) -> StageLocator {
        StageLocator {
            pipeline: self.pipeline.locator(),
            name: self.name.clone(),
            counter: self.counter,
        }
    }

    /// The documents of its jobs; links that lead elsewhere are left out.
    #[must_use]
    pub fn job_resources(&self) -> Vec<Resource> {
        let is_job = |resource: &Resource| matches!(resource, Resource::JobById(_) | Resource::Job(_));
        self.jobs.iter().filter_map(Href::resource).filter(is_job).collect()
    }
}

/// A job in a stage's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The job's name.
    pub name: Name,
    /// The document's own address.
    pub self_link: Option<Href>,
    /// The name that the document gives itself.
    pub urn: Option<Urn>,
    /// The pipeline's run.
    pub pipeline: StagePipeline,
    /// The stage's run. It may be an earlier one than was asked for: a job that was not run again is shown as it ran.
    pub stage: JobStage,
    /// How it went.
    pub result: StageResult,
    /// Where it is.
    pub state: JobState,
    /// What the server and the job's agent wrote down when it ended. Since GoCD 19.10 there are none.
    pub properties: Vec<Property>,
    /// The agent that has or had it.
    pub agent: Option<String>,
    /// Where its artifacts are.
    pub artifacts: Option<ArtifactRoot>,
}

/// The stage's run that a job belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStage {
    /// The stage.
    pub name: Name,
    /// Which run of it.
    pub counter: Counter,
    /// The address of its document.
    pub href: Option<Href>,
}

/// A property of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name, such as `cruise_job_duration`.
    pub name: String,
    /// Its value, such as `402`.
    pub value: String,
}

/// Where a job's artifacts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRoot {
    /// The address below which they are served.
    pub base_uri: Href,
    /// The directory that they are in on the server.
    pub path: Option<String>,
}

impl Job {
    /// When it was put into the queue.
    #[must_use]
    pub fn scheduled(&self) -> Option<Timestamp> {
        self.time("cruise_timestamp_01_scheduled")
    }

    /// When it ended.
    #[must_use]
    pub fn completed(&self) -> Option<Timestamp> {
        self.time("cruise_timestamp_06_completed")
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        let property = self.properties.iter().find(|property| property.name == name)?;
        timestamp(&property.value)
    }
}

/// A point in time with the offset that the server wrote it with. Two are equal if they are the same instant: one server writes one
/// instant as `…Z` here and `…+00:00` there.
pub type Timestamp = DateTime<FixedOffset>;

/// Reads RFC 3339 (`2012-02-23T17:19:31+05:30`, `…Z`), the same with an offset without colon, and `2009-04-27 18:32:32 +0800`. Any other
/// text counts as no time: which run a document is about does not hang on it.
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z"))
        .ok()
}

/// How a stage or a job went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StageResult {
    /// Well.
    Passed,
    /// Badly.
    Failed,
    /// It was stopped.
    Cancelled,
    /// Not known, or not yet.
    #[default]
    Unknown,
}

impl StageResult {
    /// Reads GoCD's word for it, whatever its case; one that is not known is [`StageResult::Unknown`].
    #[must_use]
    pub fn parse(word: &str) -> Self {
        [Self::Passed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(word))
            .unwrap_or_default()
    }

    /// GoCD's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Unknown => "Unknown",
        }
    }

    /// The same in lower case: a category's term.
    #[must_use]
    pub fn term(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a stage is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StageState {
    /// It ended.
    Completed,
    /// It is under way.
    Building,
    /// It is under way, and a job of it has failed: the result is known, the end is not.
    Failing,
    /// Not known, or not yet begun.
    #[default]
    Unknown,
}

impl StageState {
    /// Reads GoCD's word for it, whatever its case. Go 2.4 writes the result here once a stage has ended. A word that is not known is
    /// [`StageState::Unknown`].
    #[must_use]
    pub fn parse(word: &str) -> Self {
        if StageResult::parse(word) != StageResult::Unknown {
            return Self::Completed;
        }
        [Self::Completed, Self::Building, Self::Failing]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(word))
            .unwrap_or_default()
    }

    /// GoCD's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Building => "Building",
            Self::Failing => "Failing",
            Self::Unknown => "Unknown",
        }
    }

    /// Whether the stage is under way.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Building | Self::Failing)
    }
}

/// Where a job is, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits for an agent.
    Scheduled,
    /// An agent has it.
    Assigned,
    /// The agent fetches what it needs.
    Preparing,
    /// Its tasks run.
    Building,
    /// The agent uploads what it made.
    Completing,
    /// It ended.
    Completed,
    /// It was stopped before an agent had it.
    Discontinued,
    /// Another job took its place.
    Rescheduled,
    /// Not known, or one of GoCD's that say nothing (Paused, Waiting).
    #[default]
    Unknown,
}

impl JobState {
    /// Reads GoCD's word for it, whatever its case; one that is not known is [`JobState::Unknown`].
    #[must_use]
    pub fn parse(word: &str) -> Self {
        [
            Self::Scheduled,
            Self::Assigned,
            Self::Preparing,
            Self::Building,
            Self::Completing,
            Self::Completed,
            Self::Discontinued,
            Self::Rescheduled,
        ]
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(word))
        .unwrap_or_default()
    }

    /// GoCD's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Assigned => "Assigned",
            Self::Preparing => "Preparing",
            Self::Building => "Building",
            Self::Completing => "Completing",
            Self::Completed => "Completed",
            Self::Discontinued => "Discontinued",
            Self::Rescheduled => "Rescheduled",
            Self::Unknown => "Unknown",
        }
    }
}
