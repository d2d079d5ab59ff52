//! SourceHut ("Build environment" in the manual of builds.sr.ht). A job names no repository: the git repository that the command runs in does.

use crate::detect::job::Job;
use crate::detect::systems::Source::{By, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{host, repository};

pub const SOURCEHUT: System = System {
    name: "SourceHut",
    id: "sourcehut",
    reference: "https://man.sr.ht/builds.sr.ht/#build-environment",
    marks: &[&["CI_NAME=sourcehut"]],
    pipeline: &[By(
        "the repository, by the remote of the git repository that the command runs in",
        of_git,
    )],
    host: &[By("the server in `JOB_URL`", server)],
    scope: &[By("the user in `JOB_URL`", owner)],
    // A job that is submitted again has a new one.
    run: &[Var("JOB_ID")],
    repository: &[By("the remote of the git repository that the command runs in", of_git)],
    sha: &[By("`HEAD` of that repository", commit)],
    url: &[Var("JOB_URL")],
    branch: &[Var("GIT_REF")],
    tag: &[By("`GIT_REF`, if it is `refs/tags/…`", tag)],
    left_out: &[
        (
            "pipeline and repository outside the checkout",
            "no variable names them: call `pipefold` within it, or set `PIPEFOLD_PIPELINE_NAME` and `PIPEFOLD_REPOSITORY`",
        ),
        (
            "`BUILD_SUBMITTER`",
            "it is the service that submitted the job, not a person",
        ),
        ("`PATCHSET_ID`", "DX cannot link a patchset on a mailing list"),
    ],
    ..System::NONE
};

/// `https://builds.sr.ht/~user/job/7`, without the scheme and cut at each `/`.
fn page(job: &Job<'_>) -> Option<Vec<String>> {
    let page = host(job.get("JOB_URL")?).ok()?;
    Some(page.split('/').map(str::to_owned).collect())
}

fn server(job: &Job<'_>) -> Option<Found> {
    Some(job.made(page(job)?.first()?, "JOB_URL"))
}

fn owner(job: &Job<'_>) -> Option<Found> {
    Some(job.made(page(job)?.get(1)?, "JOB_URL"))
}

pub fn of_git(job: &Job<'_>) -> Option<Found> {
    let name = repository(job.git().remote?.trim()).ok()?;
    Some(job.made(name, "git's remote"))
}

fn commit(job: &Job<'_>) -> Option<Found> {
    of_git(job)?;
    Some(job.made(job.git().commit?, "git's HEAD"))
}

fn tag(job: &Job<'_>) -> Option<Found> {
    job.found("GIT_REF")
        .filter(|found| found.value.starts_with("refs/tags/"))
}
