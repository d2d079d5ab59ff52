//! The one table of the run's fields.

/// A field of a notification that a user can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Name of the pipeline.
    PipelineName,
    /// The system that runs it.
    PipelineSource,
    /// The globally unique name of the run.
    ReferenceId,
    /// When it began.
    StartedAt,
    /// When it ended.
    FinishedAt,
    /// How it went.
    Status,
    /// Full name of the repository.
    Repository,
    /// The commit that was built.
    CommitSha,
    /// The pull request that was built.
    PrNumber,
    /// Address of a page that shows the run.
    SourceUrl,
    /// The branch that was built.
    HeadBranch,
    /// E-mail address of who started it.
    Email,
    /// GitHub user name of who started it.
    GithubUsername,
    /// GitLab user name of who started it.
    GitlabUsername,
    /// Name of the step; the only one that is not DX's.
    Step,
}

struct Row {
    field: Field,
    name: &'static str,
    flag: &'static str,
    variable: &'static str,
    in_files: bool,
}

macro_rules! row {
    ($field:ident, $name:literal, $flag:literal, $variable:literal, $in_files:literal) => {
        Row {
            field: Field::$field,
            name: $name,
            flag: concat!("--", $flag),
            variable: concat!("PIPEFOLD_", $variable),
            in_files: $in_files,
        }
    };
}

/// In the order of [`Field`]. The last column: whether a file may set it. A time, a status or a step belongs to one moment of one run; in a
/// file it would be said of every run, and DX keeps the earliest start and the worst status for good.
#[rustfmt::skip]
const ROWS: [Row; 15] = [
    row!(PipelineName, "pipeline_name", "pipeline-name", "PIPELINE_NAME", true),
    row!(PipelineSource, "pipeline_source", "pipeline-source", "PIPELINE_SOURCE", true),
    row!(ReferenceId, "reference_id", "reference-id", "REFERENCE_ID", true),
    row!(StartedAt, "started_at", "started-at", "STARTED_AT", false),
    row!(FinishedAt, "finished_at", "finished-at", "FINISHED_AT", false),
    row!(Status, "status", "status", "STATUS", false),
    row!(Repository, "repository", "repository", "REPOSITORY", true),
    row!(CommitSha, "commit_sha", "commit-sha", "COMMIT_SHA", true),
    row!(PrNumber, "pr_number", "pr-number", "PR_NUMBER", true),
    row!(SourceUrl, "source_url", "source-url", "SOURCE_URL", true),
    row!(HeadBranch, "head_branch", "head-branch", "HEAD_BRANCH", true),
    row!(Email, "email", "email", "EMAIL", true),
    row!(GithubUsername, "github_username", "github-username", "GITHUB_USERNAME", true),
    row!(GitlabUsername, "gitlab_username", "gitlab-username", "GITLAB_USERNAME", true),
    row!(Step, "step", "step", "STEP", false),
];

impl Field {
    /// Every field, in the order of DX's page.
    pub const ALL: [Self; ROWS.len()] = {
        let mut all = [Self::PipelineName; ROWS.len()];
        let mut i = 0;
        while i < ROWS.len() {
            all[i] = ROWS[i].field;
            i += 1;
        }
        all
    };

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// DX's name of it, which is also its key in a file: `pr_number`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its flag: `--pr-number`.
    #[must_use]
    pub fn flag(self) -> &'static str {
        self.row().flag
    }

    /// Its variable: `PIPEFOLD_PR_NUMBER`.
    #[must_use]
    pub fn variable(self) -> &'static str {
        self.row().variable
    }

    /// Whether a `pipefold.toml` may set it.
    #[must_use]
    pub fn in_files(self) -> bool {
        self.row().in_files
    }

    /// The field that DX's name stands for.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_follows_the_enum_and_its_own_pattern() {
        for (i, row) in ROWS.iter().enumerate() {
            assert_eq!(row.field as usize, i);
            assert_eq!(row.flag, format!("--{}", row.name.replace('_', "-")));
            assert_eq!(row.variable, format!("PIPEFOLD_{}", row.name.to_uppercase()));
            assert_eq!(Field::from_name(row.name), Some(row.field));
            let spelt: String = format!("{:?}", row.field).to_lowercase();
            assert_eq!(row.name.replace('_', ""), spelt);
        }
    }

    #[test]
    fn the_fields_are_dx_s_arguments_and_the_step() {
        let mut fields = Field::ALL.map(Field::name).to_vec();
        fields.retain(|name| *name != Field::Step.name());
        assert_eq!(fields, crate::dx::ARGUMENT_NAMES);
    }
}
