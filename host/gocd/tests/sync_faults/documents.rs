//! Documents of runs: a faulty one delays its own run, and one that only adds to a run withholds nothing.

use std::cell::Cell;
use std::rc::Rc;

use chrono::TimeDelta;
use pipefold_gocd::client::FetchError;
use pipefold_gocd::sync::*;
use serde_json::json;

use crate::sync_faults::{BOTH, forty, is_own, is_stage, run};
use crate::sync_support::plain::*;
use crate::sync_support::*;

#[test]
fn a_document_that_is_never_answered_costs_its_run_a_pause() {
    for is_old in BOTH {
        for status in [None, Some(500), Some(502), Some(503), Some(504)] {
            for is_of_stage in BOTH {
                let server = Plain::new(is_old, forty());
                server.tamper(move |path| {
                    let is_it = is_own(path, 35) && !is_of_stage || is_stage(path, 35, "build", 1) && is_of_stage;
                    is_it.then(|| Err(unavailable(status)))
                });
                let context = format!("{is_old} {status:?} {is_of_stage}");
                let (files, mut told) = (Files::default(), Told::default());
                let done = round(&server, &files, &mut told, &options(), minute(50)).unwrap();
                assert!(done.failed.is_empty(), "{context}: {:?}", done.failed);
                assert_eq!(told.by_run.len(), 39, "{context}");
                assert!(!told.by_run.contains_key("gocd/go/p/35"));
                // It is requested again, less and less often, and new runs are read beside it.
                let mut asked = 0;
                for minutes in 51..120 {
                    server.requests();
                    round(&server, &files, &mut told, &options(), minute(minutes)).unwrap();
                    let of_it = |path: &&String| is_own(path, 35) || is_stage(path, 35, "build", 1);
                    asked += server.asked.borrow().iter().filter(of_it).count();
                }
                assert!((5..25).contains(&asked), "{context}: {asked}");
                // In the end the rest of it is reported, and the missing part when it comes.
                for hours in 2..9 {
                    round(
                        &server,
                        &files,
                        &mut told,
                        &options(),
                        minute(50) + TimeDelta::hours(hours),
                    )
                    .unwrap();
                }
                assert_eq!(
                    told.by_run.len(),
                    if is_of_stage && !is_old { 39 } else { 40 },
                    "{context}"
                );
                server.tamper.take();
                round(&server, &files, &mut told, &options(), minute(50) + TimeDelta::days(2)).unwrap();
                let record = &told.records()["gocd/go/p/35"];
                let is = (&record["status"], &record["repository"]);
                assert_eq!(is, (&json!("success"), &json!("o/n")), "{context}");
                server.requests();
                round(&server, &files, &mut told, &options(), minute(60) + TimeDelta::days(2)).unwrap();
                let asked = server.asked.take();
                assert!(
                    !asked.iter().any(|path| path.contains("/build/")),
                    "{context}: {asked:?}"
                );
            }
        }
    }
}

/// A stage that was run again, with the page's end between.
fn again() -> Vec<PlainRun> {
    let mut runs = vec![run(
        17,
        &[
            ("build", 1, "Failed", 5),
            ("build", 2, "Passed", 900),
            ("test", 1, "Passed", 901),
        ],
    )];
    runs.extend((18..=80).map(|counter| passed(counter, i64::try_from(counter).unwrap() * 10)));
    runs
}

#[test]
fn a_document_that_is_not_there_once_is_waited_for() {
    for is_old in BOTH {
        let whole = {
            let mut told = Told::default();
            round(
                &Plain::new(is_old, again()),
                &Files::default(),
                &mut told,
                &options(),
                minute(950),
            )
            .unwrap();
            told.records()
        };
        assert_eq!(
            (
                &whole["gocd/go/p/17"]["status"],
                &whole["gocd/go/p/17/attempt-2"]["status"]
            ),
            (&json!("failure"), &json!("success"))
        );
        for document in 0..3 {
            let server = Plain::new(is_old, again());
            let is_over = Cell::new(false);
            server.tamper(move |path| {
                let is_it = match document {
                    0 => is_own(path, 17),
                    n => is_stage(path, 17, "build", n),
                };
                (is_it && !is_over.replace(true)).then_some(Err(FetchError::NotFound))
            });
            let (files, mut told) = (Files::default(), Told::default());
            round(&server, &files, &mut told, &options(), minute(950)).unwrap();
            round(&server, &files, &mut told, &options(), minute(961)).unwrap();
            assert!(told.records() == whole, "{is_old} {document}");
        }
    }
}

