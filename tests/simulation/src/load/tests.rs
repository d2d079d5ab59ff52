#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{HashMap, HashSet};

use super::*;

fn load() -> Load {
    Load::new(7, Day::of(2_000, 1_000_000))
}

#[test]
fn it_is_in_order_complete_and_the_same_each_time() {
    let all: Vec<_> = load().collect();
    assert!(all.is_sorted_by_key(|message| message.at));
    let mut by_run: HashMap<u32, usize> = HashMap::new();
    for message in &all {
        *by_run.entry(message.run).or_default() += 1;
        assert_eq!(number(&message.upsert.reference_id), Some(message.run));
    }
    assert_eq!(by_run.len(), 2_000);
    for run in 0..2_000 {
        assert_eq!(by_run[&run], messages(7, Day::of(2_000, 1_000_000), run).len());
    }
    let again: Vec<_> = load()
        .map(|message| (message.at, message.upsert, message.job))
        .collect();
    assert_eq!(
        again,
        all.into_iter()
            .map(|message| (message.at, message.upsert, message.job))
            .collect::<Vec<_>>()
    );
}

#[test]
fn it_has_what_goes_wrong() {
    let all: Vec<_> = load().collect();
    let mut seen: HashMap<&str, Vec<&Message>> = HashMap::new();
    let with_jobs: HashSet<u32> = all.iter().filter(|one| one.job.is_some()).map(|one| one.run).collect();
    assert!((150..250).contains(&with_jobs.len()), "{} of 2000", with_jobs.len());
    for message in all.iter().filter(|message| message.job.is_none()) {
        seen.entry(&message.upsert.reference_id).or_default().push(message);
    }
    let count = |holds: &dyn Fn(&[&Message]) -> bool| seen.values().filter(|messages| holds(messages)).count();
    let twice = count(&|messages| {
        messages
            .iter()
            .enumerate()
            .any(|(n, one)| messages[..n].iter().any(|other| other.upsert == one.upsert))
    });
    let end_first = count(&|messages| messages[0].upsert.finished_at.is_some());
    let unfinished = count(&|messages| messages.iter().all(|one| one.upsert.finished_at.is_none()));
    let starts = |messages: &[&Message]| {
        let starts = messages.iter().filter(|one| one.upsert.finished_at.is_some());
        let mut starts: Vec<_> = starts.map(|one| one.upsert.started_at.clone()).collect();
        starts.dedup();
        starts
            .first()
            .is_some_and(|start| messages.iter().any(|one| one.upsert.started_at < *start))
    };
    let other_clock = count(&|messages| starts(messages));
    for (what, number) in [
        ("twice", twice),
        ("end first", end_first),
        ("unfinished", unfinished),
        ("other clock", other_clock),
    ] {
        assert!(number > 5, "{what}: {number} of 2000");
    }
    let attempts = seen.keys().filter(|name| name.ends_with("/2")).count();
    assert_eq!(attempts, 80);
}
