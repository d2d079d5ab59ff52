//! What waits for a thread, within bounds.

use crate::store::StoreError;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A queue that refuses what it has no room for. Each thing has a weight, in bytes or so.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    arrival: Condvar,
    departure: Condvar,
    max_count: usize,
    max_weight: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(T, usize)>,
    weight: usize,
    closed: bool,
}

/// A reason why something was not taken.
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
        let state = State {
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

    /// Puts something at the end.
    pub fn push(&self, item: T, weight: usize) -> Result<(), Full> {
        self.put(self.lock(), item, weight)
    }

    /// Waits for room, then puts something at the end.
    pub fn push_waiting(&self, item: T, weight: usize) -> Result<(), Full> {
        let mut state = self.lock();
        while !state.closed && !self.has_room(&state, weight) {
            state = self.departure.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.put(state, item, weight)
    }

    fn has_room(&self, state: &State<T>, weight: usize) -> bool {
        state.waiting.len() < self.max_count && state.weight.saturating_add(weight) <= self.max_weight
    }

    fn put(&self, mut state: MutexGuard<'_, State<T>>, item: T, weight: usize) -> Result<(), Full> {
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

    /// Waits for something, then takes it and what else is there, up to `max_count`. `None` once the queue is closed and empty.
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

    /// Takes nothing more; what waits is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrival.notify_all();
        self.departure.notify_all();
    }

    /// Nothing here panics while it holds the lock, so a poisoned state is still whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
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
