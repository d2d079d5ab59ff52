//! The types of `wit/types.wit`, `wit/translating.wit` and `wit/checking.wit` in Rust, and the names of the contract's interfaces.
//!
//! Each type is lifted and lowered as its namesake in the WIT file, and read and written as JSON with DX's own field names. wasmtime
//! compares the shapes when a plugin is loaded, so a difference from the WIT file is an error at load and never a wrong value.

use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentType, Lift, Lower};

/// The interface with the three hooks.
pub(crate) const HOOKS: &str = "pipefold:ci/hooks@0.2.0";
/// The interface with DX's rule alone.
pub(crate) const MERGING: &str = "pipefold:ci/merging@0.2.0";
/// The interface of sources.
pub(crate) const TRANSLATING: &str = "pipefold:ci/translating@0.2.0";
/// The interface of policies that check their own settings.
pub(crate) const CHECKING: &str = "pipefold:ci/checking@0.2.0";

/// The beginning of the contract's interface names.
const PACKAGE: &str = "pipefold:ci/";

/// The status of a run or a step, in ascending priority (DX's page, "Usage info").
#[derive(
    ComponentType,
    Lift,
    Lower,
    Serialize,
    Deserialize,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
)]
#[component(enum)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Status {
    /// Not known yet; sent to DX without a status.
    #[default]
    #[component(name = "unknown")]
    Unknown,
    /// Started and not ended.
    #[component(name = "running")]
    Running,
    /// Ended without a failure.
    #[component(name = "success")]
    Success,
    /// Stopped before its end.
    #[component(name = "cancelled")]
    Cancelled,
    /// Ended with a failure.
    #[component(name = "failure")]
    Failure,
}

