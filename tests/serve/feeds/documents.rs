//! The contents of the documents, in both dialects.

use pipefold_gocd::documents::{Job, JobState, Relation, StageResult, StageState};
use pipefold_gocd::{Dialect, read};
use serde_json::json;
use std::collections::HashSet;

use crate::feeds::crawl::api;
use crate::feeds::site::{Site, run, with};

const BOTH: [Dialect; 2] = [Dialect::Old, Dialect::New];

#[test]
fn an_entry_leads_to_the_run_its_stage_and_its_jobs() {
    let mut site = Site::new();
    let facts =
        json!({ "repository": "o/n", "commit_sha": "ab".repeat(20), "head_branch": "main", "email": "a@example.com" });
    site.report(&with(run("web", "r", 0, "failure"), facts));
    let times = [Some("2025-01-01T08:05:00Z"), Some("2025-01-01T08:20:00Z")];
    site.job("r", "compile", "success", times);
    site.job("r", "run", "failure", [Some("2025-01-01T08:20:00Z"), None]);
    for dialect in BOTH {
        let feed = read::feed(&site.document(&format!("{}/pipelines/web/stages.xml", api(dialect)))).unwrap();
        assert_eq!(
            (feed.title.as_deref(), feed.author.as_deref(), feed.entries.len()),
            (Some("web"), Some("Go"), 1)
        );
        let entry = &feed.entries[0];
        assert_eq!(entry.title.as_deref(), Some("web(1) stage run(1) Failed"));
        assert_eq!(entry.result(), StageResult::Failed);
        assert_eq!(entry.updated, feed.updated);
        assert_eq!(entry.authors[0].name, "a@example.com");
        // What readers of each age look for.
        let first = entry
            .links
            .iter()
            .find(|link| link.relation == Relation::Alternate)
            .unwrap();
        assert_eq!(first.media_type.as_deref(), Some("application/vnd.go+xml"));

        let pipeline = read::pipeline(&site.follow(entry.pipeline_link().unwrap())).unwrap();
        assert_eq!((pipeline.name.as_str(), pipeline.counter.get()), ("web", 1));
        assert_eq!(pipeline.approved_by.as_deref(), Some("changes"));
        assert_eq!(pipeline.scheduled.unwrap().to_rfc3339(), "2025-01-01T08:00:00+00:00");
        assert_eq!(pipeline.stages, [entry.stage_link().unwrap().clone()]);
        let change = &pipeline.materials[0].changesets[0];
        assert_eq!(
            (change.user.as_deref(), change.revision.as_deref()),
            (Some("a@example.com"), Some(&*"ab".repeat(20)))
        );

        let stage = read::stage(&site.follow(entry.stage_link().unwrap())).unwrap();
        assert_eq!((stage.name.as_str(), stage.counter.get()), ("run", 1));
        assert_eq!(
            (stage.result, stage.state),
            (StageResult::Failed, StageState::Completed)
        );
        assert_eq!(stage.updated.unwrap().to_rfc3339(), "2025-01-01T09:00:00+00:00");
        let jobs: Vec<Job> = stage
            .jobs
            .iter()
            .map(|job| read::job(&site.follow(job)).unwrap())
            .collect();
        let told: Vec<_> = jobs
            .iter()
            .map(|job| (job.name.as_str(), job.result, job.state))
            .collect();
        assert_eq!(
            told,
            [
                ("run", StageResult::Failed, JobState::Completed),
                ("compile", StageResult::Passed, JobState::Completed),
                ("run-step", StageResult::Failed, JobState::Completed),
            ]
        );
        for (job, href) in jobs.iter().zip(&stage.jobs) {
            assert_eq!(job.self_link.as_ref(), Some(href));
            assert_eq!(job.stage.href.as_ref(), entry.stage_link());
        }
        if dialect == Dialect::Old {
            let times = |job: &Job| {
                [job.scheduled(), job.completed()].map(|time| time.map(|time| time.format("%H:%M").to_string()))
            };
            let time = |text: &str| Some(text.to_owned());
            assert_eq!(times(&jobs[0]), [time("08:00"), time("09:00")]);
            assert_eq!(times(&jobs[1]), [time("08:05"), time("08:20")]);
            assert_eq!(times(&jobs[2]), [time("08:20"), None]);
        }
    }
}

#[test]
fn a_run_under_way_is_reported_though_not_in_the_feed() {
    let mut site = Site::new();
    let unfinished = json!({ "finished_at": null });
    site.report(&with(run("web", "runs", 0, "running"), unfinished.clone()));
    site.report(&with(run("web", "silent", 1, "unknown"), unfinished));
    site.report(&run("web", "ended", 2, "unknown"));
    for (dialect, first) in [
        (Dialect::Old, site.run("runs")["id"].as_u64().unwrap()),
        (Dialect::New, 1),
    ] {
        let feed = read::feed(&site.document(&format!("{}/pipelines/web/stages.xml", api(dialect)))).unwrap();
        assert!(feed.entries.is_empty() && feed.next.is_none());
        let pipeline = read::pipeline(&site.document(&format!("{}/pipelines/web/{first}.xml", api(dialect)))).unwrap();
        let stage = read::stage(&site.follow(&pipeline.stages[0])).unwrap();
        assert_eq!(
            (stage.result, stage.state),
            (StageResult::Unknown, StageState::Building)
        );
        let job = read::job(&site.follow(&stage.jobs[0])).unwrap();
        assert_eq!(
            (job.result, job.state, job.completed()),
            (StageResult::Unknown, JobState::Building, None)
        );
    }
    let mut state = |counter: u32| {
        let stage = site.document(&format!("/go/api/feed/pipelines/web/{counter}/run/1.xml"));
        read::stage(&stage).unwrap().state
    };
    assert_eq!((state(2), state(3)), (StageState::Building, StageState::Unknown));
}

