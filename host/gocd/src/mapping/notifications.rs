//! A run's stages to attempts, and attempts to notifications.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use pipefold::detect::Person;
use pipefold_sandbox::{Notification, Status};

use super::facts::{Facts, facts};
use super::history::{RunHistory, StepJob, Steps, Timed, Warning, sent};
use super::settings::{LateStages, Mapping, Reruns};
use crate::Resource;
use crate::address::encode;
use crate::documents::{Job, JobState, Name, StageResult, StageState, Timestamp};

/// DX's name for the system.
const SOURCE: &str = "GoCD";

/// The trigger of a stage, from `approvedBy`.
enum Trigger<'a> {
    /// A change of a material, or the end of the stage before.
    Changes,
    /// The clock.
    Timer,
    /// A person, by GoCD's user name; `anonymous` where users do not log in.
    Person(&'a str),
}

impl<'a> Trigger<'a> {
    /// Parses `approvedBy`.
    fn parse(approved_by: &'a str) -> Self {
        match approved_by {
            "changes" => Self::Changes,
            "timer" | "CruiseTimer" => Self::Timer,
            name => Self::Person(name),
        }
    }
}

/// The notifications that a pipeline's run is mapped to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The attempts, the first first: each is a run of DX.
    pub attempts: Vec<Attempt>,
    /// The facts that the documents lack.
    pub warnings: Vec<Warning>,
}

/// The notifications of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The attempt's number, from 1.
    pub number: u32,
    /// The reference id in DX: `gocd/SERVER/PIPELINE/COUNTER`, from the second attempt on with `/attempt-N`.
    pub reference_id: String,
    /// The start, for the hook `pipeline-start`.
    pub start: Notification,
    /// The jobs, or stages without known jobs, for the hook `step`, in the order in which the stages ended.
    pub steps: Vec<Notification>,
    /// The end, for the hook `pipeline-finish`; `None` while the attempt has not ended.
    pub finish: Option<Notification>,
}

impl Mapping {
    /// Maps a pipeline's run. `now` is used for [`Reruns::Latest`] only.
    #[must_use]
    pub fn map(&self, history: &RunHistory, now: DateTime<Utc>) -> Mapped {
        let mut warnings = Vec::new();
        let parts = split(history, self.reruns, &mut warnings);
        let facts = facts(history, self.material.as_ref(), &mut warnings);
        let mut attempts = Vec::new();
        let mut number = 0;
        for part in &parts {
            number += 1;
            match started(history, part, number, &mut warnings) {
                Some(started) => attempts.push(self.attempt(history, part, number, started, &facts, now)),
                // It is reported once its first stage has ended: an earlier update does not show when it began.
                None if part.stages.iter().any(|timed| timed.stage.state.is_active()) => {}
                None => warnings.push(Warning::NoStart { attempt: number }),
            }
        }
        Mapped { attempts, warnings }
    }

    fn attempt(
        &self,
        history: &RunHistory,
        part: &Part<'_>,
        number: u32,
        started: Timestamp,
        facts: &Facts,
        now: DateTime<Utc>,
    ) -> Attempt {
        let run = &history.run;
        let suffix = if number > 1 {
            format!("/attempt-{number}")
        } else {
            String::new()
        };
        let reference_id = format!(
            "gocd/{}/{}/{}{suffix}",
            self.server_id(&run.name).as_str(),
            encode(run.name.as_str()),
            run.counter
        );
        let bare = Notification {
            pipeline_name: Some(run.name.as_str().to_owned()),
            pipeline_source: Some(SOURCE.to_owned()),
            reference_id: Some(reference_id.clone()),
            ..Notification::default()
        };
        let (email, github_username, gitlab_username) = match self.person(history, part, number, facts) {
            Some(Person::Email(address)) => (Some(address), None, None),
            Some(Person::Github(name)) => (None, Some(name), None),
            Some(Person::Gitlab(name)) => (None, None, Some(name)),
            None => (None, None, None),
        };
        let start = Notification {
            started_at: Some(sent(started)),
            status: Some(Status::Running.as_str().to_owned()),
            repository: facts.repository.clone(),
            commit_sha: facts.commit_sha.clone(),
            pr_number: facts.pr_number,
            head_branch: facts.head_branch.clone(),
            source_url: Some(self.pages.url(&Resource::ValueStreamMap(run.clone()))),
            email,
            github_username,
            gitlab_username,
            ..bare.clone()
        };
        let finish = self.outcome(history, part, now).map(|status| Notification {
            status: Some(status.as_str().to_owned()),
            finished_at: self.finished(part).filter(|finished| *finished >= started).map(sent),
            ..start.clone()
        });
        Attempt {
            number,
            reference_id,
            start,
            steps: steps(part, started, &bare),
            finish,
        }
    }

