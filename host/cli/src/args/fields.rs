//! The fields of a run, by DX's names.

use clap::Args;

use super::values::text;

const HEADING: &str = "Run fields";

/// What to tell about the run: the arguments of DX's `pipelineRuns.upsert` except `status`, as they were given and unchecked.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = HEADING)]
pub(crate) struct FieldFlags {
    /// Name of the pipeline
    ///
    /// Each field is also read from an environment variable, PIPEFOLD_ and its name: PIPEFOLD_PIPELINE_NAME. A flag beats the variable, which
    /// beats pipefold.toml, which beats the data of the CI system. PIPEFOLD_PIPELINE_NAME_TEMPLATE, or `pipeline_name` in the table `[templates]`
    /// of pipefold.toml, makes the name of that data: '{repository}: {workflow}'.
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) pipeline_name: Option<String>,

    /// System that runs it, such as Jenkins
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) pipeline_source: Option<String>,

    /// Globally unique name of the run
    ///
    /// Everything reported with the same one is one run. PIPEFOLD_REFERENCE_ID_TEMPLATE makes it of the CI system's data:
    /// '{repository}/{run}/{attempt}'.
    #[arg(long, value_name = "ID", value_parser = text())]
    pub(crate) reference_id: Option<String>,

    /// When it began, ISO 8601 (default: now)
    #[arg(long, value_name = "TIME", value_parser = text())]
    pub(crate) started_at: Option<String>,

    /// When it ended, ISO 8601 (default: now, at the end)
    #[arg(long, value_name = "TIME", value_parser = text())]
    pub(crate) finished_at: Option<String>,

    /// Repository with its owner, such as getdx/some_repo
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) repository: Option<String>,

    /// Commit that is built
    #[arg(long, value_name = "SHA", value_parser = text())]
    pub(crate) commit_sha: Option<String>,

    /// Pull request that is built
    #[arg(long, value_name = "NUMBER", value_parser = text(), allow_negative_numbers = true)]
    pub(crate) pr_number: Option<String>,

    /// Address of a page that shows the run
    #[arg(long, value_name = "URL", value_parser = text())]
    pub(crate) source_url: Option<String>,

    /// Branch that is built
    #[arg(long, value_name = "BRANCH", value_parser = text())]
    pub(crate) head_branch: Option<String>,

    /// E-mail address of the person who started it
    #[arg(long, value_name = "ADDRESS", value_parser = text())]
    pub(crate) email: Option<String>,

    /// GitHub user name of that person
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) github_username: Option<String>,

    /// GitLab user name of that person
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub(crate) gitlab_username: Option<String>,
}
