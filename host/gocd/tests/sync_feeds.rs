//! Feeds that never end, repeat themselves, lead in circles or are about something else; and how much is asked for.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use crate::sync_support::plain::*;
use crate::sync_support::*;
use chrono::TimeDelta;
use pipefold_gocd::client::FetchError;
use pipefold_gocd::sync::*;

const BOTH: [bool; 2] = [true, false];

/// Returns this many runs of three stages, one run an hour.
fn runs(count: u64) -> Vec<PlainRun> {
    let stages = |at: i64| {
        vec![
            ("build", 1, "Passed", at),
            ("test", 1, "Passed", at + 10),
            ("deploy", 1, "Passed", at + 20),
        ]
    };
    (1..=count)
        .map(|counter| PlainRun {
            counter,
            stages: stages(counter as i64 * 60),
        })
        .collect()
}

/// After this all runs are closed.
fn after(count: u64) -> chrono::DateTime<chrono::Utc> {
    minute(count as i64 * 60) + TimeDelta::days(20)
}

/// The cursor of a page.
fn before(path: &str) -> Option<u64> {
    path.split_once("?before=")?.1.parse().ok()
}

fn failure(round: &Round) -> String {
    let [(_, failure)] = &round.failed[..] else {
        panic!("{:?}", round.failed)
    };
    failure.to_string()
}

#[test]
fn a_round_without_news_requests_the_list_a_page_and_open_runs() {
    for is_old in BOTH {
        let server = Plain::new(is_old, runs(40));
        let (files, mut told) = (Files::default(), Told::default());
        let now = after(40);
        round(&server, &files, &mut told, &options(), now).unwrap();
        assert_eq!(told.by_run.len(), 40);
        let saves = files.saves.get();
        server.requests();
        let done = round(&server, &files, &mut told, &options(), now + TimeDelta::minutes(1)).unwrap();
        assert_eq!((server.requests(), done.requests), (2, 2), "the list, and a page");
        assert_eq!(files.saves.get(), saves, "nothing to remember");
        // A run whose stage is under way, and one that failed.
        let now = minute(2650);
        let stages = vec![("build", 1, "Passed", 2500), ("test", 1, "Building", 2510)];
        server.runs.borrow_mut().push(PlainRun { counter: 41, stages });
        let failed = vec![("build", 1, "Failed", 2600)];
        server.runs.borrow_mut().push(PlainRun {
            counter: 42,
            stages: failed,
        });
        round(&server, &files, &mut told, &options(), now + TimeDelta::minutes(2)).unwrap();
        assert_eq!(told.by_run.len(), 42);
        server.requests();
        round(&server, &files, &mut told, &options(), now + TimeDelta::minutes(3)).unwrap();
        let asked = server.asked.take();
        assert_eq!(asked.len(), if is_old { 2 } else { 4 }, "{asked:?}");
        if !is_old {
            assert_eq!(
                asked[2..],
                ["/api/feed/pipelines/p/42.xml", "/api/feed/pipelines/p/41/test/1.xml"]
            );
        }
        // It ends.
        server.runs.borrow_mut()[40].stages[1] = ("test", 1, "Passed", 2700);
        round(&server, &files, &mut told, &options(), now + TimeDelta::minutes(4)).unwrap();
        assert_eq!(told.records()["gocd/go/p/41"]["status"], "success");
    }
}

#[test]
fn what_is_new_is_read_back_to_what_is_known_however_much_it_is() {
    for is_old in BOTH {
        let server = Plain::new(is_old, runs(30));
        let (files, mut told) = (Files::default(), Told::default());
        round(&server, &files, &mut told, &options(), after(30)).unwrap();
        server.requests();
        *server.runs.borrow_mut() = runs(90);
        let done = round(&server, &files, &mut told, &options(), after(30)).unwrap();
        assert_eq!(told.by_run.len(), 90);
        assert!(done.pages < 12, "{}", done.pages);
        // In parts, and more comes meanwhile.
        *server.runs.borrow_mut() = runs(200);
        let mut count = 200;
        for part in 0.. {
            let left = Cell::new(60);
            let stop = || {
                left.set(left.get() - 1);
                left.get() == 0
            };
            let done = Engine::new(&server, &files, &mut told, &mut (), options())
                .round(after(30), &stop)
                .unwrap();
            if !done.stopped {
                break;
            }
            assert!(part < 60);
            if part % 5 == 0 && part < 30 {
                count += 15;
                *server.runs.borrow_mut() = runs(count);
            }
        }
        assert_eq!(told.by_run.len() as u64, count, "{is_old}");
    }
}