    /// Returns the attempt's status; `None` while it is unknown.
    fn outcome(&self, history: &RunHistory, part: &Part<'_>, now: DateTime<Utc>) -> Option<Status> {
        if part.stages.iter().any(|timed| timed.stage.state.is_active()) {
            return None;
        }
        if let Reruns::Latest { quiet } = self.reruns {
            let last = part.all.iter().filter_map(|timed| timed.ended).max();
            if last.is_some_and(|last| now.signed_duration_since(last) < quiet) {
                return None;
            }
        }
        // DX's priority of statuses, over stages: a stage's result covers its jobs.
        let status = part.stages.iter().map(|timed| status(timed)).max()?;
        let mut final_stages = self.final_stages.iter();
        let awaited = final_stages.find(|(pipeline, _)| pipeline.is_same(&history.run.name));
        let has_passed = |timed: &Timed<'_>| {
            awaited.is_some_and(|(_, stage)| stage.is_same(&timed.stage.name)) && status_is_success(timed)
        };
        let is_held = status == Status::Success && awaited.is_some() && !part.stages.iter().any(has_passed);
        (!is_held).then_some(status)
    }

    /// Returns the end of the attempt: by default before the first stage that waited for a person, as an approval days later would stretch
    /// the run. A stage whose approver may still come counts as such a one: DX keeps the latest end, so the end can be corrected to a later one
    /// only.
    fn finished(&self, part: &Part<'_>) -> Option<Timestamp> {
        let is_late = |timed: &Timed<'_>| {
            let approved_by = timed.stage.approved_by.as_deref();
            timed.stage.approver_may_come || matches!(approved_by.map(Trigger::parse), Some(Trigger::Person(_)))
        };
        let kept = match self.late_stages {
            LateStages::Extend => part.stages.len(),
            // The first is the one that the attempt began with.
            LateStages::Keep => part
                .stages
                .iter()
                .skip(1)
                .position(is_late)
                .map_or(part.stages.len(), |place| place + 1),
        };
        part.stages.iter().take(kept).filter_map(|timed| timed.ended).max()
    }

    /// Returns the person who started the attempt.
    fn person(&self, history: &RunHistory, part: &Part<'_>, number: u32, facts: &Facts) -> Option<Person> {
        let first = part.all.first()?.stage;
        let is_rerun = || {
            history
                .stages
                .iter()
                .any(|other| other.name.is_same(&first.name) && other.counter > first.counter)
        };
        // The pipeline's document has the trigger of the first stage's latest run.
        let of_pipeline = || {
            history
                .pipeline
                .as_ref()
                .filter(|_| number == 1 && !is_rerun())?
                .approved_by
                .as_deref()
        };
        let person = |text: &str| pipefold::detect::person(text, false);
        match Trigger::parse(first.approved_by.as_deref().or_else(of_pipeline)?) {
            Trigger::Changes => person(facts.committer.as_deref()?),
            Trigger::Timer => None,
            Trigger::Person(name) => person(self.users.get(name).unwrap_or(name)),
        }
    }
}