impl Status {
    /// DX's name for it, such as `cancelled`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Running => "running",
            Self::Success => "success",
            Self::Cancelled => "cancelled",
            Self::Failure => "failure",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A fact of a CI system or an operator that DX has no field for. As JSON, several of them are an object of texts.
#[derive(ComponentType, Lift, Lower, Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[component(record)]
pub struct Attribute {
    /// 1 to 64 bytes of `a` to `z`, `0` to `9`, `.`, `_` and `-`.
    pub key: String,
    /// At most 1 KiB.
    pub value: String,
}

/// A CI system's notification about a run, unchecked. The fields are the arguments of DX's `pipelineRuns.upsert`, and five of ours.
#[derive(ComponentType, Lift, Lower, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[component(record)]
#[serde(default)]
pub struct Notification {
    /// Name of the pipeline. Required.
    #[component(name = "pipeline-name")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_name: Option<String>,
    /// The system that runs it, such as `Jenkins`. Required.
    #[component(name = "pipeline-source")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_source: Option<String>,
    /// The globally unique name of the run. Required.
    #[component(name = "reference-id")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<String>,
    /// The start of the run or step, ISO 8601. Required, except for a step.
    #[component(name = "started-at")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// The finish of the run or step, ISO 8601.
    #[component(name = "finished-at")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// One of the names of [`Status`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Full name of the repository, such as `getdx/some_repo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The commit that was built.
    #[component(name = "commit-sha")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_sha: Option<String>,
    /// The pull request that was built, from 1.
    #[component(name = "pr-number")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr_number: Option<i64>,
    /// Address of a page that shows the run.
    #[component(name = "source-url")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// The branch that was built.
    #[component(name = "head-branch")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_branch: Option<String>,
    /// E-mail address of the person who started the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// GitHub user name of the person who started the run.
    #[component(name = "github-username")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_username: Option<String>,
    /// GitLab user name of the person who started the run.
    #[component(name = "gitlab-username")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gitlab_username: Option<String>,
    /// Name of the step; `None` for the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The name of the step that is unique in the run, if `step` is not.
    #[component(name = "step-id")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_id: Option<String>,
    /// True for a step whose failure or cancellation is not the run's.
    #[component(name = "allowed-to-fail")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allowed_to_fail: bool,
    /// True for a step to be sent without waiting for the finish of its run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
    /// Facts that DX has no field for. At most 32.
    #[serde(with = "attributes", skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
}

/// One run, checked and merged, as it is sent to DX. Times are RFC 3339 in UTC with `Z`.
#[derive(ComponentType, Lift, Lower, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash)]
#[component(record)]
pub struct Run {
    /// Name of the pipeline.
    #[component(name = "pipeline-name")]
    pub pipeline_name: String,
    /// The system that ran it.
    #[component(name = "pipeline-source")]
    pub pipeline_source: String,
    /// The globally unique name of the run.
    #[component(name = "reference-id")]
    pub reference_id: String,
    /// The earliest start given.
    #[component(name = "started-at")]
    pub started_at: String,
    /// The latest finish given.
    #[component(name = "finished-at")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// The status after folding.
    #[serde(default)]
    pub status: Status,
    /// Full name of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The commit that was built.
    #[component(name = "commit-sha")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_sha: Option<String>,
    /// The pull request that was built.
    #[component(name = "pr-number")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr_number: Option<i64>,
    /// Address of a page that shows the run.
    #[component(name = "source-url")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// The branch that was built.
    #[component(name = "head-branch")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_branch: Option<String>,
    /// E-mail address of the person who started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// GitHub user name of the person who started the run.
    #[component(name = "github-username")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github_username: Option<String>,
    /// GitLab user name of the person who started the run.
    #[component(name = "gitlab-username")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gitlab_username: Option<String>,
    /// Sorted by key, each key once.
    #[serde(default, with = "attributes", skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
}

/// One step of a run, checked and merged, as DX has it.
#[derive(ComponentType, Lift, Lower, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash)]
#[component(record)]
pub struct Job {
    /// The name that is unique in the run.
    #[component(name = "reference-id")]
    pub reference_id: String,
    /// The step's name.
    pub name: String,
    /// The status of the latest execution.
    #[serde(default)]
    pub status: Status,
    /// The start of the latest execution.
    #[component(name = "started-at")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// The finish of the latest execution.
    #[component(name = "finished-at")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
}

/// A run and its jobs. DX takes a job only after its run.
#[derive(ComponentType, Lift, Lower, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash)]
#[component(record)]
pub struct Report {
    /// The run.
    pub run: Run,
    /// Its jobs, sorted by `reference_id`, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<Job>,
}

/// The kind of a [`Violation`]. Names that DX's page has are DX's.
#[derive(
    ComponentType, Lift, Lower, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[component(enum)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Fault {
    /// A required field is absent or blank.
    #[component(name = "required-params-missing")]
    RequiredParamsMissing,
    /// A time is not ISO 8601, or a finish lies before its start.
    #[component(name = "invalid-timestamp")]
    InvalidTimestamp,
    /// The status is none of the known names.
    #[component(name = "invalid-status")]
    InvalidStatus,
    /// A commit or pull request was given without a repository.
    #[component(name = "repository-required")]
    RepositoryRequired,
    /// The pull request's number is below 1.
    #[component(name = "invalid-pr-number")]
    InvalidPrNumber,
    /// A field, or the whole history, is larger than allowed.
    #[component(name = "too-long")]
    TooLong,
    /// A field has control characters.
    #[component(name = "invalid-text")]
    InvalidText,
    /// The history has notifications of more than one run.
    #[component(name = "mixed-runs")]
    MixedRuns,
    /// An attribute's key has other characters than those allowed.
    #[component(name = "invalid-attribute")]
    InvalidAttribute,
}

/// A fault in a notification or a history.
#[derive(ComponentType, Lift, Lower, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash)]
#[component(record)]
pub struct Violation {
    /// The kind of fault.
    pub fault: Fault,
    /// The field's name in DX's spelling.
    pub field: String,
    /// The fault, and a correct value.
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// The decision on a notification, or on the history of a run.
#[derive(ComponentType, Lift, Lower, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[component(variant)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::large_enum_variant, reason = "the common case is the large one")]
pub enum Verdict {
    /// Send this run to DX now, and then its jobs.
    #[component(name = "report")]
    Report(Report),
    /// Record it; there is nothing to send yet.
    #[component(name = "hold")]
    Hold,
    /// Drop it, for the reason that a policy gives.
    #[component(name = "discard")]
    Discard(String),
}

/// A header of a delivery.
#[derive(ComponentType, Lift, Lower, Clone, Debug, PartialEq, Eq, Hash)]
#[component(record)]
pub struct Header {
    /// In lower case.
    pub name: String,
    /// As it was sent.
    pub value: String,
}

/// A setting of a source, chosen by the operator.
#[derive(ComponentType, Lift, Lower, Clone, Debug, PartialEq, Eq, Hash)]
#[component(record)]
pub struct Setting {
    /// Its name, such as `use`: the built-in mapping.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A webhook delivery whose signature the host has checked.
#[derive(ComponentType, Lift, Lower, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[component(record)]
pub struct Delivery {
    /// The headers without signatures, tokens and cookies.
    pub headers: Vec<Header>,
    /// The body as text.
    pub body: String,
    /// The time of its receipt, in RFC 3339, for events without a time.
    #[component(name = "received-at")]
    pub received_at: String,
    /// Each name once.
    pub settings: Vec<Setting>,
}

/// The result for a delivery that could be read.
#[derive(ComponentType, Lift, Lower, Clone, Debug, PartialEq, Eq, Hash)]
#[component(variant)]
pub enum Translation {
    /// The notifications of one run or several. At least one.
    #[component(name = "notifications")]
    Notifications(Vec<Notification>),
    /// No notification, for this reason: the event is about no run.
    #[component(name = "ignored")]
    Ignored(String),
}

/// Attributes as a JSON object: keys and values are texts.
mod attributes {
    use super::Attribute;
    use serde::de::{Deserializer, MapAccess, Visitor};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(attributes: &[Attribute], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(attributes.iter().map(|attribute| (&attribute.key, &attribute.value)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Attribute>, D::Error> {
        deserializer.deserialize_map(Attributes)
    }

    struct Attributes;

    impl<'de> Visitor<'de> for Attributes {
        type Value = Vec<Attribute>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut attributes = Vec::new();
            while let Some((key, value)) = map.next_entry()? {
                attributes.push(Attribute { key, value });
            }
            Ok(attributes)
        }
    }
}

/// The version of the contract of this host.
pub(crate) fn version() -> &'static str {
    HOOKS.split_once('@').map_or("", |(_, version)| version)
}

/// The version in an interface name of the contract; `None` for other names.
pub(crate) fn version_of(name: &str) -> Option<&str> {
    Some(name.strip_prefix(PACKAGE)?.split_once('@')?.1)
}