#[test]
fn a_document_that_is_never_there_is_done_without_minutes_later() {
    for is_old in BOTH {
        let server = Plain::new(is_old, again());
        server.tamper(|path| is_own(path, 17).then_some(Err(FetchError::NotFound)));
        let (files, mut told) = (Files::default(), Told::default());
        let has_it = |told: &Told| told.by_run.contains_key("gocd/go/p/17");
        round(&server, &files, &mut told, &options(), minute(950)).unwrap();
        round(&server, &files, &mut told, &options(), minute(955)).unwrap();
        assert_eq!((has_it(&told), told.by_run.len()), (false, 63), "{is_old}");
        let done = round(&server, &files, &mut told, &options(), minute(961)).unwrap();
        assert!(has_it(&told), "{is_old}: {:?}", done.notices);
        server.requests();
        round(
            &server,
            &files,
            &mut told,
            &options(),
            minute(961) + TimeDelta::hours(20),
        )
        .unwrap();
        assert!(
            !server.asked.take().iter().any(|path| is_own(path, 17)),
            "that is final"
        );
    }
}

#[test]
fn a_stage_that_is_spelled_another_way_in_its_re_run_begins_an_attempt() {
    for is_old in BOTH {
        // Old servers know stages by the names that they had then.
        let server = Plain::new(is_old, [run(1, &[("BUILD", 1, "Failed", 1)])]);
        let (files, mut told) = (Files::default(), Told::default());
        round(&server, &files, &mut told, &options(), minute(5)).unwrap();
        server.runs.borrow_mut()[0].stages.push(("build", 2, "Passed", 10));
        round(&server, &files, &mut told, &options(), minute(15)).unwrap();
        let records = told.records();
        assert_eq!(
            (
                &records["gocd/go/p/1"]["status"],
                &records["gocd/go/p/1/attempt-2"]["status"]
            ),
            (&json!("failure"), &json!("success")),
            "{is_old}"
        );
    }
}

#[test]
fn runs_that_failed_are_asked_after_for_a_fortnight() {
    let stages = |counter: u64| {
        let word = if counter.is_multiple_of(4) { "Failed" } else { "Passed" };
        run(counter, &[("build", 1, word, i64::try_from(counter).unwrap() * 720)])
    };
    for is_old in BOTH {
        let server = Plain::new(is_old, (1..=600).map(stages));
        let (files, mut told) = (Files::default(), Told::default());
        let last = minute(600 * 720);
        round(&server, &files, &mut told, &options(), last + TimeDelta::minutes(1)).unwrap();
        server.requests();
        round(&server, &files, &mut told, &options(), last + TimeDelta::minutes(2)).unwrap();
        // One every twelve hours, each of which may go on, however it went.
        assert_eq!(server.requests(), if is_old { 2 } else { 2 + 28 }, "{is_old}");
        round(&server, &files, &mut told, &options(), last + TimeDelta::days(100)).unwrap();
        server.requests();
        round(
            &server,
            &files,
            &mut told,
            &options(),
            last + TimeDelta::days(100) + TimeDelta::minutes(1),
        )
        .unwrap();
        assert_eq!(server.requests(), 2, "{is_old}");
        // A later change is found by the walk.
        let again = ("build", 2, "Passed", 600 * 720 + 144_100);
        server.runs.borrow_mut()[3].stages.push(again);
        round(&server, &files, &mut told, &options(), last + TimeDelta::days(102)).unwrap();
        assert_eq!(told.records()["gocd/go/p/4/attempt-2"]["status"], "success", "{is_old}");
    }
}