#[test]
fn a_walk_that_is_stopped_goes_on_where_it_was() {
    for is_old in BOTH {
        let server = Plain::new(is_old, runs(300));
        let whole = round(&server, &Files::default(), &mut Told::default(), &options(), after(300)).unwrap();
        let (files, mut told) = (Files::default(), Told::default());
        let mut requests = 0;
        for part in 0.. {
            let left = Cell::new(100);
            let stop = || {
                left.set(left.get() - 1);
                left.get() == 0
            };
            let done = Engine::new(&server, &files, &mut told, &mut (), options())
                .round(after(300), &stop)
                .unwrap();
            requests += done.requests;
            if !done.stopped {
                break;
            }
            assert!(part < 40, "{is_old}: {} of 300 runs", told.by_run.len());
        }
        assert_eq!(told.by_run.len(), 300);
        assert!(
            requests < whole.requests * 2,
            "{is_old}: {requests} in parts, {} at once",
            whole.requests
        );
    }
}

/// A process that is killed within a request saves nothing on its way out, and may not live for a page.
#[test]
fn a_walk_that_is_killed_goes_on_where_it_was_remembered() {
    for is_old in BOTH {
        let server = Plain::new(is_old, runs(300));
        let whole = round(&server, &Files::default(), &mut Told::default(), &options(), after(300)).unwrap();
        let (files, mut told) = (Files::default(), Told::default());
        server.requests();
        for part in 0.. {
            let (server, files, told) = (&server, &files, &mut told);
            let left = Rc::new(Cell::new(70));
            server.tamper(move |_| {
                left.set(left.get() - 1);
                if left.get() == 0 {
                    resume_unwind(Box::new(()));
                }
                None
            });
            let done = catch_unwind(AssertUnwindSafe(|| round(server, files, told, &options(), after(300))));
            if done.is_ok() {
                break;
            }
            assert!(part < 80, "{is_old}: {} of 300 runs", told.by_run.len());
        }
        assert_eq!(told.by_run.len(), 300);
        let (parts, whole) = (server.requests() as u64, whole.requests);
        assert!(parts < whole * 3, "{is_old}: {parts} in parts, {whole} at once");
    }
}

#[test]
fn a_run_that_is_run_again_long_after_is_found() {
    for is_old in BOTH {
        let server = Plain::new(is_old, runs(300));
        let (files, mut told) = (Files::default(), Told::default());
        round(&server, &files, &mut told, &options(), after(300)).unwrap();
        let again = ("test", 2, "Failed", 300 * 60 + 40_000);
        server.runs.borrow_mut()[9].stages.push(again);
        server.requests();
        let now = after(300) + TimeDelta::hours(25);
        let done = round(&server, &files, &mut told, &options(), now).unwrap();
        assert_eq!(told.records()["gocd/go/p/10/attempt-2"]["status"], "failure");
        // Of the whole history only the 64 runs around it are read again.
        let most = if is_old { 1 } else { 64 };
        assert!(done.looked_at <= most, "{is_old}: {}", done.looked_at);
    }
}

#[test]
fn a_full_walk_reads_only_changed_runs() {
    let server = Plain::new(false, runs(300));
    let (files, mut told) = (Files::default(), Told::default());
    round(&server, &files, &mut told, &options(), after(300)).unwrap();
    // New runs move what each page has room for.
    *server.runs.borrow_mut() = runs(302);
    let now = after(300) + TimeDelta::hours(25);
    let done = round(&server, &files, &mut told, &options(), now).unwrap();
    assert!(done.pages > 30, "{}", done.pages);
    assert_eq!((done.looked_at, told.by_run.len()), (2, 302));
}

