//! Drone's global webhooks ("Webhooks" in its documentation; `core/webhook.go` in its source). Each event of a build has the whole build.

use super::System;
use crate::Notification;
use crate::event::{Event, Translated, all, ignored, other_event, required};
use crate::loose::{Id, List, Loose, fields};
use crate::outcome::{Outcome, names_of};
use crate::time::Moment;
use crate::values::{branch, commit, host, name_person, number_of_ref, repository_name, server};

pub(super) const DRONE: System = System {
    name: "drone",
    translate,
};

fields! {
    Body {
        event: String,
        system: Server,
        repo: Repository,
        build: Build,
    }

    Server {
        proto: String,
        host: String,
        link: String,
    }

    Repository { slug: String, }

    Build {
        number: Id,
        parent: i64,
        status: String,
        event: String,
        after: String,
        #[serde(rename = "ref")]
        git_ref: String,
        source: String,
        target: String,
        author_email: String,
        started: Seconds,
        finished: Seconds,
        created: Seconds,
        stages: List<Stage>,
    }

    Stage {
        name: String,
        errignore: bool,
        steps: List<Step>,
    }

    Step {
        name: String,
        status: String,
        errignore: bool,
        started: Seconds,
        stopped: Seconds,
    }
}

/// A time in seconds since 1970; 0 stands for none.
struct Seconds(Moment);

impl Loose for Seconds {
    fn whole(number: i128) -> Option<Self> {
        Moment::of_seconds(number.try_into().ok()?).map(Self)
    }
}

fn translate(event: &Event<'_>) -> Translated {
    let body: Body = event.fields()?;
    let kind = event.first_header(&["x-drone-event"]).map(str::to_owned).or(body.event);
    if let Some(other) = kind.filter(|kind| kind != "build") {
        return other_event(&other);
    }
    let Some(build) = body.build else {
        return ignored("it has no build");
    };
    let repository = required(body.repo.and_then(|repo| repo.slug), "repo.slug")?;
    let system = body.system.unwrap_or_default();
    let status = required(build.status.as_deref(), "build.status")?;
    let outcome = match status {
        "skipped" => return ignored("the build was skipped"),
        other => outcome(other),
    };
    if outcome == Outcome::Open {
        return ignored(format!("the build has not started: it is {status}"));
    }
    let [started, finished, created] = [&build.started, &build.finished, &build.created].map(moment);
    // One that ended in the queue has no start.
    let started = started.or(created.filter(|_| outcome.has_ended()));
    let started = required(started, "build.started")?;
    let run = outcome.of(run(&repository, system, &build)?, Some(started), finished);
    let names = names_of(&run);
    let stages = build.stages.map(|List(stages)| stages).unwrap_or_default();
    let steps = stages.into_iter().flat_map(|stage| steps(stage, &names, &repository));
    let steps: Vec<Notification> = steps.collect();
    all([run].into_iter().chain(steps).collect())
}

/// Returns the run, without its outcome.
fn run(repository: &str, system: Server, build: &Build) -> Result<Notification, String> {
    let link = system.link.as_deref().and_then(server);
    let named = system.host.as_deref().and_then(host);
    let at = named.or_else(|| host(link.as_deref()?));
    let at = required(at, "system.host")?;
    let number = &required(build.number.as_ref(), "build.number")?.0;
    let made = system.proto.map(|proto| format!("{proto}://{at}"));
    let page = made.or(link).and_then(|server_at| server(&server_at));
    let kind = build.event.as_deref();
    let is_pr = kind == Some("pull_request");
    let is_push = matches!(kind, None | Some("push" | "tag")) && build.parent.unwrap_or_default() == 0;
    let git_ref = build.git_ref.clone().unwrap_or_default();
    let tag = git_ref.strip_prefix("refs/tags/");
    // Of a pull request the target is not what was built.
    let target = build.target.clone().filter(|_| !is_pr);
    let mut run = Notification {
        pipeline_name: Some(repository.to_owned()),
        pipeline_source: Some("Drone".to_owned()),
        reference_id: Some(format!("drone/{at}/{repository}/{number}")),
        repository: repository_name(Some(repository.to_owned())),
        commit_sha: commit(build.after.clone()),
        pr_number: number_of_ref(&git_ref).filter(|_| is_pr),
        source_url: page.map(|page| format!("{page}/{repository}/{number}")),
        head_branch: branch(build.source.clone(), tag).or_else(|| branch(target, tag)),
        ..Notification::default()
    };
    name_person(&mut run, build.author_email.clone().filter(|_| is_push));
    Ok(run)
}

/// Returns the steps of a stage that have started, with the names that they have in a build.
fn steps<'n>(stage: Stage, names: &'n Notification, repository: &str) -> impl Iterator<Item = Notification> + use<'n> {
    let Stage { name, errignore, steps } = stage;
    let above = name.filter(|name| name != repository);
    let steps = steps.map(|List(steps)| steps).unwrap_or_default();
    steps.into_iter().filter_map(move |step| {
        let name = step.name?;
        let started = moment(&step.started)?;
        let outcome = outcome(step.status.as_deref()?);
        let step_name = above.as_ref().map(|above| format!("{above} / {name}"));
        let notification = Notification {
            step: Some(step_name.unwrap_or(name)),
            allowed_to_fail: step.errignore == Some(true) || errignore == Some(true),
            ..names.clone()
        };
        let is_one = !matches!(outcome, Outcome::Open);
        is_one.then(|| outcome.of(notification, Some(started), moment(&step.stopped)))
    })
}

fn moment(seconds: &Option<Seconds>) -> Option<Moment> {
    seconds.as_ref().map(|seconds| seconds.0)
}

/// Reads the status of a build or a step. One that is not documented stands for running: the documentation's samples have `started`.
fn outcome(status: &str) -> Outcome {
    match status {
        "success" => Outcome::Success,
        "failure" | "error" => Outcome::Failure,
        "killed" | "declined" => Outcome::Cancelled,
        "blocked" | "pending" | "waiting_on_dependencies" | "skipped" => Outcome::Open,
        _ => Outcome::Running,
    }
}
