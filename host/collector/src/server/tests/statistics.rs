//! Every number of the pages about pipelines, and of their JSON, computed a second time from the JSON of the runs.

use super::api::{document, fits};
use super::pipeline_page::check_page;
use super::run_pages::check_runs;
use super::shown::{cells, check_ages, check_drawing, encoded, spoken, spoken_change, sum, whole};
use super::support::{Running, Setup, start};
use crate::access::Access;
use crate::page::{PageState, router};
use crate::seed;
use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tower::ServiceExt;

/// A run as its JSON has it.
struct Run {
    pipeline: String,
    reference: String,
    counter: u64,
    id: u64,
    place: i64,
    started: i64,
    finished: Option<i64>,
    status: String,
    branch: Option<String>,
    commit: Option<String>,
    person: Option<String>,
}

pub fn ms(time: &Value) -> Option<i64> {
    Some(DateTime::parse_from_rfc3339(time.as_str()?).unwrap().timestamp_millis())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Reads all runs, oldest first.
fn runs(server: &Running) -> Vec<Run> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/api/runs?limit=200{next}"), "").json();
        for run in page["runs"].as_array().unwrap() {
            let record = &run["record"];
            let started = ms(&record["started_at"]).unwrap();
            all.push(Run {
                pipeline: text(&run["pipeline"]).unwrap(),
                reference: text(&record["reference_id"]).unwrap(),
                counter: run["counter"].as_u64().unwrap(),
                id: run["id"].as_u64().unwrap(),
                place: started.min(ms(&run["first_arrived"]).unwrap()),
                started,
                finished: ms(&record["finished_at"]),
                status: text(&record["status"]).unwrap(),
                branch: text(&record["head_branch"]),
                commit: text(&record["commit_sha"]),
                person: text(&record["github_username"]),
            });
        }
        match page["next"].as_str() {
            Some(cursor) => next = format!("&after={cursor}"),
            None => break,
        }
    }
    all.sort_by_key(|run| (run.place, run.id));
    all
}

fn nearest(mut values: Vec<i64>, percent: usize) -> Option<i64> {
    values.sort_unstable();
    let index = (values.len() * percent).div_ceil(100);
    values.get(index.max(1) - 1).copied()
}

fn is_judged(run: &Run) -> bool {
    run.status == "success" || run.status == "failure"
}

fn counts(runs: &[&Run]) -> Value {
    let of = |status: &str| runs.iter().filter(|run| run.status == status).count();
    json!({
        "unknown": of("unknown"), "running": of("running"), "success": of("success"), "cancelled": of("cancelled"), "failure": of("failure"),
    })
}

fn lengths(runs: &[&Run]) -> Vec<i64> {
    let judged = runs.iter().filter(|run| is_judged(run));
    judged.filter_map(|run| Some(run.finished? - run.started)).collect()
}

fn figures(runs: &[&Run], of_one_branch: bool) -> Value {
    let mut green = Vec::new();
    let mut red_since = None;
    for run in runs {
        let end = run.finished.unwrap_or(run.started);
        if run.status == "failure" && red_since.is_none() {
            red_since = Some(end);
        } else if run.status == "success"
            && let Some(since) = red_since.take()
        {
            green.push(end - since);
        }
    }
    json!({
        "counts": counts(runs), "median": nearest(lengths(runs), 50), "p90": nearest(lengths(runs), 90),
        "time_to_green": nearest(green, 50).filter(|_| of_one_branch),
    })
}

/// The main branch among the newest 1,000 runs.
fn main_branch(runs: &[&Run]) -> Option<String> {
    let newest = &runs[runs.len().saturating_sub(1_000)..];
    let mut by_branch: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (place, run) in newest.iter().enumerate() {
        if let Some(branch) = &run.branch {
            let entry = by_branch.entry(branch).or_default();
            *entry = (entry.0 + 1, place);
        }
    }
    let named = ["main", "master", "trunk", "default", "develop"];
    let found = named.into_iter().find(|name| by_branch.contains_key(name));
    let found = found.or_else(|| by_branch.iter().max_by_key(|(_, of)| **of).map(|(name, _)| *name));
    found.map(str::to_owned)
}

