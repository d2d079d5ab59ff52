//! Generated histories keep their promises, and mapping all of a server's documents gives the expected records.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use gocd_standin::{Expected, Generation, History, Reading, Server, Shape, Wanted};
use pipefold_gocd::documents::{Counter, StageLocator, StageResult, Timestamp};
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

/// The stages' runs of a run's attempts, by the ids of the old dialect.
fn attempts(run: &RunHistory) -> Vec<Vec<&StageRun>> {
    let mut stages: Vec<&StageRun> = run.stages.iter().collect();
    stages.sort_by_key(|stage| stage.id);
    let mut attempts: Vec<Vec<&StageRun>> = Vec::new();
    for stage in stages {
        match attempts.last_mut() {
            Some(attempt) if !attempt.iter().any(|other| other.name == stage.name) => attempt.push(stage),
            _ => attempts.push(vec![stage]),
        }
    }
    attempts
}

/// Every job one by one, with as much as its own document has. This is the old dialect's form.
fn jobs_of_documents(server: &Server) -> BTreeMap<String, Vec<Value>> {
    let mut jobs: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for run in all_runs(server) {
        for (place, attempt) in attempts(&run).into_iter().enumerate() {
            let mut reference_id = format!("gocd/go/{}/{}", run.run.name, run.run.counter);
            if place > 0 {
                reference_id += &format!("/attempt-{}", place + 1);
            }
            for (stage, job) in attempt
                .iter()
                .flat_map(|stage| stage.jobs.iter().map(move |job| (stage, job)))
            {
                let name = format!("{}/{}", stage.name, job.name);
                let status = match job.result {
                    StageResult::Passed => "success",
                    StageResult::Failed => "failure",
                    StageResult::Cancelled => "cancelled",
                    StageResult::Unknown => "running",
                };
                let text =
                    |time: Option<Timestamp>| time.map(|time| time.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true));
                jobs.entry(reference_id.clone()).or_default().push(json!({
                    "reference_id": name, "name": name, "status": status,
                    "started_at": text(job.scheduled()), "finished_at": text(job.completed()),
                }));
            }
        }
    }
    // No document has the start of a later attempt before its first job has ended, and so it is not a run yet.
    let attempts = records(server);
    jobs.retain(|run, _| attempts.contains_key(run));
    jobs
}

/// The jobs in the form that the mapping gives them.
fn jobs_of_mapping(server: &Server) -> BTreeMap<String, Vec<Value>> {
    let mapping = Mapping::new(ServerId::new("go").unwrap(), ServerUrl::parse(PAGES).unwrap());
    let now = "2030-01-01T00:00:00Z".parse().unwrap();
    let runs = all_runs(server);
    let attempts = runs.iter().flat_map(|run| mapping.map(run, now).attempts);
    let job = |step: &Notification| {
        json!({
            "reference_id": step.step, "name": step.step, "status": step.status,
            "started_at": step.started_at, "finished_at": step.finished_at,
        })
    };
    attempts
        .map(|attempt| (attempt.reference_id, attempt.steps.iter().map(job).collect()))
        .collect()
}

#[test]
fn jobs_of_all_documents_are_what_is_expected() {
    let mut found = Vec::new();
    let mut compared = 0;
    for seed in 0..150 {
        let history = History::generate(seed, &Shape::default());
        for generation in Generation::ALL {
            let server = Server::new(history.clone(), generation);
            let expected = Expected::of(&history, server.events(), &wanted(generation));
            let mut forms = Vec::new();
            if generation != Generation::New {
                forms.push(jobs_of_documents(&server));
            }
            forms.push(jobs_of_mapping(&server));
            for jobs in forms {
                compared += jobs.values().map(Vec::len).sum::<usize>();
                let differences = Expected::job_differences(&expected, &jobs);
                found.extend(
                    differences
                        .into_iter()
                        .map(|one| format!("seed {seed}, {generation:?}: {one}")),
                );
            }
        }
    }
    assert!(
        found.is_empty(),
        "{}: {:#?}",
        found.len(),
        &found[..found.len().min(20)]
    );
    assert!(compared > 10_000, "{compared}");
}