#[test]
fn a_stage_that_ended_again_in_the_same_second_hides_nothing() {
    let server = Plain::new(true, runs(3));
    let (files, mut told) = (Files::default(), Told::default());
    round(&server, &files, &mut told, &options(), after(3)).unwrap();
    let known = server.entry(3, ("deploy", 1, "Passed", 200));
    *server.runs.borrow_mut() = runs(4);
    let page = server.page(None).replacen("<entry>", &format!("{known}<entry>"), 1);
    server.tamper(move |path| path.ends_with("/p/stages.xml").then(|| Ok(page.clone())));
    round(&server, &files, &mut told, &options(), after(4)).unwrap();
    assert_eq!(told.by_run.len(), 4);
}

#[test]
fn a_first_page_that_was_not_all_reported_is_read_again_and_no_more() {
    for is_old in BOTH {
        let server = Plain::new(is_old, runs(60));
        let (files, mut told) = (Files::default(), Told::default());
        round(&server, &files, &mut told, &options(), after(60)).unwrap();
        *server.runs.borrow_mut() = runs(61);
        server.tamper(|path| path.contains("61").then(|| Err(unavailable(Some(503)))));
        let done = round(&server, &files, &mut told, &options(), after(60)).unwrap();
        assert_eq!((done.failed.len(), told.by_run.len()), (0, 60), "{:?}", done.failed);
        server.tamper.take();
        let done = round(&server, &files, &mut told, &options(), after(60)).unwrap();
        assert_eq!((done.pages, told.by_run.len()), (1, 61), "{is_old}");
    }
}

#[test]
fn a_page_that_repeats_ends_the_walk_and_nothing_else() {
    for is_old in BOTH {
        let mut server = Plain::new(is_old, runs(60));
        server.others = vec!["q"];
        let first = server.page(None);
        let bad = first.clone();
        server.tamper(move |path| before(path).is_some().then(|| Ok(bad.clone())));
        let (files, mut told) = (Files::default(), Told::default());
        let done = round(&server, &files, &mut told, &options(), after(60)).unwrap();
        assert!(failure(&done).contains("repeats itself"), "{}", failure(&done));
        assert_eq!(done.pipelines, 2);
        // New runs are read all the same, and the rest once the server works again.
        *server.runs.borrow_mut() = runs(61);
        round(&server, &files, &mut told, &options(), after(61)).unwrap();
        assert!(told.by_run.contains_key("gocd/go/p/61"), "{is_old}");
        server.tamper.take();
        let done = round(&server, &files, &mut told, &options(), after(61)).unwrap();
        assert!(done.failed.is_empty());
        assert_eq!(told.by_run.len(), 61, "{is_old}");
    }
}

#[test]
fn a_cursor_that_goes_back_ends_the_walk() {
    let server = Plain::new(true, runs(60));
    let entries = server.entry(9, ("build", 1, "Passed", 5));
    let back = server.feed(&entries, Some(10_000));
    server.tamper(move |path| before(path).map(|_| Ok(back.clone())));
    let done = round(&server, &Files::default(), &mut Told::default(), &options(), after(60)).unwrap();
    assert!(failure(&done).contains("not further back"), "{}", failure(&done));
}

#[test]
fn a_feed_that_never_ends_can_be_stopped() {
    for is_old in BOTH {
        let server = Plain::new(is_old, runs(1));
        let more = Plain::new(is_old, []);
        // Each page has one run, the one before the last.
        server.tamper(move |path| {
            let cursor = before(path).or(path.ends_with("stages.xml").then_some(1 << 40))?;
            let entry = more.entry(cursor - 1, ("build", 1, "Passed", 0));
            Some(Ok(more.feed(&entry, Some(cursor - 1))))
        });
        let left = Cell::new(5_000);
        let stop = || {
            left.set(left.get() - 1);
            left.get() == 0
        };
        let files = Files::default();
        let mut told = Told::default();
        let done = Engine::new(&server, &files, &mut told, &mut (), options())
            .round(after(1), &stop)
            .unwrap();
        assert!(done.stopped && done.pages > 100, "{done:?}");
        let states = files.pipelines.borrow();
        // A few thousand runs that the server does not know wait to be looked at once more.
        assert!(states.values().all(|state| state.len() < 400_000));
    }
}

