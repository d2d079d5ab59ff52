//! The store on one machine: SQLite, with one thread that writes and a few that read.
//!
//! An append waits in a queue, and is answered after the commit that has it. While one commit waits for the disk the next ones gather, so
//! that many callers share each wait (group commit). Readers see the last commit and never wait for the writer (WAL). Before that a
//! notification is judged and folded in a thread beside the writer, with the record that stands for all others of its run, and a job with
//! its stored state. Only if the run or the job has changed meanwhile is it folded again in the transaction.
//!
//! - `place`: the data directory, its lock, the names of its files, and errors. `database`: SQLite's settings, the tables, and migrations.
//! - `readers`: the threads that read and judge, and their queue. `writer`: the thread that writes.
//! - `append`: notifications and their run. `recent`: the runs that were written last. `jobs`: jobs of a run. `older`: content of older
//!   versions. `rows`: rows as values, and back. `weight`: the bytes of texts.
//! - `list`: runs newest first, by a `filter`. `questions`: one run, pipelines and feeds. `statistics`: pipelines in numbers, of which
//!   `overviews` keeps some.
//! - `upkeep`: what DX does not know yet, retention, and backups.

mod append;
mod database;
mod filter;
mod jobs;
mod list;
mod older;
mod overviews;
mod place;
mod questions;
mod readers;
mod recent;
mod rows;
mod statistics;
#[cfg(test)]
mod tests;
mod upkeep;
mod way;
mod weight;
mod writer;

pub use place::{DATABASE_FILE, LOCK_FILE, data_directory};
pub use rows::RunLimits;
pub use upkeep::backup;

use self::append::Judging;
use self::older::{fold_leftovers, fold_steps};
use self::overviews::Overviews;
use self::place::{Place, Result, Trouble};
use self::readers::{APPENDS, PAGES, Pool, Readers, snapshot};
use self::recent::RunsInTransaction;
use self::rows::{KEYS_PER_RUN, Sequence, Tools};
use self::writer::Writer;
use super::run::contained;
use super::{
    Answer, Append, Appended, Backlog, FeedQuery, Fold, Forwarded, History, HistoryQuery, JobForwarded, Names,
    Outgoing, OverviewQuery, Page, PipelineNow, PipelineQuery, PipelineSummary, Retention, RunDetail, RunKey, RunQuery,
    RunSummary, StaleQuery, Store, StoreError, Waiting, WaitingQuery,
};
use crate::access::Access;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A store in one directory. See the [module](self).
///
/// Dropping it commits what waits, and then unlocks the directory.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    judges: Readers,
    judging: Judging,
    overviews: Arc<Overviews>,
    threads: Vec<JoinHandle<()>>,
    writer_thread: Option<JoinHandle<()>>,
    path: PathBuf,
    /// Dropped last: another server may start then.
    _place: Place,
}

impl SqliteStore {
    /// Opens the store in the directory `dir`, which is made with mode 0700 if it is missing.
    ///
    /// A database that is refused is left as it was.
    ///
    /// # Errors
    /// [`StoreError::Place`], [`StoreError::InUse`], [`StoreError::NotOurs`], [`StoreError::TooNew`], [`StoreError::Corrupt`],
    /// [`StoreError::Locked`], [`StoreError::DiskFull`] or [`StoreError::Io`].
    pub fn open(dir: &Path, fold: Fold, limits: RunLimits) -> Result<Self, StoreError> {
        let place = Place::take(dir)?;
        let path = place.database()?;
        let fold = contained(fold);
        let limits = RunLimits {
            notifications_per_run: limits.notifications_per_run.min(KEYS_PER_RUN),
            ..limits
        };
        let failed = |trouble: Trouble| trouble.into_store_error(&path);
        let (mut connection, sequence) = prepare(&path).map_err(failed)?;
        let overviews = Arc::<Overviews>::default();
        let judging = Judging {
            fold: fold.clone(),
            limits,
            recent: Arc::default(),
        };
        let mut tools = Tools {
            sequence,
            fold,
            limits,
            changed: Vec::new(),
            recent: RunsInTransaction::over(Arc::clone(&judging.recent)),
            overviews: Arc::clone(&overviews),
        };
        fold_leftovers(&mut connection, &mut tools).map_err(failed)?;
        fold_steps(&mut connection, &tools).map_err(failed)?;
        let start = |pool: Pool| {
            Readers::start(pool, path.clone(), || {
                database::reader(&path, pool.cache_kib).map_err(failed)
            })
        };
        let (readers, mut threads) = start(PAGES)?;
        let (judges, more) = start(APPENDS).inspect_err(|_| readers.close())?;
        threads.extend(more);
        let (writer, writer_thread) = Writer::start(connection, path.clone(), tools)
            .inspect_err(|_| {
                readers.close();
                judges.close();
            })
            .map_err(|e| place::io_failed("start a thread for", &path, &e))?;
        Ok(Self {
            writer,
            readers,
            judges,
            judging,
            overviews,
            threads,
            writer_thread: Some(writer_thread),
            path,
            _place: place,
        })
    }