fn on<'r>(runs: &[&'r Run], branch: Option<&str>) -> Vec<&'r Run> {
    let fits = |run: &&&Run| branch.is_none() || run.branch.as_deref() == branch;
    runs.iter().filter(fits).copied().collect()
}

fn within<'r>(runs: &[&'r Run], from: i64, until: i64) -> Vec<&'r Run> {
    runs.iter()
        .filter(|run| from <= run.place && run.place < until)
        .copied()
        .collect()
}

/// The commits that failed in the span and have ever passed.
fn flaky(runs: &[&Run], from: i64, until: i64) -> BTreeSet<String> {
    let of = |runs: &[&Run], status: &str| -> BTreeSet<String> {
        let fits = runs.iter().filter(|run| run.status == status);
        fits.filter_map(|run| run.commit.clone()).collect()
    };
    &of(&within(runs, from, until), "failure") & &of(runs, "success")
}

/// Compares the parts of a state that are numbers or choices.
fn check_state(state: &Value, runs: &[&Run], (from, until): (i64, i64)) {
    let branch = main_branch(runs);
    let of_main = on(runs, branch.as_deref());
    assert_eq!(state["branch"], json!(branch), "{state}");
    assert_eq!(
        state["latest"]["reference_id"],
        json!(of_main.last().unwrap().reference)
    );
    let judged: Vec<&Run> = of_main.iter().filter(|run| is_judged(run)).copied().collect();
    assert_eq!(state["state"], json!(judged.last().map(|run| &run.status)), "{state}");
    let since = judged
        .iter()
        .rposition(|run| run.status == "success")
        .map_or(0, |place| place + 1);
    match judged.get(since) {
        None => assert_eq!(state["failing"], Value::Null),
        Some(first) => {
            let (failing, last) = (&state["failing"], judged.last().unwrap());
            assert_eq!(failing["first"]["counter"], json!(first.counter), "{state}");
            assert_eq!(failing["first"]["person"], json!(first.person));
            assert_eq!(failing["last"]["counter"], json!(last.counter));
            assert_eq!(failing["runs"], json!(judged.len() - since));
            let is_flaky = runs
                .iter()
                .any(|run| run.status == "success" && run.commit.is_some() && run.commit == last.commit);
            assert_eq!(failing["flaky"], json!(is_flaky));
        }
    }
    let length = until - from;
    assert_eq!(
        state["figures"],
        figures(&within(&of_main, from, until), true),
        "{state}"
    );
    assert_eq!(
        state["before"],
        figures(&within(&of_main, from - length, from), true),
        "{state}"
    );
    assert_eq!(state["flaky_commits"], json!(flaky(runs, from, until).len()), "{state}");
}

/// The executions of steps in the newest 50 of these runs: the number, the failures and the lengths.
fn steps(server: &Running, runs: &[&Run]) -> BTreeMap<String, Value> {
    let mut of: BTreeMap<String, (u64, u64, Vec<i64>)> = BTreeMap::new();
    for run in runs.iter().rev().take(50) {
        let detail = server.get(&format!("/api/runs/{}", encoded(&run.reference)), "").json();
        for job in detail["run"]["jobs"].as_array().unwrap() {
            let status = job["status"].as_str().unwrap();
            if status == "success" || status == "failure" {
                let entry = of.entry(text(&job["name"]).unwrap()).or_default();
                entry.0 += 1;
                entry.1 += u64::from(status == "failure");
                entry.2.extend(
                    ms(&job["finished_at"])
                        .zip(ms(&job["started_at"]))
                        .map(|(end, start)| end - start),
                );
            }
        }
    }
    let figures = |(runs, failures, lengths): (u64, u64, Vec<i64>)| {
        json!({
            "executions": runs, "failures": failures, "median": nearest(lengths.clone(), 50), "p90": nearest(lengths, 90),
        })
    };
    of.into_iter().map(|(name, of)| (name, figures(of))).collect()
}

