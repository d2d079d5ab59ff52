//! GitHub Actions, and Gitea and Forgejo, which set the same variables and some of their own
//! ("Store information in variables" in GitHub's documentation; "Comparison with GitHub Actions" in Gitea's).

use crate::detect::job::Job;
use crate::detect::systems::Source::{By, OutsidePr, Unmerged, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{path_segment, pull_request_of_ref, server};

pub const GITHUB: System = System {
    name: "GitHub Actions",
    id: "github",
    reference: "https://docs.github.com/en/actions/reference/workflows-and-actions/variables",
    // Only the runner sets the first; a container that was given a few variables has the others.
    marks: &[
        &["GITHUB_ACTIONS"],
        &["GITHUB_RUN_ID", "GITHUB_REPOSITORY"],
        &["GITHUB_ACTION", "GITHUB_SHA"],
    ],
    // nektos/act on a developer's machine: each of its runs has the id 1.
    unless: &["ACT=true"],
    pipeline: &[Var("GITHUB_WORKFLOW")],
    workflow: &[Var("GITHUB_WORKFLOW")],
    job: &[Var("GITHUB_JOB")],
    step: &[By("`GITHUB_ACTION`, if the step has an `id`", step)],
    host: &[Var("GITHUB_SERVER_URL")],
    scope: &[Var("GITHUB_REPOSITORY")],
    run: &[Var("GITHUB_RUN_ID")],
    attempt: &[By("`GITHUB_RUN_ATTEMPT`, else 1", attempt)],
    repository: &[Var("GITHUB_REPOSITORY")],
    // Of a pull request GITHUB_SHA is a merge that is on no branch, or the base: only the event has the head.
    sha: &[
        By("`pull_request.head.sha` in `GITHUB_EVENT_PATH`", head_commit),
        Unmerged("GITHUB_SHA"),
    ],
    pr: &[
        By("`pull_request.number` in `GITHUB_EVENT_PATH`", number_of_event),
        By("`GITHUB_REF`, if it is `refs/pull/7/merge` or `…/head`", number_of_ref),
    ],
    is_pr: about_a_pull_request,
    is_merge: |job| about_a_pull_request(job) && !is_head(job),
    url: &[By(
        "`GITHUB_SERVER_URL`, `GITHUB_REPOSITORY`, `GITHUB_RUN_ID` and `GITHUB_RUN_ATTEMPT`",
        run_page,
    )],
    branch: &[
        Var("GITHUB_HEAD_REF"),
        By("`pull_request.head.ref` in `GITHUB_EVENT_PATH`", head_branch),
        OutsidePr("GITHUB_REF"),
        By("`GITHUB_REF_NAME` of a branch, where `GITHUB_REF` is not set", ref_name),
    ],
    tag: &[By("`GITHUB_REF`, if it is `refs/tags/…`", tag)],
    // In a re-run the first names the user who started it.
    github: &[Var("GITHUB_TRIGGERING_ACTOR"), Var("GITHUB_ACTOR")],
    left_out: &[
        (
            "`GITHUB_SHA` of a pull request",
            "it is a trial merge that is on no branch, or the target's commit; only the event's file has the head",
        ),
        ("`email`", "GitHub has none of it in a variable or in the event"),
        (
            "all, where `ACT` is set",
            "`act` runs workflows on one's own machine, and gives all of them the id 1",
        ),
    ],
    ..System::NONE
};

pub const GITEA: System = System {
    name: "Gitea Actions",
    id: "gitea",
    reference: "https://docs.gitea.com/usage/actions/actions-variables",
    marks: &[&["GITEA_ACTIONS"]],
    unless: &[],
    // Its users are not GitHub's.
    github: &[],
    email: &[By("`sender.email` in `GITHUB_EVENT_PATH`", sender)],
    attempt: &[By(
        "`GITHUB_RUN_ATTEMPT`, else 1, of servers that set `GITHUB_TRIGGERING_ACTOR`",
        attempt_of_the_run,
    )],
    url: &[By("the repository's page `actions`", actions_page)],
    left_out: &[
        (
            "the page of the run",
            "up to version 1.25 it goes by `GITHUB_RUN_NUMBER` and later by `GITHUB_RUN_ID`, and no variable has the version",
        ),
        (
            "`GITHUB_RUN_ATTEMPT` without `GITHUB_TRIGGERING_ACTOR`",
            "servers that do not name who started an attempt count the attempts of each job by itself, and the run would fall apart",
        ),
        ("`github_username`", "its users are not GitHub's"),
        (
            "`GITHUB_SHA` of a pull request",
            "as with GitHub, unless `GITHUB_REF` is the head itself",
        ),
    ],
    ..GITHUB
};

pub const FORGEJO: System = System {
    name: "Forgejo Actions",
    id: "forgejo",
    reference: "https://forgejo.org/docs/latest/user/actions/reference/#github",
    marks: &[&["FORGEJO_ACTIONS"]],
    url: &[By(
        "`GITHUB_SERVER_URL`, `GITHUB_REPOSITORY` and `GITHUB_RUN_NUMBER`",
        page_by_number,
    )],
    left_out: &[
        (
            "`GITHUB_RUN_ID` in the page of the run",
            "Forgejo's pages go by the repository's own number",
        ),
        (
            "`GITHUB_RUN_ATTEMPT` without `GITHUB_TRIGGERING_ACTOR`",
            "servers that do not name who started an attempt count the attempts of each job by itself, and the run would fall apart",
        ),
        ("`github_username`", "its users are not GitHub's"),
        (
            "`GITHUB_SHA` of a pull request",
            "as with GitHub, unless `GITHUB_REF` is the head itself",
        ),
    ],
    ..GITEA
};

/// Returns true if the event is about a pull request: only then its file is read. `issue_comment` and `workflow_run` are about pull
/// requests, too, but run on the default branch. Gitea calls the event of a reusable workflow `workflow_call`; in a container without the
/// event's name, the ref or the file decides.
fn about_a_pull_request(job: &Job<'_>) -> bool {
    let is_ref = job.get("GITHUB_REF").is_some_and(|name| name.starts_with("refs/pull/"));
    match job.get("GITHUB_EVENT_NAME") {
        Some(event) => event.starts_with("pull_request") || is_ref,
        None => is_ref || (job.get("GITHUB_HEAD_REF").is_some() && job.event().pull_request.is_some()),
    }
}

/// Returns true if the head itself is built, as Gitea and Forgejo do, by the form of the ref.
fn is_head(job: &Job<'_>) -> bool {
    let pull_request = job.get("GITHUB_REF").and_then(pull_request_of_ref);
    pull_request.is_some_and(|pull_request| !pull_request.is_merge)
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

fn number_of_ref(job: &Job<'_>) -> Option<Found> {
    let name = job.get("GITHUB_REF")?.strip_prefix("refs/")?;
    Some(job.made(pull_request_of_ref(name)?.number, "GITHUB_REF"))
}

/// The short name does not have the kind of ref: `7/merge` is a pull request's, and `v1` may be a tag.
fn ref_name(job: &Job<'_>) -> Option<Found> {
    let is_branch = job.is_one_of("GITHUB_REF_TYPE", &["branch"], true) && job.get("GITHUB_REF").is_none();
    job.found("GITHUB_REF_NAME").filter(|_| is_branch && !job.is_pr())
}

fn tag(job: &Job<'_>) -> Option<Found> {
    let name = job.get("GITHUB_REF")?.strip_prefix("refs/tags/")?;
    Some(job.made(name, "GITHUB_REF"))
}

/// The step's `id`. Steps without one are called `__run_2` and so on, which does not name them.
fn step(job: &Job<'_>) -> Option<Found> {
    job.found("GITHUB_ACTION")
        .filter(|found| !found.value.starts_with("__"))
}

/// Attempts are counted from 1; servers from before there were attempts have none.
fn attempt(job: &Job<'_>) -> Option<Found> {
    let found = job.found("GITHUB_RUN_ATTEMPT");
    Some(found.unwrap_or_else(|| job.made("1", "GITHUB_RUN_ATTEMPT")))
}

/// Servers that count attempts of a run also set the user who started it; older ones count those of the job ("GenerateGiteaContext" in
/// Gitea's source).
fn attempt_of_the_run(job: &Job<'_>) -> Option<Found> {
    job.get("GITHUB_TRIGGERING_ACTOR")?;
    attempt(job)
}

fn actions_page(job: &Job<'_>) -> Option<Found> {
    let server = server(job.get("GITHUB_SERVER_URL")?)?;
    let repository = path_segment(job.get("GITHUB_REPOSITORY")?);
    Some(job.made(format!("{server}/{repository}/actions"), "GITHUB_REPOSITORY"))
}

fn page_by_number(job: &Job<'_>) -> Option<Found> {
    let (actions, number) = (actions_page(job)?.value, path_segment(job.get("GITHUB_RUN_NUMBER")?));
    Some(job.made(format!("{actions}/runs/{number}"), "GITHUB_RUN_NUMBER"))
}

fn run_page(job: &Job<'_>) -> Option<Found> {
    let (actions, run) = (actions_page(job)?.value, path_segment(job.get("GITHUB_RUN_ID")?));
    let attempt = job.get("GITHUB_RUN_ATTEMPT");
    let attempt = attempt.map_or(String::new(), |attempt| format!("/attempts/{}", path_segment(attempt)));
    Some(job.made(format!("{actions}/runs/{run}{attempt}"), "GITHUB_RUN_ID"))
}

/// The user who caused the event. Only Gitea and Forgejo give the e-mail address.
fn sender(job: &Job<'_>) -> Option<Found> {
    let sender = job.event().sender.as_ref()?;
    Some(job.made(sender.email.as_deref()?, "GITHUB_EVENT_PATH"))
}
