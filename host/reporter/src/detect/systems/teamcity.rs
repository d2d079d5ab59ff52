//! TeamCity ("Predefined Build Parameters" in its documentation). Of a build's parameters only a few are variables; all are in files.

use crate::detect::job::Job;
use crate::detect::systems::Source::{By, Unmerged, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{self, host, pull_request_of_ref};

const BRANCH_HERE: &str = "teamcity.build.branch";

pub const TEAMCITY: System = System {
    name: "TeamCity",
    id: "teamcity",
    reference: "https://www.jetbrains.com/help/teamcity/predefined-build-parameters.html",
    marks: &[&["TEAMCITY_VERSION"]],
    pipeline: &[By("`TEAMCITY_PROJECT_NAME` and `TEAMCITY_BUILDCONF_NAME`", pipeline)],
    job: &[Var("TEAMCITY_BUILDCONF_NAME")],
    host: &[By("`teamcity.serverUrl`, the server in `BUILD_URL`", server)],
    scope: &[
        By("`teamcity.buildType.id`, `system.teamcity.buildType.id`", configuration),
        By("the pipeline's name", pipeline),
    ],
    // Numbers are free-form and counted for each configuration; the id is not.
    run: &[By("`teamcity.build.id`", build_id), Var("BUILD_NUMBER")],
    repository: &[By("`vcsroot.url`", repository)],
    sha: &[Unmerged("BUILD_VCS_NUMBER")],
    pr: &[
        Var("TEAMCITY_PULLREQUEST_NUMBER"),
        By("`teamcity.pullRequest.number`", number),
        By("the branch, if it is a ref such as `refs/pull/7/head`", number_of_ref),
    ],
    // A build of the head itself, which the pull request feature makes by default.
    is_merge: |job| {
        job.is_pr() && vcs_branch(job).and_then(|name| Some(pull_request_of_ref(&name.value)?.is_merge)) != Some(false)
    },
    url: &[
        Var("BUILD_URL"),
        By("`teamcity.serverUrl` and `teamcity.build.id`", run_page),
    ],
    branch: &[
        By("`teamcity.pullRequest.source.branch`", source_branch),
        By(
            "`teamcity.build.vcs.branch.*` of the only root, `vcsroot.branch` of the default branch, `teamcity.build.branch`",
            branch,
        ),
    ],
    left_out: &[
        (
            "`teamcity.build.branch`, where the name in the repository is known",
            "it is the logical name, by the branch specification",
        ),
        (
            "`BUILD_VCS_NUMBER` of a merged pull request",
            "it is a trial merge that is on no branch",
        ),
        (
            "what is in the files alone, where `TEAMCITY_BUILD_PROPERTIES_FILE` cannot be read",
            "few of a build's parameters are variables",
        ),
        ("an attempt", "a build that is run again has an id of its own"),
    ],
    ..System::NONE
};

fn property(job: &Job<'_>, name: &str) -> Option<Found> {
    let value = job.properties().get(name)?.trim();
    // Not checked yet, since it is not from a variable.
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
    let url = property(job, "vcsroot.url")?;
    Some(job.made(values::repository(&url.value).ok()?, url.variable))
}

fn number(job: &Job<'_>) -> Option<Found> {
    property(job, "teamcity.pullRequest.number")
}

/// The branch as the repository has it: that of the build's only root, else for the default branch the one that the root has for it. The
/// logical name, which the branch specification makes of it, is the last resort.
fn vcs_branch(job: &Job<'_>) -> Option<Found> {
    let mut roots = job.properties().beginning_with("teamcity.build.vcs.branch.");
    let only = roots.next().filter(|_| roots.next().is_none());
    let of_root = only.and_then(|name| property(job, name));
    let logical = || property(job, BRANCH_HERE);
    let is_default = || logical().is_none_or(|found| found.value == "<default>");
    let of_default = || property(job, "vcsroot.branch").filter(|_| is_default());
    of_root
        .or_else(of_default)
        .or_else(|| logical().filter(|found| found.value != "<default>"))
}

fn number_of_ref(job: &Job<'_>) -> Option<Found> {
    let branch = vcs_branch(job)?;
    let number = pull_request_of_ref(&branch.value)?.number;
    Some(job.made(number, branch.variable))
}

fn source_branch(job: &Job<'_>) -> Option<Found> {
    property(job, "teamcity.pullRequest.source.branch")
}

fn branch(job: &Job<'_>) -> Option<Found> {
    vcs_branch(job).filter(|_| !job.is_pr())
}

/// The form that every version answers ("Accessing Server by HTTP" in the documentation); newer ones give the page in `BUILD_URL`.
fn run_page(job: &Job<'_>) -> Option<Found> {
    let server = crate::detect::values::server(&property(job, "teamcity.serverUrl")?.value)?;
    let id = build_id(job)?;
    Some(job.made(format!("{server}/viewLog.html?buildId={}", id.value), id.variable))
}
