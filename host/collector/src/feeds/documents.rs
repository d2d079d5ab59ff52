//! The documents of a pipeline, a stage and a job, and the pages that lead to those for people.

use super::answer;
use super::answer::{DocumentRefusal, elsewhere};
use super::instance::{APPROVED_BY, Instance, materials, result, time};
use super::visit::Visit;
use crate::page::run_page;
use crate::store::{Job as KeptJob, RunDetail, RunKey};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use pipefold_gocd::documents::{
    Job, JobLocator, JobStage, JobState, Name, Pipeline, Property, Stage, StageResult, StageState, Urn,
};
use pipefold_gocd::write;
use pipefold_sandbox::{Notification, Run};

pub async fn pipeline(visit: &Visit<'_>, key: RunKey) -> Result<Response, DocumentRefusal> {
    let run = visit.run(key).await?.summary;
    let instance = Instance::of(&run).ok_or(DocumentRefusal::NoSuch)?;
    let links = visit.links();
    let locator = &instance.stage.pipeline;
    let pipeline = Pipeline {
        name: locator.name.clone(),
        counter: locator.counter,
        label: Some(instance.label()),
        self_link: Some(links.pipeline(locator, run.id)),
        urn: Some(Urn::pipeline(locator)),
        // No reader follows these, and GoCD's own are wrong in the new dialect.
        inserted_before: None,
        inserted_after: None,
        scheduled: Some(instance.scheduled()),
        materials: materials(&instance, &links),
        stages: vec![links.stage(&instance.stage, run.stage_id)],
        approved_by: Some(APPROVED_BY.into()),
    };
    let body = write::pipeline(&pipeline, visit.dialect);
    Ok(answer::document(visit.dialect, visit.headers, body))
}

pub async fn stage(visit: &Visit<'_>, key: RunKey) -> Result<Response, DocumentRefusal> {
    let detail = visit.run(key).await?;
    let instance = Instance::of(&detail.summary).ok_or(DocumentRefusal::NoSuch)?;
    let links = visit.links();
    let jobs = detail.jobs.iter().filter_map(|job| {
        let locator = JobLocator {
            stage: instance.stage.clone(),
            name: job_name(job.step.as_deref())?,
        };
        Some(links.job(&locator, job.id))
    });
    let stage = Stage {
        name: instance.stage.name.clone(),
        counter: instance.stage.counter,
        self_link: Some(links.stage(&instance.stage, detail.summary.stage_id)),
        urn: Some(Urn::stage(&instance.stage)),
        pipeline: instance.pipeline(&links),
        updated: Some(instance.updated()),
        result: instance.result(),
        state: instance.state(),
        approved_by: Some(APPROVED_BY.into()),
        jobs: visit.within_bounds(jobs.collect(), |href| href.as_str()),
    };
    let body = write::stage(&stage, visit.dialect);
    Ok(answer::document(visit.dialect, visit.headers, body))
}

/// Redirects to the collector's own page of a run.
pub async fn to_run(visit: &Visit<'_>, path: &str, key: RunKey) -> Result<Response, DocumentRefusal> {
    let run = visit.run(key).await?.summary;
    let page = run_page(&run.record.reference_id);
    Ok(elsewhere(&relative(path, &page)))
}

/// Returns an address of this server relative to another (RFC 3986, section 4.2): right for callers of the listener and for those behind a
/// proxy, which may serve it below a path. Host and scheme are left out: clients stay on the one they called, and keep sending their
/// password there.
fn relative(from: &str, to: &str) -> String {
    let depth = from.matches('/').count().saturating_sub(1);
    format!("{}{}", "../".repeat(depth), to.trim_start_matches('/'))
}

pub async fn job_by_id(visit: &Visit<'_>, id: u64) -> Result<Response, DocumentRefusal> {
    let detail = visit.run(RunKey::Job(id)).await?;
    job(visit, &detail, |job, _| job.id == id).await
}

pub async fn job_by_name(visit: &Visit<'_>, asked: &JobLocator) -> Result<Response, DocumentRefusal> {
    let detail = visit.run(visit.key_of_stage(&asked.stage)?).await?;
    job(visit, &detail, |_, name| *name == asked.name).await
}

async fn job(
    visit: &Visit<'_>,
    detail: &RunDetail,
    is_asked: impl Fn(&KeptJob, &Name) -> bool,
) -> Result<Response, DocumentRefusal> {
    let instance = Instance::of(&detail.summary).ok_or(DocumentRefusal::NoSuch)?;
    let named = detail.jobs.iter().map(|job| (job, job_name(job.step.as_deref())));
    let mut jobs = named.filter_map(|(job, name)| Some((job, name?)));
    let (kept, name) = jobs
        .find(|(job, name)| is_asked(job, name))
        .ok_or(DocumentRefusal::NoSuch)?;
    let outcome = match &kept.step {
        None => JobOutcome::of_run(&instance),
        Some(step) => JobOutcome::of_step(&instance, folded(visit, detail, step).await),
    };
    let links = visit.links();
    let locator = JobLocator {
        stage: instance.stage.clone(),
        name,
    };
    let stage = &instance.stage;
    let mut pipeline = instance.pipeline(&links);
    // A job's document has no link to the pipeline.
    pipeline.href = None;
    let job = Job {
        self_link: Some(links.job(&locator, kept.id)),
        urn: Some(Urn::job(&locator)),
        pipeline,
        stage: JobStage {
            name: stage.name.clone(),
            counter: stage.counter,
            href: Some(links.stage(stage, detail.summary.stage_id)),
        },
        result: outcome.result,
        state: outcome.state,
        properties: outcome.properties(&instance, kept.id),
        agent: None,
        artifacts: Some(links.artifacts(&locator)),
        name: locator.name,
    };
    let body = write::job(&job, visit.dialect);
    Ok(answer::document(visit.dialect, visit.headers, body))
}

