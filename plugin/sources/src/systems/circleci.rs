//! CircleCI: `workflow-completed` and `job-completed` ("Outbound webhooks reference" in its documentation). It sends nothing before an end.
//!
//! A workflow that is run again, wholly or from its failed jobs, has an id of its own.

use super::System;
use crate::Notification;
use crate::event::{Event, Translated, all, ignored, one, other_event, required};
use crate::loose::fields;
use crate::outcome::{Outcome, names_of};
use crate::time::Moment;
use crate::values::{branch, commit, host, number, page, path_segment, pull_request_of_ref, repository_at, sound};

pub(super) const CIRCLECI: System = System {
    name: "circleci",
    translate,
};

fields! {
    Body {
        #[serde(rename = "type")]
        kind: String,
        project: Project,
        organization: Organization,
        workflow: Workflow,
        job: Job,
        pipeline: Pipeline,
    }

    Project {
        slug: String,
        name: String,
    }

    Organization { name: String, }

    Workflow {
        id: String,
        status: String,
        created_at: Moment,
        stopped_at: Moment,
        url: String,
    }

    Job {
        name: String,
        status: String,
        started_at: Moment,
        stopped_at: Moment,
    }

    Pipeline {
        /// The parameters of projects that were set up with GitHub's OAuth or Bitbucket Cloud.
        vcs: Vcs,
        /// The parameters of other projects.
        trigger_parameters: Parameters,
    }

    Vcs {
        target_repository_url: String,
        revision: String,
        branch: String,
        tag: String,
    }

    Parameters {
        git: Git,
        gitlab: Provider,
        github_app: Provider,
    }

    Git {
        checkout_sha: String,
        checkout_url: String,
        branch: String,
        tag: String,
    }

    Provider {
        web_url: String,
        repo_url: String,
        user_username: String,
        checkout_sha: String,
        branch: String,
    }
}

fn translate(event: &Event<'_>) -> Translated {
    let known = |kind: &str| matches!(kind, "workflow-completed" | "job-completed");
    let header = event.header("circleci-event-type").filter(|kind| !kind.is_empty());
    if let Some(other) = header.filter(|kind| !known(kind)) {
        return other_event(other);
    }
    let body: Body = event.fields()?;
    // A sample of the documentation has a job and the other type.
    let kind = match (header, body.kind.as_deref()) {
        (Some(kind), _) => kind,
        (None, Some(kind)) if known(kind) && body.job.is_some() => "job-completed",
        (None, Some(kind)) => kind,
        (None, None) => return ignored("it is about no workflow or job"),
    };
    match kind {
        "workflow-completed" => workflow(body),
        "job-completed" => job(body),
        other => other_event(other),
    }
}

fn workflow(body: Body) -> Translated {
    let workflow = required(body.workflow.as_ref(), "workflow")?;
    let outcome = of_status(workflow.status.as_deref());
    let started = required(workflow.created_at, "workflow.created_at")?;
    let finished = workflow.stopped_at;
    one(outcome.of(run(body)?, Some(started), finished))
}

/// Translates the event of a job. It has the start of its workflow, so it reports the run too.
fn job(mut body: Body) -> Translated {
    let job = required(body.job.take(), "job")?;
    let outcome = match job.status.as_deref() {
        Some("not_run" | "not_running") => return ignored("the job did not run"),
        status => of_status(status),
    };
    let started = body.workflow.as_ref().and_then(|workflow| workflow.created_at);
    let run = run(body)?;
    let step = Notification {
        step: Some(required(sound(job.name), "job.name")?),
        ..if started.is_some() { names_of(&run) } else { run.clone() }
    };
    let step = outcome.of(step, job.started_at, job.stopped_at);
    let run = started.map(|started| Outcome::Running.of(run, Some(started), None));
    all(run.into_iter().chain([step]).collect())
}

/// Reads the status at the end of a workflow or a job. `unauthorized` is a failure: its starter may not use a context that it needs.
fn of_status(status: Option<&str>) -> Outcome {
    match status {
        Some("success") => Outcome::Success,
        Some("failed" | "error" | "unauthorized" | "infrastructure_fail" | "timedout") => Outcome::Failure,
        Some("canceled") => Outcome::Cancelled,
        Some("running" | "failing") => Outcome::Running,
        Some("on_hold" | "not_run") => Outcome::Open,
        _ => Outcome::Ended,
    }
}

