//! Tekton's CloudEvents ("Events in Tekton" in its documentation), with the notes of Pipelines-as-Code in a PipelineRun. Each event has the whole resource; they arrive
//! in any order.
//!
//! The names are those that the recipe for Tekton gives a run (`examples/ci/tekton`).

use super::System;
use super::cloud_event::CloudEvent;
use crate::Notification;
use crate::event::{Event, Translated, ignored, one, other_event, required};
use crate::loose::{Id, List, fields};
use crate::outcome::Outcome;
use crate::time::Moment;
use crate::values::{branch, commit, number_of, page, repository_at, repository_name, sound};

pub(super) const TEKTON: System = System {
    name: "tekton",
    translate,
};

fields! {
    #[serde(rename_all = "camelCase")]
    Data {
        pipeline_run: Resource,
        task_run: Resource,
    }

    Resource {
        metadata: Metadata,
        spec: Spec,
        status: Status,
    }

    #[serde(rename_all = "camelCase")]
    Metadata {
        name: String,
        namespace: String,
        uid: String,
        labels: Marks,
        annotations: Marks,
        owner_references: List<Owner>,
    }

    Owner {
        kind: String,
        name: String,
        uid: String,
    }

    /// Labels or annotations: Pipelines-as-Code has used both for the same.
    Marks {
        #[serde(rename = "tekton.dev/pipeline")]
        pipeline: String,
        #[serde(rename = "tekton.dev/pipelineRun")]
        run: String,
        #[serde(rename = "tekton.dev/pipelineRunUID")]
        run_uid: String,
        #[serde(rename = "tekton.dev/pipelineTask")]
        task: String,
        #[serde(rename = "pipelinesascode.tekton.dev/repo-url")]
        repository_url: String,
        #[serde(rename = "pipelinesascode.tekton.dev/url-org")]
        owner: String,
        #[serde(rename = "pipelinesascode.tekton.dev/url-repository")]
        repository: String,
        #[serde(rename = "pipelinesascode.tekton.dev/sha")]
        sha: String,
        #[serde(rename = "pipelinesascode.tekton.dev/source-branch")]
        source_branch: String,
        #[serde(rename = "pipelinesascode.tekton.dev/branch")]
        branch: String,
        #[serde(rename = "pipelinesascode.tekton.dev/pull-request")]
        pull_request: Id,
        #[serde(rename = "pipelinesascode.tekton.dev/sender")]
        sender: String,
        #[serde(rename = "pipelinesascode.tekton.dev/git-provider")]
        provider: String,
        #[serde(rename = "pipelinesascode.tekton.dev/log-url")]
        log: String,
    }

    #[serde(rename_all = "camelCase")]
    Spec {
        params: List<Param>,
        pipeline_ref: Reference,
        pipeline_spec: Embedded,
    }

    Param {
        name: String,
        value: Id,
    }

    Reference {
        name: String,
        params: List<Param>,
    }

    Embedded {}

    #[serde(rename_all = "camelCase")]
    Status {
        conditions: List<Condition>,
        start_time: Moment,
        completion_time: Moment,
    }

    #[serde(rename_all = "camelCase")]
    Condition {
        #[serde(rename = "type")]
        kind: String,
        status: String,
        reason: String,
        last_transition_time: Moment,
    }
}

fn translate(event: &Event<'_>) -> Translated {
    let CloudEvent { kind, data, .. } = CloudEvent::<Data>::read(event)?;
    let (resource, state) = match &kind {
        Some(kind) => {
            let parts = kind
                .strip_prefix("dev.tekton.event.")
                .and_then(|rest| rest.split_once('.'));
            let Some((resource @ ("pipelinerun" | "taskrun"), rest)) = parts else {
                return other_event(kind);
            };
            (resource, Some(rest.split('.').next().unwrap_or_default()))
        }
        None if data.pipeline_run.is_some() => ("pipelinerun", None),
        None if data.task_run.is_some() => ("taskrun", None),
        None => return ignored("it is about neither a PipelineRun nor a TaskRun"),
    };
    if resource == "pipelinerun" {
        pipeline_run(required(data.pipeline_run, "pipelineRun")?, state)
    } else {
        task_run(required(data.task_run, "taskRun")?, state)
    }
}

