//! The list of pipelines, and their feeds: one costs no other.

use std::cell::Cell;
use std::rc::Rc;

use pipefold_gocd::documents::Name;
use pipefold_gocd::mapping::Pattern;
use pipefold_gocd::sync::*;

use crate::sync_faults::{BOTH, forty, run};
use crate::sync_support::plain::*;
use crate::sync_support::*;

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

#[test]
fn a_renamed_pipeline_is_reported_with_its_unfinished_runs() {
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
        error.contains("matches wbe, x*") && error.contains("lists 3") && error.len() < 160,
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
        (true, pipefold_gocd::Dialect::New, "has no new feeds"),
        (false, pipefold_gocd::Dialect::Old, "has no old feeds"),
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
