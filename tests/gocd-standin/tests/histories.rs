//! Generated histories keep their promises, and mapping all of a server's documents gives the expected records.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use gocd_standin::{Expected, Generation, History, Reading, Server, Shape, Wanted};
use pipefold_gocd::documents::{Counter, StageLocator, StageResult};
use pipefold_gocd::mapping::{Mapping, Revisions, RunHistory, ServerId, StageRun};
use pipefold_gocd::{Dialect, Href, Resource, ServerUrl, read};
use pipefold_sandbox::Notification;
use serde_json::{Value, json};

const PAGES: &str = "https://go.example.com/go";

fn get(server: &Server, resource: &Resource) -> Vec<u8> {
    let answer = server.answer(&format!("/go{}", resource.path()), &[]);
    if answer.status == 302 {
        let to = Href::new(answer.header("Location").unwrap()).unwrap();
        return get(server, &to.resource().unwrap());
    }
    assert_eq!(answer.status, 200, "{resource:?}");
    answer.body
}

/// Every run that has begun, with all data that documents have of it.
fn all_runs(server: &Server) -> Vec<RunHistory> {
    let dialect = if server.generation() == Generation::New {
        Dialect::New
    } else {
        Dialect::Old
    };
    let list = read::pipelines(&get(server, &Resource::Pipelines(dialect))).unwrap();
    let mut runs = Vec::new();
    for listed in &list.pipelines {
        let page = Resource::StageFeed {
            dialect,
            pipeline: listed.name.clone(),
            before: None,
        };
        let page = read::feed(&get(server, &page)).unwrap();
        let newest = page.entries.iter().map(|entry| entry.stage.pipeline.counter).max();
        let history = server.history();
        let pipeline = history.pipelines.iter().find(|one| one.name == listed.name).unwrap();
        for run in &pipeline.runs {
            let locator = run.locator(pipeline);
            if run.known(server.events()).is_empty() {
                continue;
            }
            let resource = match dialect {
                Dialect::Old => Resource::PipelineById {
                    pipeline: listed.name.clone(),
                    id: run.id,
                },
                Dialect::New => Resource::Pipeline(locator.clone()),
            };
            let document = read::pipeline(&get(server, &resource)).unwrap();
            let revisions = match dialect {
                Dialect::Old => Revisions::OfRun,
                Dialect::New => Revisions::LatestKnown {
                    was_newest: newest == Some(run.counter),
                },
            };
            let mut stages = Vec::new();
            for latest in document.stage_resources() {
                let stage = read::stage(&get(server, &latest)).unwrap();
                for counter in 1..=stage.counter.get() {
                    let one = StageLocator {
                        counter: Counter::new(counter).unwrap(),
                        ..stage.locator()
                    };
                    let one = match dialect {
                        Dialect::Old => Resource::StageByName(one),
                        Dialect::New => Resource::Stage(one),
                    };
                    let stage = read::stage(&get(server, &one)).unwrap();
                    assert_eq!(stage.counter.get(), counter);
                    let jobs = stage.job_resources();
                    let jobs = jobs.iter().map(|job| read::job(&get(server, job)).unwrap());
                    stages.push(StageRun {
                        jobs: jobs.collect(),
                        ..StageRun::from(&stage)
                    });
                }
            }
            runs.push(RunHistory {
                run: locator,
                pipeline: Some(document),
                revisions,
                stages,
            });
        }
    }
    runs
}

fn record(told: &Notification) -> Value {
    json!({
        "pipeline_name": told.pipeline_name, "pipeline_source": told.pipeline_source, "started_at": told.started_at,
        "finished_at": told.finished_at, "status": told.status, "repository": told.repository, "commit_sha": told.commit_sha,
        "head_branch": told.head_branch, "pr_number": told.pr_number, "email": told.email,
        "github_username": told.github_username, "source_url": told.source_url,
    })
}