#[test]
fn jobs_of_a_stage_that_ended_once_more() {
    let mut compared = 0;
    for seed in 0..20 {
        let mut history = History::generate(seed, &Shape::default());
        let end = history.events();
        let is_plain = |run: &gocd_standin::PipelineRun| {
            run.stages.len() == 2
                && run.stages[0].name != run.stages[1].name
                && run.stages.iter().all(|stage| stage.completed(end).is_some())
        };
        let mut pipelines = history.pipelines.iter().enumerate();
        let found = pipelines.find_map(|(place, one)| Some((place, one.runs.iter().position(is_plain)?)));
        let Some((pipeline, run)) = found else { continue };
        compared += 1;
        history.fail_again(pipeline, run, 0);
        for generation in Generation::ALL {
            let server = Server::new(history.clone(), generation);
            let expected = Expected::of(&history, server.events(), &wanted(generation));
            let jobs = jobs_of_mapping(&server);
            assert_eq!(
                Expected::job_differences(&expected, &jobs),
                Vec::<String>::new(),
                "{generation:?}"
            );
        }
    }
    assert!(compared > 5, "{compared}");
}

#[test]
fn wrong_jobs_are_found() {
    let history = History::generate(5, &Shape::default());
    let server = Server::new(history.clone(), Generation::Old);
    let expected = Expected::of(&history, server.events(), &wanted(Generation::Old));
    let jobs = jobs_of_documents(&server);
    let records = records(&server);
    let is_whole = |job: &Value| job["finished_at"].is_string();
    let (run, place) = jobs
        .iter()
        .filter(|(run, _)| records[*run]["status"] != "running")
        .find_map(|(run, jobs)| Some((run, jobs.iter().position(is_whole)?)))
        .unwrap();
    let differences = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut changed = jobs.clone();
        change(changed.get_mut(run).unwrap());
        Expected::job_differences(&expected, &changed)
    };
    let of_job = |field: &str, value: Value| differences(&|jobs| jobs[place][field] = value.clone());
    assert_eq!(differences(&|_| {}), Vec::<String>::new());
    for (field, value) in [
        ("name", json!("other")),
        ("status", json!("running")),
        ("status", json!("unknown")),
        ("started_at", json!("2001-01-01T00:00:00Z")),
        ("started_at", json!(null)),
        ("finished_at", json!("2001-01-01T00:00:00Z")),
        ("finished_at", json!(null)),
    ] {
        let found = of_job(field, value);
        assert!(
            found.len() == 1 && found[0].starts_with(run.as_str()),
            "{field}: {found:?}"
        );
    }
    assert_eq!(of_job("reference_id", json!("other/unit")).len(), 2);
    assert_eq!(differences(&|jobs| drop(jobs.remove(place))).len(), 1);
    assert_eq!(differences(&|jobs| jobs.push(jobs[place].clone())).len(), 1);
    let stage = |job: &Value| job["name"].as_str().unwrap().split_once('/').unwrap().0.to_owned();
    // A stage and its jobs are not there side by side.
    let as_well = differences(&|jobs| {
        let mut whole = jobs[place].clone();
        whole["reference_id"] = json!(stage(&whole));
        jobs.push(whole);
    });
    assert_eq!(as_well.len(), 1, "{as_well:?}");
    let mut elsewhere = jobs.clone();
    elsewhere.insert("gocd/go/none/1".to_owned(), jobs[run].clone());
    assert_eq!(Expected::job_differences(&expected, &elsewhere).len(), 1);
    assert!(!Expected::job_differences(&expected, &BTreeMap::new()).is_empty());
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
        assert_eq!(
            Expected::job_differences(&expected, &jobs_of_documents(&server)),
            Vec::<String>::new()
        );
    }
}
