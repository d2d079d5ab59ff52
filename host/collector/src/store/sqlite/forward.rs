//! What DX was not told yet.

use super::history::{KEYS_PER_RUN, key, moment};
use super::trouble::{Result, Trouble};
use crate::store::{Backlog, DxAnswer, Forwarded, Waiting, WaitingQuery};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// The most of DX's words that are kept.
const ANSWER_BYTES: usize = 4096;

pub(super) fn waiting(connection: &Connection, query: &WaitingQuery) -> Result<Vec<Waiting>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, reference_id, waiting_since, notifications, covered FROM runs \
         WHERE waiting_since >= ?1 AND (waiting_since > ?1 OR id > ?2) ORDER BY waiting_since, id LIMIT ?3",
    )?;
    let after = query.after.as_ref();
    let (since, id) = after.map_or((i64::MIN, 0), |after| {
        (after.since.timestamp_millis(), after.id.cast_signed())
    });
    let mut rows = statement.query([since, id, i64::from(query.limit)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Waiting {
            id: row.get::<_, i64>(0)?.cast_unsigned(),
            reference_id: row.get(1)?,
            since: moment(row.get(2)?)?,
            notifications: row.get(3)?,
            covered: row.get(4)?,
        });
    }
    Ok(found)
}

pub(super) fn backlog(connection: &Connection) -> Result<Backlog> {
    let (runs, since) = connection
        .prepare_cached("SELECT count(*), min(waiting_since) FROM runs WHERE waiting_since IS NOT NULL")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    Ok(Backlog {
        runs: runs.cast_unsigned(),
        since: since.map(moment).transpose()?,
    })
}

pub(super) fn forwarded(tx: &Transaction<'_>, forwarded: &Forwarded) -> Result<()> {
    let id = forwarded.id.cast_signed();
    let known = tx
        .prepare_cached("SELECT notifications, covered FROM runs WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?)))
        .optional()?;
    let Some((notifications, before)) = known else {
        return Ok(());
    };
    // Answers may overtake each other.
    let covered = forwarded.covered.min(notifications).max(before);
    let waiting_since: Option<i64> = if covered < notifications {
        // The first that is neither covered nor held: numbers begin with 0.
        tx.prepare_cached(
            "SELECT arrived FROM notifications WHERE key BETWEEN ?1 AND ?2 AND NOT held ORDER BY key LIMIT 1",
        )?
        .query_row([key(id, covered)?, key(id, KEYS_PER_RUN - 1)?], |row| row.get(0))
        .optional()?
    } else {
        None
    };
    tx.prepare_cached(
        "UPDATE runs SET covered = ?2, waiting_since = ?3, dx_answer = ifnull(?4, dx_answer), sent = ifnull(?5, sent) WHERE id = ?1",
    )?
    .execute(params![
        id,
        covered,
        waiting_since,
        forwarded.answer.as_ref().map(text).transpose()?,
        forwarded.sent
    ])?;
    Ok(())
}

fn text(answer: &DxAnswer) -> Result<String> {
    let mut end = answer.text.len().min(ANSWER_BYTES);
    while !answer.text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = DxAnswer {
        text: answer.text[..end].to_owned(),
        ..answer.clone()
    };
    serde_json::to_string(&kept).map_err(|e| Trouble::Content(format!("an answer of DX does not write: {e}")))
}
