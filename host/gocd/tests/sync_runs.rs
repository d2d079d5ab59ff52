//! The runs that are reported, how often, and without which documents.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::sync_support::plain::*;
use crate::sync_support::*;
use chrono::TimeDelta;
use gocd_standin::{Generation, History, Shape};
use pipefold_gocd::client::FetchError;
use pipefold_gocd::documents::Name;
use pipefold_gocd::mapping::{Pattern, Reruns};
use pipefold_gocd::sync::*;

const BOTH: [bool; 2] = [true, false];

fn run(counter: u64, stages: &[PlainStage]) -> PlainRun {
    PlainRun {
        counter,
        stages: stages.to_vec(),
    }
}

#[test]
fn only_new_notifications_are_reported() {
    for is_old in BOTH {
        let server = Plain::new(
            is_old,
            [run(1, &[("build", 1, "Passed", 10), ("test", 1, "Building", 11)])],
        );
        let (files, mut told) = (Files::default(), Told::default());
        round(&server, &files, &mut told, &options(), minute(12)).unwrap();
        let [first] = &told.reports[..] else {
            panic!("{:?}", told.reports)
        };
        assert!(first.attempts[0].start.is_some() && first.attempts[0].finish.is_none());
        assert_eq!(first.attempts[0].steps.len(), 2);
        server.runs.borrow_mut()[0].stages[1] = ("test", 1, "Passed", 20);
        round(&server, &files, &mut told, &options(), minute(21)).unwrap();
        let [_, second] = &told.reports[..] else {
            panic!("{:?}", told.reports)
        };
        let news = &second.attempts[0];
        let steps: Vec<_> = news.steps.iter().map(|step| step.step.as_deref().unwrap()).collect();
        assert_eq!(
            (news.start.is_some(), steps, news.finish.is_some()),
            (false, vec!["test"], true)
        );
        // Another attempt has no data of the first.
        server.runs.borrow_mut()[0].stages.push(("test", 2, "Failed", 30));
        round(&server, &files, &mut told, &options(), minute(31)).unwrap();
        let news: Vec<u32> = told.reports[2].attempts.iter().map(|news| news.number).collect();
        assert_eq!(news, [2], "{is_old}");
    }
}

#[test]
fn runs_that_could_not_be_kept_or_remembered_are_reported_again() {
    for is_old in BOTH {
        let server = Plain::new(is_old, (1..=20).map(|counter| passed(counter, counter as i64)));
        let (mut files, mut told) = (Files::default(), Told::default());
        told.trouble = Some((1000, Dice::new(1)));
        let failed = round(&server, &files, &mut told, &options(), minute(40));
        assert!(matches!(failed, Err(SyncError::Sink(_))));
        told.trouble = None;
        files.trouble = Some((900, Dice::new(1)));
        while !matches!(round(&server, &files, &mut told, &options(), minute(40)), Ok(done) if done.failed.is_empty()) {
        }
        files.trouble = None;
        round(&server, &files, &mut told, &options(), minute(40)).unwrap();
        assert_eq!(told.by_run.len(), 20);
    }
}

#[test]
fn nothing_is_remembered_after_the_sink_or_the_store_failed() {
    for is_old in BOTH {
        let server = Plain::new(is_old, (1..=20).map(|counter| passed(counter, counter as i64)));
        let (files, mut told) = (Files::default(), Told::default());
        told.trouble = Some((100, Dice::new(1)));
        let failed = round(&server, &files, &mut told, &options(), minute(40));
        assert!(matches!(failed, Err(SyncError::Sink(_))) && !told.by_run.is_empty());
        assert!(files.pipelines.borrow().is_empty(), "{is_old}");
        told.trouble = None;
        // The first save fails, and the second would not.
        let store = FailsOnce(&files, Cell::new(true));
        let failed = Engine::new(&server, &store, &mut told, &mut (), options()).round(minute(40), &|| false);
        assert!(matches!(failed, Err(SyncError::State(_))), "{failed:?}");
        assert!(files.pipelines.borrow().is_empty(), "{is_old}");
    }
}

/// A store that keeps nothing the first time.
struct FailsOnce<'a>(&'a Files, Cell<bool>);

