//! Notifications and their run, within a transaction.

use super::history::{key, moment, notifications, text_bytes};
use super::record;
use super::row::{COLUMNS, summary};
use super::sequence::stage_of;
use super::trouble::{Result, Trouble};
use super::writer::Tools;
use crate::store::{Append, Appended, RunSummary, StoreError};
use pipefold_sandbox::{Notification, Run};
use rusqlite::{OptionalExtension, Transaction, params};

/// A run with more notifications than this is folded in a thread of its own: folding takes a time that grows with their number, and all
/// other appends wait for it. So many take about a millisecond.
pub(super) const FOLDED_AT_ONCE: u32 = 200;

/// A run that is there already.
struct Known {
    run: RunSummary,
    pipeline: i64,
    text_bytes: u64,
}

/// How many of the last notifications that a run may have are for those that say how it ended: one in so many.
const FOR_THE_END: u32 = 100;

/// Keeps notifications. Everything that can be refused is refused before the first change.
pub(super) fn append(tx: &Transaction<'_>, tools: &mut Tools, append: &Append) -> Result<Appended> {
    let mut names = ("", "");
    let mut bodies = Vec::with_capacity(append.notifications.len());
    for kept in append.notifications.iter().rev() {
        let notification = &kept.notification;
        names = (
            named(&notification.reference_id, "reference_id")?,
            named(&notification.pipeline_name, "pipeline_name")?,
        );
        let body = serde_json::to_string(notification)
            .map_err(|e| Trouble::Content(format!("a notification does not write: {e}")))?;
        bodies.push(body);
    }
    let (reference_id, pipeline) = names;
    let appended = match find(tx, reference_id)? {
        Some(known) => again(tx, tools, append, known)?,
        None => first(tx, tools, append, pipeline)?,
    };
    let run = appended.run.id.cast_signed();
    let before = appended.run.notifications.saturating_sub(count(append));
    for ((number, kept), body) in (before..).zip(&append.notifications).zip(bodies.into_iter().rev()) {
        tx.prepare_cached(
            "INSERT INTO notifications (key, arrived, token, body, by_policies, held) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            key(run, number)?,
            append.arrived.timestamp_millis(),
            append.token,
            body,
            kept.by_policies,
            kept.held,
        ])?;
        if let Some(step) = kept.notification.step.as_deref().filter(|step| !step.is_empty()) {
            job(tx, tools, run, step)?;
        }
    }
    Ok(appended)
}

fn count(append: &Append) -> u32 {
    u32::try_from(append.notifications.len()).unwrap_or(u32::MAX)
}

fn bytes(append: &Append) -> u64 {
    append
        .notifications
        .iter()
        .map(|kept| text_bytes(&kept.notification))
        .sum()
}

/// Whether any of them is a reason to tell DX.
fn is_news(append: &Append) -> bool {
    append.notifications.iter().any(|kept| !kept.held)
}

/// Whether they say how the run ended.
fn is_end(append: &Append) -> bool {
    append.notifications.iter().all(|kept| {
        let notification = &kept.notification;
        let is_over = |status: &String| !matches!(status.trim(), "" | "unknown" | "running");
        notification.step.is_none()
            && (notification.finished_at.is_some() || notification.status.as_ref().is_some_and(is_over))
    })
}

fn named<'a>(field: &'a Option<String>, name: &'static str) -> Result<&'a str> {
    match field.as_deref() {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(StoreError::NoName(name).into()),
    }
}

fn find(tx: &Transaction<'_>, reference_id: &str) -> Result<Option<Known>> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT {COLUMNS}, r.pipeline, r.text_bytes FROM runs AS r JOIN pipelines AS p ON p.id = r.pipeline WHERE r.reference_id = ?1"
    ))?;
    let mut rows = statement.query([reference_id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Known {
        run: summary(row)?,
        pipeline: row.get(13)?,
        text_bytes: row.get::<_, i64>(14)?.cast_unsigned(),
    }))
}

