//! What one document, one pipeline or one answer costs that is not as it should be: itself, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod sync_support;

use std::cell::Cell;
use std::rc::Rc;

use chrono::TimeDelta;
use pipefold_gocd::client::FetchError;
use pipefold_gocd::documents::Name;
use pipefold_gocd::mapping::{Pattern, ServerId};
use pipefold_gocd::sync::*;
use serde_json::json;
use sync_support::plain::*;
use sync_support::*;

const BOTH: [bool; 2] = [true, false];

fn run(counter: u64, stages: &[PlainStage]) -> PlainRun {
    PlainRun {
        counter,
        stages: stages.to_vec(),
    }
}

fn forty() -> Vec<PlainRun> {
    (1..=40).map(|counter| passed(counter, counter as i64)).collect()
}

/// Whether a path is that of a run's own document.
fn is_own(path: &str, counter: u64) -> bool {
    path.ends_with(&format!("/p/{counter}.xml")) || path.ends_with(&format!("/{}.xml", 9000 + counter))
}

/// Whether a path is that of the run `n` of a run's stage.
fn is_stage(path: &str, counter: u64, stage: &str, n: u64) -> bool {
    path.ends_with(&format!("/p/{counter}/{stage}/{n}.xml"))
        || path.ends_with(&format!("/stages/{}.xml", id(counter, stage, n)))
}

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
                // It is asked for again, less and less often, and what is new is read beside it.
                let mut asked = 0;
                for minutes in 51..120 {
                    server.requests();
                    round(&server, &files, &mut told, &options(), minute(minutes)).unwrap();
                    let of_it = |path: &&String| is_own(path, 35) || is_stage(path, 35, "build", 1);
                    asked += server.asked.borrow().iter().filter(of_it).count();
                }
                assert!((5..25).contains(&asked), "{context}: {asked}");
                // In the end what there is of it is told, and the rest when it comes.
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

