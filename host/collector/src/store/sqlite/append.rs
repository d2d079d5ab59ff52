//! Notifications and their run: folded beside the writer, kept within a transaction.

use super::place::{Result, Trouble};
use super::rows;
use super::rows::{COLUMNS, COUNT, RunLimits, Tools, key, moment, notifications, stage_of, summary, text_bytes};
use crate::store::{Append, Appended, Fold, Folded, RunSummary, StoreError};
use pipefold_sandbox::Notification;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// The share of a run's room that is kept for notifications of its end: one in this many.
const FOR_THE_END: u32 = 100;

/// Notifications that can be stored, with the run that they lead to.
pub struct Judged {
    new: New,
    /// The run that they were folded with: its id, and the number of its notifications.
    base: Option<(u64, u32)>,
    folded: Folded,
}

/// Notifications to be stored.
struct New {
    append: Append,
    /// The notifications as they are stored.
    bodies: Vec<String>,
    text_bytes: u64,
    /// True if they report the run's end.
    is_end: bool,
}

/// A stored run.
struct Known {
    run: RunSummary,
    pipeline: i64,
    text_bytes: u64,
    parts: Parts,
}

/// The notifications that stand for all of a run.
enum Parts {
    /// Its record alone.
    Record,
    /// These notifications, as JSON.
    Some(String),
    /// All its notifications: an older version stored it.
    History,
}

/// Folds notifications with their run. All refusals happen here, or in [`keep`] before its first change.
pub fn judge(connection: &Connection, fold: &Fold, limits: RunLimits, append: Append) -> Result<Judged> {
    let new = New::of(append)?;
    let known = find(connection, new.reference_id())?;
    Ok(Judged {
        folded: new.fold_with(known.as_ref(), connection, fold, limits)?,
        base: known.as_ref().map(Known::version),
        new,
    })
}

impl New {
    fn of(append: Append) -> Result<Self> {
        let all = || append.notifications.iter().map(|kept| &kept.notification);
        Ok(Self {
            bodies: all().map(json).collect::<Result<_>>()?,
            text_bytes: all().map(text_bytes).sum(),
            is_end: all().all(reports_the_end),
            append,
        })
    }

    /// Folds them with a run, or as a new one.
    fn fold_with(
        &self,
        known: Option<&Known>,
        connection: &Connection,
        fold: &Fold,
        limits: RunLimits,
    ) -> Result<Folded> {
        if known.is_some_and(|known| !self.append.access.may_write(&known.run.pipeline)) {
            return Err(StoreError::Foreign.into());
        }
        let (notifications, text) = known.map_or((0, 0), |known| (known.run.notifications, known.text_bytes));
        self.room(limits, notifications, text)?;
        let mut all = known.map_or_else(|| Ok(Vec::new()), |known| known.parts(connection))?;
        all.extend(self.append.notifications.iter().map(|kept| kept.notification.clone()));
        let folded = fold(&all).map_err(|error| Trouble::Store(error.into()))?;
        // After the rules, whose messages about missing fields say more.
        for kept in &self.append.notifications {
            named(&kept.notification.reference_id, "reference_id")?;
            named(&kept.notification.pipeline_name, "pipeline_name")?;
        }
        if known.is_none() && !self.append.access.may_write(self.pipeline()) {
            return Err(StoreError::Foreign.into());
        }
        Ok(folded)
    }

    /// Checks that there is room for them beside a run's notifications. The last of it is for the run's end: without that it would go on
    /// for ever.
    fn room(&self, limits: RunLimits, notifications: u32, text: u64) -> Result<()> {
        let mut most = (limits.notifications_per_run, limits.text_bytes_per_run);
        if !self.is_end {
            most.0 -= most.0 / FOR_THE_END;
            most.1 -= most.1 / u64::from(FOR_THE_END);
        }
        if notifications.saturating_add(self.count()) > most.0 || text.saturating_add(self.text_bytes) > most.1 {
            return Err(StoreError::HistoryFull {
                notifications,
                bytes: text,
            }
            .into());
        }
        Ok(())
    }

