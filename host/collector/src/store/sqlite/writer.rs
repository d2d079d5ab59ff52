//! The thread that writes, and the ids it gives out.

use super::queue::Queue;
use super::trouble::{Result, Trouble};
use crate::store::{Answer, Fold, StoreError};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The most changes in one commit. More gain nothing, as the wait for the disk is shared by then, and would keep the first ones waiting.
const BATCH: usize = 256;

/// The most changes that wait here, and as many appends again that wait to be judged: four commits each, so that what is taken in is answered
/// soon. More are refused, to be sent again later.
pub const WAITING: usize = 4 * BATCH;

/// The most bytes that wait, for the sake of memory: as much as 32 of the largest requests.
pub const WAITING_BYTES: usize = 32 * 1024 * 1024;

/// What a change works with, besides the transaction.
pub struct Tools {
    pub sequence: Sequence,
    pub fold: Fold,
    pub limits: super::store::Limits,
}

/// Something to be done within a transaction, together with others.
trait Change: Send {
    /// Does it. An error about the request alone leaves the transaction as it was; any other undoes all of the transaction, and it may be
    /// called again in another one.
    fn apply(&mut self, tx: &Transaction<'_>, tools: &mut Tools) -> Result<()>;
    /// Tells whoever waits, after the transaction's end.
    fn answer(self: Box<Self>, committed: std::result::Result<(), StoreError>);
}

/// Where an answer goes.
type Asker<T> = oneshot::Sender<std::result::Result<T, StoreError>>;

struct Asked<T, F> {
    act: F,
    outcome: Option<std::result::Result<T, StoreError>>,
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
            Err(Trouble::Told(error)) => Err(error),
            Err(trouble) => return Err(trouble),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, committed: std::result::Result<(), StoreError>) {
        let outcome = match (committed, self.outcome) {
            // A refusal stands, whatever became of the others.
            (_, Some(Err(error))) | (Err(error), _) => Err(error),
            (Ok(()), outcome) => outcome.unwrap_or(Err(StoreError::Closed)),
        };
        // Who does not wait any more does not mind.
        let _ = self.asker.send(outcome);
    }
}

/// The way to the thread that writes.
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

    /// Has `act` done within a transaction, and answers after its commit. `weight` is roughly how many bytes it holds. If the transaction
    /// fails, `act` may be called a second time.
    pub fn ask<T: Send + 'static>(
        &self,
        weight: usize,
        act: impl FnMut(&Transaction<'_>, &mut Tools) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (asker, answer) = oneshot::channel();
        // At once, and not when the answer is first waited for: the order of calls is the order of commits.
        let queued = self.queue.push(Asked::boxed(act, asker), weight);
        Box::pin(async move {
            queued?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    /// The same for someone else who waits, once there is room in the queue: for a thread that may wait for that.
    pub fn ask_for<T: Send + 'static>(
        &self,
        asker: Asker<T>,
        weight: usize,
        act: impl FnMut(&Transaction<'_>, &mut Tools) -> Result<T> + Send + 'static,
    ) {
        // Where the queue is closed the asker is dropped, which says so.
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
}

impl Thread {
    fn write(&mut self, mut batch: Vec<Box<dyn Change>>) {
        let committed = match self.commit(&mut batch) {
            // One that hits a damaged page must not take the others with it.
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

    fn commit(&mut self, batch: &mut [Box<dyn Change>]) -> std::result::Result<(), StoreError> {
        let before = self.tools.sequence;
        self.try_commit(batch).map_err(|trouble| {
            self.tools.sequence = before;
            trouble.told(&self.path)
        })
    }

    fn try_commit(&mut self, batch: &mut [Box<dyn Change>]) -> Result<()> {
        let before = self.tools.sequence;
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for change in batch {
            change.apply(&tx, &mut self.tools)?;
        }
        if self.tools.sequence != before {
            self.tools.sequence.write(&tx)?;
        }
        Ok(tx.commit()?)
    }
}

/// Ids of every kind, from one sequence: an id of one kind never names something of another, and none is ever used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    next: i64,
}

/// The id of a run's stage is the one after the run's own: they are always given out together.
const STAGE: i64 = 1;

impl Sequence {
    pub fn read(connection: &Connection) -> Result<Self> {
        let next = connection.query_row("SELECT next FROM sequence", [], |row| row.get(0))?;
        if next < 1 {
            return Err(Trouble::Content(format!("the next id would be {next}")));
        }
        Ok(Self { next })
    }

    /// Stores what was given out, in the transaction that uses it.
    pub fn write(self, tx: &Transaction<'_>) -> Result<()> {
        tx.prepare_cached("UPDATE sequence SET next = ?1")?
            .execute([self.next])?;
        Ok(())
    }

    pub fn one(&mut self) -> i64 {
        let id = self.next;
        self.next += 1;
        id
    }

    /// The id of a new run; its stage's follows.
    pub fn run(&mut self) -> i64 {
        let id = self.one();
        self.next += STAGE;
        id
    }
}

/// The stage of a run.
pub fn stage_of(run: i64) -> i64 {
    run + STAGE
}

/// The run that would have this stage.
pub fn run_of(stage: i64) -> i64 {
    stage - STAGE
}
