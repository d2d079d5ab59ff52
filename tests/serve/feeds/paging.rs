//! The feed, page by page.

use pipefold_gocd::documents::StageFeed;
use pipefold_gocd::{Dialect, read};

use crate::feeds::crawl::api;
use crate::feeds::site::{Site, run};

fn page(site: &mut Site, dialect: Dialect, query: &str) -> StageFeed {
    let path = format!("{}/pipelines/web/stages.xml{query}", api(dialect));
    read::feed(&site.document(&path)).unwrap()
}

fn counters(feed: &StageFeed) -> Vec<u64> {
    feed.entries
        .iter()
        .map(|entry| entry.stage.pipeline.counter.get())
        .collect()
}

/// All pages by their links, to the empty one.
fn all(site: &mut Site, dialect: Dialect) -> Vec<Vec<u64>> {
    let mut pages = Vec::new();
    let mut feed = page(site, dialect, "");
    loop {
        pages.push(counters(&feed));
        assert!(pages.len() < 10, "it never ends: {pages:?}");
        let Some(next) = feed.next.clone() else { return pages };
        feed = read::feed(&site.follow(&next)).unwrap();
    }
}

#[test]
fn pages_of_25_to_the_empty_one_in_the_order_of_each_dialect() {
    let mut site = Site::new();
    for number in 0..55 {
        site.report(&run("web", &format!("w{number}"), number, "success"));
        site.report(&run("api", &format!("a{number}"), number, "success"));
    }
    let down = |from: u64, to: u64| (to..=from).rev().collect::<Vec<_>>();
    let straight = [down(55, 31), down(30, 6), down(5, 1), Vec::new()];
    assert_eq!(all(&mut site, Dialect::Old), straight);
    assert_eq!(all(&mut site, Dialect::New), straight);

    // What changes comes to the top in the old feeds, and has the same id there; in the new ones it stays.
    let third = |feed: &StageFeed| {
        feed.entries
            .iter()
            .find(|entry| entry.stage.pipeline.counter.get() == 3)
            .unwrap()
            .clone()
    };
    let bottom = page(&mut site, Dialect::New, "?before=6");
    let before = third(&bottom);
    site.report(&run("web", "w2", 2, "failure"));
    let top = page(&mut site, Dialect::Old, "");
    assert_eq!(counters(&top)[..2], [3, 55]);
    assert_eq!((&third(&top).id, third(&top).result().as_str()), (&before.id, "Failed"));
    assert_eq!(
        all(&mut site, Dialect::Old)
            .concat()
            .iter()
            .filter(|counter| **counter == 3)
            .count(),
        1
    );
    assert_eq!(all(&mut site, Dialect::New), straight);
    assert_eq!(
        third(&page(&mut site, Dialect::New, "?before=6")).result().as_str(),
        "Failed"
    );

    // The same again is no change.
    site.report(&run("web", "w2", 2, "failure"));
    site.report(&run("web", "w7", 7, "success"));
    assert_eq!(page(&mut site, Dialect::Old, "").entries, top.entries);
}

#[test]
fn cursors_that_are_none() {
    let mut site = Site::new();
    site.report(&run("web", "w", 0, "success"));
    for query in ["?before=0", "?before=1", "?before=-1"] {
        for dialect in [Dialect::Old, Dialect::New] {
            let feed = page(&mut site, dialect, query);
            assert!(
                feed.entries.is_empty() && feed.next.is_none() && feed.updated.is_some(),
                "{query}"
            );
        }
    }
    for query in ["?before=abc", "?before="] {
        assert!(page(&mut site, Dialect::Old, query).entries.is_empty(), "{query}");
    }
    for query in ["", "?before=", "?after=1", "?before=2147483647"] {
        assert_eq!(page(&mut site, Dialect::New, query).entries.len(), 1, "{query}");
    }
    for query in ["?before=2147483648", "?before=99999999999999999999"] {
        assert_eq!(page(&mut site, Dialect::Old, query).entries.len(), 1, "{query}");
    }
    for query in ["abc", "2147483648", "1.5", "%00"] {
        let answer = site.get(&format!("/go/api/feed/pipelines/web/stages.xml?before={query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().starts_with("<bad-request>"), "{}", answer.text());
    }
}
