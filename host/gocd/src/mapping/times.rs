//! When stages and attempts began and ended.

use chrono::SecondsFormat;

use super::history::{RunHistory, StageRun};
use super::warning::Warning;
use crate::documents::{Job, Timestamp};

/// A stage's run with its times.
#[derive(Clone, Debug)]
pub struct Timed<'h> {
    pub stage: &'h StageRun,
    /// When its first job was put into the queue.
    pub began: Option<Timestamp>,
    /// When it ended; none while it is under way, or if no document says.
    pub ended: Option<Timestamp>,
}

impl<'h> Timed<'h> {
    pub fn new(history: &RunHistory, stage: &'h StageRun, warnings: &mut Vec<Warning>) -> Self {
        let mut own: Vec<&Job> = Vec::new();
        for job in &stage.jobs {
            if is_of(job, history, stage) {
                own.push(job);
            } else {
                warnings.push(Warning::OtherJob { job: job.name.clone() });
            }
        }
        let completed = own.iter().filter_map(|job| job.completed()).max();
        Self {
            stage,
            began: own.iter().filter_map(|job| job.scheduled()).min(),
            ended: completed.or(stage.updated).filter(|_| !stage.state.is_active()),
        }
    }
}

/// Whether a job's document is about this run of the stage. Some spell the names as they were asked for.
fn is_of(job: &Job, history: &RunHistory, stage: &StageRun) -> bool {
    job.pipeline.name.is_same(&history.run.name)
        && job.pipeline.counter == history.run.counter
        && job.stage.name.is_same(&stage.name)
        && job.stage.counter == stage.counter
}

/// A time as DX is sent it: RFC 3339 in UTC, for one without a zone could be taken for anything.
pub fn sent(time: Timestamp) -> String {
    time.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