impl StateStore for FailsOnce<'_> {
    fn load(&self, pipeline: &Name) -> Result<Option<PipelineState>, StateError> {
        self.0.load(pipeline)
    }

    fn save(&self, pipeline: &Name, state: &PipelineState) -> Result<(), StateError> {
        if self.1.replace(false) {
            return Err(StateError::Storage("full".into()));
        }
        self.0.save(pipeline, state)
    }

    fn load_server(&self) -> Result<Option<ServerState>, StateError> {
        self.0.load_server()
    }

    fn save_server(&self, state: &ServerState) -> Result<(), StateError> {
        self.0.save_server(state)
    }
}

#[test]
fn a_stage_that_ended_again_with_another_result_is_reported() {
    for is_old in BOTH {
        let server = Plain::new(is_old, (1..=60).map(|counter| passed(counter, counter as i64)));
        let (files, mut told) = (Files::default(), Told::default());
        round(&server, &files, &mut told, &options(), minute(70)).unwrap();
        server.runs.borrow_mut()[50].stages[0] = ("build", 1, "Failed", 80);
        let done = round(&server, &files, &mut told, &options(), minute(90)).unwrap();
        assert_eq!(done.runs, 1);
        let record = &told.records()["gocd/go/p/51"];
        assert_eq!(record["status"], "failure");
        assert_eq!(
            record["finished_at"],
            minute(80).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        );
    }
}

#[test]
fn the_history_goes_back_as_far_as_is_asked_for_and_further_when_more_is() {
    for is_old in BOTH {
        let server = Plain::new(is_old, (1..=200).map(|counter| passed(counter, counter as i64)));
        // An old run that goes on.
        server.runs.borrow_mut()[149].stages.push(("deploy", 1, "Passed", 300));
        let (files, mut told) = (Files::default(), Told::default());
        let since = |at: i64| Options {
            since: Some(minute(at)),
            ..options()
        };
        let done = round(&server, &files, &mut told, &since(181), minute(400)).unwrap();
        let first: Vec<bool> = [180, 181, 200]
            .map(|of| told.by_run.contains_key(&format!("gocd/go/p/{of}")))
            .into();
        assert_eq!(first, [false, true, true], "{is_old}");
        // The new dialect lists it further back than the first page of old entries.
        assert_eq!(told.by_run.contains_key("gocd/go/p/150"), is_old);
        assert!(done.pages < 6);
        server.requests();
        round(&server, &files, &mut told, &since(190), minute(400)).unwrap();
        assert!(server.requests() < 25, "a later time asks for nothing more");
        round(&server, &files, &mut told, &options(), minute(400)).unwrap();
        assert_eq!(told.by_run.len(), 200, "{is_old}");
    }
}

#[test]
fn only_the_chosen_pipelines_are_asked_for() {
    let mut server = Plain::new(true, [passed(1, 1)]);
    server.others = vec!["deploy-a", "deploy-b", "deploy-a"];
    let options = Options {
        pipelines: vec![Pattern::new("deploy-*")],
        ..options()
    };
    let done = round(&server, &Files::default(), &mut Told::default(), &options, minute(5)).unwrap();
    assert_eq!(done.pipelines, 2);
    assert!(!server.asked.take().iter().any(|path| path.contains("/p/")));
}