    fn count(&self) -> u32 {
        u32::try_from(self.append.notifications.len()).unwrap_or(u32::MAX)
    }

    /// Returns true if any of them is a reason to send the run to DX.
    fn is_news(&self) -> bool {
        self.append.notifications.iter().any(|kept| !kept.held)
    }

    fn reference_id(&self) -> &str {
        self.of_first(|first| &first.reference_id)
    }

    fn pipeline(&self) -> &str {
        self.of_first(|first| &first.pipeline_name)
    }

    fn of_first(&self, field: impl Fn(&Notification) -> &Option<String>) -> &str {
        let first = self.append.notifications.first();
        first
            .and_then(|kept| field(&kept.notification).as_deref())
            .unwrap_or_default()
    }
}

impl Known {
    /// Returns the id and the number of notifications: they change with every append.
    fn version(&self) -> (u64, u32) {
        (self.run.id, self.run.notifications)
    }

    fn parts(&self, connection: &Connection) -> Result<Vec<Notification>> {
        match &self.parts {
            Parts::Record => Ok(vec![self.run.record.clone().into()]),
            Parts::Some(text) => {
                serde_json::from_str(text).map_err(|e| Trouble::Content(format!("the parts of a run do not read: {e}")))
            }
            Parts::History => notifications(connection, self.run.id.cast_signed()),
        }
    }
}

/// Stores notifications. If their run has others since they were folded, they are folded again.
pub fn keep(tx: &Transaction<'_>, tools: &mut Tools, judged: &Judged) -> Result<Appended> {
    let new = &judged.new;
    let known = find(tx, new.reference_id())?;
    let folded = if judged.base == known.as_ref().map(Known::version) {
        judged.folded.clone()
    } else {
        new.fold_with(known.as_ref(), tx, &tools.fold, tools.limits)?
    };
    let before = known.as_ref().map_or(0, |known| known.run.notifications);
    let appended = match known {
        Some(known) => again(tx, tools, new, folded, known)?,
        None => first(tx, tools, new, folded)?,
    };
    let run = appended.run.id.cast_signed();
    for ((number, kept), body) in (before..).zip(&new.append.notifications).zip(&new.bodies) {
        tx.prepare_cached(
            "INSERT INTO notifications (key, arrived, token, body, by_policies, held) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            key(run, number)?,
            new.append.arrived.timestamp_millis(),
            new.append.token,
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

/// Folds the runs that an older version left unfolded. A run that cannot be folded stays as it was.
pub fn fold_leftovers(connection: &mut Connection, tools: &mut Tools) -> Result<()> {
    let left = connection
        .prepare("SELECT id FROM runs WHERE folded < notifications")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<Vec<i64>, _>>()?;
    for id in left {
        let history = notifications(connection, id)?;
        let folded = match (tools.fold)(&history) {
            Ok(folded) => folded,
            Err(why) => {
                // The message of a refusal may repeat text of a notification.
                let why = StoreError::from(why);
                let why = if why.is_about_request() {
                    "the rules refuse it".to_owned()
                } else {
                    why.to_string()
                };
                tracing::warn!("run {id} is listed without its latest notifications: {why}");
                continue;
            }
        };
        let tx = connection.transaction()?;
        if let Some(Known { mut run, pipeline, .. }) = find_by(&tx, "r.id = ?1", &id)? {
            tx.execute(
                "UPDATE runs SET folded = notifications, parts = ?2 WHERE id = ?1",
                params![id, stored(&folded)?],
            )?;
            rows::replace(&tx, pipeline, &mut run, folded.record, tools)?;
            tools.sequence.write(&tx)?;
        }
        tx.commit()?;
    }
    Ok(())
}

/// Returns true if a notification reports the run's end.
fn reports_the_end(notification: &Notification) -> bool {
    let is_over = |status: &String| !matches!(status.trim(), "" | "unknown" | "running");
    notification.step.is_none()
        && (notification.finished_at.is_some() || notification.status.as_ref().is_some_and(is_over))
}

fn named<'a>(field: &'a Option<String>, name: &'static str) -> Result<&'a str> {
    match field.as_deref() {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(StoreError::NoName(name).into()),
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Trouble::Content(format!("a notification does not write: {e}")))
}

/// Returns the parts as they are stored.
fn stored(folded: &Folded) -> Result<String> {
    match &folded.parts[..] {
        [part] if *part == Notification::from(folded.record.clone()) => Ok(String::new()),
        parts => json(&parts),
    }
}

fn find(connection: &Connection, reference_id: &str) -> Result<Option<Known>> {
    find_by(connection, "r.reference_id = ?1", &reference_id)
}

fn find_by(connection: &Connection, condition: &str, value: &dyn ToSql) -> Result<Option<Known>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, r.pipeline, r.text_bytes, r.parts FROM runs AS r JOIN pipelines AS p ON p.id = r.pipeline WHERE {condition}"
    ))?;
    let mut rows = statement.query([value])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let parts: Option<String> = row.get(COUNT + 2)?;
    Ok(Some(Known {
        run: summary(row)?,
        pipeline: row.get(COUNT)?,
        text_bytes: row.get::<_, i64>(COUNT + 1)?.cast_unsigned(),
        parts: match parts {
            Some(text) if text.is_empty() => Parts::Record,
            Some(text) => Parts::Some(text),
            None => Parts::History,
        },
    }))
}

