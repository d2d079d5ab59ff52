//! The notifications of a run.

use super::trouble::{Result, Trouble};
use crate::store::Received;
use chrono::{DateTime, Utc};
use pipefold_sandbox::Notification;
use rusqlite::{Connection, Row};

/// How many keys a run has. More than the notifications that a run may have, and a power of two, to be seen in a hex dump.
pub(super) const KEYS_PER_RUN: u32 = 16_384;

/// The key of a run's notification; the first is number 0.
pub(super) fn key(run: i64, number: u32) -> Result<i64> {
    run.checked_mul(i64::from(KEYS_PER_RUN))
        .and_then(|first| first.checked_add(i64::from(number)))
        .ok_or_else(|| Trouble::Content(format!("there is a run with the number {run}")))
}

/// A moment as it is stored.
pub(super) fn moment(ms: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms).ok_or_else(|| Trouble::Content(format!("{ms} is no time")))
}

/// The notifications of a run, in their order.
pub(super) fn notifications(connection: &Connection, run: i64) -> Result<Vec<Notification>> {
    each(connection, run, body)
}

/// The same with where they came from and when.
pub(super) fn received(connection: &Connection, run: i64) -> Result<Vec<Received>> {
    each(connection, run, |row| {
        Ok(Received {
            notification: body(row)?,
            by_policies: row.get(3)?,
            held: row.get(4)?,
            token: row.get(1)?,
            arrived: moment(row.get(2)?)?,
        })
    })
}

fn each<T>(connection: &Connection, run: i64, read: impl Fn(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(
        "SELECT body, token, arrived, by_policies, held FROM notifications WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    )?;
    let mut rows = statement.query([key(run, 0)?, key(run, KEYS_PER_RUN - 1)?])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn body(row: &Row<'_>) -> Result<Notification> {
    let body = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
    serde_json::from_str(body).map_err(|e| Trouble::Content(format!("a notification does not read: {e}")))
}

/// Bytes of all texts, which is what the rules bound (DESIGN, section 3).
pub(super) fn text_bytes(notification: &Notification) -> u64 {
    // Without `..`: a field that is added must be thought of here.
    let Notification {
        pipeline_name,
        pipeline_source,
        reference_id,
        started_at,
        finished_at,
        status,
        repository,
        commit_sha,
        pr_number: _,
        source_url,
        head_branch,
        email,
        github_username,
        gitlab_username,
        step,
        allowed_to_fail: _,
        urgent: _,
    } = notification;
    [
        pipeline_name,
        pipeline_source,
        reference_id,
        started_at,
        finished_at,
        status,
        repository,
        commit_sha,
        source_url,
        head_branch,
        email,
        github_username,
        gitlab_username,
        step,
    ]
    .into_iter()
    .flatten()
    .map(|text| text.len() as u64)
    .sum()
}
