//! Runs whose notifications come close together, for measuring: as fast as they are taken, or at a rate.

use std::time::Duration;

use pipefold::Status;

use super::day::Day;
use super::story::{Message, upsert};

/// Runs that are under way side by side: their notifications take turns.
const SIDE_BY_SIDE: u32 = 100;

/// The messages of `runs` runs of `each` notifications: a start, steps, and an end. All are due at once.
pub fn burst(runs: u32, each: u32) -> impl Iterator<Item = Message> + Send {
    let day = Day::of(runs, 1_000_000);
    (0..runs).step_by(SIDE_BY_SIDE as usize).flat_map(move |first| {
        let last = runs.min(first + SIDE_BY_SIDE);
        (0..each).flat_map(move |number| (first..last).map(move |run| notification(day, run, number, each)))
    })
}

/// The same notifications at a steady rate, those of a run evenly within `within`.
#[must_use]
pub fn steady(runs: u32, each: u32, per_second: f64, within: Duration) -> Vec<Message> {
    let mut messages: Vec<Message> = (0..runs)
        .flat_map(|run| {
            let start = Duration::from_secs_f64(f64::from(run * each) / per_second);
            let of_run = of_burst(runs, each, run).into_iter().zip(0..each);
            of_run.map(move |(message, number)| Message {
                at: start + within * number / each,
                ..message
            })
        })
        .collect();
    messages.sort_by_key(|message| message.at);
    messages
}

/// The messages that [`burst`] or [`steady`] publishes of a run.
#[must_use]
pub fn of_burst(runs: u32, each: u32, run: u32) -> Vec<Message> {
    let day = Day::of(runs, 1_000_000);
    (0..each).map(|number| notification(day, run, number, each)).collect()
}

fn notification(day: Day, run: u32, number: u32, each: u32) -> Message {
    let time = |seconds: u32| super::story::time(day.start(run) + Duration::from_secs(seconds.into()));
    let mut upsert = upsert(run, time(number), Status::Running);
    if number + 1 == each {
        upsert.status = Status::Success;
        upsert.finished_at = Some(time(each));
    }
    Message {
        at: Duration::ZERO,
        run,
        upsert,
        job: None,
    }
}