/// Stores the first notifications of a run.
fn first(tx: &Transaction<'_>, tools: &mut Tools, new: &New, folded: Folded) -> Result<Appended> {
    let now = new.append.arrived.timestamp_millis();
    let (pipeline_id, counter) = next_counter(tx, new.pipeline(), now)?;
    let id = tools.sequence.run();
    let arrived = moment(now)?;
    let parts = stored(&folded)?;
    let mut run = RunSummary {
        id: id.cast_unsigned(),
        stage_id: stage_of(id).cast_unsigned(),
        pipeline: new.pipeline().to_owned(),
        counter: counter.cast_unsigned(),
        record: folded.record,
        started: arrived,
        finished: None,
        first_arrived: arrived,
        last_arrived: arrived,
        notifications: new.count(),
        completion: None,
        waiting_since: new.is_news().then_some(arrived),
    };
    rows::insert(tx, pipeline_id, &mut run, new.text_bytes, &parts, tools)?;
    job(tx, tools, id, "")?;
    Ok(Appended { run, is_new: true })
}

/// Stores further notifications of a run.
fn again(tx: &Transaction<'_>, tools: &mut Tools, new: &New, folded: Folded, known: Known) -> Result<Appended> {
    let Known {
        mut run,
        pipeline,
        text_bytes,
        parts: _,
    } = known;
    run.notifications += new.count();
    // The clock may have jumped back.
    run.last_arrived = run.last_arrived.max(moment(new.append.arrived.timestamp_millis())?);
    if run.waiting_since.is_none() && new.is_news() {
        run.waiting_since = Some(run.last_arrived);
    }
    tx.prepare_cached(
        "UPDATE runs SET last_arrived = ?2, notifications = ?3, folded = ?3, text_bytes = ?4, parts = ?5, waiting_since = ?6 WHERE id = ?1",
    )?
    .execute(params![
        run.id.cast_signed(),
        run.last_arrived.timestamp_millis(),
        run.notifications,
        (text_bytes + new.text_bytes).cast_signed(),
        stored(&folded)?,
        run.waiting_since.map(|since| since.timestamp_millis()),
    ])?;
    rows::replace(tx, pipeline, &mut run, folded.record, tools)?;
    Ok(Appended { run, is_new: false })
}

/// Returns the pipeline's id, and the counter of its next run.
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
