//! Azure Pipelines ("Use predefined variables" in its documentation), and its classic releases ("Classic release and artifacts variables").

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, OutsidePr, Unmerged, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{page, path_segment, pull_request_of_ref, server};

pub const AZURE: System = System {
    name: "Azure Pipelines",
    id: "azure",
    reference: "https://learn.microsoft.com/en-us/azure/devops/pipelines/build/variables",
    marks: &[&["TF_BUILD"], &["BUILD_BUILDURI"]],
    pipeline: &[Var("BUILD_DEFINITIONNAME")],
    workflow: &[Var("SYSTEM_STAGEDISPLAYNAME"), Var("SYSTEM_STAGENAME")],
    job: &[
        Var("SYSTEM_JOBDISPLAYNAME"),
        Var("SYSTEM_JOBNAME"),
        Var("AGENT_JOBNAME"),
    ],
    step: &[Var("SYSTEM_TASKDISPLAYNAME")],
    // The collection's address ends in the organisation.
    host: &[By(
        "`SYSTEM_COLLECTIONURI`, `SYSTEM_TEAMFOUNDATIONCOLLECTIONURI`, `SYSTEM_TEAMFOUNDATIONSERVERURI`",
        collection,
    )],
    scope: &[Var("SYSTEM_TEAMPROJECT"), Var("SYSTEM_TEAMPROJECTID")],
    run: &[Var("BUILD_BUILDID")],
    attempt: &[By(
        "`SYSTEM_STAGEATTEMPT` of a pipeline without stages",
        attempt_of_the_only_stage,
    )],
    repository: &[
        Address("BUILD_REPOSITORY_URI"),
        By(
            "`BUILD_REPOSITORY_NAME`, in Azure Repos below `SYSTEM_TEAMPROJECT`",
            repository,
        ),
    ],
    // Of a pull request BUILD_SOURCEVERSION is a merge that is on no branch.
    sha: &[
        Var("SYSTEM_PULLREQUEST_SOURCECOMMITID"),
        Unmerged("BUILD_SOURCEVERSION"),
    ],
    pr: &[
        Var("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER"),
        By(
            "`SYSTEM_PULLREQUEST_PULLREQUESTID` in Azure Repos",
            number_in_azure_repos,
        ),
        By(
            "`BUILD_SOURCEBRANCH`, if it is a ref such as `refs/pull/7/merge`",
            number_of_ref,
        ),
    ],
    is_pr: |job| job.is_one_of("BUILD_REASON", &["PullRequest"], false),
    url: &[
        By("the collection, the project and `BUILD_BUILDID`", run_page),
        By("`BUILD_BUILDURI`, if it is the address of a page", build_uri),
    ],
    branch: &[Var("SYSTEM_PULLREQUEST_SOURCEBRANCH"), OutsidePr("BUILD_SOURCEBRANCH")],
    email: &[Var("BUILD_REQUESTEDFOREMAIL")],
    left_out: &[
        (
            "`SYSTEM_STAGEATTEMPT` where there are stages",
            "it counts the runs of one stage: beside a stage that was run again the others keep their number, and the run would fall apart",
        ),
        (
            "`BUILD_SOURCEVERSION` of a pull request, or of a run by hand on `refs/pull/7/merge`",
            "it is a trial merge that is on no branch",
        ),
        (
            "`SYSTEM_PULLREQUEST_PULLREQUESTID` of a repository elsewhere",
            "it is a number of Azure's own making",
        ),
    ],
    ..System::NONE
};

