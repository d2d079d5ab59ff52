//! A GoCD server that misbehaves is reported in clear words and harms nothing else; its runs are read once it behaves.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::reading::{Reading, SERVER_ID};
use chrono::TimeDelta;
use gocd_standin::Reading::{BackFill, Live};
use gocd_standin::{Access, Expected, Fault, Generation, GocdStandin, History, Shape, Times, Way};
use pipefold_tests::{Ci, Output, eventually};
use rustix::process::Signal;
use serde_json::Value;

/// Two pipelines; the first has more than one page of the feed.
fn history() -> History {
    let shape = Shape {
        pipelines: 2,
        runs: 6..=8,
        long_runs: 0,
        ..Shape::brisk()
    };
    let entries = |history: &History, pipeline: usize| {
        let stages = history.pipelines[pipeline].runs.iter().flat_map(|run| &run.stages);
        stages
            .filter(|stage| stage.completed(history.events()).is_some())
            .count()
    };
    let fits = |history: &History| entries(history, 0) > 30 && entries(history, 1) > 3;
    (0..).map(|seed| History::generate(seed, &shape)).find(fits).unwrap()
}

/// The name of a pipeline.
fn name(reading: &Reading, place: usize) -> String {
    reading.gocd.server().history().pipelines[place].name.to_string()
}

/// The feed of the first pipeline.
fn feed(reading: &Reading) -> String {
    format!("{}/stages.xml", name(reading, 0))
}

fn assert_says(output: &Output, words: &str, context: &dyn std::fmt::Debug) {
    let stderr = output.stderr();
    assert!(stderr.contains(words), "{context:?}: no {words:?} in {output}");
    assert!(!stderr.contains("panicked"), "{context:?}: {output}");
}

/// Checks that DX has all of the second pipeline's runs.
fn assert_other_told(reading: &Reading, context: &dyn std::fmt::Debug) {
    let name = name(reading, 1);
    let mut expected = reading.expected(BackFill);
    expected.retain(|one| one.pipeline_name == name);
    let mut records = reading.records();
    records.retain(|_, record| record["pipeline_name"] == name);
    let differences = Expected::differences(&expected, &records);
    assert!(differences.is_empty(), "{context:?}: {differences:#?}");
}

/// Gives a lasting fault to requests for the first pipeline's feed, or a part of it, and then behaves.
fn spoils_one_pipeline(generation: Generation, fault: &Fault, about: &str, words: &str) {
    let reading = Reading::new(history(), generation);
    let about = format!("{}{about}", feed(&reading));
    reading.gocd.misbehave(fault.clone(), Times::Always, &about);
    let output = reading.sync().args(["--strict"]).run();
    output.assert_code(1);
    assert_says(&output, words, &(generation, fault));
    assert_says(&output, &name(&reading, 0), &(generation, fault));
    assert_other_told(&reading, &(generation, fault));
    reading.gocd.behave();
    reading.read();
    reading.assert_told(BackFill, &(generation, fault));
}

#[test]
fn documents_that_are_none() {
    for generation in [Generation::Old, Generation::New] {
        for (fault, words) in [
            (Fault::Empty, "empty"),
            (Fault::CutShort, "end"),
            (Fault::LoginPage, "web page"),
            (Fault::LoginRedirect, "logging in"),
            (Fault::Deep, "deep"),
            (Fault::Laughs, "document type"),
            (Fault::Latin1, "UTF-8"),
            (Fault::InvalidUtf8, "UTF-8"),
        ] {
            spoils_one_pipeline(generation, &fault, "", words);
        }
    }
}

#[test]
fn a_document_of_a_hundred_megabytes() {
    spoils_one_pipeline(Generation::Old, &Fault::Huge, "", "the limit for a document");
}

#[test]
fn feeds_that_lead_nowhere() {
    for generation in [Generation::Old, Generation::New] {
        spoils_one_pipeline(generation, &Fault::RepeatsPage, "?before=", "repeats itself");
    }
    // The new feed's own link loses runs, and is not followed.
    spoils_one_pipeline(Generation::Old, &Fault::Backwards, "?before=", "not further back");
}

