//! The threads that read.

use super::queue::{Full, Queue};
use super::trouble::Result;
use crate::store::{Answer, StoreError};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use tokio::sync::oneshot;

/// How many threads read. A question takes a millisecond or a few, most of it in the processor; more than a machine has processors only
/// help while one of them waits for the disk.
const THREADS: usize = 4;

/// How many questions wait. With a millisecond each, the last one is answered within a tenth of a second.
const WAITING: usize = 512;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The way to the threads that read.
#[derive(Clone)]
pub(super) struct Readers {
    queue: Arc<Queue<Question>>,
    path: PathBuf,
}

impl Readers {
    /// Starts the threads. They end when the queue is closed and empty.
    pub(super) fn start(
        path: PathBuf,
        mut open: impl FnMut() -> std::result::Result<Connection, StoreError>,
    ) -> std::result::Result<(Self, Vec<JoinHandle<()>>), StoreError> {
        let queue: Arc<Queue<Question>> = Arc::new(Queue::new(WAITING, usize::MAX));
        let readers = Self {
            queue: Arc::clone(&queue),
            path,
        };
        let mut handles = Vec::new();
        for _ in 0..THREADS {
            let (queue, connection) = (Arc::clone(&queue), open()?);
            let spawned = std::thread::Builder::new().name("store-reader".into()).spawn(move || {
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
    pub(super) fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        self.ask_outside(move |connection| snapshot(connection, ask))
    }

    /// The same outside a transaction.
    pub(super) fn ask_outside<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (asker, answer) = oneshot::channel();
        let path = self.path.clone();
        let question = move |connection: &Connection| {
            // Whoever asked has gone, such as a browser whose window was closed.
            if asker.is_closed() {
                return;
            }
            let outcome = ask(connection).map_err(|trouble| trouble.told(&path));
            let _ = asker.send(outcome);
        };
        let queued = self.queue.push(Box::new(question), 0);
        Box::pin(async move {
            queued.map_err(|full| match full {
                Full::Busy => StoreError::Busy,
                Full::Closed => StoreError::Closed,
            })?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    pub(super) fn close(&self) {
        self.queue.close();
    }
}

/// Calls `ask` within one transaction: what it reads in several steps fits together.
fn snapshot<T>(connection: &Connection, ask: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let tx = connection.unchecked_transaction()?;
    let answer = ask(&tx)?;
    tx.commit()?;
    Ok(answer)
}

/// Waits for an answer where there is no runtime to do so.
pub(super) fn wait<T>(mut answer: Answer<T>) -> std::result::Result<T, StoreError> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park(),
        }
    }
}
