//! Bamboo ("Bamboo variables" in its documentation; a script sees them with `_` for `.`).

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::host;

pub const BAMBOO: System = System {
    name: "Bamboo",
    id: "bamboo",
    reference: "https://confluence.atlassian.com/bamboo/bamboo-variables-289277087.html",
    marks: &[&["bamboo_planKey"], &["bamboo_buildKey"], &["bamboo_buildNumber"]],
    pipeline: &[
        By("`bamboo_planName` without the name of a plan branch", plan),
        Var("bamboo_planKey"),
    ],
    workflow: &[Var("bamboo_planKey")],
    job: &[Var("bamboo_shortJobName")],
    host: &[By(
        "the server in `bamboo_resultsUrl`, `bamboo_buildResultsUrl`",
        server,
    )],
    scope: &[Var("bamboo_planKey")],
    run: &[Var("bamboo_buildNumber")],
    repository: &[
        Address("bamboo_planRepository_repositoryUrl"),
        Address("bamboo_repository_git_repositoryUrl"),
    ],
    sha: &[
        Var("bamboo_planRepository_revision"),
        Var("bamboo_repository_revision_number"),
    ],
    pr: &[Var("bamboo_repository_pr_key")],
    url: &[Var("bamboo_resultsUrl"), Var("bamboo_buildResultsUrl")],
    branch: &[
        Var("bamboo_repository_pr_sourceBranch"),
        Var("bamboo_planRepository_branch"),
        Var("bamboo_planRepository_branchName"),
        Var("bamboo_repository_branch_name"),
    ],
    // Often a login: then it is no address.
    email: &[Var("bamboo_ManualBuildTriggerReason_userName")],
    left_out: &[(
        "an attempt",
        "failed jobs that run again keep the build's number, and no variable shows it",
    )],
    ..System::NONE
};

/// A plan branch is a plan of its own, whose key ends in a number and whose name ends in the branch's: `Project - Plan - branch`.
fn plan(job: &Job<'_>) -> Option<Found> {
    let name = job.found("bamboo_planName")?;
    let is_branch = job
        .get("bamboo_planKey")
        .is_some_and(|key| key.ends_with(|c: char| c.is_ascii_digit()));
    let branches = [
        "bamboo_planRepository_branchDisplayName",
        "bamboo_planRepository_branch",
        "bamboo_planRepository_branchName",
    ];
    let mut stems = branches
        .iter()
        .filter_map(|branch| name.value.strip_suffix(job.get(branch)?)?.strip_suffix(" - "));
    match stems.next().filter(|_| is_branch) {
        Some(stem) => Some(job.made(stem, name.variable)),
        None => Some(name),
    }
}

fn server(job: &Job<'_>) -> Option<Found> {
    let names = ["bamboo_resultsUrl", "bamboo_buildResultsUrl"];
    names.into_iter().find_map(|name| {
        let address = host(job.get(name)?).ok()?;
        Some(job.made(address.split("/browse/").next()?, name))
    })
}