/// The state of a resource, by the type of the event, else by its condition.
struct Progress {
    outcome: Outcome,
    is_ignored: bool,
    finished: Option<Moment>,
}

impl Progress {
    fn of(state: Option<&str>, status: &Status) -> Self {
        let List(conditions) = match &status.conditions {
            Some(conditions) => conditions,
            None => &List(Vec::new()),
        };
        let of_success = |condition: &&Condition| condition.kind.as_deref() == Some("Succeeded");
        let condition = conditions.iter().find(of_success);
        let reason = condition
            .and_then(|condition| condition.reason.as_deref())
            .unwrap_or_default();
        let is = condition.and_then(|condition| condition.status.as_deref());
        let outcome = match (state, is) {
            (Some("queued"), _) => Outcome::Open,
            (Some("successful"), _) | (None, Some("True")) => Outcome::Success,
            (Some("failed"), _) | (None, Some("False")) if is_cancelled(reason) => Outcome::Cancelled,
            (Some("failed"), _) | (None, Some("False")) => Outcome::Failure,
            (None, None) if status.completion_time.is_some() => Outcome::Ended,
            _ if reason == "PipelineRunPending" => Outcome::Open,
            _ => Outcome::Running,
        };
        let since = condition.and_then(|condition| condition.last_transition_time);
        Self {
            outcome,
            is_ignored: reason == "FailureIgnored",
            finished: status.completion_time.or(since),
        }
    }
}

/// Returns true for the reason of a cancelled PipelineRun or TaskRun; older versions had the first one's for both.
fn is_cancelled(reason: &str) -> bool {
    matches!(reason, "Cancelled" | "PipelineRunCancelled" | "TaskRunCancelled")
}

fn pipeline_run(resource: Resource, state: Option<&str>) -> Translated {
    let metadata = resource.metadata.unwrap_or_default();
    let (spec, status) = (resource.spec.unwrap_or_default(), resource.status.unwrap_or_default());
    let progress = Progress::of(state, &status);
    if progress.outcome == Outcome::Open {
        return ignored("the PipelineRun has not started");
    }
    let name = required(metadata.name.as_deref(), "pipelineRun.metadata.name")?;
    let namespace = required(metadata.namespace.as_deref(), "pipelineRun.metadata.namespace")?;
    let uid = required(metadata.uid.as_deref(), "pipelineRun.metadata.uid")?;
    let labels = metadata.labels.unwrap_or_default();
    let annotations = metadata.annotations.unwrap_or_default();
    let Some(pipeline) = pipeline(&labels, &spec, name, progress.outcome) else {
        return ignored("the PipelineRun has not found its Pipeline yet");
    };
    let mut run = names(pipeline, namespace, name, uid);
    describe(&mut run, spec.params, annotations, labels);
    let started = required(status.start_time, "pipelineRun.status.startTime")?;
    one(progress.outcome.of(run, Some(started), progress.finished))
}

/// Returns the value of `context.pipeline.name`. Tekton sets the label when it has found the pipeline; a pipeline within the PipelineRun has its name.
fn pipeline(labels: &Marks, spec: &Spec, name: &str, outcome: Outcome) -> Option<String> {
    let named = labels.pipeline.clone();
    let named = named.or_else(|| spec.pipeline_ref.as_ref()?.name.clone());
    let named = named.or_else(|| spec.pipeline_spec.as_ref().map(|_| name.to_owned()));
    // A resolver may have found none: then the run ends with this event.
    named.or_else(|| {
        let of_resolver = param(spec.pipeline_ref.as_ref()?.params.as_ref(), "name");
        Some(of_resolver.unwrap_or_else(|| name.to_owned())).filter(|_| outcome.has_ended())
    })
}

