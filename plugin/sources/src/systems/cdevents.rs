//! CDEvents 0.4 and 0.5 ("Continuous Delivery Core Events" in the specification): runs of pipelines and of tasks, in CloudEvents or by themselves.

use super::System;
use super::cloud_event::CloudEvent;
use crate::Notification;
use crate::event::{Event, Translated, ignored, one, other_event, required};
use crate::loose::fields;
use crate::outcome::Outcome;
use crate::time::Moment;
use crate::values::{host, page};

pub(super) const CDEVENTS: System = System {
    name: "cdevents",
    translate,
};

/// The name of a pipeline that an event of a task does not give. It is less than a name that begins with a letter or digit, which takes its place when an event of
/// the run gives it.
const UNKNOWN: &str = "(unknown pipeline)";

fields! {
    Data {
        context: Context,
        subject: Subject,
    }

    Context {
        source: String,
        #[serde(rename = "type")]
        kind: String,
        timestamp: Moment,
    }

    Subject {
        id: String,
        source: String,
        content: Content,
    }

    #[serde(rename_all = "camelCase")]
    Content {
        pipeline_name: String,
        task_name: String,
        pipeline_run: Reference,
        outcome: String,
        uri: String,
        /// The older name of `uri`.
        url: String,
    }

    #[serde(rename_all = "camelCase")]
    Reference {
        id: String,
        source: String,
        pipeline_name: String,
    }
}

fn translate(event: &Event<'_>) -> Translated {
    let CloudEvent {
        kind,
        source,
        time,
        data,
    } = CloudEvent::<Data>::read(event)?;
    let context = data.context.unwrap_or_default();
    let kind = required(context.kind.or(kind), "context.type")?;
    let parts = kind.strip_prefix("dev.cdevents.").and_then(|rest| rest.split_once('.'));
    let Some((of @ ("pipelinerun" | "taskrun"), rest)) = parts else {
        return other_event(&kind);
    };
    let predicate = rest.split('.').next().unwrap_or_default();
    let has_ended = match predicate {
        "started" => false,
        "finished" => true,
        "queued" => return ignored("it has not started"),
        _ => return other_event(&kind),
    };
    let at = required(context.timestamp.or(time), "context.timestamp")?;
    let subject = required(data.subject, "subject")?;
    let id = required(subject.id, "subject.id")?;
    let source = subject.source.or(context.source).or(source);
    let content = subject.content.unwrap_or_default();
    let outcome = match (has_ended, content.outcome.as_deref()) {
        (false, _) => Outcome::Running,
        (true, Some("success")) => Outcome::Success,
        (true, Some("failure" | "error")) => Outcome::Failure,
        (true, Some("cancel" | "canceled" | "cancelled")) => Outcome::Cancelled,
        (true, _) => Outcome::Ended,
    };
    let finished = Some(at).filter(|_| has_ended);
    if of == "pipelinerun" {
        let pipeline = required(content.pipeline_name, "subject.content.pipelineName")?;
        let run = Notification {
            source_url: page(content.uri.or(content.url)),
            ..names(pipeline, source.as_deref(), &id)?
        };
        // The end is taken for a start that is not known: of several starts the earliest counts, so that of the event `started` does, before or after.
        one(outcome.of(run, Some(at), finished))
    } else {
        let Some(run) = content.pipeline_run else {
            return ignored("the task is of no pipeline");
        };
        let source = run.source.or(source);
        let run_id = required(run.id, "subject.content.pipelineRun.id")?;
        let pipeline = run.pipeline_name.unwrap_or_else(|| UNKNOWN.to_owned());
        let step = Notification {
            step: Some(required(content.task_name, "subject.content.taskName")?),
            step_id: Some(id),
            ..names(pipeline, source.as_deref(), &run_id)?
        };
        // An end without a start would be of an execution before the one with a start, so that neither event gives one.
        one(outcome.of(step, None, finished))
    }
}

fn names(pipeline: String, source: Option<&str>, id: &str) -> Result<Notification, String> {
    let source = required(source.and_then(host), "context.source")?;
    Ok(Notification {
        pipeline_name: Some(pipeline),
        pipeline_source: Some("CDEvents".to_owned()),
        reference_id: Some(format!("cdevents/{source}/{id}")),
        ..Notification::default()
    })
}