#[test]
fn a_run_that_cannot_be_read_waits_and_does_not_keep_others_from_it() {
    for is_old in BOTH {
        let server = Plain::new(is_old, (1..=60).map(|counter| passed(counter, counter as i64)));
        // The faults of the documents of run 30.
        let answer = Rc::new(Cell::new(0));
        let is_of_30 =
            |path: &str| path.contains("/9030.xml") || path.contains("/stages/300") || path.contains("/p/30");
        server.tamper({
            let answer = answer.clone();
            move |path| {
                is_of_30(path).then_some(())?;
                match answer.get() {
                    0 => Some(Err(unavailable(Some(500)))),
                    1 => Some(Ok("<stage name='x'".into())),
                    2 => Some(Err(FetchError::NotADocument("a login page".into()))),
                    _ => None,
                }
            }
        });
        let (files, mut told) = (Files::default(), Told::default());
        for kind in 0..3 {
            answer.set(kind);
            let done = round(&server, &files, &mut told, &options(), minute(70)).unwrap();
            assert!(done.failed.is_empty(), "{:?}", done.failed);
            assert_eq!(told.by_run.len(), 59, "{is_old} {kind}");
            assert!(
                done.notices["not yet read"].example.contains("run 30"),
                "{:?}",
                done.notices
            );
        }
        answer.set(3);
        round(&server, &files, &mut told, &options(), minute(71)).unwrap();
        assert_eq!(told.by_run.len(), 60);
        // Not for ever.
        answer.set(0);
        server
            .runs
            .borrow_mut()
            .push(run(61, &[("build", 1, "Passed", 80), ("test", 1, "Passed", 81)]));
        let is_test_61 = move |path: &str| path.contains("/p/61/test") || path.contains("/stages/610448001");
        server.tamper(move |path| is_test_61(path).then(|| Err(unavailable(Some(500)))));
        for hours in 0..6 {
            let now = minute(90) + TimeDelta::hours(hours);
            let done = round(&server, &files, &mut told, &options(), now).unwrap();
            assert!(!done.notices.contains_key("no stage document"), "{:?}", done.notices);
        }
        assert_eq!(told.by_run.len(), 60);
        let now = minute(90) + TimeDelta::hours(7);
        round(&server, &files, &mut told, &options(), now).unwrap();
        // The feed has the result. The stage may have waited for a person, and DX would keep its end: the run ends before it for now.
        let ended = |told: &Told, at| {
            let record = &told.records()["gocd/go/p/61"];
            let end = minute(at).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            assert_eq!(
                (&record["status"], &record["finished_at"]),
                (&"success".into(), &end.into())
            );
        };
        ended(&told, 80);
        server.tamper(|_| None);
        round(&server, &files, &mut told, &options(), now + TimeDelta::days(1)).unwrap();
        ended(&told, 81);
    }
}

#[test]
fn missing_documents_are_left_out_and_reported() {
    for is_old in BOTH {
        let stages = [
            ("build", 1, "Failed", 1),
            ("build", 2, "Passed", 5),
            ("test", 1, "Passed", 6),
        ];
        let server = Plain::new(is_old, [run(1, &stages)]);
        server.tamper(|path| {
            let is_it = path.ends_with("/p/1/build/1.xml");
            is_it.then_some(Err(FetchError::NotFound))
        });
        let (files, mut told) = (Files::default(), Told::default());
        let done = round(&server, &files, &mut told, &options(), minute(9)).unwrap();
        // The old feed's entry has the document's data; without one it may come.
        let (now, later) = if is_old { (2, 2) } else { (0, 1) };
        assert_eq!(told.by_run.len(), now, "{:?}", done.notices);
        let done = round(&server, &files, &mut told, &options(), minute(20)).unwrap();
        assert_eq!(told.by_run.len(), later, "{:?}", done.notices);
        // The run's own document is gone: what the feed has of it is enough to ask for its stages.
        let server = Plain::new(is_old, [run(1, &stages)]);
        server.tamper(|path| {
            let is_it = path.ends_with("/p/1.xml") || path.ends_with("/9001.xml");
            is_it.then_some(Err(FetchError::NotFound))
        });
        let (files, mut told) = (Files::default(), Told::default());
        round(&server, &files, &mut told, &options(), minute(9)).unwrap();
        let done = round(&server, &files, &mut told, &options(), minute(20)).unwrap();
        assert_eq!(done.notices["no pipeline document"].count, 1);
        assert_eq!(told.by_run.len(), 2, "{is_old}");
        assert_eq!(told.records()["gocd/go/p/1"]["repository"], serde_json::Value::Null);
    }
}