#[test]
fn revisions_that_cannot_be_asked_for_withhold_nothing() {
    let json = json!({ "build_cause": { "material_revisions": [{
        "material": { "type": "Git", "description": "URL: https://github.com/o/n, Branch: main" },
        "modifications": [{ "revision": "cd".repeat(20), "user_name": "Ann <ann@example.com>", "modified_time": 1_500_000_000_000_i64 }],
    }] } });
    let enrich = Options {
        enrich: true,
        ..options()
    };
    for status in [None, Some(500), Some(503), Some(504)] {
        let server = Plain::new(false, [passed(1, 1), passed(2, 2), passed(3, 3)]);
        let is_ill = Rc::new(Cell::new(true));
        server.tamper({
            let (is_ill, json) = (is_ill.clone(), json.to_string());
            move |path| {
                let is_json = path.starts_with("/api/pipelines/p/");
                match path.ends_with("/2") && is_ill.get() {
                    true => is_json.then(|| Err(unavailable(status))),
                    false => is_json.then(|| Ok(json.clone())),
                }
            }
        });
        let (files, mut told) = (Files::default(), Told::default());
        round(&server, &files, &mut told, &enrich, minute(9)).unwrap();
        let records = told.records();
        let commit = |of: u64| records[&format!("gocd/go/p/{of}")]["commit_sha"].clone();
        assert_eq!(
            [commit(1), commit(2), commit(3)],
            [json!("cd".repeat(20)), json!(null), json!("cd".repeat(20))]
        );
        assert_eq!(records["gocd/go/p/2"]["status"], "success", "{status:?}");
        is_ill.set(false);
        round(&server, &files, &mut told, &enrich, minute(11)).unwrap();
        assert_eq!(
            told.records()["gocd/go/p/2"]["commit_sha"],
            "cd".repeat(20),
            "{status:?}"
        );
        assert!(told.reports.iter().all(|report| !report.attempts.is_empty()));
    }
}

#[test]
fn an_unreadable_upstream_run_withholds_nothing() {
    let dependency = r#"<material type="DependencyMaterial" pipelineName="up" stageName="s"><modifications>
        <changeset changesetUri="http://localhost:8153/go/api/stages/7.xml"><revision>up/7/s/1</revision></changeset>
        </modifications></material>"#;
    let stage = r#"<stage name="s" counter="1"><pipeline name="up" counter="7" href="http://localhost:8153/go/api/pipelines/up/7.xml"/></stage>"#;
    let document = format!(r#"<pipeline name="up" counter="7"><materials>{GIT}</materials><stages/></pipeline>"#);
    for is_old in BOTH {
        for error in [
            FetchError::NotFound,
            unavailable(Some(500)),
            unavailable(None),
            FetchError::NoPermission,
        ] {
            let mut server = Plain::new(is_old, [passed(1, 1)]);
            server.materials = dependency.into();
            let is_ill = Rc::new(Cell::new(true));
            server.tamper({
                let (is_ill, error, document) = (is_ill.clone(), error.clone(), document.clone());
                move |path| match path {
                    "/api/stages/7.xml" => Some(Ok(stage.into())),
                    "/api/pipelines/up/7.xml" | "/api/feed/pipelines/up/7.xml" if is_ill.get() => {
                        Some(Err(error.clone()))
                    }
                    "/api/pipelines/up/7.xml" | "/api/feed/pipelines/up/7.xml" => Some(Ok(document.clone())),
                    _ => None,
                }
            });
            let (files, mut told) = (Files::default(), Told::default());
            let done = round(&server, &files, &mut told, &options(), minute(9)).unwrap();
            assert_eq!(told.records()["gocd/go/p/1"]["status"], "success", "{is_old} {error:?}");
            assert!(!done.notices.contains_key("no pipeline document"), "{:?}", done.notices);
            assert_eq!(done.notices["no upstream run"].count, 1, "{:?}", done.notices);
            is_ill.set(false);
            round(&server, &files, &mut told, &options(), minute(20)).unwrap();
            let repository = &told.records()["gocd/go/p/1"]["repository"];
            let is_told = error != FetchError::NoPermission;
            assert_eq!(repository.as_str(), is_told.then_some("o/n"), "{is_old} {error:?}");
        }
    }
}

/// An old server whose stage above does not say which run it was a part of.
#[test]
fn a_run_above_without_an_address_is_no_own_document_that_is_missing() {
    let mut server = Plain::new(true, [passed(1, 1)]);
    server.materials = r#"<material type="DependencyMaterial" pipelineName="up" stageName="s"><modifications>
        <changeset changesetUri="http://localhost:8153/go/api/stages/7.xml"><revision>up/7/s/1</revision></changeset>
        </modifications></material>"#
        .into();
    server.tamper(|path| {
        let stage = r#"<stage name="s" counter="1"><pipeline name="up" counter="7"/></stage>"#;
        (path == "/api/stages/7.xml").then(|| Ok(stage.into()))
    });
    let (files, mut told) = (Files::default(), Told::default());
    let done = round(&server, &files, &mut told, &options(), minute(9)).unwrap();
    let kinds: Vec<&str> = done.notices.keys().copied().collect();
    assert!(
        kinds.contains(&"no upstream run") && !kinds.contains(&"no pipeline document"),
        "{kinds:?}"
    );
}