fn status_is_success(timed: &Timed<'_>) -> bool {
    status(timed) == Status::Success
}

fn status(timed: &Timed<'_>) -> Status {
    match (timed.stage.state, timed.stage.result) {
        // Failing: the failure is certain, the end is not, and until then no failure is reported.
        (StageState::Building | StageState::Failing, _) => Status::Running,
        (_, result) => result_status(result),
    }
}

fn result_status(result: StageResult) -> Status {
    match result {
        StageResult::Passed => Status::Success,
        StageResult::Failed => Status::Failure,
        StageResult::Cancelled => Status::Cancelled,
        StageResult::Unknown => Status::Unknown,
    }
}

/// Returns the start of an attempt: the time at which its first job was queued. Without jobs' times the first attempt started when the
/// pipeline was scheduled, unless that time is from a re-run; for any other attempt the end of its first stage is used.
fn started(history: &RunHistory, part: &Part<'_>, number: u32, warnings: &mut Vec<Warning>) -> Option<Timestamp> {
    if let Some(began) = part.all.iter().filter_map(|timed| timed.began).min() {
        return Some(began);
    }
    let first_end = part.all.iter().filter_map(|timed| timed.ended).min();
    let scheduled = history.pipeline.as_ref().and_then(|pipeline| pipeline.scheduled);
    match (scheduled.filter(|_| number == 1), first_end) {
        (Some(scheduled), Some(end)) if scheduled <= end => Some(scheduled),
        (Some(scheduled), None) => Some(scheduled),
        (_, end) => {
            if end.is_some() {
                warnings.push(Warning::ApproximateStart { attempt: number });
            }
            end
        }
    }
}

/// Returns the jobs as steps, and stages whose jobs are not known.
fn steps(part: &Part<'_>, started: Timestamp, bare: &Notification) -> Vec<Notification> {
    let mut steps = Vec::new();
    let mut before = None;
    for timed in &part.all {
        match &timed.steps {
            Steps::Stage => steps.push(stage_step(timed, before, started, bare)),
            Steps::Jobs(jobs) => steps.extend(jobs.iter().map(|job| job_step(timed, *job, bare))),
            Steps::Undecided => {}
        }
        before = Some(timed);
    }
    steps
}

/// Returns a job as a step. Its name is the same in every run of the stage, so that the latest one with the job decides. Without times of
/// its own it has none: a time made up might be later than the true one of a run that decides.
fn job_step(timed: &Timed<'_>, StepJob { job, is_own }: StepJob<'_>, bare: &Notification) -> Notification {
    let began = job.scheduled().filter(|_| is_own);
    let ended = job
        .completed()
        .filter(|ended| began.is_some_and(|began| *ended >= began));
    Notification {
        started_at: began.filter(|_| ended.is_some()).map(sent),
        finished_at: ended.map(sent),
        status: Some(job_status(job, timed.stage.state).as_str().to_owned()),
        step: Some(format!("{}/{}", timed.stage.name, job.name)),
        ..bare.clone()
    }
}

fn job_status(job: &Job, stage: StageState) -> Status {
    let has_ended = matches!(job.state, JobState::Completed | JobState::Discontinued);
    match result_status(job.result) {
        _ if stage.is_active() && !has_ended => Status::Running,
        status => status,
    }
}

/// Returns a stage as a step. Without jobs' times it started when the one before it ended, unless it waited for a person.
fn stage_step(timed: &Timed<'_>, before: Option<&Timed<'_>>, started: Timestamp, bare: &Notification) -> Notification {
    let approved_by = timed.stage.approved_by.as_deref();
    let has_waited = before.is_some() && matches!(approved_by.map(Trigger::parse), Some(Trigger::Person(_)));
    let own = timed.ended.or(timed.stage.updated);
    let before = before.map_or(Some(started), |before| before.ended);
    let began = timed
        .began
        .or(if has_waited { own } else { before.or(own) })
        .unwrap_or(started)
        .max(started);
    let ended = timed.ended.filter(|ended| *ended >= began);
    Notification {
        started_at: Some(sent(began)),
        finished_at: ended.map(sent),
        status: Some(status(timed).as_str().to_owned()),
        step: Some(timed.stage.name.as_str().to_owned()),
        ..bare.clone()
    }
}