fn wanted(generation: Generation) -> Wanted {
    Wanted {
        generation,
        reading: Reading::BackFill,
        enriched: false,
        server_id: "go".to_owned(),
        pages: PAGES.to_owned(),
    }
}

fn records(server: &Server) -> BTreeMap<String, Value> {
    let mapping = Mapping::new(ServerId::new("go").unwrap(), ServerUrl::parse(PAGES).unwrap());
    let now = "2030-01-01T00:00:00Z".parse().unwrap();
    let attempts = all_runs(server)
        .into_iter()
        .flat_map(|run| mapping.map(&run, now).attempts);
    attempts
        .map(|attempt| {
            let told = attempt.finish.as_ref().unwrap_or(&attempt.start);
            (attempt.reference_id.clone(), record(told))
        })
        .collect()
}

#[test]
fn all_documents_mapped_give_what_is_expected() {
    let mut found = Vec::new();
    for seed in 0..150 {
        let history = History::generate(seed, &Shape::default());
        for generation in Generation::ALL {
            let server = Server::new(history.clone(), generation);
            let expected = Expected::of(&history, server.events(), &wanted(generation));
            let differences = Expected::differences(&expected, &records(&server));
            found.extend(
                differences
                    .into_iter()
                    .map(|one| format!("seed {seed}, {generation:?}: {one}")),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn histories_hold_what_they_promise() {
    let shape = Shape {
        pipelines: 200,
        ..Shape::default()
    };
    let history = History::generate(1, &shape);
    let end = history.events();
    let runs: Vec<_> = history.pipelines.iter().flat_map(|pipeline| &pipeline.runs).collect();
    let stages: Vec<_> = runs.iter().flat_map(|run| run.known(end)).collect();
    for result in [StageResult::Passed, StageResult::Failed, StageResult::Cancelled] {
        assert!(stages.iter().any(|stage| stage.result(end) == result), "{result:?}");
    }
    assert!(stages.iter().any(|stage| stage.completed(end).is_none()), "under way");
    for approver in ["changes", "timer", "carol@example.com"] {
        assert!(stages.iter().any(|stage| stage.approved_by == approver), "{approver}");
    }
    assert!(stages.iter().any(|stage| stage.jobs.iter().any(|job| job.is_copied)));
    assert!(runs.iter().any(|run| run.known(end).len() > 25), "longer than a page");
    let gaps = runs.iter().flat_map(|run| run.stages.windows(2));
    let days = |pair: &[gocd_standin::StageRun]| (pair[1].scheduled.time - pair[0].updated(u64::MAX)).num_days();
    assert!(
        gaps.clone().any(|pair| pair[1].counter.get() > 1 && days(pair) > 60),
        "months later"
    );
    assert!(
        gaps.clone()
            .any(|pair| pair[1].counter.get() == 1 && pair[1].is_manual && days(pair) > 2),
        "days later"
    );
    let overlaps = history.pipelines.iter().flat_map(|pipeline| pipeline.runs.windows(2));
    let overlap = |pair: &[gocd_standin::PipelineRun]| {
        let last = pair[0].stages.last().map(|stage| stage.updated(u64::MAX));
        last > pair[1].stages.first().map(|stage| stage.scheduled.time)
    };
    assert!(overlaps.clone().any(overlap), "interleaved");
}

#[test]
fn growth_only_adds() {
    let history = History::generate(3, &Shape::default());
    let times: Vec<_> = (1..=history.events())
        .map(|event| history.time(event).unwrap())
        .collect();
    assert!(times.is_sorted());
    let server = Server::new(history.clone(), Generation::Old).after(0);
    assert!(all_runs(&server).is_empty());
    for events in 0..=history.events() {
        // Whatever is true of a part of it is true of the whole that this part was.
        let server = Server::new(history.clone(), Generation::Old).after(events);
        let expected = Expected::of(&history, events, &wanted(Generation::Old));
        assert_eq!(
            Expected::differences(&expected, &records(&server)),
            Vec::<String>::new()
        );
    }
}