    /// Returns the path of the database.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens the database, and changes nothing before all checks passed.
fn prepare(path: &Path) -> Result<(Connection, Sequence)> {
    let mut connection = database::writer(path)?;
    database::check(&connection, path)?;
    database::may_write(&connection)?;
    database::migrate(&mut connection, path)?;
    let sequence = Sequence::read(&connection)?;
    Ok((connection, sequence))
}

/// Gives the room of removed runs back to the system, in steps between which others write.
async fn shrink(writer: &Writer) -> Result<(), StoreError> {
    while writer.ask(0, |tx, _| upkeep::shrink(tx)).await? {}
    Ok(())
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // These first: they call the writer.
        self.judges.close();
        self.readers.close();
        for thread in self.threads.drain(..) {
            // A panic was reported by its thread.
            let _ = thread.join();
        }
        self.writer.close();
        if let Some(thread) = self.writer_thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    fn append(&self, append: Append) -> Answer<Appended> {
        // The texts, and their containers.
        let texts = append
            .notifications
            .iter()
            .map(|kept| weight::text_bytes(&kept.notification));
        let of_jobs = append.jobs.iter().map(|new| weight::job_bytes(&new.job));
        let weight = texts.chain(of_jobs).map(|bytes| bytes as usize + 1024).sum();
        let (asker, answer) = oneshot::channel();
        let (writer, judging, path) = (self.writer.clone(), self.judging.clone(), self.path().to_owned());
        let queued = self.judges.spawn(weight, move |connection| {
            match append::judge(connection, &judging, append) {
                Ok(judged) => writer.ask_for(asker, weight, move |tx, tools| append::keep(tx, tools, &judged)),
                // The caller may have gone.
                Err(trouble) => drop(asker.send(Err(trouble.into_store_error(&path)))),
            }
        });
        Box::pin(async move {
            queued?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    fn runs(&self, query: RunQuery) -> Answer<Page> {
        self.readers.ask(move |connection| list::runs(connection, &query))
    }

    fn names(&self, access: Access) -> Answer<Names> {
        self.readers.ask(move |connection| list::names(connection, &access))
    }

    fn find(&self, key: RunKey) -> Answer<Option<RunSummary>> {
        self.readers
            .ask(move |connection| questions::summary_of(connection, &key))
    }

    fn run(&self, key: RunKey) -> Answer<Option<RunDetail>> {
        self.readers.ask(move |connection| questions::run(connection, &key))
    }

    fn outgoing(&self, id: u64) -> Answer<Option<Outgoing>> {
        self.readers.ask(move |connection| questions::outgoing(connection, id))
    }

    fn pipelines(&self, query: PipelineQuery) -> Answer<Vec<PipelineSummary>> {
        self.readers
            .ask(move |connection| questions::pipelines(connection, &query))
    }

    fn pipeline(&self, name: String) -> Answer<Option<PipelineSummary>> {
        self.readers
            .ask(move |connection| questions::pipeline(connection, &name))
    }

    fn overview(&self, query: OverviewQuery) -> Answer<Vec<Arc<PipelineNow>>> {
        let overviews = Arc::clone(&self.overviews);
        self.readers.ask_outside(move |connection| {
            let reading = overviews.reading();
            snapshot(connection, |connection| {
                statistics::overview(connection, &reading, &query)
            })
        })
    }

    fn history(&self, query: HistoryQuery) -> Answer<Option<Arc<History>>> {
        let overviews = Arc::clone(&self.overviews);
        self.readers.ask_outside(move |connection| {
            let reading = overviews.reading();
            snapshot(connection, |connection| {
                statistics::history(connection, &reading, &query)
            })
        })
    }

    fn flaky(&self, runs: Vec<u64>) -> Answer<BTreeSet<u64>> {
        self.readers.ask(move |connection| statistics::flaky(connection, &runs))
    }

    fn attempts(&self, run: u64) -> Answer<Vec<RunSummary>> {
        self.readers
            .ask(move |connection| statistics::attempts(connection, run))
    }

    fn completed(&self, query: FeedQuery) -> Answer<Vec<RunSummary>> {
        self.readers
            .ask(move |connection| questions::completed(connection, &query))
    }

    fn waiting(&self, query: WaitingQuery) -> Answer<Vec<Waiting>> {
        self.readers.ask(move |connection| upkeep::waiting(connection, &query))
    }

    fn backlog(&self) -> Answer<Backlog> {
        self.readers.ask(upkeep::backlog)
    }

    fn forwarded(&self, forwarded: Forwarded) -> Answer<()> {
        self.writer
            .ask(0, move |tx, tools| upkeep::forwarded(tx, tools, &forwarded))
    }

    fn jobs_forwarded(&self, run: u64, jobs: Vec<JobForwarded>) -> Answer<()> {
        self.writer.ask(0, move |tx, tools| {
            upkeep::jobs_forwarded(tx, tools, run.cast_signed(), &jobs)
        })
    }

    fn stale(&self, query: StaleQuery) -> Answer<Vec<RunSummary>> {
        self.readers.ask(move |connection| upkeep::stale(connection, query))
    }

    fn retain(&self, retention: Retention) -> Answer<u64> {
        let writer = self.writer.clone();
        Box::pin(async move {
            let (mut removed, mut after) = (0, Some(0));
            while let Some(begin) = after {
                let step = writer
                    .ask(0, move |tx, tools| upkeep::retain(tx, tools, retention, begin))
                    .await?;
                removed += step.removed;
                after = step.next;
            }
            shrink(&writer).await?;
            Ok(removed)
        })
    }

    fn remove(&self, runs: Vec<u64>) -> Answer<u64> {
        let writer = self.writer.clone();
        Box::pin(async move {
            let mut removed = 0;
            for some in runs.chunks(upkeep::AT_ONCE as usize) {
                let some = some.to_owned();
                removed += writer
                    .ask(0, move |tx, tools| upkeep::remove_all(tx, tools, &some))
                    .await?;
            }
            shrink(&writer).await?;
            Ok(removed)
        })
    }

    fn ready(&self) -> Answer<()> {
        let room = place::room(self.path());
        let written = self.writer.ask(0, |tx, tools| tools.sequence.write(tx));
        Box::pin(async move {
            // A disk without room for a notification may still take this small write.
            room?;
            written.await
        })
    }

    fn backup(&self, to: PathBuf) -> Answer<()> {
        self.readers
            .ask_outside(move |connection| upkeep::write(connection, &to))
    }
}
