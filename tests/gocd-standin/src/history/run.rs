//! One pipeline's run, invented.

use chrono::{DateTime, TimeDelta, Utc};
use pipefold_gocd::documents::{Counter, Name, StageResult};

use super::facts::{JOBS, PEOPLE};
use super::generate::{chance, pick};
use super::model::{JobRun, Moment, StageRun};
use fastrand::Rng;

/// A stage as the configuration has it.
pub(super) struct ConfiguredStage {
    pub(super) name: Name,
    pub(super) is_manual: bool,
    pub(super) jobs: &'static [&'static str],
}

impl ConfiguredStage {
    pub(super) fn invent(random: &mut Rng, name: Name, is_manual: bool) -> Self {
        let jobs = *pick(random, &JOBS);
        Self { name, is_manual, jobs }
    }
}

/// The odds of the events in a run.
#[derive(Clone, Copy)]
pub(super) struct Course {
    /// The most stages' runs.
    pub(super) length: usize,
    /// The percentage of runs in which a stage is run again after their end.
    pub(super) again: u64,
    /// The percentage of those re-runs that come months later.
    pub(super) months_later: u64,
    /// True if people approve stages within minutes.
    pub(super) is_brisk: bool,
}

/// The stages' runs of a run that begins at a time and was let go by somebody. Events get their places later.
pub(super) fn stages(
    random: &mut Rng,
    configured: &[ConfiguredStage],
    course: Course,
    begin: DateTime<Utc>,
    approver: &str,
) -> Vec<StageRun> {
    let mut stages: Vec<StageRun> = Vec::new();
    let mut place = 0;
    let mut time = begin;
    let mut approved_by = approver.to_owned();
    let mut only_failed = false;
    while let Some(stage) = configured.get(place).filter(|_| stages.len() < course.length) {
        let before = stages.iter().rev().find(|run| run.name == stage.name);
        let run = run_of(
            random,
            stage,
            before.filter(|_| only_failed),
            before,
            time,
            &approved_by,
        );
        let result = run.result(u64::MAX);
        let end = run.updated(u64::MAX);
        stages.push(run);
        only_failed = false;
        if result == StageResult::Passed
            && let Some(next) = configured.get(place + 1)
            && (!next.is_manual || chance(random, 65))
        {
            place += 1;
            if next.is_manual {
                let gap = if course.is_brisk || chance(random, 50) {
                    20
                } else {
                    3 * 86_400
                };
                time = end + seconds(random.u64(5..=60) * gap / 20);
                approved_by = pick(random, &PEOPLE).0.to_owned();
            } else {
                time = end + seconds(random.u64(0..=2));
                approved_by = "changes".to_owned();
            }
            continue;
        }
        if !chance(random, course.again) {
            break;
        }
        // Any stage that has run, from the last one on or from an earlier one.
        let last = place;
        place = random.usize(..=last);
        only_failed = place == last && result == StageResult::Failed && chance(random, 50);
        let gap = if chance(random, course.months_later) {
            random.u64(20..=100) * 86_400
        } else {
            random.u64(60..=3_000)
        };
        time = end + seconds(gap);
        approved_by = pick(random, &PEOPLE).0.to_owned();
    }
    stages
}

fn run_of(
    random: &mut Rng,
    stage: &ConfiguredStage,
    repeated: Option<&StageRun>,
    before: Option<&StageRun>,
    time: DateTime<Utc>,
    approved_by: &str,
) -> StageRun {
    let counter = before.map_or(1, |run| run.counter.get() + 1);
    let result = match random.u64(1..=100) {
        1..=70 => StageResult::Passed,
        71..=90 => StageResult::Failed,
        _ => StageResult::Cancelled,
    };
    let decisive = random.usize(..stage.jobs.len());
    let mut jobs = Vec::new();
    for (place, name) in stage.jobs.iter().enumerate() {
        let passed_before = |run: &&StageRun| run.jobs[place].result == StageResult::Passed;
        let copied = repeated.filter(passed_before);
        let result = match (copied, place == decisive) {
            (Some(_), _) => StageResult::Passed,
            (None, true) => result,
            // A stage that is cancelled may have failed jobs too, and is cancelled all the same.
            (None, false) if result == StageResult::Cancelled && chance(random, 30) => StageResult::Failed,
            (None, false) => StageResult::Passed,
        };
        let was_built = result != StageResult::Cancelled || chance(random, 50);
        let lasts = if copied.is_some() || chance(random, 5) {
            0
        } else if was_built {
            random.u64(9..=900)
        } else {
            random.u64(1..=30)
        };
        jobs.push(JobRun {
            id: 0,
            name: Name::new(name).unwrap_or_else(|why| panic!("{name}: {why}")),
            result,
            completed: Some(at(time + seconds(lasts))),
            was_built,
            is_copied: copied.is_some(),
        });
    }
    let has_been = |result| jobs.iter().any(|job: &JobRun| job.result == result);
    let cancelled_by = has_been(StageResult::Cancelled).then(|| pick(random, &PEOPLE).0.to_owned());
    StageRun {
        id: 0,
        name: stage.name.clone(),
        counter: Counter::new(counter).unwrap_or(Counter::FIRST),
        approved_by: approved_by.to_owned(),
        is_manual: stage.is_manual,
        cancelled_by,
        scheduled: at(time),
        jobs,
    }
}

/// A moment that has no place yet.
pub(super) fn at(time: DateTime<Utc>) -> Moment {
    Moment { event: 0, time }
}

pub(super) fn seconds(number: u64) -> TimeDelta {
    TimeDelta::seconds(i64::try_from(number).unwrap_or_default())
}