/// The stages of one attempt.
struct Part<'h> {
    /// The stages that count, in the order in which they ended; one in progress is the last.
    stages: Vec<Timed<'h>>,
    /// All stages, also those that do not count: for the attempt's start.
    all: Vec<Timed<'h>>,
}

/// Splits a run into attempts by the order of completion. By the stages' counters alone, an attempt that starts with the second run of a
/// late stage and goes on with the first of the next could not be separated from its predecessor.
fn split<'h>(history: &'h RunHistory, reruns: Reruns, warnings: &mut Vec<Warning>) -> Vec<Part<'h>> {
    let all = in_order(history, warnings);
    if all.is_empty() {
        return Vec::new();
    }
    match reruns {
        Reruns::Merge => vec![Part {
            stages: all.clone(),
            all,
        }],
        Reruns::Latest { .. } => {
            let is_latest = |timed: &Timed<'_>| {
                let stage = timed.stage;
                !all.iter()
                    .any(|other| other.stage.name.is_same(&stage.name) && other.stage.counter > stage.counter)
            };
            vec![Part {
                stages: all.iter().filter(|timed| is_latest(timed)).cloned().collect(),
                all,
            }]
        }
        Reruns::Attempts => {
            let mut attempts: Vec<Vec<Timed<'h>>> = Vec::new();
            for timed in all {
                let holds = |attempt: &&mut Vec<Timed<'h>>| {
                    !attempt.iter().any(|other| other.stage.name.is_same(&timed.stage.name))
                };
                match attempts.last_mut().filter(holds) {
                    Some(attempt) => attempt.push(timed),
                    None => attempts.push(vec![timed]),
                }
            }
            attempts
                .into_iter()
                .map(|stages| Part {
                    all: stages.clone(),
                    stages,
                })
                .collect()
        }
    }
}

/// Returns the stages' runs that have a state or result, each once, in the order in which they ended.
fn in_order<'h>(history: &'h RunHistory, warnings: &mut Vec<Warning>) -> Vec<Timed<'h>> {
    let mut all: Vec<Timed<'h>> = Vec::new();
    for stage in &history.stages {
        if stage.state.is_active() || stage.result != StageResult::Unknown {
            all.push(Timed::new(history, stage, warnings));
        } else if stage.state == StageState::Completed {
            warnings.push(Warning::UnknownResult {
                stage: stage.name.clone(),
                counter: stage.counter,
            });
        }
    }
    // Of two entries for one run the latest comes first, and the other is removed.
    all.sort_by_cached_key(|timed| {
        let stage = timed.stage;
        (
            stage.name.as_str().to_ascii_lowercase(),
            stage.counter,
            Reverse(stage.updated),
            stage.state.is_active(),
        )
    });
    all.dedup_by(|one, other| one.stage.name.is_same(&other.stage.name) && one.stage.counter == other.stage.counter);
    let places = places(history);
    all.sort_by_key(|timed| {
        let stage = timed.stage;
        let place = places.iter().position(|name| name.is_same(&stage.name));
        // Only a stage in progress has not ended; one without a time goes after those with one.
        (
            stage.state.is_active(),
            timed.ended.is_none(),
            timed.ended,
            stage.id,
            place,
            stage.counter,
        )
    });
    all
}

/// Returns the stages in the order of the pipeline, if its document has it: the new dialect's links have their names.
fn places(history: &RunHistory) -> Vec<Name> {
    let stages = history.pipeline.iter().flat_map(|pipeline| pipeline.stage_resources());
    stages
        .filter_map(|resource| match resource {
            Resource::Stage(stage) => Some(stage.name),
            _ => None,
        })
        .collect()
}