#[test]
fn a_feed_that_never_ends_is_left_when_it_is_time() {
    for generation in [Generation::Old, Generation::New] {
        let reading = Reading::new(history(), generation);
        reading.gocd.misbehave(Fault::Endless, Times::Always, &feed(&reading));
        let sync = reading.sync().spawn();
        let pages = || {
            reading
                .gocd
                .log()
                .iter()
                .filter(|one| one.target.contains("?before="))
                .count()
        };
        eventually("it goes on for some pages", || pages() > 3);
        sync.signal(Signal::TERM);
        let output = sync.wait();
        assert_says(&output, "stopped before the end", &generation);
        // A reader that asks for no more than some years is done with it at once.
        let until = reading.gocd.requests();
        let output = reading.sync().args(["--since", "2012-01-01"]).run();
        output.assert_code(0);
        assert!(reading.gocd.requests() - until < 500, "{generation:?}");
        reading.gocd.behave();
        // The counters of the invented runs were higher: the operator has to confirm that they are gone.
        assert_says(&reading.sync().run(), "--restarted", &generation);
        let said = format!("{}={SERVER_ID}", name(&reading, 0));
        reading.sync().args(["--restarted", &said]).run().assert_code(0);
        // The invented runs were reported, and the real ones too.
        let mut records = reading.records();
        records.retain(|id, _| !id.contains("/1999"));
        let differences = Expected::differences(&reading.expected(BackFill), &records);
        assert!(differences.is_empty(), "{generation:?}: {differences:#?}");
    }
}

#[test]
fn what_passes_is_waited_for() {
    let faults = [
        Fault::Slow(Duration::from_millis(300)),
        Fault::Status(500),
        Fault::Status(408),
        Fault::Unavailable { retry_after: None },
        Fault::Unavailable { retry_after: Some(1) },
        Fault::Reset,
        Fault::Truncated,
        Fault::CutShort,
    ];
    let passes = |fault: &Fault| {
        for generation in [Generation::Old, Generation::New] {
            let reading = Reading::new(history(), generation);
            reading.gocd.misbehave(fault.clone(), Times::Next(1), "/stages.xml");
            reading.read();
            reading.assert_told(BackFill, &(generation, fault));
        }
    };
    // Side by side, for most of it is waiting.
    std::thread::scope(|scope| {
        for fault in &faults {
            scope.spawn(move || passes(fault));
        }
    });
}

#[test]
fn a_server_that_restarts() {
    for generation in [Generation::Old, Generation::New] {
        let reading = Reading::new(history(), generation);
        reading
            .gocd
            .misbehave(Fault::Slow(Duration::from_millis(20)), Times::Always, "");
        let sync = reading.sync().spawn();
        eventually("some requests", || reading.gocd.requests() > 10);
        reading.gocd.stop();
        // Long enough for several requests that find no server.
        std::thread::sleep(Duration::from_millis(300));
        reading.gocd.behave();
        // It may have given up, with an error.
        let output = sync.wait();
        assert!(matches!(output.code, Some(0 | 1)), "{output}");
        reading.read();
        reading.assert_told(BackFill, &generation);
    }
}

#[test]
fn a_server_that_is_not_there_or_not_for_us() {
    for generation in [Generation::Old, Generation::New] {
        let reading = Reading::new(history(), generation);
        reading.gocd.set_access(Access::basic("ann", "secret"));
        for (user, password) in [(None, None), (Some("ann"), Some("wrong-secret"))] {
            let mut sync = reading.sync();
            if let (Some(user), Some(password)) = (user, password) {
                sync = sync.args(["--user", user]).env("GOCD_PASSWORD", password);
            }
            let before = reading.gocd.requests();
            let output = sync.run();
            output.assert_code(1);
            assert_says(&output, "password", &generation);
            assert!(!output.stderr().contains("wrong-secret"));
            assert!(reading.gocd.requests() - before <= 2, "asking on locks accounts out");
        }
        let sync = reading.sync().args(["--user", "ann"]).env("GOCD_PASSWORD", "secret");
        sync.run().assert_code(0);
        reading.assert_told(BackFill, &generation);
        reading.gocd.stop();
        let output = reading.sync().run();
        output.assert_code(1);
        assert_says(&output, &reading.gocd.url(), &generation);
        reading.gocd.behave();
    }
}

