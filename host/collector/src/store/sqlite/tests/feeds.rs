//! Completions, counters and stats.

use super::support::{append, at, ended, fresh, running, wait};
use crate::store::sqlite::SqliteStore;
use crate::store::{FeedOrder, FeedQuery, StatsQuery, Store};
use std::time::Duration;

fn feed(store: &SqliteStore, order: FeedOrder, before: Option<u64>, limit: u16) -> Vec<(String, u64, u64)> {
    let query = FeedQuery {
        pipeline: "web".into(),
        order,
        before,
        limit,
    };
    let found = wait(store.completed(query)).unwrap();
    found
        .into_iter()
        .map(|run| (run.record.reference_id, run.completion.unwrap(), run.counter))
        .collect()
}

fn names(entries: &[(String, u64, u64)]) -> Vec<&str> {
    entries.iter().map(|(name, ..)| name.as_str()).collect()
}

#[test]
fn by_completion_what_changes_comes_to_the_top_and_by_counter_it_stays() {
    let (_dir, store) = fresh();
    for name in ["a", "b", "c", "d"] {
        append(&store, running("web", name, 0), 0);
    }
    append(&store, ended("api", "other", 0, "success"), 0);
    for name in ["c", "a", "b"] {
        append(&store, ended("web", name, 0, "success"), 1);
    }
    let all = feed(&store, FeedOrder::Completion, None, 25);
    assert_eq!(names(&all), ["b", "a", "c"], "what runs is not there");
    assert!(all.is_sorted_by(|a, b| a.1 > b.1));
    assert_eq!(names(&feed(&store, FeedOrder::Counter, None, 25)), ["c", "b", "a"]);

    // The same again changes nothing; a worse status does, and so does a later finish.
    append(&store, ended("web", "c", 0, "success"), 2);
    assert_eq!(feed(&store, FeedOrder::Completion, None, 25), all);
    append(&store, ended("web", "c", 0, "failure"), 3);
    assert_eq!(names(&feed(&store, FeedOrder::Completion, None, 25)), ["c", "b", "a"]);
    append(&store, ended("web", "a", 30, "success"), 4);
    assert_eq!(names(&feed(&store, FeedOrder::Completion, None, 25)), ["a", "c", "b"]);

    let pages = |order: FeedOrder, key: fn(&(String, u64, u64)) -> u64| {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = feed(&store, order, before, 1);
            let Some(last) = page.last() else { return all };
            before = Some(key(last));
            all.extend(page);
        }
    };
    assert_eq!(names(&pages(FeedOrder::Completion, |entry| entry.1)), ["a", "c", "b"]);
    assert_eq!(names(&pages(FeedOrder::Counter, |entry| entry.2)), ["c", "b", "a"]);
    for before in [0, 1] {
        assert!(feed(&store, FeedOrder::Completion, Some(before), 25).is_empty());
    }
    assert_eq!(feed(&store, FeedOrder::Completion, Some(u64::MAX), 25).len(), 3);
}

#[test]
fn stats_count_and_rank_what_started_in_each_span() {
    let (_dir, store) = fresh();
    let day = 24 * 60 * 60;
    for (reference, started, status) in [
        ("before", -1, "success"),
        ("a", 0, "success"),
        ("b", 10, "failure"),
        ("c", day - 1, "success"),
        ("d", 2 * day, "cancelled"),
        ("after", 3 * day, "success"),
    ] {
        append(&store, ended("web", reference, started, status), 10 * day);
    }
    append(&store, running("web", "e", 2 * day), 10 * day);
    let mut slow = ended("web", "b", 10, "failure");
    slow.finished_at = Some(super::support::text_at(10 + 600));
    append(&store, slow, 10 * day);
    let query = StatsQuery {
        pipeline: "web".into(),
        from: at(0),
        until: at(3 * day),
        bucket: Duration::from_secs(24 * 60 * 60),
    };
    let stats = wait(store.stats(query.clone())).unwrap();
    let shown: Vec<_> = stats
        .iter()
        .map(|bucket| {
            (
                bucket.from,
                bucket.counts.total(),
                bucket.counts.pass_rate(),
                bucket.median,
                bucket.p90,
            )
        })
        .collect();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        shown,
        [
            (at(0), 3, Some(2.0 / 3.0), seconds(60), seconds(600)),
            (at(2 * day), 2, None, seconds(60), seconds(60)),
        ]
    );
    let unknown = StatsQuery {
        pipeline: "none".into(),
        ..query.clone()
    };
    assert_eq!(wait(store.stats(unknown)).unwrap(), []);
    let odd = StatsQuery {
        bucket: Duration::ZERO,
        ..query
    };
    assert_eq!(wait(store.stats(odd)).unwrap().len(), 4, "a span is a second at least");
}
