//! A run of a pipeline: its materials, stages and jobs, and their outcomes.

use chrono::{DateTime, FixedOffset};

use super::{Counter, Name, PipelineLocator, StageLocator, Urn};
use crate::Resource;
use crate::address::Href;

/// A run of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// The pipeline's name; in the new dialect in the spelling of the request.
    pub name: Name,
    /// The run's counter.
    pub counter: Counter,
    /// A label of the run for people. Runs may share one; the new dialect has none.
    pub label: Option<String>,
    /// The document's own address.
    pub self_link: Option<Href>,
    /// The document's `<id>`.
    pub urn: Option<Urn>,
    /// The run that comes after this one. In the new dialect the address is wrong.
    pub inserted_before: Option<Href>,
    /// The run that comes before this one. In the new dialect the address is wrong.
    pub inserted_after: Option<Href>,
    /// The earliest time at which the latest run of a stage was scheduled: a re-run of the first stages moves it forward.
    pub scheduled: Option<Timestamp>,
    /// The run's materials. In the new dialect the revisions are the newest ones that the server knows, not this run's.
    pub materials: Vec<Material>,
    /// The latest run of each stage that has run, by the address of its document.
    pub stages: Vec<Href>,
    /// The trigger of the latest run of the first stage: a person, `changes`, or a timer.
    pub approved_by: Option<String>,
}

impl Pipeline {
    /// Returns the run's name and counter.
    #[must_use]
    pub fn locator(&self) -> PipelineLocator {
        PipelineLocator {
            name: self.name.clone(),
            counter: self.counter,
        }
    }

    /// Returns the documents of the run's stages, without links that lead elsewhere.
    #[must_use]
    pub fn stage_resources(&self) -> Vec<Resource> {
        let is_stage = |resource: &Resource| matches!(resource, Resource::StageById(_) | Resource::Stage(_));
        self.stages.iter().filter_map(Href::resource).filter(is_stage).collect()
    }
}

/// A material of a pipeline, with its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// The material's address. In the old dialect it leads to no document.
    pub uri: Option<Href>,
    /// The kind, with its attributes.
    pub kind: MaterialKind,
    /// The changes, newest first. The first is the revision that the run used (in the new dialect the newest one known at the time of the
    /// request).
    pub changesets: Vec<Changeset>,
}

/// The kinds of materials, with the attributes of each. Passwords in addresses are masked by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaterialKind {
    /// A git repository.
    Git {
        /// Its address.
        url: String,
        /// The branch, or a refspec.
        branch: Option<String>,
        /// True for a clone without history (GoCD 16.3 and later).
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
        /// The user name of the GoCD server there.
        username: Option<String>,
        /// True if externals are checked.
        check_externals: Option<bool>,
    },
    /// A Perforce server.
    Perforce {
        /// `server:port`.
        url: String,
        /// The user name of the GoCD server there.
        username: Option<String>,
        /// The view.
        view: Option<String>,
    },
    /// A Team Foundation Server.
    Tfs {
        /// Its address.
        url: String,
        /// The user name of the GoCD server there.
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
    /// A material that a plugin fetches.
    PluggableScm {
        /// The material's name in GoCD's configuration.
        name: String,
    },
    /// An unknown kind, by the server's name for it.
    Other(String),
}

/// A change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changeset {
    /// The change's address; for a stage of another pipeline, that of its document.
    pub uri: Option<Href>,
    /// The author; for git and Mercurial mostly `Name <address>`.
    pub user: Option<String>,
    /// The time of the change.
    pub checked_in: Option<Timestamp>,
    /// The revision; for another pipeline `PIPELINE/COUNTER/STAGE/COUNTER`.
    pub revision: Option<String>,
    /// The author's message.
    pub message: Option<String>,
}

/// A run of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The stage's name, as the server stores it.
    pub name: Name,
    /// The stage's counter within the pipeline's run.
    pub counter: Counter,
    /// The document's own address.
    pub self_link: Option<Href>,
    /// The document's `<id>`.
    pub urn: Option<Urn>,
    /// The pipeline's run.
    pub pipeline: StagePipeline,
    /// The time at which a job of the stage last changed; before any did, the time at which the stage was created.
    pub updated: Option<Timestamp>,
    /// The result. `Failed` while the state is [`StageState::Failing`] is not final.
    pub result: StageResult,
    /// The state.
    pub state: StageState,
    /// The trigger: a person, `changes`, or a timer.
    pub approved_by: Option<String>,
    /// The stage's jobs, by the addresses of their documents, in no order.
    pub jobs: Vec<Href>,
}

/// The pipeline's run that a stage or a job belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePipeline {
    /// The pipeline.
    pub name: Name,
    /// The run's counter.
    pub counter: Counter,
    /// A label of the run for people.
    pub label: Option<String>,
    /// The address of the run's document. A job's document does not have it.
    pub href: Option<Href>,
}