#[test]
fn a_document_about_something_else_is_not_used() {
    let server = Plain::new(true, [passed(1, 1), passed(2, 2)]);
    let other = String::from(r#"<pipeline name="q" counter="1"><stages/></pipeline>"#);
    server.tamper(move |path| path.ends_with("/9001.xml").then(|| Ok(other.clone())));
    let mut told = Told::default();
    let done = round(&server, &Files::default(), &mut told, &options(), minute(9)).unwrap();
    assert_eq!(done.notices["document about something else"].count, 1);
    assert_eq!(told.by_run.len(), 2);
    assert_eq!(told.records()["gocd/go/p/1"]["commit_sha"], serde_json::Value::Null);
}

#[test]
fn runs_have_the_name_that_the_server_stores() {
    for is_old in BOTH {
        let server = Plain::new(is_old, [passed(1, 1)]);
        let api = if is_old { "api" } else { "api/feed" };
        let list = format!(r#"<pipelines><pipeline href="http://x/go/{api}/pipelines/P/stages.xml"/></pipelines>"#);
        server.tamper(move |path| path.ends_with("pipelines.xml").then(|| Ok(list.clone())));
        let mut told = Told::default();
        let options = Options {
            dialect: Some(if is_old {
                pipefold_gocd::Dialect::Old
            } else {
                pipefold_gocd::Dialect::New
            }),
            ..options()
        };
        round(&server, &Files::default(), &mut told, &options, minute(9)).unwrap();
        assert_eq!(told.by_run.keys().collect::<Vec<_>>(), ["gocd/go/p/1"]);
    }
}

#[test]
fn the_end_of_a_run_is_reported_once_it_was_quiet() {
    for is_old in BOTH {
        let stages = [("build", 1, "Failed", 0), ("build", 2, "Passed", 10)];
        let server = Plain::new(
            is_old,
            (1..=30).map(|counter| {
                run(
                    counter,
                    &stages.map(|(name, n, word, at)| (name, n, word, at + counter as i64 * 20)),
                )
            }),
        );
        let mut options = options();
        options.mapping.reruns = Reruns::Latest {
            quiet: TimeDelta::hours(1),
        };
        let (files, mut told) = (Files::default(), Told::default());
        let has_ended = |told: &Told, of: u64| told.records()[&format!("gocd/go/p/{of}")]["finished_at"].is_string();
        round(&server, &files, &mut told, &options, minute(615)).unwrap();
        assert_eq!(
            (has_ended(&told, 27), has_ended(&told, 28), has_ended(&told, 30)),
            (true, false, false)
        );
        round(&server, &files, &mut told, &options, minute(640)).unwrap();
        assert_eq!((has_ended(&told, 28), has_ended(&told, 30)), (true, false));
        round(&server, &files, &mut told, &options, minute(672)).unwrap();
        assert!(has_ended(&told, 30));
        assert_eq!(told.records()["gocd/go/p/30"]["status"], "success");
        // Nothing is due any more.
        server.requests();
        round(&server, &files, &mut told, &options, minute(672) + TimeDelta::days(15)).unwrap();
        round(&server, &files, &mut told, &options, minute(673) + TimeDelta::days(15)).unwrap();
        let asked = server.asked.take();
        assert_eq!(
            asked[asked.len() - 2..]
                .iter()
                .filter(|path| path.contains("pipelines"))
                .count(),
            2,
            "{asked:?}"
        );
    }
}

#[test]
fn repository_and_commit_come_from_the_pipelines_before() {
    let dependency = |of: &str, counter: u64| {
        format!(
            r#"<material type="DependencyMaterial" pipelineName="{of}" stageName="s"><modifications>
            <changeset changesetUri="http://localhost:8153/go/api/stages/{counter}.xml"><checkinTime>2019-01-01T00:00:00Z</checkinTime>
            <revision>{of}/{counter}/s/1</revision></changeset></modifications></material>"#
        )
    };
    let document = |name: &str, counter: u64, materials: &str| {
        format!(r#"<pipeline name="{name}" counter="{counter}"><materials>{materials}</materials><stages/></pipeline>"#)
    };
    let stage = |name: &str, counter: u64| {
        format!(
            r#"<stage name="s" counter="1"><pipeline name="{name}" counter="{counter}"
            href="http://localhost:8153/go/api/pipelines/{name}/{counter}.xml"/></stage>"#
        )
    };
    for is_old in BOTH {
        let path = |name: &str, counter: u64| match is_old {
            true => format!("/api/pipelines/{name}/{counter}.xml"),
            false => format!("/api/feed/pipelines/{name}/{counter}.xml"),
        };
        // Two pipelines up is the repository; one of them is made of the other too.
        let documents = BTreeMap::from([
            (
                path("mid", 5),
                document("mid", 5, &[dependency("mid", 5), dependency("top", 7)].concat()),
            ),
            (path("top", 7), document("top", 7, GIT)),
            ("/api/stages/5.xml".into(), stage("mid", 5)),
            ("/api/stages/7.xml".into(), stage("top", 7)),
        ]);
        let mut server = Plain::new(is_old, [passed(1, 1)]);
        server.materials = dependency("mid", 5);
        server.tamper(move |path| documents.get(path).map(|document| Ok(document.clone())));
        let mut told = Told::default();
        let done = round(&server, &Files::default(), &mut told, &options(), minute(9)).unwrap();
        let record = &told.records()["gocd/go/p/1"];
        assert_eq!(
            (&record["repository"], &record["head_branch"]),
            (&"o/n".into(), &"main".into()),
            "{done:?}"
        );
        assert_eq!(record["commit_sha"], "ab".repeat(20));
        assert!(record["email"].is_null(), "who made the change did not start this run");
        server.requests();
        let without = Options {
            upstream: false,
            ..options()
        };
        let mut told = Told::default();
        round(&server, &Files::default(), &mut told, &without, minute(9)).unwrap();
        assert!(!server.asked.take().iter().any(|path| path.contains("/mid/")));
        assert!(told.records()["gocd/go/p/1"]["repository"].is_null());
        // A pipeline that may not be seen leaves them out.
        server.tamper(|path| path.contains("mid").then_some(Err(FetchError::NoPermission)));
        let done = round(&server, &Files::default(), &mut Told::default(), &options(), minute(9)).unwrap();
        assert_eq!(
            done.notices.get("no upstream run").map(|tally| tally.count),
            Some(1),
            "{:?}",
            done.notices
        );
    }
}

#[test]
fn a_run_whose_successor_has_not_ended_a_stage_is_not_the_newest() {
    let server = Plain::new(false, [passed(1, 1)]);
    let commit = || {
        let mut told = Told::default();
        round(&server, &Files::default(), &mut told, &options(), minute(9)).unwrap();
        told.records()["gocd/go/p/1"]["commit_sha"].clone()
    };
    assert_eq!(commit(), "ab".repeat(20));
    // The feed does not show it, and the server's newest revisions are its own.
    server.runs.borrow_mut().push(run(2, &[("build", 1, "Building", 5)]));
    assert!(commit().is_null());
}

#[test]
fn jobs_are_asked_for_where_they_may_have_times() {
    let history = History::generate(1, &Shape::default());
    for generation in Generation::ALL {
        let source = Memory::new(&history, generation);
        let (files, mut told) = (Files::default(), Told::default());
        round(&source, &files, &mut told, &options(), late()).unwrap();
        let asked = source.asked.borrow().iter().any(|path| path.contains("/api/jobs/"));
        assert_eq!(asked, generation != Generation::New, "{generation:?}");
    }
}

/// Returns the state after reading this many runs of two stages.
fn state_of(is_old: bool, count: u64) -> (Files, Vec<u8>) {
    let stages = [("build", 1, "Passed", 0), ("test", 1, "Failed", 1)];
    let at = |counter: u64| stages.map(|(name, n, word, at)| (name, n, word, at + counter as i64 * 2));
    let server = Plain::new(is_old, (1..=count).map(|counter| run(counter, &at(counter))));
    let (files, mut told) = (Files::default(), Told::default());
    round(&server, &files, &mut told, &options(), minute(5_000)).unwrap();
    assert_eq!(told.by_run.len() as u64, count);
    let state = files.pipelines.borrow()[&Name::new("p").unwrap()].clone();
    (files, state)
}

#[test]
fn a_state_stays_small() {
    for is_old in BOTH {
        let (few, many) = (state_of(is_old, 640).1.len(), state_of(is_old, 1280).1.len());
        assert!(few < 64 * 1024, "{few}");
        // 20,000 runs: 16 KiB more.
        assert!(many - few < 640, "{}", many - few);
    }
}

#[test]
fn the_version_of_a_state_is_checked() {
    let (files, state) = state_of(true, 5);
    let text = String::from_utf8(state).unwrap();
    let newer = text.replacen(r#""form":1"#, r#""form":2"#, 1);
    let read = |text: &str| PipelineState::from_json(text.as_bytes());
    assert!(read(&text).is_ok());
    assert!(matches!(read(&newer), Err(StateError::Newer(2))));
    assert!(matches!(read(&text[..text.len() / 2]), Err(StateError::Damaged(_))));
    assert!(matches!(
        read(&" ".repeat(MAX_STATE_BYTES + 1)),
        Err(StateError::TooLong)
    ));
    // A pipeline whose state cannot be used is left, with advice.
    let p = Name::new("p").unwrap();
    files.pipelines.borrow_mut().insert(p, newer.into_bytes());
    let server = Plain::new(true, [passed(1, 1)]);
    let done = round(&server, &files, &mut Told::default(), &options(), minute(5_000)).unwrap();
    let failure = done.failed[0].1.to_string();
    assert!(failure.contains("later version"), "{failure}");
}