/// Folds the notifications of a step by DX's rule. `None` if the rules refuse.
async fn folded(visit: &Visit<'_>, detail: &RunDetail, step: &str) -> Option<Run> {
    let notifications = detail.received.iter().map(|received| &received.notification);
    let history: Vec<Notification> = notifications
        .filter(|notification| notification.step.as_deref() == Some(step))
        .cloned()
        .collect();
    let rules = visit.feeds.rules.clone();
    // In a thread of its own: thousands of notifications take some milliseconds.
    let merged = tokio::task::spawn_blocking(move || rules.merge(&history)).await;
    merged.ok()?.ok()
}

/// Result and times of a job.
struct JobOutcome {
    result: StageResult,
    state: JobState,
    began: Option<DateTime<Utc>>,
    ended: Option<DateTime<Utc>>,
}

impl JobOutcome {
    fn of_run(instance: &Instance<'_>) -> Self {
        Self {
            result: instance.result(),
            state: instance.job_state(),
            began: time(&instance.run.record.started_at),
            ended: instance.finish(),
        }
    }

    fn of_step(instance: &Instance<'_>, step: Option<Run>) -> Self {
        let result = step.as_ref().map_or(StageResult::Unknown, |step| result(step.status));
        let state = match (result, instance.state()) {
            (StageResult::Unknown, StageState::Completed) => JobState::Unknown,
            (StageResult::Unknown, _) => instance.job_state(),
            _ => JobState::Completed,
        };
        let ended = step.as_ref().and_then(|step| time(step.finished_at.as_deref()?));
        Self {
            result,
            state,
            began: step.as_ref().and_then(|step| time(&step.started_at)),
            // No job ends after its stage, as readers take the last end for the stage's.
            ended: ended.map(|ended| instance.finish().map_or(ended, |finish| ended.min(finish))),
        }
    }

    /// Returns the properties. GoCD records them when a job ends. Ours have the start from the beginning, so that a run in progress has the
    /// same start as later.
    fn properties(&self, instance: &Instance<'_>, id: u64) -> Vec<Property> {
        let exact = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let is_done = self.state == JobState::Completed;
        let ended = self.ended.filter(|_| is_done);
        let duration = self
            .began
            .zip(ended)
            .map(|(began, ended)| (ended - began).num_seconds());
        let all = [
            ("cruise_job_duration", duration.map(|seconds| seconds.to_string())),
            ("cruise_job_id", Some(id.to_string())),
            ("cruise_job_result", is_done.then(|| self.result.as_str().to_owned())),
            ("cruise_pipeline_counter", Some(instance.run.counter.to_string())),
            ("cruise_pipeline_label", Some(instance.label())),
            ("cruise_stage_counter", Some(instance.stage.counter.to_string())),
            ("cruise_timestamp_01_scheduled", self.began.map(exact)),
            ("cruise_timestamp_04_building", self.began.map(exact)),
            ("cruise_timestamp_06_completed", ended.map(exact)),
        ];
        let known = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known
            .map(|(name, value)| Property {
                name: name.to_owned(),
                value,
            })
            .collect()
    }
}

/// The job that is the run itself.
const OWN: &str = "run";

/// The suffix of such a step, as within a stage a name is one job's.
const OTHER: &str = "-step";

/// Returns the name of the job of a step, or of the run itself. `None` if XML cannot carry it.
fn job_name(step: Option<&str>) -> Option<Name> {
    let name = match step {
        None => Name::new(OWN),
        Some(step) if is_taken(step) => Name::new(&format!("{step}{OTHER}")),
        Some(step) => Name::new(step),
    };
    name.ok()
}

/// Returns true if a step's name is the run's own, or one that such a step gets instead.
fn is_taken(mut step: &str) -> bool {
    while let Some(rest) = step.strip_suffix(OTHER) {
        step = rest;
    }
    step == OWN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_is_as_long_as_the_way_down() {
        for (from, to, expected) in [
            ("/go/pipelines/web/1/run/1", "/runs/a%2Fb", "../../../../../runs/a%2Fb"),
            ("/go/x", "/runs/a", "../runs/a"),
            ("/x", "/runs/a", "runs/a"),
        ] {
            assert_eq!(relative(from, to), expected);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod job_tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let steps = [
            None,
            Some("run"),
            Some("run-step"),
            Some("run-step-step"),
            Some("-step"),
            Some("Run"),
            Some(" run"),
        ];
        let names: Vec<Name> = steps.iter().map(|step| job_name(*step).unwrap()).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name}");
        }
        assert_eq!((names[0].as_str(), names[1].as_str()), ("run", "run-step"));
        assert_eq!(job_name(Some("compile")).unwrap().as_str(), "compile");
        assert_eq!(job_name(Some("\u{ffff}")), None);
    }
}