/// The first notifications of a run.
fn first(tx: &Transaction<'_>, tools: &mut Tools, append: &Append, pipeline: &str) -> Result<Appended> {
    if !append.access.may_write(pipeline) {
        return Err(StoreError::Foreign.into());
    }
    let text_bytes = room(tools, 0, 0, append)?;
    let history: Vec<_> = append
        .notifications
        .iter()
        .map(|kept| kept.notification.clone())
        .collect();
    let record = fold(tools, &history)?;

    let now = append.arrived.timestamp_millis();
    let (pipeline_id, counter) = next_counter(tx, pipeline, now)?;
    let id = tools.sequence.run();
    let arrived = moment(now)?;
    let mut run = RunSummary {
        id: id.cast_unsigned(),
        stage_id: stage_of(id).cast_unsigned(),
        pipeline: pipeline.to_owned(),
        counter: counter.cast_unsigned(),
        record,
        started: arrived,
        finished: None,
        first_arrived: arrived,
        last_arrived: arrived,
        notifications: count(append),
        completion: None,
        waiting_since: is_news(append).then_some(arrived),
    };
    record::insert(tx, pipeline_id, &mut run, text_bytes, tools)?;
    job(tx, tools, id, "")?;
    Ok(Appended { run, is_new: true })
}

/// Further notifications.
fn again(tx: &Transaction<'_>, tools: &mut Tools, append: &Append, known: Known) -> Result<Appended> {
    let Known {
        mut run,
        pipeline,
        text_bytes: before,
    } = known;
    if !append.access.may_write(&run.pipeline) {
        return Err(StoreError::Foreign.into());
    }
    let text_bytes = room(tools, run.notifications, before, append)?;
    let id = run.id.cast_signed();
    let record = if run.notifications < FOLDED_AT_ONCE {
        let mut history = notifications(tx, id)?;
        history.extend(append.notifications.iter().map(|kept| kept.notification.clone()));
        Some(fold(tools, &history)?)
    } else {
        None
    };

    run.notifications += count(append);
    // The clock may have jumped back.
    run.last_arrived = run.last_arrived.max(moment(append.arrived.timestamp_millis())?);
    // With a record, all are folded; else as many as before.
    tx.prepare_cached(
        "UPDATE runs SET last_arrived = ?2, notifications = ?3, text_bytes = ?4, folded = ifnull(?5, folded) WHERE id = ?1",
    )?
    .execute(params![
        id,
        run.last_arrived.timestamp_millis(),
        run.notifications,
        (before + text_bytes).cast_signed(),
        record.as_ref().map(|_| run.notifications),
    ])?;
    if run.waiting_since.is_none() && is_news(append) {
        run.waiting_since = Some(run.last_arrived);
        tx.prepare_cached("UPDATE runs SET waiting_since = ?2 WHERE id = ?1")?
            .execute([id, run.last_arrived.timestamp_millis()])?;
    }
    if let Some(record) = record {
        record::replace(tx, pipeline, &mut run, record, tools)?;
    }
    Ok(Appended { run, is_new: false })
}

/// Whether there is room for them beside what a run has; their bytes. The last of it is for what says how the run ended: without that it
/// would go on for ever.
fn room(tools: &Tools, notifications: u32, text: u64, append: &Append) -> Result<u64> {
    let mut most = (tools.limits.notifications_per_run, tools.limits.text_bytes_per_run);
    if !is_end(append) {
        most.0 -= most.0 / FOR_THE_END;
        most.1 -= most.1 / u64::from(FOR_THE_END);
    }
    let more = bytes(append);
    if notifications.saturating_add(count(append)) > most.0 || text + more > most.1 {
        return Err(StoreError::HistoryFull {
            notifications,
            bytes: text,
        }
        .into());
    }
    Ok(more)
}

fn fold(tools: &Tools, history: &[Notification]) -> Result<Run> {
    (tools.fold)(history).map_err(|error| Trouble::Told(error.into()))
}

/// The pipeline's number, and the counter of its next run.
fn next_counter(tx: &Transaction<'_>, pipeline: &str, now: i64) -> Result<(i64, i64)> {
    let known = tx
        .prepare_cached(
            "UPDATE pipelines SET last_counter = last_counter + 1 WHERE name = ?1 RETURNING id, last_counter",
        )?
        .query_row([pipeline], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    tx.prepare_cached("INSERT INTO pipelines (name, last_counter, last_changed) VALUES (?1, 1, ?2)")?
        .execute(params![pipeline, now])?;
    Ok((tx.last_insert_rowid(), 1))
}

/// Gives a step its id, unless it has one.
fn job(tx: &Transaction<'_>, tools: &mut Tools, run: i64, step: &str) -> Result<()> {
    let known = tx
        .prepare_cached("SELECT 1 FROM jobs WHERE run = ?1 AND name = ?2")?
        .exists(params![run, step])?;
    if !known {
        tx.prepare_cached("INSERT INTO jobs (id, run, name) VALUES (?1, ?2, ?3)")?
            .execute(params![tools.sequence.one(), run, step])?;
    }
    Ok(())
}
