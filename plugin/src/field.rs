//! The names of the fields.

use crate::Notification;

/// A field of a notification, or the history as a whole. In the order of DX's page, in which violations are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    PipelineName,
    PipelineSource,
    ReferenceId,
    StartedAt,
    Status,
    FinishedAt,
    Repository,
    CommitSha,
    PrNumber,
    SourceUrl,
    HeadBranch,
    Email,
    GithubUsername,
    GitlabUsername,
    Step,
    StepId,
    Attributes,
    History,
}

impl Field {
    /// The name in DX's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::PipelineName => "pipeline_name",
            Self::PipelineSource => "pipeline_source",
            Self::ReferenceId => "reference_id",
            Self::StartedAt => "started_at",
            Self::Status => "status",
            Self::FinishedAt => "finished_at",
            Self::Repository => "repository",
            Self::CommitSha => "commit_sha",
            Self::PrNumber => "pr_number",
            Self::SourceUrl => "source_url",
            Self::HeadBranch => "head_branch",
            Self::Email => "email",
            Self::GithubUsername => "github_username",
            Self::GitlabUsername => "gitlab_username",
            Self::Step => "step",
            Self::StepId => "step_id",
            Self::Attributes => "attributes",
            Self::History => "history",
        }
    }
}

/// All texts of a notification, which count towards the size of a history.
pub fn texts(event: &Notification) -> impl Iterator<Item = &str> {
    let fields = [
        event.pipeline_name.as_deref(),
        event.pipeline_source.as_deref(),
        event.reference_id.as_deref(),
        event.started_at.as_deref(),
        event.finished_at.as_deref(),
        event.status.as_deref(),
        event.repository.as_deref(),
        event.commit_sha.as_deref(),
        event.source_url.as_deref(),
        event.head_branch.as_deref(),
        event.email.as_deref(),
        event.github_username.as_deref(),
        event.gitlab_username.as_deref(),
        event.step.as_deref(),
        event.step_id.as_deref(),
    ];
    let attributes = event
        .attributes
        .iter()
        .flat_map(|attribute| [attribute.key.as_str(), attribute.value.as_str()]);
    fields.into_iter().flatten().chain(attributes)
}
