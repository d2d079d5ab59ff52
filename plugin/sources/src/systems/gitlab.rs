//! GitLab CI: pipeline events, with the pipeline's jobs, and job events ("Webhook events" in GitLab's documentation;
//! `lib/gitlab/data_builder/pipeline.rb` and `build.rb` in its source).
//!
//! A job that was retried keeps its name and its pipeline, so that its latest execution counts.

use super::System;
use crate::Notification;
use crate::event::{Event, Translated, all, ignored, other_event, required};
use crate::loose::{List, fields};
use crate::outcome::{Outcome, names_of};
use crate::time::Moment;
use crate::values::{
    Person, branch, commit, host, number, page, path_segment, person, pull_request_of_ref, server_of, sound,
};

pub(super) const GITLAB: System = System {
    name: "gitlab",
    translate,
};

fields! {
    Body {
        object_kind: String,
        object_attributes: Pipeline,
        merge_request: MergeRequest,
        user: User,
        project: Project,
        commit: Commit,
        builds: List<Build>,
        // Of a job event:
        #[serde(rename = "ref")]
        name: String,
        tag: bool,
        sha: String,
        build_name: String,
        build_status: String,
        build_started_at: Moment,
        build_finished_at: Moment,
        build_allow_failure: bool,
        pipeline_id: i64,
        repository: Repository,
    }

    Pipeline {
        id: i64,
        name: String,
        #[serde(rename = "ref")]
        name_of_ref: String,
        tag: bool,
        sha: String,
        source: String,
        status: String,
        created_at: Moment,
        finished_at: Moment,
        url: String,
    }

    MergeRequest {
        iid: i64,
        source_branch: String,
        target_branch: String,
        source_project_id: i64,
        target_project_id: i64,
        url: String,
    }

    User {
        username: String,
        email: String,
    }

    Project {
        web_url: String,
        path_with_namespace: String,
    }

    Commit {
        message: String,
        // In a job event these are the pipeline's.
        name: String,
        started_at: Moment,
    }

    Build {
        name: String,
        status: String,
        started_at: Moment,
        finished_at: Moment,
        allow_failure: bool,
    }

    Repository {
        homepage: String,
        git_http_url: String,
        git_ssh_url: String,
    }
}

fn translate(event: &Event<'_>) -> Translated {
    let kind = event.header("x-gitlab-event").filter(|kind| !kind.is_empty());
    // A system hook has the kind in the body alone.
    let kind = kind.filter(|kind| *kind != "System Hook");
    if let Some(other) = kind.filter(|kind| !matches!(*kind, "Pipeline Hook" | "Job Hook" | "Build Hook")) {
        return other_event(other);
    }
    let body: Body = event.fields()?;
    match (kind, body.object_kind.as_deref()) {
        (Some("Pipeline Hook"), _) | (None, Some("pipeline")) => pipeline(body),
        (Some(_), _) | (None, Some("build")) => job(body),
        (None, Some(other)) => other_event(other),
        (None, None) => ignored("it is about no pipeline or job"),
    }
}

/// The project of a run.
struct Place {
    /// Address of the server, with the path below which it is served.
    server: String,
    path: String,
}

impl Place {
    /// Returns the run of the pipeline with this number.
    fn run(&self, id: i64, name: Option<&str>) -> Result<Notification, String> {
        let (host, path) = (
            host(&self.server).ok_or("the project's address has no server")?,
            &self.path,
        );
        Ok(Notification {
            pipeline_name: Some(name.map_or_else(|| path.clone(), |name| format!("{path} / {name}"))),
            pipeline_source: Some("GitLab CI".to_owned()),
            reference_id: Some(format!("gitlab/{host}/{path}/{id}")),
            repository: Some(path.clone()),
            source_url: Some(format!("{}/{}/-/pipelines/{id}", self.server, path_segment(path))),
            ..Notification::default()
        })
    }
}

