//! The threads that read.

use super::queue::{Full, Queue};
use super::trouble::Result;
use crate::store::{Answer, StoreError};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Threads that work on one queue.
#[derive(Clone, Copy)]
pub struct Pool {
    name: &'static str,
    threads: usize,
    /// Questions that wait.
    count: usize,
    /// Bytes that wait.
    weight: usize,
}

/// Questions for pages and feeds.
pub const PAGES: Pool = Pool {
    name: "store-reader",
    // A question takes a millisecond or a few, most of it in the processor; more threads than processors only help while one of them waits
    // for the disk.
    threads: 4,
    // With a millisecond each, the last one is answered within a tenth of a second.
    count: 512,
    weight: usize::MAX,
};

/// Appends to be judged. Its threads are its own: a question for a page may take long.
pub const APPENDS: Pool = Pool {
    name: "store-judge",
    // The writer keeps up with no more.
    threads: 2,
    count: super::writer::WAITING,
    weight: super::writer::WAITING_BYTES,
};

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The way to the threads that read.
#[derive(Clone)]
pub struct Readers {
    queue: Arc<Queue<Question>>,
    path: PathBuf,
}

impl Readers {
    /// Starts the threads. They end when the queue is closed and empty.
    pub fn start(
        pool: Pool,
        path: PathBuf,
        mut open: impl FnMut() -> std::result::Result<Connection, StoreError>,
    ) -> std::result::Result<(Self, Vec<JoinHandle<()>>), StoreError> {
        let queue: Arc<Queue<Question>> = Arc::new(Queue::new(pool.count, pool.weight));
        let readers = Self {
            queue: Arc::clone(&queue),
            path,
        };
        let mut handles = Vec::new();
        for _ in 0..pool.threads {
            let (queue, connection) = (Arc::clone(&queue), open()?);
            let spawned = std::thread::Builder::new().name(pool.name.into()).spawn(move || {
                while let Some(questions) = queue.pop_many(1) {
                    for question in questions {
                        question(&connection);
                    }
                }
            });
            match spawned {
                Ok(handle) => handles.push(handle),
                Err(e) => {
                    readers.close();
                    return Err(super::place::io_failed("start a thread for", &readers.path, &e));
                }
            }
        }
        Ok((readers, handles))
    }

    /// Has a question answered, from one consistent state of the database.
    pub fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> Answer<T> {
        self.ask_outside(move |connection| snapshot(connection, ask))
    }

    /// The same outside a transaction.
    pub fn ask_outside<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (asker, answer) = oneshot::channel();
        let path = self.path.clone();
        let question = move |connection: &Connection| {
            // The asker has gone, such as a browser whose window was closed.
            if asker.is_closed() {
                return;
            }
            let outcome = ask(connection).map_err(|trouble| trouble.into_store_error(&path));
            let _ = asker.send(outcome);
        };
        let queued = self.queue.push(Box::new(question), 0);
        Box::pin(async move {
            queued?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    /// Has something done in one of the threads, which no one waits for here. `weight` is roughly how many bytes it holds.
    pub fn spawn(
        &self,
        weight: usize,
        work: impl FnOnce(&Connection) + Send + 'static,
    ) -> std::result::Result<(), Full> {
        self.queue.push(Box::new(work), weight)
    }

    pub fn close(&self) {
        self.queue.close();
    }
}

/// Calls `ask` within one transaction: what it reads in several steps fits together.
pub fn snapshot<T>(connection: &Connection, ask: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let tx = connection.unchecked_transaction()?;
    let answer = ask(&tx)?;
    tx.commit()?;
    Ok(answer)
}
