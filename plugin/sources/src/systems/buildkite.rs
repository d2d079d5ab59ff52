//! Buildkite: build and job events ("Webhooks" in its documentation; the fields are those of "Builds API").
//!
//! A rebuild has an id of its own. A job that was retried keeps its name, so that its latest execution counts.

use super::System;
use crate::event::{Event, Translated, all, ignored, one, other_event, required};
use crate::loose::{Id, fields};
use crate::outcome::{Outcome, names_of};
use crate::time::Moment;
use crate::values::{Person, branch, commit, host, number, page, person, pull_request_of_ref, repository_at, sound};
use crate::{Attribute, Notification};

pub(super) const BUILDKITE: System = System {
    name: "buildkite",
    translate,
};

fields! {
    Body {
        event: String,
        build: Build,
        job: Job,
        pipeline: Pipeline,
    }

    Build {
        id: String,
        web_url: String,
        url: String,
        state: String,
        blocked: bool,
        commit: String,
        branch: String,
        tag: String,
        source: String,
        scheduled_at: Moment,
        created_at: Moment,
        started_at: Moment,
        finished_at: Moment,
        creator: User,
        author: User,
        pull_request: PullRequest,
        rebuilt_from: Rebuilt,
    }

    Rebuilt {}

    User { email: String, }

    PullRequest { id: Id, }

    Pipeline {
        slug: String,
        repository: String,
    }

    Job {
        #[serde(rename = "type")]
        kind: String,
        name: String,
        step_key: String,
        state: String,
        passed: bool,
        soft_failed: bool,
        parallel_group_index: i64,
        parallel_group_total: i64,
        started_at: Moment,
        finished_at: Moment,
    }
}

fn translate(event: &Event<'_>) -> Translated {
    let header = event.header("x-buildkite-event").filter(|kind| !kind.is_empty());
    let is_known = |kind: &str| kind.starts_with("build.") || kind.starts_with("job.");
    if let Some(other) = header.filter(|kind| !is_known(kind)) {
        return other_event(other);
    }
    let body: Body = event.fields()?;
    let Some(kind) = header.map(str::to_owned).or_else(|| body.event.clone()) else {
        return ignored("it is about no build or job");
    };
    match kind.as_str() {
        "job.scheduled" => ignored("the job has not started"),
        "job.started" | "job.finished" => job(body, kind == "job.finished"),
        kind if kind.starts_with("build.") => build(body, kind),
        other => other_event(other),
    }
}

fn build(body: Body, kind: &str) -> Translated {
    let build = required(body.build, "build")?;
    let state = build.state.as_deref();
    let outcome = match kind {
        // A build that waits for a person sends this event too, and goes on under the same id.
        "build.finished" if build.blocked == Some(true) && state != Some("failed") => Outcome::Open,
        "build.finished" | "build.skipped" => match of_state(state) {
            Outcome::Open | Outcome::Running if kind == "build.skipped" => Outcome::Cancelled,
            outcome => outcome,
        },
        "build.running" | "build.failing" => Outcome::Running,
        _ => Outcome::Open,
    };
    let (started, finished) = (build.started_at, build.finished_at);
    // The time in the queue is not the run's: the earliest start would stay.
    if started.is_none() && !outcome.has_ended() {
        return ignored("the build has not started");
    }
    // A build that was skipped or cancelled in the queue has no start.
    let queued = build.scheduled_at.or(build.created_at);
    let started = required(started.or(queued).or(finished), "build.started_at")?;
    one(outcome.of(run(build, body.pipeline)?, Some(started), finished))
}

/// Translates the event of a job. It has the whole build, so it reports the run too.
fn job(body: Body, has_finished: bool) -> Translated {
    let job = required(body.job, "job")?;
    // Others wait, or start another build.
    if !matches!(job.kind.as_deref(), None | Some("script" | "command")) {
        return ignored("the job runs no command");
    }
    let outcome = match (has_finished, of_state(job.state.as_deref()), job.passed) {
        (false, _, _) => Outcome::Running,
        (true, _, _) if matches!(job.state.as_deref(), Some("skipped" | "broken" | "not_run")) => {
            return ignored("the job did not run");
        }
        (true, Outcome::Ended, Some(true)) => Outcome::Success,
        (true, Outcome::Ended, Some(false)) => Outcome::Failure,
        (true, outcome, _) => outcome,
    };
    let build = required(body.build, "build")?;
    let started = build.started_at;
    let run = run(build, body.pipeline)?;
    let name = required(sound(job.name).or(sound(job.step_key)), "job.name")?;
    // The jobs of one parallel step have one name.
    let index = job
        .parallel_group_index
        .filter(|_| job.parallel_group_total.is_some_and(|total| total > 1));
    let step = Notification {
        step_id: index.map(|index| format!("{name} #{index}")),
        step: Some(name),
        allowed_to_fail: job.soft_failed == Some(true),
        ..if started.is_some() { names_of(&run) } else { run.clone() }
    };
    let step = outcome.of(step, job.started_at, job.finished_at);
    let run = started.map(|started| Outcome::Running.of(run, Some(started), None));
    all(run.into_iter().chain([step]).collect())
}