#[test]
fn a_pipeline_that_is_gone_or_not_for_us() {
    for generation in [Generation::Old, Generation::New] {
        spoils_one_pipeline(generation, &Fault::Status(404), "", "renamed or deleted");
        spoils_one_pipeline(generation, &Fault::Status(401), "", "view permission");
        spoils_one_pipeline(generation, &Fault::Status(403), "", "view permission");
        spoils_one_pipeline(generation, &Fault::Status(500), "", "500");
    }
}

#[test]
fn without_strict_one_pipeline_is_no_failure_and_all_of_them_are() {
    let reading = Reading::new(history(), Generation::Old);
    reading.gocd.misbehave(Fault::Empty, Times::Always, &feed(&reading));
    reading.sync().run().assert_code(0);
    reading.gocd.misbehave(Fault::Empty, Times::Always, "/stages.xml");
    reading.sync().run().assert_code(1);
}

#[test]
fn other_hosts_get_nothing() {
    for generation in [Generation::Old, Generation::New] {
        let other = GocdStandin::start(history(), generation);
        let address = other.url().replace("http://", "").replace("/go", "");
        spoils_one_pipeline(generation, &Fault::Elsewhere(address), "", "was not followed");
        assert_eq!(other.requests(), 0);
        // All links of the stand-in name another host, and none of them was needed.
        let reading = Reading::new(history(), generation);
        let summary = reading.read();
        assert!(summary["foreign_links"].as_u64().unwrap() > 0, "{summary:#}");
    }
}

#[test]
fn one_document_that_cannot_be_read_costs_one_run() {
    let reading = Reading::new(history(), Generation::New);
    let about = format!("{}/2.xml", name(&reading, 0));
    reading.gocd.misbehave(Fault::InvalidUtf8, Times::Always, &about);
    reading.sync().run().assert_code(0);
    let is_it = |id: &str| id.contains(&format!("/{}/2", name(&reading, 0)));
    let mut expected = reading.expected(BackFill);
    expected.retain(|one| !is_it(&one.reference_id));
    let mut records = reading.records();
    records.retain(|id, _| !is_it(id));
    assert_eq!(Expected::differences(&expected, &records), Vec::<String>::new());
    reading.gocd.behave();
    reading.read();
    reading.assert_told(BackFill, &"a run that could not be read");
}

#[test]
fn what_is_kept_of_the_reading_may_be_damaged_or_lost() {
    for generation in [Generation::Old, Generation::New] {
        let reading = Reading::new(history(), generation);
        reading.read();
        let before = reading.gocd.requests();
        let kept = Ci::files(&reading.spool().join("gocd"));
        let kept: Vec<_> = kept
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|end| end == "json"))
            .collect();
        assert!(kept.len() >= 3, "two pipelines and the server: {kept:?}");
        for (path, content) in kept {
            std::fs::write(path, &content[..content.len() / 2]).unwrap();
        }
        let output = reading.sync().run();
        output.assert_code(0);
        assert_says(&output, "is read again from its beginning", &generation);
        reading.assert_told(BackFill, &generation);
        std::fs::remove_dir_all(reading.spool().join("gocd")).unwrap();
        let summary = reading.read();
        assert!(
            reading.gocd.requests() > 2 * before,
            "it was not read again: {summary:#}"
        );
        reading.assert_told(BackFill, &generation);
    }
}