fn pipeline(body: Body) -> Translated {
    let pipeline = required(body.object_attributes, "object_attributes")?;
    let id = required(pipeline.id, "object_attributes.id")?;
    let status = required(pipeline.status.as_deref(), "object_attributes.status")?;
    let outcome = of_status(status);
    let project = required(body.project, "project")?;
    let path = required(project.path_with_namespace, "project.path_with_namespace")?;
    let page_of_project = required(project.web_url, "project.web_url")?;
    let server = server_of(&page_of_project, &path).ok_or("project.web_url is not the page of path_with_namespace")?;
    let place = Place { server, path };
    let builds = body.builds.map_or_else(Vec::new, |builds| builds.0);
    let earliest = builds.iter().filter_map(|build| build.started_at).min();
    let started = required(earliest.or(pipeline.created_at), "object_attributes.created_at")?;

    let known = place.run(id, pipeline.name.as_deref())?;
    let message = body.commit.and_then(|commit| commit.message);
    let commit_sha = built_commit(&pipeline, body.merge_request.as_ref(), message.as_deref());
    // The project that the merge request goes to numbers it, also in a pipeline of the fork that it comes from.
    let numbered = body.merge_request.as_ref().and_then(|request| {
        let number = number(request.iid)?;
        Some((target(request, &place)?, number))
    });
    let (target, pr_number) = numbered.map_or((None, None), |(target, number)| (Some(target), Some(number)));
    let source_branch = body.merge_request.and_then(|request| request.source_branch);
    let name = pipeline.name_of_ref.filter(|_| pipeline.tag != Some(true));
    let run = Notification {
        repository: target.or_else(|| known.repository.clone()),
        commit_sha,
        pr_number,
        source_url: page(pipeline.url).or_else(|| known.source_url.clone()),
        head_branch: branch(source_branch, None).or_else(|| branch(name, None)),
        ..of_user(known, body.user)
    };
    let names = names_of(&run);
    let mut notifications = vec![outcome.of(run, Some(started), pipeline.finished_at)];
    notifications.extend(builds.into_iter().filter_map(|build| {
        let outcome = of_status(build.status.as_deref()?);
        let notification = Notification {
            step: Some(sound(build.name)?),
            allowed_to_fail: build.allow_failure == Some(true),
            ..names.clone()
        };
        // Others never ran.
        (outcome != Outcome::Open).then(|| outcome.of(notification, build.started_at, build.finished_at))
    }));
    all(notifications)
}

/// Translates a job event. It has the state of its pipeline too, but from before the job: only its start and its names are used.
fn job(body: Body) -> Translated {
    let id = required(body.pipeline_id, "pipeline_id")?;
    let outcome = of_status(required(body.build_status.as_deref(), "build_status")?);
    if outcome == Outcome::Open {
        return ignored("the job has not started, or was skipped");
    }
    let place = place_of_job(body.project, required(body.repository, "repository")?)?;
    let (name, started) = body
        .commit
        .map_or((None, None), |commit| (commit.name, commit.started_at));
    let known = place.run(id, name.as_deref())?;
    // Of a merge request's pipeline the ref and the commit may be those of its trial merge.
    let is_merge = body
        .name
        .as_deref()
        .and_then(pull_request_of_ref)
        .is_some_and(|request| request.is_merge);
    let run = Notification {
        commit_sha: commit(body.sha.filter(|_| !is_merge)),
        head_branch: branch(body.name.filter(|_| body.tag != Some(true)), None),
        ..of_user(known, body.user)
    };
    let step = Notification {
        step: Some(required(sound(body.build_name), "build_name")?),
        allowed_to_fail: body.build_allow_failure == Some(true),
        ..run.clone()
    };
    let step = outcome.of(step, body.build_started_at, body.build_finished_at);
    let run = started.map(|started| Outcome::Running.of(run, Some(started), None));
    all(run.into_iter().chain([step]).collect())
}

/// Reads the status of a pipeline or a job. Other statuses may still change: a skipped pipeline or job can be started by hand.
fn of_status(status: &str) -> Outcome {
    match status {
        "running" | "canceling" => Outcome::Running,
        "success" => Outcome::Success,
        "failed" => Outcome::Failure,
        "canceled" => Outcome::Cancelled,
        _ => Outcome::Open,
    }
}

