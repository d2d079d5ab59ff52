//! What DX was not told yet.

use super::support::{append, at, detail, ended, fresh, open, running, wait};
use crate::store::sqlite::SqliteStore;
use crate::store::{DxAnswer, Forwarded, Store, Waiting, WaitingQuery};

fn waiting(store: &SqliteStore) -> Vec<Waiting> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = wait(store.waiting(WaitingQuery { after, limit: 2 })).unwrap();
        after = page.last().cloned();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn names(waiting: &[Waiting]) -> Vec<&str> {
    waiting.iter().map(|waiting| waiting.reference_id.as_str()).collect()
}

fn forwarded(store: &SqliteStore, id: u64, covered: u32, text: Option<&str>) {
    let answer = text.map(|text| DxAnswer {
        at: at(500),
        accepted: true,
        text: text.into(),
        as_cancelled: false,
    });
    wait(store.forwarded(Forwarded {
        id,
        covered,
        answer,
        sent: None,
    }))
    .unwrap();
}

#[test]
fn a_run_waits_until_dx_knows_all_of_it() {
    let (dir, store) = fresh();
    for (n, reference) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        append(&store, running("web", reference, 0), n as i64 / 2);
    }
    let all = waiting(&store);
    assert_eq!(
        names(&all),
        ["a", "b", "c", "d", "e"],
        "the longest first, also those of the same moment"
    );

    // Another one came while the first was on its way.
    append(&store, ended("web", "a", 0, "success"), 100);
    forwarded(&store, all[0].id, all[0].notifications, Some("first"));
    forwarded(&store, all[1].id, all[1].notifications, None);
    let left = waiting(&store);
    assert_eq!(
        names(&left),
        ["c", "d", "e", "a"],
        "what is left of it waits since it came"
    );
    assert_eq!((left[3].since, left[3].covered, left[3].notifications), (at(100), 1, 2));

    forwarded(&store, left[3].id, 2, Some("second"));
    // An answer that was overtaken, and one for a run that is gone.
    forwarded(&store, left[3].id, 1, None);
    forwarded(&store, 999_999, 1, Some("?"));
    assert_eq!(names(&waiting(&store)), ["c", "d", "e"]);
    drop(store);
    let store = open(dir.path());
    let known = detail(&store, "a").unwrap().forwarding;
    assert_eq!(
        (known.waiting_since, known.covered, known.answer.unwrap().text.as_str()),
        (None, 2, "second")
    );

    let again = append(&store, ended("web", "a", 0, "failure"), 200).run;
    assert_eq!(again.waiting_since, Some(at(200)));
    assert_eq!(names(&waiting(&store)), ["c", "d", "e", "a"]);
}

#[test]
fn more_than_there_is_cannot_be_covered_and_long_words_are_cut() {
    let (_dir, store) = fresh();
    let run = append(&store, running("web", "a", 0), 0).run;
    forwarded(&store, run.id, 99, Some(&"é".repeat(4096)));
    let known = detail(&store, "a").unwrap().forwarding;
    assert_eq!((known.covered, known.answer.unwrap().text.len()), (1, 4096));
    append(&store, ended("web", "a", 0, "success"), 7);
    assert_eq!(names(&waiting(&store)), ["a"]);
}