fn names(pipeline: String, namespace: &str, run: &str, uid: &str) -> Notification {
    Notification {
        pipeline_name: Some(pipeline),
        pipeline_source: Some("Tekton".to_owned()),
        reference_id: Some(format!("tekton/{namespace}/{run}/{uid}")),
        ..Notification::default()
    }
}

fn param(params: Option<&List<Param>>, name: &str) -> Option<String> {
    let List(params) = params?;
    let found = params.iter().find(|param| param.name.as_deref() == Some(name))?;
    Some(found.value.as_ref()?.0.clone())
}

/// Adds repository, commit, branch, pull request and person: by the parameters of the recipe, else by the notes of Pipelines-as-Code.
fn describe(run: &mut Notification, params: Option<List<Param>>, notes: Marks, labels: Marks) {
    let given = |name| param(params.as_ref(), name);
    let path = || {
        let owner = notes.owner.clone().or(labels.owner.clone())?;
        let name = notes.repository.clone().or(labels.repository.clone())?;
        Some(format!("{owner}/{name}"))
    };
    let address = notes.repository_url.or(labels.repository_url);
    run.repository = repository_name(given("repository"))
        .or_else(|| repository_at(address.as_deref()))
        .or_else(path);
    run.commit_sha = commit(given("commit").or(notes.sha).or(labels.sha));
    let noted = notes.pull_request.or(labels.pull_request);
    run.pr_number = number_of(given("pull-request").map(Id).or(noted));
    let source = notes.source_branch.or(labels.source_branch);
    // Of a pull request it is the target.
    let target = notes.branch.or(labels.branch).filter(|_| run.pr_number.is_none());
    run.head_branch = branch(given("branch").or(source).or(target), None);
    run.source_url = page(given("url").or(notes.log).or(labels.log));
    let provider = notes.provider.or(labels.provider).unwrap_or_default();
    let sender = sound(notes.sender.or(labels.sender));
    run.github_username = sound(given("github-username")).or(sender.clone().filter(|_| provider.starts_with("github")));
    run.gitlab_username = sender.filter(|_| provider == "gitlab");
}

/// Translates a TaskRun: a step of the PipelineRun that owns it. A retry is the same TaskRun with a later start.
fn task_run(resource: Resource, state: Option<&str>) -> Translated {
    let metadata = resource.metadata.unwrap_or_default();
    let status = resource.status.unwrap_or_default();
    let labels = metadata.labels.unwrap_or_default();
    let List(owners) = metadata.owner_references.unwrap_or(List(Vec::new()));
    let owner = owners
        .into_iter()
        .find(|owner| owner.kind.as_deref() == Some("PipelineRun"));
    let owner = owner.unwrap_or_default();
    let Some(run) = owner.name.or(labels.run) else {
        return ignored("the TaskRun is of no PipelineRun");
    };
    let progress = Progress::of(state, &status);
    if progress.outcome == Outcome::Open {
        return ignored("the TaskRun has not started");
    }
    let uid = required(
        owner.uid.or(labels.run_uid),
        "the uid in taskRun.metadata.ownerReferences",
    )?;
    let namespace = required(metadata.namespace.as_deref(), "taskRun.metadata.namespace")?;
    let pipeline = required(labels.pipeline, "the label tekton.dev/pipeline")?;
    let name = required(metadata.name, "taskRun.metadata.name")?;
    let notification = Notification {
        // A matrix has several TaskRuns of one task.
        step: Some(labels.task.unwrap_or_else(|| name.clone())),
        step_id: Some(name),
        allowed_to_fail: progress.is_ignored,
        ..names(pipeline, namespace, &run, &uid)
    };
    one(progress.outcome.of(notification, status.start_time, progress.finished))
}
