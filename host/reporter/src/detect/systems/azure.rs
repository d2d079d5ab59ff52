//! Azure Pipelines ("Use predefined variables" in its documentation).

use crate::detect::job::Job;
use crate::detect::system::Source::{By, OutsidePr, Var};
use crate::detect::system::{Found, System};
use crate::detect::values::{page, path_segment, server};

pub(super) const AZURE: System = System {
    name: "Azure Pipelines",
    id: "azure",
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
    host: &[By(collection)],
    scope: &[Var("SYSTEM_TEAMPROJECT"), Var("SYSTEM_TEAMPROJECTID")],
    run: &[Var("BUILD_BUILDID")],
    // A stage that is run again keeps the build's number.
    attempt: &[Var("SYSTEM_STAGEATTEMPT")],
    repository: &[Var("BUILD_REPOSITORY_URI"), By(repository)],
    // Of a pull request BUILD_SOURCEVERSION is a merge that nobody made.
    sha: &[
        Var("SYSTEM_PULLREQUEST_SOURCECOMMITID"),
        OutsidePr("BUILD_SOURCEVERSION"),
    ],
    pr: &[Var("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER"), By(number_in_azure_repos)],
    is_pr: |job| job.is_one_of("BUILD_REASON", &["PullRequest"], false),
    url: &[By(run_page), By(build_uri)],
    branch: &[Var("SYSTEM_PULLREQUEST_SOURCEBRANCH"), OutsidePr("BUILD_SOURCEBRANCH")],
    email: &[Var("BUILD_REQUESTEDFOREMAIL")],
    ..System::NONE
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

fn is_in_azure_repos(job: &Job<'_>) -> bool {
    job.is_one_of("BUILD_REPOSITORY_PROVIDER", &["TfsGit"], true)
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    let collection = collection(job)?.value;
    let project = job
        .get("SYSTEM_TEAMPROJECT")
        .or_else(|| job.get("SYSTEM_TEAMPROJECTID"));
    let (project, build) = (path_segment(project?), path_segment(job.get("BUILD_BUILDID")?));
    let url = format!("{collection}/{project}/_build/results?buildId={build}");
    Some(job.made(url, "BUILD_BUILDID"))
}

/// Usually `vstfs:///Build/Build/7`, which is no page.
fn build_uri(job: &Job<'_>) -> Option<Found> {
    job.found("BUILD_BUILDURI").filter(|found| page(&found.value).is_ok())
}