/// Returns the project in a job event. Older servers send no path; below a server's own path only the address for SSH shows where it begins.
fn place_of_job(project: Option<Project>, repository: Repository) -> Result<Place, String> {
    let home = required(repository.homepage, "repository.homepage")?;
    let path_given = project.and_then(|project| project.path_with_namespace);
    let of_ssh = repository.git_ssh_url.as_deref().and_then(|address| {
        let path = match address.split_once("://") {
            Some((_, rest)) => rest.split_once('/')?.1,
            None => address.split_once(':')?.1,
        };
        Some(path.strip_suffix(".git").unwrap_or(path).to_owned())
    });
    let of_page = || {
        Some(
            home.split_once("://")?
                .1
                .split_once('/')?
                .1
                .trim_end_matches('/')
                .to_owned(),
        )
    };
    let candidates = path_given.into_iter().chain(of_ssh).chain(of_page());
    let mut places = candidates.filter_map(|path| {
        Some(Place {
            server: server_of(&home, &path)?,
            path,
        })
    });
    let of_http = |place: &Place| match repository.git_http_url.as_deref() {
        Some(address) => address.trim_end_matches(".git").ends_with(&format!("/{}", place.path)),
        None => true,
    };
    places
        .find(of_http)
        .ok_or_else(|| "repository.homepage is not the page of a project".to_owned())
}

/// Returns the target project of a merge request, by its page; without a page, the pipeline's project, if it is the target too.
fn target(request: &MergeRequest, place: &Place) -> Option<String> {
    let Some(page) = request.url.as_deref() else {
        let is_own = request.source_project_id.is_some() && request.source_project_id == request.target_project_id;
        return is_own.then(|| place.path.clone());
    };
    let path = page.strip_prefix(place.server.as_str())?.strip_prefix('/')?;
    let end = path
        .find("/-/merge_requests/")
        .or_else(|| path.find("/merge_requests/"))?;
    Some(path.get(..end)?.to_owned())
}

/// Returns the commit. That of a pipeline for merged results or of a merge train is a trial merge, which is on no branch; its message names the head of the
/// source branch as `Merge HEAD into TARGET`, or only the branches.
fn built_commit(pipeline: &Pipeline, request: Option<&MergeRequest>, message: Option<&str>) -> Option<String> {
    let of_request = request.is_some() || pipeline.source.as_deref() == Some("merge_request_event");
    let merged = message
        .filter(|_| of_request)
        .and_then(|message| message.lines().next()?.strip_prefix("Merge "));
    if let Some((head, _)) = merged.and_then(|merged| merged.split_once(" into "))
        && let Some(head) = commit(Some(head.to_owned()).filter(|head| head.len() >= 40))
    {
        return Some(head);
    }
    let of_ref = pipeline.name_of_ref.as_deref().and_then(pull_request_of_ref);
    let branches = request.and_then(|request| {
        let (source, target) = (request.source_branch.as_deref()?, request.target_branch.as_deref()?);
        Some(format!("branch '{source}' into '{target}'"))
    });
    let is_merge =
        of_ref.is_some_and(|request| request.is_merge) || (branches.is_some() && branches.as_deref() == merged);
    commit(pipeline.sha.clone().filter(|_| !is_merge))
}

/// Adds the person. An e-mail address that GitLab hides is `[REDACTED]`, which is none.
fn of_user(run: Notification, user: Option<User>) -> Notification {
    let (username, email) = user.map_or((None, None), |user| (sound(user.username), sound(user.email)));
    let (email, hidden) = match email.and_then(|email| person(&email, true)) {
        Some(Person::Email(address)) => (Some(address), None),
        Some(Person::Gitlab(name)) => (None, Some(name)),
        _ => (None, None),
    };
    Notification {
        gitlab_username: username.or(hidden),
        email,
        ..run
    }
}