#[test]
fn a_page_of_ten_thousand_entries_and_all_of_them_twice() {
    for is_old in BOTH {
        let server = Plain::new(is_old, runs(50));
        let all: Vec<(u64, PlainStage)> = runs(50)
            .iter()
            .flat_map(|run| run.stages.iter().map(|stage| (run.counter, *stage)).collect::<Vec<_>>())
            .rev()
            .collect();
        let entries: Vec<String> = all.iter().map(|(of, stage)| server.entry(*of, *stage)).collect();
        let many: String = entries.iter().cycle().take(10_000).cloned().collect();
        let page = server.feed(&many, Some(1));
        let empty = server.feed("", None);
        server.tamper(move |path| match before(path) {
            Some(before) if !path.contains("/p/stages.xml") || before > 40 => None,
            Some(_) => Some(Ok(empty.clone())),
            None => path.ends_with("/p/stages.xml").then(|| Ok(page.clone())),
        });
        let (files, mut told) = (Files::default(), Told::default());
        let done = round(&server, &files, &mut told, &options(), after(50)).unwrap();
        assert_eq!(told.by_run.len(), 50, "{is_old}: {:?}", done.failed);
        assert!(done.looked_at <= 50, "{}", done.looked_at);
        let done = round(&server, &files, &mut told, &options(), after(50)).unwrap();
        assert_eq!(done.looked_at, 0);
    }
}

#[test]
fn entries_of_other_pipelines_are_left_out() {
    let server = Plain::new(true, runs(1));
    let entries = server
        .entry(1, ("build", 1, "Passed", 5))
        .replace("/pipelines/p/1/", "/pipelines/q/1/");
    let page = server.feed(&entries, None);
    server.tamper(move |path| path.ends_with("/p/stages.xml").then(|| Ok(page.clone())));
    let mut told = Told::default();
    let done = round(&server, &Files::default(), &mut told, &options(), after(1)).unwrap();
    assert!(told.by_run.is_empty());
    assert_eq!(done.notices["document about something else"].count, 1);
}

#[test]
fn one_failed_pipeline_stops_no_other_and_bad_credentials_stop_all() {
    for is_old in BOTH {
        let mut server = Plain::new(is_old, runs(2));
        server.others = vec!["x", "y"];
        for (error, word) in [
            (FetchError::NotFound, "does not exist any more"),
            (FetchError::NoPermission, "view permission"),
            (unavailable(Some(500)), "on purpose"),
            (unavailable(None), "on purpose"),
        ] {
            server.tamper(move |path| path.ends_with("/x/stages.xml").then(|| Err(error.clone())));
            let mut told = Told::default();
            let done = round(&server, &Files::default(), &mut told, &options(), after(2)).unwrap();
            assert!(failure(&done).contains(word), "{}", failure(&done));
            assert_eq!((told.by_run.len(), done.failed[0].0.as_str()), (2, "x"));
        }
        server.tamper(|path| {
            path.ends_with("/x/stages.xml")
                .then_some(Err(FetchError::BadCredentials))
        });
        let failed = round(&server, &Files::default(), &mut Told::default(), &options(), after(2));
        assert!(matches!(
            failed,
            Err(SyncError::Fetch {
                error: FetchError::BadCredentials,
                ..
            })
        ));
    }
}

#[test]
fn a_server_without_feeds_is_an_error() {
    let server = Plain::new(true, []);
    server.tamper(|_| Some(Err(FetchError::NotFound)));
    let failed = round(&server, &Files::default(), &mut Told::default(), &options(), after(1));
    let Err(error @ SyncError::NotGocd { .. }) = failed else {
        panic!("{failed:?}")
    };
    let words = "the server has no feeds of Go 2.1 or later: check the address";
    assert!(error.to_string().starts_with(words), "{error}");
}

#[test]
fn a_server_that_was_brought_up_to_date_is_read_in_its_new_dialect() {
    let (files, mut told) = (Files::default(), Told::default());
    round(&Plain::new(true, runs(3)), &files, &mut told, &options(), after(3)).unwrap();
    let done = round(&Plain::new(false, runs(4)), &files, &mut told, &options(), after(4)).unwrap();
    assert_eq!(done.dialect, pipefold_gocd::Dialect::New);
    assert_eq!(told.by_run.len(), 4);
    assert_eq!(told.records()["gocd/go/p/1"]["status"], "success");
}
