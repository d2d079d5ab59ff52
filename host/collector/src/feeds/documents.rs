//! The documents of a pipeline, a stage and a job, and the pages that lead to those for people.

use super::answer;
use super::answer::{DocumentRefusal, elsewhere};
use super::instance::{APPROVED_BY, Instance, materials, result, time};
use super::visit::Visit;
use crate::page::run_page;
use crate::store::{RunDetail, RunKey};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use pipefold_gocd::documents::{
    Job, JobLocator, JobStage, JobState, Name, Pipeline, Property, Stage, StageResult, StageState, Urn,
};
use pipefold_gocd::write;
use pipefold_sandbox::Job as KeptJob;
use std::collections::HashSet;

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
    let jobs = named(&detail).into_iter().map(|(id, name, _)| {
        let stage = instance.stage.clone();
        links.job(&JobLocator { stage, name }, id)
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
    job(visit, &detail, |job, _| job == id).await
}

pub async fn job_by_name(visit: &Visit<'_>, asked: &JobLocator) -> Result<Response, DocumentRefusal> {
    let detail = visit.run(visit.key_of_stage(&asked.stage)?).await?;
    job(visit, &detail, |_, name| *name == asked.name).await
}

async fn job(
    visit: &Visit<'_>,
    detail: &RunDetail,
    is_asked: impl Fn(u64, &Name) -> bool,
) -> Result<Response, DocumentRefusal> {
    let instance = Instance::of(&detail.summary).ok_or(DocumentRefusal::NoSuch)?;
    let (id, name, kept) = named(detail)
        .into_iter()
        .find(|(id, name, _)| is_asked(*id, name))
        .ok_or(DocumentRefusal::NoSuch)?;
    let outcome = match kept {
        None => JobOutcome::of_run(&instance),
        Some(job) => JobOutcome::of_job(&instance, job),
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
        self_link: Some(links.job(&locator, id)),
        urn: Some(Urn::job(&locator)),
        pipeline,
        stage: JobStage {
            name: stage.name.clone(),
            counter: stage.counter,
            href: Some(links.stage(stage, detail.summary.stage_id)),
        },
        result: outcome.result,
        state: outcome.state,
        properties: outcome.properties(&instance, id),
        agent: None,
        artifacts: Some(links.artifacts(&locator)),
        name: locator.name,
    };
    let body = write::job(&job, visit.dialect);
    Ok(answer::document(visit.dialect, visit.headers, body))
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

    fn of_job(instance: &Instance<'_>, job: &KeptJob) -> Self {
        let result = result(job.status);
        let state = match (result, instance.state()) {
            (StageResult::Unknown, StageState::Completed) => JobState::Unknown,
            (StageResult::Unknown, _) => instance.job_state(),
            _ => JobState::Completed,
        };
        let ended = job.finished_at.as_deref().and_then(time);
        Self {
            result,
            state,
            began: job.started_at.as_deref().and_then(time),
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

/// The suffix of a job that has the name of the run itself.
const OTHER: &str = "-step";

/// Returns the jobs of a run in the order in which they appeared, each with its id and its name, which is one job's within a stage: the run
/// itself first, which has no job, and each job under its name, or else under its `reference_id`. A name that XML cannot carry is left out.
fn named(detail: &RunDetail) -> Vec<(u64, Name, Option<&KeptJob>)> {
    let jobs = detail.jobs.iter().map(|kept| (kept.id, Some(&kept.job)));
    let mut taken = HashSet::new();
    let named = std::iter::once((detail.own_job, None))
        .chain(jobs)
        .filter_map(|(id, job)| {
            let name = match job {
                None => OWN.to_owned(),
                Some(job) => {
                    let spare = [format!("{}{OTHER}", job.name), format!("{}-{id}", job.name)];
                    let names = [&job.name, &job.reference_id].into_iter().chain(&spare);
                    names.into_iter().find(|name| !taken.contains(*name))?.clone()
                }
            };
            taken.insert(name.clone());
            Some((id, Name::new(&name).ok()?, job))
        });
    named.collect()
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

    fn detail(jobs: &[(&str, &str)]) -> RunDetail {
        let record = serde_json::from_str(
            r#"{"pipeline_name":"p","pipeline_source":"s","reference_id":"r","started_at":"2025-01-01T12:05:00Z"}"#,
        );
        let jobs = jobs
            .iter()
            .zip(7..)
            .map(|((reference_id, name), id)| crate::store::KeptJob {
                id,
                job: KeptJob {
                    reference_id: (*reference_id).into(),
                    name: (*name).into(),
                    status: pipefold_sandbox::Status::Success,
                    started_at: None,
                    finished_at: None,
                },
                assumed: false,
                by_policies: false,
                held: false,
                waiting_since: None,
                sent: None,
            });
        RunDetail {
            summary: crate::store::RunSummary {
                id: 4,
                stage_id: 5,
                pipeline: "p".into(),
                counter: 1,
                record: record.unwrap(),
                started: DateTime::default(),
                finished: None,
                first_arrived: DateTime::default(),
                last_arrived: DateTime::default(),
                notifications: 1,
                completion: None,
                waiting_since: None,
            },
            received: Vec::new(),
            own_job: 6,
            jobs: jobs.collect(),
            beside: (None, None),
            forwarding: crate::store::Forwarding::default(),
        }
    }

    #[test]
    fn no_two_are_the_same() {
        let same = |name: &'static str| (name, name);
        let jobs = [
            "run",
            "run-step",
            "run-step-step",
            "-step",
            "Run",
            " run",
            "compile",
            "\u{ffff}",
        ]
        .map(same);
        let others = [("b/1", "build"), ("b/2", "build"), ("build", "b/2"), ("x", "b/1")];
        let detail = detail(&[&jobs[..], &others].concat());
        let names: Vec<String> = named(&detail)
            .into_iter()
            .map(|(_, name, _)| name.as_str().to_owned())
            .collect();
        assert_eq!(
            names,
            [
                "run",
                "run-step",
                "run-step-step",
                "run-step-step-step",
                "-step",
                "Run",
                " run",
                "compile",
                "build",
                "b/2",
                "b/2-step",
                "b/1"
            ]
        );
    }
}