/// Reads the state of a build or a job. A build is skipped for a newer one of its branch.
fn of_state(state: Option<&str>) -> Outcome {
    match state {
        Some("passed") => Outcome::Success,
        Some("failed" | "timed_out" | "expired") => Outcome::Failure,
        Some("canceled" | "skipped" | "not_run") => Outcome::Cancelled,
        Some("running" | "failing" | "started" | "canceling" | "timing_out") => Outcome::Running,
        Some("creating" | "scheduled" | "blocked" | "waiting" | "assigned" | "accepted") => Outcome::Open,
        _ => Outcome::Ended,
    }
}

/// Returns the run, without its times and status.
fn run(build: Build, pipeline: Option<Pipeline>) -> Result<Notification, String> {
    let id = required(sound(build.id), "build.id")?;
    let pipeline = required(pipeline, "pipeline")?;
    let slug = required(sound(pipeline.slug), "pipeline.slug")?;
    let organization = organization(build.web_url.as_deref(), build.url.as_deref());
    let organization = organization.ok_or("build.web_url does not name the organization")?;
    let repository = repository_at(pipeline.repository.as_deref());
    let has_repository = repository.is_some();

    let of_ref = build.branch.as_deref().and_then(pull_request_of_ref);
    let is_merge = of_ref.is_some_and(|request| request.is_merge);
    let of_ref = of_ref.and_then(|request| request.number.parse().ok());
    let pull_request = build.pull_request.and_then(|request| request.id?.0.parse().ok());
    let is_push = build.source.as_deref().is_none_or(|source| source == "webhook") && build.rebuilt_from.is_none();
    let creator = build.creator.and_then(|user| user.email);
    // The author of the commit started the build only if a push did.
    let author = build.author.and_then(|user| user.email).filter(|_| is_push);
    let mut people = [creator, author]
        .into_iter()
        .flatten()
        .filter_map(|email| person(&email, false));
    let (email, github) = match people.next() {
        Some(Person::Email(address)) => (sound(Some(address)), None),
        Some(Person::Github(name)) => (None, sound(Some(name))),
        _ => (None, None),
    };
    let queued = build.scheduled_at.map(|moment| Attribute {
        key: "queued_at".to_owned(),
        value: moment.to_string(),
    });
    Ok(Notification {
        pipeline_name: Some(slug.clone()),
        pipeline_source: Some("Buildkite".to_owned()),
        reference_id: Some(format!("buildkite/{organization}/{slug}/{id}")),
        repository,
        commit_sha: commit(build.commit).filter(|_| has_repository && !is_merge),
        pr_number: number(pull_request).or(number(of_ref)).filter(|_| has_repository),
        source_url: page(build.web_url),
        head_branch: branch(build.branch, build.tag.as_deref()),
        email,
        github_username: github,
        attributes: queued.into_iter().collect(),
        ..Notification::default()
    })
}

/// Returns the organization's slug: `https://buildkite.com/acme/…` and `https://api.buildkite.com/v2/organizations/acme/…`.
fn organization(page: Option<&str>, api: Option<&str>) -> Option<String> {
    let path = |address: &str| host(address).and_then(|address| Some(address.split_once('/')?.1.to_owned()));
    let of_page = page.and_then(path).and_then(|path| {
        let (organization, rest) = path.split_once('/')?;
        rest.contains("/builds/").then(|| organization.to_owned())
    });
    let of_api = || {
        let path = api.and_then(path)?;
        Some(path.split_once("organizations/")?.1.split('/').next()?.to_owned())
    };
    of_page.or_else(of_api).filter(|slug| !slug.is_empty())
}
