//! A row of `runs` as a summary.

use super::history::moment;
use super::sequence::stage_of;
use super::trouble::{Result, Trouble};
use crate::store::RunSummary;
use pipefold_sandbox::{Run, Status};
use rusqlite::Row;

/// The columns that [`summary`] reads, from `runs AS r` and `pipelines AS p`.
pub(super) const COLUMNS: &str = "r.id, p.name, r.counter, r.record, r.started, r.finished, r.first_arrived, r.last_arrived, \
     r.notifications, r.completion, r.waiting_since, r.place, r.status";

/// How many they are: the place of the first column behind them.
pub(super) const COUNT: usize = 13;

/// Their places, where code looks at one before it reads all.
pub(super) const ID: usize = 0;
pub(super) const PIPELINE: usize = 1;
pub(super) const RECORD: usize = 3;
pub(super) const PLACE: usize = 11;
pub(super) const STATUS: usize = 12;

/// Reads a row that was selected with [`COLUMNS`].
pub(super) fn summary(row: &Row<'_>) -> Result<RunSummary> {
    let id: i64 = row.get(ID)?;
    Ok(RunSummary {
        id: id.cast_unsigned(),
        stage_id: stage_of(id).cast_unsigned(),
        pipeline: row.get(PIPELINE)?,
        counter: row.get::<_, i64>(2)?.cast_unsigned(),
        record: record(row.get_ref(RECORD)?.as_str().map_err(rusqlite::Error::from)?)?,
        started: moment(row.get(4)?)?,
        finished: row.get::<_, Option<i64>>(5)?.map(moment).transpose()?,
        first_arrived: moment(row.get(6)?)?,
        last_arrived: moment(row.get(7)?)?,
        notifications: row.get(8)?,
        completion: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
        waiting_since: row.get::<_, Option<i64>>(10)?.map(moment).transpose()?,
    })
}

pub(super) fn record(text: &str) -> Result<Run> {
    serde_json::from_str(text).map_err(|e| Trouble::Content(format!("the record of a run does not read: {e}")))
}

/// A status as it is stored: its rank.
pub(super) fn rank(status: Status) -> i64 {
    status as i64
}

pub(super) fn status(rank: i64) -> Result<Status> {
    [
        Status::Unknown,
        Status::Running,
        Status::Success,
        Status::Cancelled,
        Status::Failure,
    ]
    .into_iter()
    .find(|status| *status as i64 == rank)
    .ok_or_else(|| Trouble::Content(format!("{rank} is no status")))
}

/// The column of `pipelines` that counts runs of this status.
pub(super) fn column(status: Status) -> &'static str {
    match status {
        Status::Unknown => "unknown",
        Status::Running => "running",
        Status::Success => "success",
        Status::Cancelled => "cancelled",
        Status::Failure => "failure",
    }
}