/// A release deploys what a build made, whose variables it has too: without one of its own it would be taken for that build.
pub const AZURE_RELEASE: System = System {
    name: "Azure Pipelines",
    id: "azure",
    reference: "https://learn.microsoft.com/en-us/azure/devops/pipelines/release/variables",
    marks: &[
        &["RELEASE_RELEASEID", "TF_BUILD"],
        &["SYSTEM_HOSTTYPE=release", "TF_BUILD"],
    ],
    pipeline: &[Var("RELEASE_DEFINITIONNAME")],
    workflow: &[Var("RELEASE_ENVIRONMENTNAME")],
    scope: &[By(
        "`SYSTEM_TEAMPROJECT`, `SYSTEM_TEAMPROJECTID`, and `release`",
        releases,
    )],
    run: &[By("`RELEASE_RELEASEID` and `RELEASE_ENVIRONMENTNAME`", deployment)],
    // The number of times that this release was deployed in this stage, which is the run.
    attempt: &[Var("RELEASE_ATTEMPTNUMBER")],
    url: &[Var("RELEASE_RELEASEWEBURL")],
    email: &[Var("RELEASE_REQUESTEDFOREMAIL")],
    left_out: &[
        (
            "`BUILD_BUILDID`, `BUILD_DEFINITIONNAME`",
            "they name the build that made the primary artifact",
        ),
        (
            "the page of the build",
            "`SYSTEM_COLLECTIONURI` names the release service here, which has no such page",
        ),
    ],
    ..AZURE
};

fn collection(job: &Job<'_>) -> Option<Found> {
    let names = [
        "SYSTEM_COLLECTIONURI",
        "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI",
        "SYSTEM_TEAMFOUNDATIONSERVERURI",
    ];
    names.into_iter().find_map(|name| {
        let address = server(job.get(name)?)?;
        Some(job.made(address, name))
    })
}

fn project<'j>(job: &'j Job<'_>) -> Option<&'j str> {
    job.get("SYSTEM_TEAMPROJECT")
        .or_else(|| job.get("SYSTEM_TEAMPROJECTID"))
}

/// A pipeline without stages has one of this name, and its attempts are the run's.
fn attempt_of_the_only_stage(job: &Job<'_>) -> Option<Found> {
    job.found("SYSTEM_STAGEATTEMPT")
        .filter(|_| job.is_one_of("SYSTEM_STAGENAME", &["__default"], false))
}

/// Of a repository in Azure Repos the name alone; elsewhere it is whole.
fn repository(job: &Job<'_>) -> Option<Found> {
    let name = job.found("BUILD_REPOSITORY_NAME")?;
    if !is_in_azure_repos(job) || name.value.contains('/') {
        return Some(name);
    }
    let project = job.get("SYSTEM_TEAMPROJECT")?;
    Some(job.made(format!("{project}/{}", name.value), "BUILD_REPOSITORY_NAME"))
}

/// Of a repository elsewhere this is a number of Azure's own making.
fn number_in_azure_repos(job: &Job<'_>) -> Option<Found> {
    job.found("SYSTEM_PULLREQUEST_PULLREQUESTID")
        .filter(|_| is_in_azure_repos(job))
}

/// Set only for a pull request's own runs, while the ref is also set when a user starts a run of it.
fn number_of_ref(job: &Job<'_>) -> Option<Found> {
    let pull_request = pull_request_of_ref(job.get("BUILD_SOURCEBRANCH")?)?;
    Some(job.made(pull_request.number, "BUILD_SOURCEBRANCH"))
}

fn is_in_azure_repos(job: &Job<'_>) -> bool {
    job.is_one_of("BUILD_REPOSITORY_PROVIDER", &["TfsGit"], true)
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    let collection = collection(job)?.value;
    let (project, build) = (path_segment(project(job)?), path_segment(job.get("BUILD_BUILDID")?));
    let url = format!("{collection}/{project}/_build/results?buildId={build}");
    Some(job.made(url, "BUILD_BUILDID"))
}

/// Usually `vstfs:///Build/Build/7`, which is no page.
fn build_uri(job: &Job<'_>) -> Option<Found> {
    job.found("BUILD_BUILDURI").filter(|found| page(&found.value).is_ok())
}

fn releases(job: &Job<'_>) -> Option<Found> {
    Some(job.made(format!("{}/release", project(job)?), "SYSTEM_TEAMPROJECT"))
}

/// A release goes to each of its stages by itself.
fn deployment(job: &Job<'_>) -> Option<Found> {
    let (release, stage) = (job.get("RELEASE_RELEASEID")?, job.get("RELEASE_ENVIRONMENTNAME")?);
    Some(job.made(format!("{release}/{stage}"), "RELEASE_RELEASEID"))
}