#[test]
fn a_database_that_was_set_up_again_is_reported() {
    for generation in [Generation::Old, Generation::New] {
        let reading = Reading::new(history(), generation);
        reading.read();
        let told = reading.expected(BackFill);
        let mut anew = history();
        let kept = |run: &gocd_standin::PipelineRun| run.counter.get() <= 1;
        for pipeline in &mut anew.pipelines {
            pipeline.runs.retain(kept);
        }
        // Not the same runs: other times.
        reading.gocd.replace(anew.later(TimeDelta::days(400)));
        let before = reading.ci.dx.requests().len();
        let output = reading.sync().run();
        output.assert_code(1);
        let name = name(&reading, 0);
        assert_says(&output, &format!("until --restarted {name}=ID"), &generation);
        assert_eq!(
            reading.ci.dx.requests().len(),
            before,
            "{generation:?}: nothing of it is told"
        );
        // One pipeline under another name, and the other still waits.
        let said = format!("{name}=go-2.example.com");
        reading.sync().args(["--restarted", &said]).run().assert_code(0);
        let records = reading.records();
        assert!(
            records.contains_key(&format!("gocd/go-2.example.com/{name}/1")),
            "{generation:?}"
        );
        let differences = Expected::differences(&told, &before_it(&records));
        assert!(differences.is_empty(), "{generation:?}: {differences:#?}");
    }
}

/// The records of the server as it was.
fn before_it(records: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut records = records.clone();
    records.retain(|id, _| !id.starts_with("gocd/go-2.example.com/"));
    records
}

/// One document of each kind fails in each way, except for delays longer than a client waits: those are minutes.
#[test]
fn a_document_that_fails_in_any_way_costs_its_own_run_a_pause() {
    let fails = |generation: Generation, way: Way, is_stage: bool| {
        let reading = Reading::new(history(), generation);
        let pipeline = name(&reading, 0);
        let server = reading.gocd.server();
        let run = &server.history().pipelines[0].runs[1];
        let (counter, stage) = (run.counter, &run.stages[0]);
        let document = match (generation, is_stage) {
            (Generation::New, false) => format!("/{pipeline}/{counter}.xml"),
            (Generation::New, true) => format!("/{pipeline}/{counter}/{}/{}.xml", stage.name, stage.counter),
            (_, false) => format!("/{pipeline}/{}.xml", run.id),
            (_, true) => format!("/stages/{}.xml", stage.id),
        };
        let context = (generation, way, document.clone());
        let (fault, times) = way.fault(Duration::ZERO);
        reading.gocd.misbehave(fault, times, &document);
        reading.read();
        let it = format!("gocd/{SERVER_ID}/{pipeline}/{counter}");
        let is_other = |id: &str| id != it && !id.starts_with(&format!("{it}/"));
        let mut expected = reading.expected(BackFill);
        expected.retain(|one| is_other(&one.reference_id));
        let mut records = reading.records();
        records.retain(|id, _| is_other(id));
        let differences = Expected::differences(&expected, &records);
        assert!(differences.is_empty(), "{context:?}: {differences:#?}");
        reading.gocd.behave();
        // What the server did not know is asked for again minutes later.
        if way != Way::Missing {
            reading.read();
            reading.assert_told(BackFill, &context);
        }
    };
    std::thread::scope(|scope| {
        for generation in [Generation::Old, Generation::New] {
            for (place, way) in Way::ALL.into_iter().enumerate() {
                if way != Way::Slow {
                    scope.spawn(move || fails(generation, way, place % 2 == 0));
                }
            }
        }
    });
}

#[test]
fn a_stage_that_ends_twice_counts_as_it_ended_last() {
    for generation in Generation::ALL {
        let mut history = history();
        let events = history.events();
        let runs = &history.pipelines[0].runs;
        let last_passed = |run: &gocd_standin::PipelineRun| {
            let last = run.known(events).last().map(|stage| stage.result(events));
            last == Some(gocd_standin::StageResult::Passed)
        };
        let run = runs.iter().rposition(last_passed).unwrap();
        let stage = runs[run].known(events).len() - 1;
        history.fail_again(0, run, stage);
        let reading = Reading::new(history, generation);
        reading.gocd.advance(events);
        reading.read();
        reading.gocd.advance(events + 1);
        reading.read();
        reading.assert_told(Live, &generation);
    }
}