/// Returns the run, without its times and status.
fn run(body: Body) -> Result<Notification, String> {
    let workflow = required(body.workflow, "workflow")?;
    let id = required(sound(workflow.id), "workflow.id")?;
    let project = required(body.project, "project")?;
    let (owner, name) = owner_and_name(&project, body.organization.as_ref())?;
    let (vcs, parameters) = body.pipeline.map_or((None, None), |it| (it.vcs, it.trigger_parameters));
    let (git, gitlab, github) = parameters.map_or((None, None, None), |it| (it.git, it.gitlab, it.github_app));
    let is_gitlab = gitlab.is_some();
    let provider = github.or(gitlab);

    let addresses = [
        vcs.as_ref().and_then(|vcs| vcs.target_repository_url.clone()),
        git.as_ref().and_then(|git| git.checkout_url.clone()),
        provider.as_ref().and_then(|provider| provider.repo_url.clone()),
        provider.as_ref().and_then(|provider| provider.web_url.clone()),
    ];
    let mut addresses = addresses.into_iter().flatten();
    let found = addresses.find_map(|address| Some((repository_at(Some(&address))?, address)));
    let (repository, address) = found.map_or((None, None), |(name, address)| (Some(name), Some(address)));
    let user = provider
        .as_ref()
        .and_then(|provider| sound(provider.user_username.clone()));
    let is_on = |server: &str| {
        let address = address.as_deref().unwrap_or_default();
        address.starts_with(&format!("git@{server}:"))
            || host(address).is_some_and(|host| host.starts_with(&format!("{server}/")))
    };
    // Projects on GitHub may have their parameters under the name of GitLab too.
    let (on_github, on_gitlab) = (is_on("github.com"), is_gitlab && !is_on("github.com"));

    let revisions = (
        vcs.as_ref().and_then(|vcs| vcs.revision.clone()),
        git.as_ref().and_then(|git| git.checkout_sha.clone()),
        provider.as_ref().and_then(|provider| provider.checkout_sha.clone()),
    );
    let tag = vcs
        .as_ref()
        .and_then(|vcs| vcs.tag.clone())
        .or_else(|| git.as_ref().and_then(|git| git.tag.clone()));
    let built = vcs
        .and_then(|vcs| vcs.branch)
        .or_else(|| git.and_then(|git| git.branch))
        .or_else(|| provider.and_then(|provider| provider.branch));
    // The branch of a fork's pull request is `pull/7`.
    let of_ref = built.as_deref().and_then(pull_request_of_ref);
    let pr_number = number(of_ref.and_then(|request| request.number.parse().ok()));
    let has_repository = repository.is_some();
    Ok(Notification {
        pipeline_name: Some(name.clone()),
        pipeline_source: Some("CircleCI".to_owned()),
        reference_id: Some(format!("circleci/{owner}/{name}/{id}")),
        repository,
        commit_sha: commit(revisions.0.or(revisions.1).or(revisions.2)).filter(|_| has_repository),
        pr_number: pr_number.filter(|_| has_repository),
        source_url: run_page(workflow.url, &id),
        head_branch: branch(built, tag.as_deref()),
        github_username: user.clone().filter(|_| on_github),
        gitlab_username: user.filter(|_| on_gitlab),
        ..Notification::default()
    })
}

/// Returns the values of `CIRCLE_PROJECT_USERNAME` and `CIRCLE_PROJECT_REPONAME`: the parts of the slug, or the names where the slug has ids.
fn owner_and_name(project: &Project, organization: Option<&Organization>) -> Result<(String, String), String> {
    let slug = required(project.slug.as_deref(), "project.slug")?;
    let parts: Vec<&str> = slug.splitn(3, '/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["circleci", ..] => {
            let owner = organization.and_then(|organization| organization.name.clone());
            let name = required(project.name.clone(), "project.name")?;
            Ok((required(owner, "organization.name")?, name))
        }
        [_, owner, name] => Ok(((*owner).to_owned(), (*name).to_owned())),
        _ => Err("project.slug does not have the form github/organization/name".to_owned()),
    }
}

/// Returns the page by the workflow's id, as in a job; on another server than CircleCI's, the given page.
fn run_page(given: Option<String>, id: &str) -> Option<String> {
    let given = page(given);
    let server = given.as_deref().and_then(host);
    let is_cloud = server.is_none_or(|host| host.split('/').next().is_some_and(|host| host.contains("circleci")));
    let made = format!("https://app.circleci.com/pipelines/workflows/{}", path_segment(id));
    if is_cloud { Some(made) } else { given }
}
