//! Everything put together.

use super::append::fold_leftovers;
use super::connection;
use super::history::KEYS_PER_RUN;
use super::place::Place;
use super::readers::{APPENDS, PAGES, Readers};
use super::schema;
use super::sequence::Sequence;
use super::trouble::{Result, Trouble};
use super::writer::{Tools, Writer};
use crate::store::fold::contained;
use crate::store::{Fold, StoreError};
use rusqlite::Connection;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// How much a run may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Notifications of one run; at most 16,384.
    pub notifications_per_run: u32,
    /// Bytes of all their texts.
    pub text_bytes_per_run: u64,
}

impl Default for Limits {
    /// What the rules merge (DESIGN, section 3).
    fn default() -> Self {
        Self {
            notifications_per_run: 10_000,
            text_bytes_per_run: 8 * 1024 * 1024,
        }
    }
}

/// A store in one directory. See the [module](super).
///
/// Dropping it commits what waits, and then lets the directory go.
pub struct SqliteStore {
    pub(super) writer: Writer,
    pub(super) readers: Readers,
    pub(super) judges: Readers,
    pub(super) fold: Fold,
    pub(super) limits: Limits,
    threads: Vec<JoinHandle<()>>,
    writer_thread: Option<JoinHandle<()>>,
    path: PathBuf,
    /// The last to go: another server may begin then.
    _place: Place,
}

impl SqliteStore {
    /// Opens the store in the directory `dir`; makes it, mode 0700, if it is missing.
    ///
    /// A database that is refused is left as it was.
    ///
    /// # Errors
    /// [`StoreError::Place`], [`StoreError::InUse`], [`StoreError::NotOurs`], [`StoreError::TooNew`], [`StoreError::Corrupt`],
    /// [`StoreError::Locked`], [`StoreError::DiskFull`] or [`StoreError::Io`].
    pub fn open(dir: &Path, fold: Fold, limits: Limits) -> std::result::Result<Self, StoreError> {
        let place = Place::take(dir)?;
        let path = place.database()?;
        let fold = contained(fold);
        let limits = Limits {
            notifications_per_run: limits.notifications_per_run.min(KEYS_PER_RUN),
            ..limits
        };
        let told = |trouble: Trouble| trouble.told(&path);
        let (mut connection, sequence) = prepare(&path).map_err(told)?;
        let mut tools = Tools {
            sequence,
            fold: fold.clone(),
            limits,
        };
        fold_leftovers(&mut connection, &mut tools).map_err(told)?;
        let start = |pool| Readers::start(pool, path.clone(), || connection::reader(&path).map_err(told));
        let (readers, mut threads) = start(PAGES)?;
        let (judges, more) = start(APPENDS).inspect_err(|_| readers.close())?;
        threads.extend(more);
        let (writer, writer_thread) = Writer::start(connection, path.clone(), tools)
            .inspect_err(|_| {
                readers.close();
                judges.close();
            })
            .map_err(|e| super::place::io_failed("start a thread for", &path, &e))?;
        Ok(Self {
            writer,
            readers,
            judges,
            fold,
            limits,
            threads,
            writer_thread: Some(writer_thread),
            path,
            _place: place,
        })
    }

    /// The database.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens the database, and changes nothing before all that can be refused was looked at.
fn prepare(path: &Path) -> Result<(Connection, Sequence)> {
    let mut connection = connection::writer(path)?;
    schema::check(&connection, path)?;
    connection::may_write(&connection)?;
    schema::migrate(&mut connection, path)?;
    let sequence = Sequence::read(&connection)?;
    Ok((connection, sequence))
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // These first: they ask the writer.
        self.judges.close();
        self.readers.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
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
