//! Runs too long to be folded within an append.

use super::history::notifications;
use super::record;
use super::row::{COLUMNS, summary};
use super::trouble::Result;
use super::writer::Writer;
use crate::store::{Fold, FoldError};
use pipefold_sandbox::Run;
use rusqlite::{Connection, params};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Between two looks: a run that gets notifications all the time is folded five times a second, and not each time.
const PAUSE: Duration = Duration::from_millis(200);

/// Before what could not be folded is tried again, if nothing else happens: the rules may have had no time on a busy machine.
const RETRY: Duration = Duration::from_secs(10);

/// The thread that folds them.
pub(super) struct Folder {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) fold: Fold,
    pub(super) writer: Writer,
    /// Set when the store closes: what is left then is folded after the next start.
    pub(super) stop: Arc<AtomicBool>,
}

impl Folder {
    /// Works until the other end of `bell` is dropped; each ring says that there may be something to do.
    pub(super) fn run(self, bell: &Receiver<()>) {
        // What a server that was killed left unfolded.
        let mut done = self.fold_all();
        loop {
            let rung = if done {
                bell.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                bell.recv_timeout(RETRY)
            };
            if rung == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            std::thread::sleep(PAUSE);
            done = self.fold_all();
        }
    }

    /// Whether all could be folded.
    fn fold_all(&self) -> bool {
        self.try_fold_all().unwrap_or_else(|trouble| {
            tracing::warn!("could not look for runs to fold: {}", trouble.told(&self.path));
            false
        })
    }

    fn try_fold_all(&self) -> Result<bool> {
        let (mut done, mut after) = (true, 0_i64);
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(done);
            }
            let next = self
                .connection
                .prepare_cached("SELECT id FROM runs WHERE folded < notifications AND id > ?1 ORDER BY id LIMIT 1")?
                .query_map([after], |row| row.get(0))?
                .next()
                .transpose()?;
            let Some(run) = next else { return Ok(done) };
            after = run;
            let history = notifications(&self.connection, run)?;
            match (self.fold)(&history) {
                // Of exactly these; there may be more by now.
                Ok(record) => self.store(run, u32::try_from(history.len()).unwrap_or(u32::MAX), record),
                Err(error) => {
                    done = false;
                    let why = match error {
                        // Their words may repeat what a notification says.
                        FoldError::Refused(_) => "the rules refuse it".to_owned(),
                        FoldError::Failed(why) => why,
                    };
                    tracing::warn!(
                        "run {run} could not be folded, and is listed as it was before its latest notifications: {why}"
                    );
                }
            }
        }
    }

    fn store(&self, id: i64, folded: u32, record: Run) {
        let answer = self.writer.ask(0, move |tx, tools| {
            let found = {
                let mut statement = tx.prepare_cached(&format!(
                    "SELECT {COLUMNS}, r.pipeline FROM runs AS r JOIN pipelines AS p ON p.id = r.pipeline WHERE r.id = ?1 AND r.folded < ?2"
                ))?;
                let mut rows = statement.query(params![id, folded])?;
                match rows.next()? {
                    Some(row) => Some((summary(row)?, row.get::<_, i64>(13)?)),
                    None => None,
                }
            };
            if let Some((mut run, pipeline)) = found {
                tx.prepare_cached("UPDATE runs SET folded = ?2 WHERE id = ?1")?.execute(params![id, folded])?;
                record::replace(tx, pipeline, &mut run, record.clone(), tools)?;
            }
            Ok(())
        });
        // One at a time, so that appends go in between.
        if let Err(why) = super::readers::wait(answer) {
            tracing::warn!("run {id} is listed as it was before its latest notifications: {why}");
        }
    }
}