#[test]
fn pipelines_whose_feeds_are_cut_cost_no_other() {
    for is_old in BOTH {
        let mut server = Plain::new(is_old, [passed(1, 1)]);
        server.others = vec!["b", "c", "d", "e", "f", "g", "h"];
        server.tamper(|path| {
            let is_it = ["b", "c", "d", "e"]
                .iter()
                .any(|name| path.contains(&format!("/{name}/stages.xml")));
            is_it.then(|| Err(unavailable(None)))
        });
        let (files, mut told) = (Files::default(), Told::default());
        let done = round(&server, &files, &mut told, &options(), minute(5)).unwrap();
        let failed: Vec<&str> = done.failed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(failed, ["b", "c", "d", "e"], "{is_old}");
        let feeds = |server: &Plain| {
            let asked = server.asked.take();
            let feeds = asked.iter().filter_map(|path| path.strip_suffix("/stages.xml"));
            feeds
                .map(|path| path.rsplit('/').next().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(feeds(&server).len(), 8);
        // The others do not wait for them in the next round.
        round(&server, &files, &mut told, &options(), minute(6)).unwrap();
        let order = feeds(&server);
        let (first, last) = (
            order.iter().position(|name| name == "b"),
            order.iter().position(|name| name == "h"),
        );
        assert!(last < first, "{order:?}");
        server.tamper.take();
        round(&server, &files, &mut told, &options(), minute(7)).unwrap();
        round(&server, &files, &mut told, &options(), minute(8)).unwrap();
        let order = feeds(&server);
        assert_eq!(
            order[order.len() - 8..].first().map(String::as_str),
            Some("p"),
            "{order:?}"
        );
    }
}

#[test]
fn a_server_that_is_down_is_left_after_some_requests() {
    for is_old in BOTH {
        let mut server = Plain::new(is_old, forty());
        server.others = vec!["x", "y", "z"];
        let (files, mut told) = (Files::default(), Told::default());
        round(&server, &files, &mut told, &options(), minute(50)).unwrap();
        server
            .runs
            .borrow_mut()
            .extend((41..=60).map(|counter| passed(counter, counter as i64)));
        // Its feed is answered, and nothing after that.
        let left = Rc::new(Cell::new(2));
        server.tamper(move |_| {
            left.set(left.get() - 1);
            (left.get() < 0).then(|| Err(unavailable(None)))
        });
        server.requests();
        let failed = round(&server, &files, &mut told, &options(), minute(70));
        assert!(matches!(failed, Err(SyncError::NoAnswer(_))), "{failed:?}");
        assert_eq!(server.requests(), 2 + 3 + 1, "the list tells whether it is there");
        server.tamper.take();
        round(&server, &files, &mut told, &options(), minute(71)).unwrap();
        assert_eq!(told.by_run.len(), 60, "{is_old}");
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
        // What comes later yet is found by the walk.
        let again = ("build", 2, "Passed", 600 * 720 + 144_100);
        server.runs.borrow_mut()[3].stages.push(again);
        round(&server, &files, &mut told, &options(), last + TimeDelta::days(102)).unwrap();
        assert_eq!(told.records()["gocd/go/p/4/attempt-2"]["status"], "success", "{is_old}");
    }
}

fn restarted(id: &str) -> Options {
    let mut options = options();
    options.mapping.restarted = vec![(Name::new("P").unwrap(), ServerId::new(id).unwrap())];
    options
}

#[test]
fn counters_that_begin_again_are_held_back_until_the_operator_has_said_how() {
    for is_old in BOTH {
        for said in ["go-2", "go"] {
            let server = Plain::new(is_old, forty());
            let (files, mut told) = (Files::default(), Told::default());
            round(&server, &files, &mut told, &options(), minute(50)).unwrap();
            let before = told.notifications();
            // The new server's transitions are numbered from 1 too.
            let anew = vec![
                run(1, &[("build", 1, "Failed", 51)]),
                run(2, &[("build", 1, "Failed", 52)]),
            ];
            let old = server.runs.replace(anew.clone());
            let is_back = server.page(None);
            let page = is_back.replace("before=51", "before=1");
            server.tamper(move |path| path.ends_with("/p/stages.xml").then(|| Ok(page.clone())));
            for at in [60, 61, 50_000] {
                let done = round(&server, &files, &mut told, &options(), minute(at)).unwrap();
                let [(_, failure)] = &done.failed[..] else {
                    panic!("{done:?}")
                };
                let words = failure.to_string();
                assert!(
                    words.contains("--restarted p=ID") && words.contains("is 2, after 40"),
                    "{words}"
                );
                assert!(words.len() < 160, "{words}");
                assert_eq!(told.notifications(), before, "nothing is told");
            }
            // The old server's database is there again.
            if said == "go" {
                server.tamper.take();
                server.runs.replace(old);
                let done = round(&server, &files, &mut told, &options(), minute(50_001)).unwrap();
                assert!(done.failed.is_empty(), "{:?}", done.failed);
                let page = is_back.replace("before=51", "before=1");
                server.tamper(move |path| path.ends_with("/p/stages.xml").then(|| Ok(page.clone())));
                server.runs.replace(anew);
            }
            let done = round(&server, &files, &mut told, &restarted(said), minute(50_002)).unwrap();
            assert!(done.failed.is_empty(), "{:?}", done.failed);
            let records = told.records();
            assert_eq!(records[&format!("gocd/{said}/p/1")]["status"], "failure", "{is_old}");
            assert_eq!(records.len(), if said == "go" { 40 } else { 42 });
            // Another time it is another question.
            server.runs.replace(vec![run(1, &[("build", 1, "Passed", 60_000)])]);
            let page = server.page(None).replace("before=60000", "before=0");
            server.tamper(move |path| path.ends_with("/p/stages.xml").then(|| Ok(page.clone())));
            let done = round(&server, &files, &mut told, &restarted(said), minute(60_001)).unwrap();
            assert_eq!(done.failed.len(), 1, "{is_old} {said}");
        }
    }
}

/// A pipeline that was deleted and made again on the same server, which counts everything else on.
#[test]
fn a_pipeline_that_was_made_again_is_held_back_too() {
    for is_old in BOTH {
        for runs in [3, 30] {
            let server = Plain::new(is_old, forty());
            let (files, mut told) = (Files::default(), Told::default());
            round(&server, &files, &mut told, &options(), minute(50)).unwrap();
            server.runs.replace(
                (1..=runs)
                    .map(|counter| passed(counter, 100 + i64::try_from(counter).unwrap()))
                    .collect(),
            );
            let page = server.page(None).replace("/pipelines/p/90", "/pipelines/p/95");
            server.tamper(move |path| path.ends_with("/p/stages.xml").then(|| Ok(page.clone())));
            let done = round(&server, &files, &mut told, &options(), minute(200)).unwrap();
            assert_eq!(done.failed.len(), 1, "{is_old} {runs}");
            assert_eq!(done.looked_at, 0);
        }
    }
}

/// An old server's page of stages that ran again, of old runs alone.
#[test]
fn a_page_of_re_runs_is_no_restart() {
    let server = Plain::new(true, forty());
    let (files, mut told) = (Files::default(), Told::default());
    round(&server, &files, &mut told, &options(), minute(50)).unwrap();
    for run in server.runs.borrow_mut().iter_mut().take(30) {
        run.stages
            .push(("build", 2, "Passed", 100 + i64::try_from(run.counter).unwrap()));
    }
    let done = round(&server, &files, &mut told, &options(), minute(200)).unwrap();
    assert!(done.failed.is_empty(), "{:?}", done.failed);
    assert_eq!(told.by_run.len(), 70);
}

#[test]
fn a_newest_run_that_is_gone_is_no_restart() {
    for is_old in BOTH {
        let server = Plain::new(is_old, forty());
        let (files, mut told) = (Files::default(), Told::default());
        round(&server, &files, &mut told, &options(), minute(50)).unwrap();
        server.runs.borrow_mut().pop();
        let done = round(&server, &files, &mut told, &options(), minute(51)).unwrap();
        assert!(done.failed.is_empty(), "{is_old}: {:?}", done.failed);
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
fn a_run_above_that_cannot_be_read_withholds_nothing_and_is_told_from_a_run_s_own_document() {
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

#[test]
fn a_pipeline_that_is_renamed_is_said_with_what_was_under_way() {
    for is_old in BOTH {
        let mut server = Plain::new(
            is_old,
            [
                passed(1, 1),
                run(2, &[("build", 1, "Passed", 5), ("test", 1, "Building", 6)]),
            ],
        );
        server.others = vec!["web"];
        let (files, mut told) = (Files::default(), Told::default());
        let done = round(&server, &files, &mut told, &options(), minute(9)).unwrap();
        assert!(done.gone.is_empty());
        let api = if is_old { "api" } else { "api/feed" };
        let list = format!(r#"<pipelines><pipeline href="http://x/go/{api}/pipelines/WEB/stages.xml"/></pipelines>"#);
        server.tamper(move |path| path.ends_with("pipelines.xml").then(|| Ok(list.clone())));
        let done = round(&server, &files, &mut told, &options(), minute(10)).unwrap();
        let p = Name::new("p").unwrap();
        let gone = Gone {
            pipeline: p,
            under_way: vec![2],
        };
        assert_eq!(done.gone, [gone], "{is_old}");
        let done = round(&server, &files, &mut told, &options(), minute(11)).unwrap();
        assert!(done.gone.is_empty(), "once");
    }
}

#[test]
fn patterns_that_fit_nothing_are_an_error() {
    let mut server = Plain::new(true, [passed(1, 1)]);
    server.others = vec!["web", "api"];
    let options = |patterns: &[&str]| Options {
        pipelines: patterns.iter().map(|pattern| Pattern::new(pattern)).collect(),
        ..options()
    };
    let read = |patterns: &[&str]| {
        round(
            &server,
            &Files::default(),
            &mut Told::default(),
            &options(patterns),
            minute(5),
        )
    };
    let done = read(&["w?b", "A*"]).unwrap();
    assert_eq!((done.pipelines, done.unfitted.len()), (2, 0));
    let done = read(&["p", "wbe"]).unwrap();
    assert_eq!((done.pipelines, &done.unfitted[..]), (1, &["wbe".to_owned()][..]));
    let error = read(&["wbe", "x*"]).unwrap_err().to_string();
    assert!(
        error.contains("fits wbe, x*") && error.contains("lists 3") && error.len() < 160,
        "{error}"
    );
}

#[test]
fn one_unfit_address_in_the_list_costs_no_other_pipeline() {
    for prefix in ["http://x/go", "https://h/go/ci/go", "/go"] {
        let server = Plain::new(true, [passed(1, 1)]);
        let list = format!(
            r#"<pipelines><pipeline href="http://x/go/api/pipelines/a b/stages.xml"/>
            <pipeline href="{prefix}/api/pipelines/p/stages.xml"/><pipeline href="mailto:x"/></pipelines>"#
        );
        server.tamper(move |path| path.ends_with("pipelines.xml").then(|| Ok(list.clone())));
        let mut told = Told::default();
        let done = round(&server, &Files::default(), &mut told, &options(), minute(5)).unwrap();
        assert_eq!((done.pipelines, told.by_run.len()), (1, 1), "{prefix}");
        assert!(
            done.notices["unfit entry in the list"]
                .example
                .contains("2 of the entries")
        );
    }
}

#[test]
fn feeds_that_the_server_does_not_have_are_named() {
    for (is_old, dialect, told) in [
        (true, pipefold_gocd::Dialect::D, "has no new feeds"),
        (false, pipefold_gocd::Dialect::C, "has no old feeds"),
    ] {
        let options = Options {
            dialect: Some(dialect),
            ..options()
        };
        let server = Plain::new(is_old, [passed(1, 1)]);
        let failed = round(&server, &Files::default(), &mut Told::default(), &options, minute(5));
        let error = failed.unwrap_err().to_string();
        assert!(
            error.contains(told) && error.contains("--dialect") && error.len() < 160,
            "{error}"
        );
    }
}
