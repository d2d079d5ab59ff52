//! The thread that writes.

use super::place::{Result, Trouble};
use super::readers::{BATCH, Queue, WAITING, WAITING_BYTES};
use super::rows::Tools;
use crate::store::{Answer, StoreError};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A change within a transaction, together with others.
trait Change: Send {
    /// Makes the change. An error of the request alone leaves the transaction as it was; any other undoes all of the transaction, and the
    /// change may be made again in another one.
    fn apply(&mut self, tx: &Transaction<'_>, tools: &mut Tools) -> Result<()>;
    /// Answers the caller, after the transaction's end.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Receiver of an answer.
type Asker<T> = oneshot::Sender<Result<T, StoreError>>;

struct Asked<T, F> {
    act: F,
    outcome: Option<Result<T, StoreError>>,
    asker: Asker<T>,
}

impl<T: Send + 'static, F: FnMut(&Transaction<'_>, &mut Tools) -> Result<T> + Send + 'static> Asked<T, F> {
    fn boxed(act: F, asker: Asker<T>) -> Box<dyn Change> {
        Box::new(Self {
            act,
            outcome: None,
            asker,
        })
    }
}

impl<T: Send, F: FnMut(&Transaction<'_>, &mut Tools) -> Result<T> + Send> Change for Asked<T, F> {
    fn apply(&mut self, tx: &Transaction<'_>, tools: &mut Tools) -> Result<()> {
        self.outcome = Some(match (self.act)(tx, tools) {
            Ok(value) => Ok(value),
            Err(Trouble::Store(error)) => Err(error),
            Err(trouble) => return Err(trouble),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = match (committed, self.outcome) {
            // A refusal is final, whatever the outcome of the others.
            (_, Some(Err(error))) | (Err(error), _) => Err(error),
            (Ok(()), outcome) => outcome.unwrap_or(Err(StoreError::Closed)),
        };
        // The caller may have gone.
        let _ = self.asker.send(outcome);
    }
}

/// The thread that writes.
#[derive(Clone)]
pub struct Writer {
    queue: Arc<Queue<Box<dyn Change>>>,
}

impl Writer {
    /// Starts the thread. It ends when the queue is closed and empty.
    pub fn start(
        connection: Connection,
        path: PathBuf,
        tools: Tools,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let queue = Arc::new(Queue::new(WAITING, WAITING_BYTES));
        let writer = Self {
            queue: Arc::clone(&queue),
        };
        let mut thread = Thread {
            connection,
            path,
            tools,
            data_version: None,
        };
        let handle = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            // Even a panic must not leave callers waiting for ever.
            let _open = OpenUntilDropped(&queue);
            while let Some(batch) = queue.pop_many(BATCH) {
                thread.write(batch);
            }
        })?;
        Ok((writer, handle))
    }

    /// Calls `act` within a transaction, and answers after its commit. `weight` is roughly the number of bytes that it holds. If the
    /// transaction fails, `act` may be called a second time.
    pub fn ask<T: Send + 'static>(
        &self,
        weight: usize,
        act: impl FnMut(&Transaction<'_>, &mut Tools) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (asker, answer) = oneshot::channel();
        // At once, and not when the answer is first awaited: the order of calls is the order of commits.
        let queued = self.queue.push(Asked::boxed(act, asker), weight);
        Box::pin(async move {
            queued?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    /// Calls `act` as [`Writer::ask`] does, for another caller, once there is room in the queue: for a thread that may block.
    pub fn ask_for<T: Send + 'static>(
        &self,
        asker: Asker<T>,
        weight: usize,
        act: impl FnMut(&Transaction<'_>, &mut Tools) -> Result<T> + Send + 'static,
    ) {
        // If the queue is closed the asker is dropped, which reports it.
        let _ = self.queue.push_waiting(Asked::boxed(act, asker), weight);
    }

    pub fn close(&self) {
        self.queue.close();
    }
}

struct OpenUntilDropped<'a>(&'a Queue<Box<dyn Change>>);

impl Drop for OpenUntilDropped<'_> {
    fn drop(&mut self) {
        self.0.close();
        while self.0.pop_many(BATCH).is_some() {}
    }
}

struct Thread {
    connection: Connection,
    path: PathBuf,
    tools: Tools,
    /// A number that changes when another program changes the database.
    data_version: Option<i64>,
}

impl Thread {
    fn write(&mut self, mut batch: Vec<Box<dyn Change>>) {
        let committed = match self.commit(&mut batch) {
            // A change that hits a damaged page must not fail the others.
            Err(StoreError::Corrupt { .. }) if batch.len() > 1 => {
                for change in batch {
                    self.write(vec![change]);
                }
                return;
            }
            committed => committed,
        };
        for change in batch {
            change.answer(committed.clone());
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Change>]) -> Result<(), StoreError> {
        let before = self.tools.sequence;
        let committed = self.try_commit(batch).map_err(|trouble| {
            self.tools.sequence = before;
            self.tools.recent.rolled_back();
            trouble.into_store_error(&self.path)
        });
        self.tools.recent.committed();
        // Before the answers: a later query must see the change.
        self.tools.overviews.outdate(self.tools.changed.drain(..));
        committed
    }

    fn try_commit(&mut self, batch: &mut [Box<dyn Change>]) -> Result<()> {
        let before = self.tools.sequence;
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = tx
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if self.data_version.replace(version) != Some(version) {
            self.tools.recent.forget_all();
        }
        for change in batch {
            change.apply(&tx, &mut self.tools)?;
        }
        if self.tools.sequence != before {
            self.tools.sequence.write(&tx)?;
        }
        Ok(tx.commit()?)
    }
}