#[test]
fn ids_stay_and_are_of_one_thing_each() {
    let mut site = Site::new();
    site.report(&with(run("web", "a", 0, "running"), json!({ "finished_at": null })));
    let id = site.run("a")["id"].as_u64().unwrap();
    let pipeline =
        |site: &mut Site| read::pipeline(&site.document(&format!("/go/api/pipelines/web/{id}.xml"))).unwrap();
    let before = pipeline(&mut site);
    let jobs = |site: &mut Site| read::stage(&site.follow(&before.stages[0])).unwrap().jobs;
    let own = jobs(&mut site);
    for other in 0..5 {
        site.report(&run("api", &format!("other-{other}"), other, "success"));
    }
    site.job("a", "s", "success", [None, None]);
    site.report(&run("web", "a", 0, "success"));
    assert_eq!(pipeline(&mut site), before);
    let more = jobs(&mut site);
    assert_eq!((&more[..1], more.len()), (&own[..], 2));
    // Whatever an id is of, it is of nothing else.
    for id in 1..30 {
        let kinds =
            ["pipelines/x", "stages", "jobs"].map(|kind| site.get(&format!("/go/api/{kind}/{id}.xml")).status == 200);
        assert!(kinds.iter().filter(|found| **found).count() <= 1, "{id}: {kinds:?}");
    }
}

#[test]
fn links_for_people_lead_to_the_run() {
    let mut site = Site::new();
    site.report(&run("web", "ref/1", 0, "success"));
    for path in [
        "/go/pipelines/web/1/run/1",
        "/go/pipelines/web/1/run/1/pipeline",
        "/go/pipelines/value_stream_map/web/1",
    ] {
        let answer = site.get(path);
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (302, Some("no-cache")),
            "{path}"
        );
        // As a client resolves it: a segment up for each `..`, from the place of the last one.
        let mut place: Vec<&str> = path.split('/').collect();
        place.pop();
        for segment in answer.header("location").unwrap().split('/') {
            match segment {
                ".." => drop(place.pop()),
                segment => place.push(segment),
            }
        }
        assert_eq!(place.join("/"), "/runs/ref%2F1", "{path}");
    }
    assert_eq!(site.get("/runs/ref%2F1").status, 200);
}

/// As the documentation of the feeds has it: `curl …/go/pipelines/go_pipeline/2/DEV/1.xml` prints the stage.
#[test]
fn a_stage_by_its_name_is_the_stage() {
    let mut site = Site::with(&["--public-url", "https://runs.example.com/ci"]);
    site.report(&run("web", "ref/1", 0, "success"));
    let id = site.run("ref/1")["id"].as_u64().unwrap() + 1;
    let named = site.document("/go/pipelines/web/1/run/1.xml");
    assert_eq!(named, site.document(&format!("/go/api/stages/{id}.xml")));
    let stage = read::stage(&named).unwrap();
    let own = format!("https://runs.example.com/ci/go/api/stages/{id}.xml");
    assert_eq!(stage.self_link.unwrap().as_str(), own);
}

/// Real servers name each material and, in the old dialect, each change, and there are clients that die where they do not.
#[test]
fn materials_and_changes_have_addresses() {
    let mut site = Site::new();
    let facts = json!({ "repository": "o/n", "head_branch": "main", "pr_number": 7, "commit_sha": "ab".repeat(20) });
    site.report(&with(run("web", "a", 0, "success"), facts));
    site.report(&with(
        run("web", "b", 1, "success"),
        json!({ "email": "a@example.com" }),
    ));
    for dialect in BOTH {
        let feed = read::feed(&site.document(&format!("{}/pipelines/web/stages.xml", api(dialect)))).unwrap();
        let mut seen = HashSet::new();
        for entry in &feed.entries {
            let pipeline = read::pipeline(&site.follow(entry.pipeline_link().unwrap())).unwrap();
            for material in &pipeline.materials {
                let uri = material.uri.as_ref().unwrap();
                assert!(seen.insert(uri.clone()), "{uri} is of one material");
                assert!(
                    site.path(uri).starts_with(&format!("{}/materials/", api(dialect))),
                    "{uri}"
                );
                let change = &material.changesets[0];
                assert_eq!(change.uri.is_some(), dialect == Dialect::Old);
            }
        }
        assert_eq!(seen.len(), 3);
        let run = site.document(&site.path(feed.entries[0].pipeline_link().unwrap()));
        let text = String::from_utf8(run).unwrap();
        assert!(text.contains("<revision>"), "also of a run without a commit: {text}");
    }
}
