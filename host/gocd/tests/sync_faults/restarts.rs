//! Counters that begin again, and cases that only resemble it.

use pipefold_gocd::documents::Name;
use pipefold_gocd::mapping::ServerId;
use pipefold_gocd::sync::*;

use crate::sync_faults::{BOTH, forty, run};
use crate::sync_support::plain::*;
use crate::sync_support::*;

fn restarted(id: &str) -> Options {
    let mut options = options();
    options.mapping.restarted = vec![(Name::new("P").unwrap(), ServerId::new(id).unwrap())];
    options
}

#[test]
fn restarted_counters_are_held_back_until_the_operator_decides() {
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