impl StagePipeline {
    /// Returns the run's name and counter.
    #[must_use]
    pub fn locator(&self) -> PipelineLocator {
        PipelineLocator {
            name: self.name.clone(),
            counter: self.counter,
        }
    }
}

impl Stage {
    /// Returns the names and counters of the stage's run.
    #[must_use]
    pub fn locator(&self) -> StageLocator {
        StageLocator {
            pipeline: self.pipeline.locator(),
            name: self.name.clone(),
            counter: self.counter,
        }
    }

    /// Returns the documents of the stage's jobs, without links that lead elsewhere.
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
    /// The document's `<id>`.
    pub urn: Option<Urn>,
    /// The pipeline's run.
    pub pipeline: StagePipeline,
    /// The stage's run. It may be an earlier one than the requested: a job that was not run again is shown as it ran.
    pub stage: JobStage,
    /// The result.
    pub result: StageResult,
    /// The state.
    pub state: JobState,
    /// The properties that the server and the job's agent recorded when the job ended. Since GoCD 19.10 there are none.
    pub properties: Vec<Property>,
    /// The agent of the job.
    pub agent: Option<String>,
    /// The place of the job's artifacts.
    pub artifacts: Option<ArtifactRoot>,
}

/// The stage's run that a job belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStage {
    /// The stage.
    pub name: Name,
    /// The stage's counter.
    pub counter: Counter,
    /// The address of the stage's document.
    pub href: Option<Href>,
}

/// A property of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The property's name, such as `cruise_job_duration`.
    pub name: String,
    /// The property's value, such as `402`.
    pub value: String,
}

/// The place of a job's artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRoot {
    /// The address below which the artifacts are served.
    pub base_uri: Href,
    /// The artifacts' directory on the server.
    pub path: Option<String>,
}

impl Job {
    /// Returns the time at which the job was queued.
    #[must_use]
    pub fn scheduled(&self) -> Option<Timestamp> {
        self.time("cruise_timestamp_01_scheduled")
    }

    /// Returns the time at which the job ended.
    #[must_use]
    pub fn completed(&self) -> Option<Timestamp> {
        self.time("cruise_timestamp_06_completed")
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        let property = self.properties.iter().find(|property| property.name == name)?;
        timestamp(&property.value)
    }
}

/// A point in time with the offset that the server wrote. Two are equal if they are the same instant: one server writes one instant as `…Z`
/// here and `…+00:00` there.
pub type Timestamp = DateTime<FixedOffset>;

/// Parses RFC 3339 (`2012-02-23T17:19:31+05:30`, `…Z`), the same with an offset without colon, and `2009-04-27 18:32:32 +0800`. Returns
/// `None` for any other text: a time does not identify a document.
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z"))
        .ok()
}

/// The result of a stage or a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StageResult {
    /// Passed.
    Passed,
    /// Failed.
    Failed,
    /// Cancelled.
    Cancelled,
    /// Unknown, or not known yet.
    #[default]
    Unknown,
}

impl StageResult {
    /// Parses GoCD's term, without regard to case. An unknown one is [`StageResult::Unknown`].
    #[must_use]
    pub fn parse(word: &str) -> Self {
        [Self::Passed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(word))
            .unwrap_or_default()
    }

    /// Returns GoCD's term.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Unknown => "Unknown",
        }
    }

    /// Returns the term in lower case, as categories have it.
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

/// The state of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StageState {
    /// Completed.
    Completed,
    /// In progress.
    Building,
    /// In progress with a failed job: the result is known, the end is not.
    Failing,
    /// Unknown, or not started yet.
    #[default]
    Unknown,
}

impl StageState {
    /// Parses GoCD's term, without regard to case. Go 2.4 writes the result here once a stage has ended. An unknown term is
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

    /// Returns GoCD's term.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Building => "Building",
            Self::Failing => "Failing",
            Self::Unknown => "Unknown",
        }
    }

    /// Returns true if the stage is in progress.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Building | Self::Failing)
    }
}

/// The state of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waiting for an agent.
    Scheduled,
    /// Assigned to an agent.
    Assigned,
    /// The agent fetches the job's inputs.
    Preparing,
    /// The job's tasks run.
    Building,
    /// The agent uploads the job's artifacts.
    Completing,
    /// Completed.
    Completed,
    /// Cancelled before an agent had it.
    Discontinued,
    /// Replaced by another job.
    Rescheduled,
    /// Unknown, or one of GoCD's states without a meaning here (Paused, Waiting).
    #[default]
    Unknown,
}

impl JobState {
    /// Parses GoCD's term, without regard to case. An unknown one is [`JobState::Unknown`].
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

    /// Returns GoCD's term.
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
