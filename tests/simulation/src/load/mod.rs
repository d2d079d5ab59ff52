//! A day's notifications.
//!
//! - `day`: when runs begin.
//! - `story`: what is published of one run, with everything that goes wrong on the way.
//! - `burst`: runs whose notifications come close together, for measuring.
//! - `Load`: all of it, in the order of publishing.

mod burst;
mod day;
mod story;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

pub use burst::{burst, of_burst, steady};
pub use day::Day;
pub use story::{Message, messages, number};

/// All notifications of a day, in the order in which they are published. It holds those of the runs under way and no others.
#[derive(Debug)]
pub struct Load {
    seed: u64,
    day: Day,
    /// The next run to begin.
    next: u32,
    /// The messages of the runs before it that are still to be published.
    waiting: BinaryHeap<Reverse<(Duration, u64)>>,
    bodies: HashMap<u64, Message>,
    counted: u64,
}

impl Load {
    /// The load of this day; the same each time for the same seed.
    #[must_use]
    pub fn new(seed: u64, day: Day) -> Self {
        Self {
            seed,
            day,
            next: 0,
            waiting: BinaryHeap::new(),
            bodies: HashMap::new(),
            counted: 0,
        }
    }
}

impl Iterator for Load {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        // Nothing of a run is published before it begins: whatever is due by then is next.
        while self.next < self.day.runs() {
            let begins = self.day.start(self.next).saturating_sub(Duration::from_millis(1));
            if self.waiting.peek().is_some_and(|Reverse((due, _))| *due <= begins) {
                break;
            }
            for message in messages(self.seed, self.day, self.next) {
                self.counted += 1;
                self.waiting.push(Reverse((message.at, self.counted)));
                self.bodies.insert(self.counted, message);
            }
            self.next += 1;
        }
        let Reverse((_, key)) = self.waiting.pop()?;
        self.bodies.remove(&key)
    }
}
