//! The threads that read, and the bounded queue in front of a thread.

use super::database::SMALL_CACHE_KIB;
use super::place::{Result, io_failed};
use crate::store::{Answer, StoreError};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// The most changes in one commit. More gain nothing, as the wait for the disk is shared by then, and would delay the first ones.
pub const BATCH: usize = 256;

/// The most changes that wait to be written, and as many appends again that wait to be judged: four commits each, so that an accepted
/// request is answered soon. More are refused, to be sent again later.
pub const WAITING: usize = 4 * BATCH;

/// The most bytes that wait, to bound memory: as much as 32 of the largest requests.
pub const WAITING_BYTES: usize = 32 * 1024 * 1024;

/// Threads that work on one queue.
#[derive(Clone, Copy)]
pub struct Pool {
    name: &'static str,
    threads: usize,
    /// The most waiting questions.
    count: usize,
    /// The most waiting bytes.
    weight: usize,
    /// The cache of a thread's connection, in KiB. Each commit empties it.
    pub cache_kib: i64,
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
    // A list with several filters reads a thousand runs or more, each on a page of its own.
    cache_kib: 16 * 1024,
};

/// Appends to be judged. They have threads of their own, as a question for a page may take long.
pub const APPENDS: Pool = Pool {
    name: "store-judge",
    // The writer keeps up with no more threads.
    threads: 2,
    count: WAITING,
    weight: WAITING_BYTES,
    cache_kib: SMALL_CACHE_KIB,
};

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The threads that read.
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
        mut open: impl FnMut() -> Result<Connection, StoreError>,
    ) -> Result<(Self, Vec<JoinHandle<()>>), StoreError> {
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
                    return Err(io_failed("start a thread for", &readers.path, &e));
                }
            }
        }
        Ok((readers, handles))
    }

    /// Answers a question from one consistent state of the database.
    pub fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> Answer<T> {
        self.ask_outside(move |connection| snapshot(connection, ask))
    }

    /// Answers a question outside a transaction.
    pub fn ask_outside<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (asker, answer) = oneshot::channel();
        let path = self.path.clone();
        let question = move |connection: &Connection| {
            // The caller has gone, such as a browser whose window was closed.
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

    /// Runs work in one of the threads, without an answer. `weight` is roughly the number of bytes that it holds.
    pub fn spawn(&self, weight: usize, work: impl FnOnce(&Connection) + Send + 'static) -> Result<(), Full> {
        self.queue.push(Box::new(work), weight)
    }

    pub fn close(&self) {
        self.queue.close();
    }
}

/// Calls `ask` within one transaction: its reads in several steps fit together.
pub fn snapshot<T>(connection: &Connection, ask: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let tx = connection.unchecked_transaction()?;
    let answer = ask(&tx)?;
    tx.commit()?;
    Ok(answer)
}

/// A queue that refuses items without room. Each item has a weight, in bytes or so.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<QueueState<T>>,
    arrival: Condvar,
    departure: Condvar,
    max_count: usize,
    max_weight: usize,
}

#[derive(Debug)]
struct QueueState<T> {
    waiting: VecDeque<(T, usize)>,
    weight: usize,
    closed: bool,
}

/// The reason why an item was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// No room.
    Busy,
    /// The queue was closed.
    Closed,
}

impl From<Full> for StoreError {
    fn from(full: Full) -> Self {
        match full {
            Full::Busy => Self::Busy,
            Full::Closed => Self::Closed,
        }
    }
}

impl<T> Queue<T> {
    pub fn new(max_count: usize, max_weight: usize) -> Self {
        let state = QueueState {
            waiting: VecDeque::new(),
            weight: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            arrival: Condvar::new(),
            departure: Condvar::new(),
            max_count,
            max_weight,
        }
    }

    /// Puts an item at the end.
    pub fn push(&self, item: T, weight: usize) -> Result<(), Full> {
        self.put(self.lock(), item, weight)
    }

    /// Waits for room, then puts an item at the end.
    pub fn push_waiting(&self, item: T, weight: usize) -> Result<(), Full> {
        let mut state = self.lock();
        while !state.closed && !self.has_room(&state, weight) {
            state = self.departure.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.put(state, item, weight)
    }

    fn has_room(&self, state: &QueueState<T>, weight: usize) -> bool {
        state.waiting.len() < self.max_count && state.weight.saturating_add(weight) <= self.max_weight
    }

    fn put(&self, mut state: MutexGuard<'_, QueueState<T>>, item: T, weight: usize) -> Result<(), Full> {
        if state.closed {
            return Err(Full::Closed);
        }
        if !self.has_room(&state, weight) {
            return Err(Full::Busy);
        }
        state.weight += weight;
        state.waiting.push_back((item, weight));
        drop(state);
        self.arrival.notify_one();
        Ok(())
    }

    /// Waits for an item, then takes it and the following ones, up to `max_count`. `None` once the queue is closed and empty.
    pub fn pop_many(&self, max_count: usize) -> Option<Vec<T>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state = self.arrival.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.waiting.len().min(max_count);
        let taken: Vec<_> = state.waiting.drain(..count).collect();
        state.weight -= taken.iter().map(|(_, weight)| weight).sum::<usize>();
        drop(state);
        self.departure.notify_all();
        Some(taken.into_iter().map(|(item, _)| item).collect())
    }

    /// Closes the queue: no item is taken any more, and those that wait are still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrival.notify_all();
        self.departure.notify_all();
    }

    /// Nothing here panics while it holds the lock, so a poisoned state is still whole.
    fn lock(&self) -> MutexGuard<'_, QueueState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn bounded_by_count_and_by_weight_and_drained_after_closing() {
        let queue = Queue::new(3, 10);
        assert_eq!(queue.push('a', 4), Ok(()));
        assert_eq!(queue.push('b', 7), Err(Full::Busy), "too heavy together");
        assert_eq!(queue.push('b', 6), Ok(()));
        assert_eq!(queue.push('c', 0), Ok(()));
        assert_eq!(queue.push('d', 0), Err(Full::Busy), "too many");
        assert_eq!(queue.pop_many(2).unwrap(), ['a', 'b']);
        assert_eq!(queue.push('d', 10), Ok(()), "the weight was given back");
        queue.close();
        assert_eq!(queue.push('e', 0), Err(Full::Closed));
        assert_eq!(queue.pop_many(9).unwrap(), ['c', 'd']);
        assert_eq!(queue.pop_many(9), None);
    }

    #[test]
    fn waits_for_room_until_there_is_some_or_the_queue_is_closed() {
        let queue = Queue::new(1, 10);
        queue.push('a', 4).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| (queue.push_waiting('b', 10), queue.push_waiting('c', 1)));
            assert_eq!(
                (queue.pop_many(1).unwrap(), queue.pop_many(1).unwrap()),
                (vec!['a'], vec!['b'])
            );
            assert_eq!(queue.pop_many(1).unwrap(), ['c']);
            assert_eq!(waiting.join().unwrap(), (Ok(()), Ok(())));
            queue.push('d', 1).unwrap();
            let waiting = scope.spawn(|| queue.push_waiting('e', 1));
            std::thread::yield_now();
            queue.close();
            assert_eq!(waiting.join().unwrap(), Err(Full::Closed));
        });
    }

    #[test]
    fn a_waiting_thread_is_woken() {
        let queue = Queue::new(1, 1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| (queue.pop_many(1), queue.pop_many(1)));
            queue.push(7, 1).unwrap();
            while queue.push(8, 1).is_err() {
                std::thread::yield_now();
            }
            assert_eq!(waiting.join().unwrap(), (Some(vec![7]), Some(vec![8])));
        });
    }
}
