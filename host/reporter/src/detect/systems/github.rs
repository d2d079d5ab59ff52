//! GitHub Actions, and Gitea and Forgejo, which set the same variables and some of their own
//! ("Store information in variables" in GitHub's documentation; "Comparison with GitHub Actions" in Gitea's).

use crate::detect::job::Job;
use crate::detect::system::Source::{By, OutsidePr, Var};
use crate::detect::system::{Found, System};
use crate::detect::values::{path_segment, server};

pub(super) const GITHUB: System = System {
    name: "GitHub Actions",
    id: "github",
    // Only the runner sets the first; in a container that was given a few variables, the others say the same.
    marks: &[
        &["GITHUB_ACTIONS"],
        &["GITHUB_RUN_ID", "GITHUB_REPOSITORY"],
        &["GITHUB_ACTION", "GITHUB_SHA"],
    ],
    pipeline: &[Var("GITHUB_WORKFLOW")],
    workflow: &[Var("GITHUB_WORKFLOW")],
    job: &[Var("GITHUB_JOB")],
    step: &[By(step)],
    host: &[Var("GITHUB_SERVER_URL")],
    scope: &[Var("GITHUB_REPOSITORY")],
    run: &[Var("GITHUB_RUN_ID")],
    attempt: &[By(attempt)],
    repository: &[Var("GITHUB_REPOSITORY")],
    // Of a pull request GITHUB_SHA is a merge that nobody made, or the base: the head stands in the event alone.
    sha: &[By(head_commit), OutsidePr("GITHUB_SHA")],
    pr: &[By(number_of_event), By(number_of_ref)],
    is_pr: about_a_pull_request,
    url: &[By(run_page)],
    branch: &[
        Var("GITHUB_HEAD_REF"),
        By(head_branch),
        OutsidePr("GITHUB_REF"),
        By(ref_name),
    ],
    tag: &[By(tag)],
    // Of a re-run the first is who started that one.
    github: &[Var("GITHUB_TRIGGERING_ACTOR"), Var("GITHUB_ACTOR")],
    ..System::NONE
};

pub(super) const GITEA: System = System {
    name: "Gitea Actions",
    id: "gitea",
    marks: &[&["GITEA_ACTIONS"]],
    // Its users are not GitHub's.
    github: &[],
    email: &[By(sender)],
    ..GITHUB
};

pub(super) const FORGEJO: System = System {
    name: "Forgejo Actions",
    id: "forgejo",
    marks: &[&["FORGEJO_ACTIONS"]],
    ..GITEA
};

/// Whether the event is about a pull request: its file is read only then. `issue_comment` and `workflow_run` have to do with pull requests,
/// too, but run on the default branch. Where the event's name is not passed on, the ref or the file tells.
fn about_a_pull_request(job: &Job<'_>) -> bool {
    match job.get("GITHUB_EVENT_NAME") {
        Some(event) => event.starts_with("pull_request"),
        None => {
            let is_merge = job.get("GITHUB_REF").is_some_and(|name| name.starts_with("refs/pull/"));
            is_merge || (job.get("GITHUB_HEAD_REF").is_some() && job.event().pull_request.is_some())
        }
    }
}

fn head_commit(job: &Job<'_>) -> Option<Found> {
    let head = about_a_pull_request(job).then(|| job.event().head())??;
    Some(job.made(head.sha.as_deref()?, "GITHUB_EVENT_PATH"))
}

fn head_branch(job: &Job<'_>) -> Option<Found> {
    let head = about_a_pull_request(job).then(|| job.event().head())??;
    Some(job.made(head.branch.as_deref()?, "GITHUB_EVENT_PATH"))
}

fn number_of_event(job: &Job<'_>) -> Option<Found> {
    let event = about_a_pull_request(job).then(|| job.event())?;
    let number = event.pull_request.as_ref()?.number?;
    Some(job.made(number.to_string(), "GITHUB_EVENT_PATH"))
}

/// `refs/pull/7/merge`.
fn number_of_ref(job: &Job<'_>) -> Option<Found> {
    let (number, _) = job.get("GITHUB_REF")?.strip_prefix("refs/pull/")?.split_once('/')?;
    Some(job.made(number, "GITHUB_REF"))
}

/// The short name says nothing of what it names: `7/merge` is a pull request's, and `v1` may be a tag.
fn ref_name(job: &Job<'_>) -> Option<Found> {
    let is_branch = job.is_one_of("GITHUB_REF_TYPE", &["branch"], true) && job.get("GITHUB_REF").is_none();
    job.found("GITHUB_REF_NAME").filter(|_| is_branch && !job.is_pr())
}

fn tag(job: &Job<'_>) -> Option<Found> {
    let name = job.get("GITHUB_REF")?.strip_prefix("refs/tags/")?;
    Some(job.made(name, "GITHUB_REF"))
}

/// Steps without an `id` are called `__run_2` and so on, which means nothing to anyone.
fn step(job: &Job<'_>) -> Option<Found> {
    job.found("GITHUB_ACTION")
        .filter(|found| !found.value.starts_with("__"))
}

/// Attempts are counted from 1; servers from before there were attempts have none.
fn attempt(job: &Job<'_>) -> Option<Found> {
    let found = job.found("GITHUB_RUN_ATTEMPT");
    Some(found.unwrap_or_else(|| job.made("1", "GITHUB_RUN_ATTEMPT")))
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    let server = server(job.get("GITHUB_SERVER_URL")?)?;
    let repository = path_segment(job.get("GITHUB_REPOSITORY")?);
    let run = path_segment(job.get("GITHUB_RUN_ID")?);
    let attempt = job.get("GITHUB_RUN_ATTEMPT");
    let attempt = attempt.map_or(String::new(), |attempt| format!("/attempts/{}", path_segment(attempt)));
    Some(job.made(
        format!("{server}/{repository}/actions/runs/{run}{attempt}"),
        "GITHUB_RUN_ID",
    ))
}

/// Who caused the event, whose address only Gitea and Forgejo write down.
fn sender(job: &Job<'_>) -> Option<Found> {
    let sender = job.event().sender.as_ref()?;
    Some(job.made(sender.email.as_deref()?, "GITHUB_EVENT_PATH"))
}
