//! Forgejo Actions: the events `action_run_success`, `action_run_failure` and `action_run_recover`, sent at the end of a run
//! (`ActionPayload` and `ActionRun` in `modules/structs` of Forgejo's source). It sends nothing about the start of a run or its jobs.
//!
//! A recovery is sent beside the success of the same run. Runs that were run again keep their number, and Forgejo counts no attempts of them.

use super::System;
use crate::Notification;
use crate::event::{Event, Translated, ignored, one, other_event, required};
use crate::loose::{fields, read};
use crate::outcome::Outcome;
use crate::time::Moment;
use crate::values::{Person, branch, commit, host, number, page, path_segment, person, pull_request_of_ref, server_of};

pub(super) const FORGEJO: System = System {
    name: "forgejo",
    translate,
};

fields! {
    Body {
        run: Run,
    }

    Run {
        id: i64,
        index_in_repo: i64,
        workflow_id: String,
        status: String,
        event: String,
        trigger_event: String,
        commit_sha: String,
        prettyref: String,
        html_url: String,
        /// The event that started the run, as JSON in a text.
        event_payload: String,
        trigger_user: User,
        repository: Repository,
        created: Moment,
        started: Moment,
        stopped: Moment,
        updated: Moment,
    }

    Repository {
        full_name: String,
        html_url: String,
    }

    User {
        email: String,
    }

    Payload {
        #[serde(rename = "ref")]
        name: String,
        pull_request: PullRequest,
        sender: User,
    }

    PullRequest {
        number: i64,
        head: Head,
    }

    Head {
        #[serde(rename = "ref")]
        branch: String,
        sha: String,
    }
}

fn translate(event: &Event<'_>) -> Translated {
    let kind = event.first_header(&["x-forgejo-event", "x-gitea-event", "x-github-event"]);
    if let Some(other) = kind.filter(|kind| !kind.starts_with("action_run")) {
        return other_event(other);
    }
    let body: Body = event.fields()?;
    match body.run {
        Some(run) => one(run_of(run)?),
        None if kind.is_some() => Err("run is missing or of another type".to_owned()),
        None => ignored("it is about no run of a workflow"),
    }
}

fn run_of(run: Run) -> Result<Notification, String> {
    let id = required(run.id, "run.id")?;
    let repository = required(run.repository, "run.repository")?;
    let name = required(repository.full_name, "run.repository.full_name")?;
    let home = required(repository.html_url, "run.repository.html_url")?;
    let server = server_of(&home, &name).ok_or("run.repository.html_url is not the page of its full_name")?;
    let host = host(&server).ok_or("run.repository.html_url has no server")?;
    let outcome = match run.status.as_deref() {
        Some("success") => Outcome::Success,
        Some("failure") => Outcome::Failure,
        Some("cancelled" | "skipped") => Outcome::Cancelled,
        Some("running") => Outcome::Running,
        Some("waiting" | "blocked") => Outcome::Open,
        _ => Outcome::Ended,
    };
    let numbered = run
        .index_in_repo
        .map(|number| format!("{server}/{}/actions/runs/{number}", path_segment(&name)));
    // The same file as `GITHUB_EVENT_PATH` in a job.
    let payload = run.event_payload.and_then(|payload| read::<Payload>(&payload).ok()?);
    let (pushed, pull_request, sender) = payload.map_or((None, None, None), |payload| {
        (payload.name, payload.pull_request, payload.sender)
    });
    let event = run.trigger_event.or(run.event);
    let is_pr = |event: &String| event.starts_with("pull_request");
    let pull_request = pull_request.filter(|_| event.as_ref().is_none_or(is_pr));
    // `#7` stands for a pull request, else it is the name of a branch or a tag.
    let shown = run.prettyref;
    let of_ref = shown.as_deref().and_then(|name| name.strip_prefix('#')?.parse().ok());
    let of_push = pushed.as_deref().and_then(pull_request_of_ref);
    let of_push = of_push.and_then(|pull_request| pull_request.number.parse().ok());
    let (head, numbered_pr) = pull_request.map_or((None, None), |it| (it.head, it.number));
    let (head_branch, head_sha) = head.map_or((None, None), |head| (head.branch, head.sha));
    let shown = shown.filter(|name| !name.starts_with('#'));
    let is_target = event.as_deref() == Some("pull_request_target");
    let sender = sender.or(run.trigger_user).and_then(|user| user.email);
    let email = sender.and_then(|email| match person(&email, false)? {
        Person::Email(address) => Some(address),
        _ => None,
    });
    let started = run.started.or(run.created).or(run.stopped);
    let notification = Notification {
        pipeline_name: Some(required(run.workflow_id, "run.workflow_id")?),
        pipeline_source: Some("Forgejo Actions".to_owned()),
        reference_id: Some(format!("forgejo/{host}/{name}/{id}")),
        repository: Some(name),
        commit_sha: commit(head_sha).or_else(|| commit(run.commit_sha.filter(|_| !is_target))),
        pr_number: number(numbered_pr.or(of_ref).or(of_push)),
        source_url: page(numbered.or(run.html_url)),
        head_branch: branch(head_branch.or(pushed).or(shown), None),
        email,
        ..Notification::default()
    };
    let started = required(started, "run.started")?;
    Ok(outcome.of(notification, Some(started), run.stopped.or(run.updated)))
}
