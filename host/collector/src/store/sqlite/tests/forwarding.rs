//! What DX was not told yet.

use super::support::{append, appending, at, detail, ended, fresh, open, query, references, running, wait};
use crate::store::sqlite::SqliteStore;
use crate::store::{Backlog, DxAnswer, Forwarded, RunFilter, Store, Waiting, WaitingQuery};

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

#[test]
fn what_is_held_is_no_reason_to_tell_dx() {
    let (_dir, store) = fresh();
    let held = |arrived| {
        let mut append = appending(ended("web", "a", 0, "success"), arrived);
        append.notifications[0].held = true;
        append.notifications[0].by_policies = true;
        wait(store.append(append)).unwrap().run
    };
    assert_eq!(held(0).waiting_since, None);
    assert_eq!(wait(store.backlog()), Ok(Backlog::default()));
    let run = append(&store, running("web", "a", 0), 7).run;
    let backlog = Backlog {
        runs: 1,
        since: Some(at(7)),
    };
    assert_eq!((run.waiting_since, wait(store.backlog())), (Some(at(7)), Ok(backlog)));
    // One that is held came while it was told.
    assert_eq!(held(8).waiting_since, Some(at(7)));
    forwarded(&store, run.id, 2, None);
    assert!(waiting(&store).is_empty());
    append(&store, running("web", "a", 0), 9);
    assert_eq!(waiting(&store)[0].since, at(9));
    let known = detail(&store, "a").unwrap();
    let flags: Vec<_> = known.received.iter().map(|one| (one.by_policies, one.held)).collect();
    assert_eq!(flags, [(true, true), (false, false), (true, true), (false, false)]);
}

#[test]
fn runs_that_dx_refused_for_good_are_a_list() {
    let (_dir, store) = fresh();
    let tell = |reference: &str, accepted, covered| {
        let id = append(&store, running("web", reference, 0), 0).run.id;
        let answer = DxAnswer {
            at: at(1),
            accepted,
            text: "no".into(),
            as_cancelled: false,
        };
        wait(store.forwarded(Forwarded {
            id,
            covered,
            answer: Some(answer),
            sent: Some("digest".into()),
        }))
        .unwrap();
    };
    tell("taken", true, 1);
    tell("tried again", false, 0);
    tell("refused", false, 1);
    tell("refused too", false, 1);
    append(&store, running("web", "new", 0), 0);
    let refused = |text: Option<&str>| {
        let filter = RunFilter {
            refused: true,
            text: text.map(Into::into),
            ..RunFilter::default()
        };
        references(&store, query(filter, 1))
    };
    assert_eq!(refused(None), ["refused too", "refused"]);
    assert_eq!(refused(Some("too")), ["refused too"]);
    assert_eq!(
        refused(Some("taken")),
        Vec::<String>::new(),
        "a whole reference is no exception"
    );
    assert_eq!(
        detail(&store, "taken").unwrap().forwarding.sent.as_deref(),
        Some("digest")
    );
    append(&store, ended("web", "refused", 0, "success"), 1);
    assert_eq!(refused(None), ["refused too"], "it is tried again");
}
