//! TeamCity ("Predefined Build Parameters" in its documentation). Of a build's parameters only a few are variables; all are in files.

use crate::detect::job::Job;
use crate::detect::system::Source::{By, OutsidePr, Var};
use crate::detect::system::{Found, System};
use crate::detect::values::{host, pr_number};

pub(super) const TEAMCITY: System = System {
    name: "TeamCity",
    id: "teamcity",
    marks: &[&["TEAMCITY_VERSION"]],
    pipeline: &[By(pipeline)],
    job: &[Var("TEAMCITY_BUILDCONF_NAME")],
    host: &[By(server)],
    scope: &[By(configuration), By(pipeline)],
    // Numbers are free-form and counted for each configuration; the id is not.
    run: &[By(build_id), Var("BUILD_NUMBER")],
    repository: &[By(repository)],
    // Of a pull request it may be a merge that nobody made.
    sha: &[OutsidePr("BUILD_VCS_NUMBER"), By(head_commit)],
    pr: &[Var("TEAMCITY_PULLREQUEST_NUMBER"), By(number), By(number_of_branch)],
    url: &[Var("BUILD_URL"), By(run_page)],
    branch: &[By(source_branch), By(branch)],
    ..System::NONE
};

fn property(job: &Job<'_>, name: &str) -> Option<Found> {
    let value = job.properties().get(name)?.trim();
    // As long and as strange as it likes to be, for no variable's check has seen it.
    let is_sound = crate::detect::values::sound(value.as_ref()).is_ok();
    is_sound.then(|| job.made(value, "TEAMCITY_BUILD_PROPERTIES_FILE"))
}

fn pipeline(job: &Job<'_>) -> Option<Found> {
    let configuration = job.found("TEAMCITY_BUILDCONF_NAME")?;
    Some(match job.get("TEAMCITY_PROJECT_NAME") {
        Some(project) => job.made(
            format!("{project} / {}", configuration.value),
            "TEAMCITY_BUILDCONF_NAME",
        ),
        None => configuration,
    })
}

fn configuration(job: &Job<'_>) -> Option<Found> {
    property(job, "teamcity.buildType.id").or_else(|| property(job, "system.teamcity.buildType.id"))
}

fn server(job: &Job<'_>) -> Option<Found> {
    property(job, "teamcity.serverUrl").or_else(|| {
        let address = host(job.get("BUILD_URL")?).ok()?;
        Some(job.made(address.split('/').next()?, "BUILD_URL"))
    })
}

fn build_id(job: &Job<'_>) -> Option<Found> {
    property(job, "teamcity.build.id")
}

fn repository(job: &Job<'_>) -> Option<Found> {
    property(job, "vcsroot.url")
}

fn number(job: &Job<'_>) -> Option<Found> {
    property(job, "teamcity.pullRequest.number")
}

/// Builds of pull requests have branches called `pull/7`.
fn number_of_branch(job: &Job<'_>) -> Option<Found> {
    let branch = property(job, "teamcity.build.branch")?;
    let number = branch.value.strip_prefix("pull/")?.split('/').next()?;
    pr_number(number).is_ok().then(|| job.made(number, branch.variable))
}

fn head_commit(job: &Job<'_>) -> Option<Found> {
    // A build of the head itself, which TeamCity's pull request feature makes unless it is told to merge.
    let is_head = property(job, "teamcity.build.branch").is_some_and(|branch| !branch.value.ends_with("/merge"));
    job.found("BUILD_VCS_NUMBER").filter(|_| is_head)
}

fn source_branch(job: &Job<'_>) -> Option<Found> {
    property(job, "teamcity.pullRequest.source.branch")
}

fn branch(job: &Job<'_>) -> Option<Found> {
    property(job, "teamcity.build.branch").filter(|found| found.value != "<default>" && !job.is_pr())
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    let server = crate::detect::values::server(&property(job, "teamcity.serverUrl")?.value)?;
    let id = build_id(job)?;
    Some(job.made(format!("{server}/build/{}", id.value), id.variable))
}