fn check_history(server: &Running, answer: &Value, runs: &[&Run], branch: Option<&str>, has_branches: bool) {
    let (from, until) = (ms(&answer["from"]).unwrap(), ms(&answer["until"]).unwrap());
    let statistics = &answer["statistics"];
    let of_branch = on(runs, branch);
    let (now, before) = (
        within(&of_branch, from, until),
        within(&of_branch, from - (until - from), from),
    );
    let is_one = branch.is_some() || !has_branches;
    assert_eq!(statistics["branch"], json!(branch));
    assert_eq!(statistics["figures"], figures(&now, is_one));
    assert_eq!(statistics["before"], figures(&before, is_one));
    let mut sum = 0;
    let columns = statistics["columns"].as_array().unwrap();
    for (place, column) in columns.iter().enumerate() {
        let start = ms(&column["from"]).unwrap();
        let end = columns.get(place + 1).map_or(until, |next| ms(&next["from"]).unwrap());
        let of_column = within(&now, start, end);
        assert_eq!(column["counts"], counts(&of_column));
        assert_eq!(column["median"], json!(nearest(lengths(&of_column), 50)));
        assert_eq!(column["p90"], json!(nearest(lengths(&of_column), 90)));
        sum += of_column.len();
    }
    assert_eq!(sum, now.len(), "each run is in a column");
    let (of_now, of_before) = (steps(server, &now), steps(server, &before));
    let none = json!({ "executions": 0, "failures": 0, "median": null, "p90": null });
    for step in statistics["steps"].as_array().unwrap() {
        let name = step["name"].as_str().unwrap();
        assert_eq!(step["figures"], *of_now.get(name).unwrap_or(&none), "{name}");
        assert_eq!(step["before"], *of_before.get(name).unwrap_or(&none), "{name}");
    }
    let names: BTreeSet<&String> = of_now.keys().chain(of_before.keys()).collect();
    assert_eq!(statistics["steps"].as_array().unwrap().len(), names.len());
    let listed = statistics["flaky"].as_array().unwrap();
    let all = flaky(runs, from, until);
    assert_eq!(listed.len(), all.len().min(20));
    for commit in listed {
        let name = text(&commit["commit_sha"]).unwrap();
        assert!(all.contains(&name), "{name}");
        let counters: Vec<u64> = runs
            .iter()
            .filter(|run| run.commit.as_ref() == Some(&name))
            .map(|run| run.counter)
            .collect();
        let shown: Vec<u64> = commit["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["counter"].as_u64().unwrap())
            .collect();
        assert_eq!(shown, counters);
    }
}

#[test]
fn every_number_is_computed_again_from_the_runs() {
    let server = start(Setup::default());
    let now = Utc::now();
    server
        .runtime
        .block_on(seed::store(&*server.app.store, seed::month(now)));
    let all = runs(&server);
    assert_eq!(all.len(), seed::RUNS);
    let mut of: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in &all {
        of.entry(&run.pipeline).or_default().push(run);
    }
    assert_eq!(of.len(), seed::PIPELINES);

    let changes = server.app.signals.changes().unwrap();
    let state = PageState::new(
        server.app.store.clone(),
        &changes,
        pipefold::dx::body,
        false,
        Duration::from_secs(86_400),
    );
    let pages = router(state).layer(Extension(Access::everything()));
    let page = |address: &str| {
        let request = Request::get(address).body(Body::empty()).unwrap();
        server.runtime.block_on(async {
            let answer = pages.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 200, "{address}");
            String::from_utf8(to_bytes(answer.into_body(), 16 << 20).await.unwrap().to_vec()).unwrap()
        })
    };

    let document = document(&server);
    for days in [1, 7, 30, 90] {
        let list = server.get(&format!("/api/pipelines?limit=200&days={days}"), "").json();
        let span = (ms(&list["from"]).unwrap(), ms(&list["until"]).unwrap());
        fits(&document, &document["components"]["schemas"]["Pipelines"], &list).unwrap();
        let states = list["pipelines"].as_array().unwrap();
        assert_eq!((states.len(), &list["total"]), (of.len(), &json!(of.len())));
        for state in states {
            check_state(state, &of[state["name"].as_str().unwrap()], span);
        }
        // The start page has the same, as texts.
        let before = Utc::now();
        let shown = page(&format!("/pipelines?days={days}"));
        check_ages(&shown, before..=Utc::now());
        let rows = cells(&shown, "<table class=\"now\">", "</table>", "<tr>", ["td", "th"]);
        assert_eq!(rows.len(), states.len() + 1, "and the heading");
        let raw = shown.split("<tr>").skip(2);
        for ((row, state), raw) in rows[1..].iter().zip(states).zip(raw) {
            let runs = &of[state["name"].as_str().unwrap()];
            let of_main = on(runs, main_branch(runs).as_deref());
            let newest = of_main.iter().rev().take(20);
            let newest: Vec<_> = newest
                .map(|run| (&*run.status, run.finished.map(|finished| finished - run.started)))
                .collect();
            check_drawing(raw, &newest);
            for run in [&state["latest"], &state["failing"]["first"]] {
                // A run that goes on is shown with its duration so far.
                if let Some(started) = run["started_at"].as_str().filter(|_| run["status"] != "running") {
                    assert!(
                        raw.contains(&format!("datetime=\"{}Z\"", &started[..19])),
                        "{started} {raw}"
                    );
                }
            }
            let counts = &state["figures"]["counts"];
            let total = sum(counts);
            let median = state["figures"]["median"].as_i64();
            assert!(row[1].starts_with(state["name"].as_str().unwrap()), "{row:?} {state}");
            assert_eq!(
                row[3],
                format!("{total} run{}", if total == 1 { "" } else { "s" }),
                "{row:?}"
            );
            let failed = counts["failure"].as_u64().unwrap();
            assert_eq!(
                row[4],
                if failed == 0 {
                    "–".into()
                } else {
                    format!("{failed} failed")
                }
            );
            let change = spoken_change(whole(&state["before"]["median"]), whole(&state["figures"]["median"]));
            assert_eq!(
                row[5].trim_start_matches("median "),
                format!("{}{change}", spoken(median)),
                "{row:?} {state}"
            );
            assert!(row[6].contains(&format!("#{}", state["latest"]["counter"])), "{row:?}");
            if let Some(first) = state["failing"]["first"]["counter"].as_u64() {
                let person = state["failing"]["first"]["person"].as_str().unwrap();
                assert!(row[1].contains(&format!("first #{first} by {person}")), "{row:?}");
            }
            let flaky = state["flaky_commits"].as_u64().unwrap();
            assert_eq!(row[1].contains(&format!("{flaky} flaky commit")), flaky > 0, "{row:?}");
        }
    }

    check_runs(&server, &page, all.len());
    for (name, runs) in &of {
        let main = main_branch(runs);
        for (query, branch) in [
            ("", main.clone()),
            ("&all=1", None),
            ("&branch=feature%2F3", Some("feature/3".to_owned())),
        ] {
            // The runs of all 40 one by one take long.
            if !query.is_empty() && ![seed::BROKEN, seed::SLOWER, seed::FAILS_MOST, "team-2/service-14"].contains(name)
            {
                continue;
            }
            for days in [7, 30] {
                let answer = server
                    .get(&format!("/api/pipelines/{}?days={days}{query}", encoded(name)), "")
                    .json();
                fits(&document, &document["components"]["schemas"]["OnePipeline"], &answer).unwrap();
                check_history(&server, &answer, runs, branch.as_deref(), main.is_some());
                check_page(
                    &page(&format!("/pipelines/{}?days={days}{query}", encoded(name))),
                    &answer,
                    now,
                );
            }
        }
    }
}
