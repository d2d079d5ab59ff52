//! The list of runs and the page of a run, compared with the JSON of the runs.

use super::shown::{cells, check_ages, encoded, spoken};
use super::statistics::ms;
use super::support::Running;
use chrono::Utc;
use serde_json::Value;

/// The duration of a run or a job as a page shows it; none of one that goes on, whose duration grows.
fn length(of: &Value) -> Option<String> {
    let (start, end) = (ms(&of["started_at"])?, ms(&of["finished_at"])?);
    Some(spoken(Some(end - start)))
}

/// Compares the newest runs of some filters, and the pages of the newest ones. There are `all` runs.
pub fn check_runs(server: &Running, page: &dyn Fn(&str) -> String, all: usize) {
    for (filter, is_all) in [("", true), ("status=failure", false), ("branch=main", false)] {
        let answer = server.get(&format!("/api/runs?limit=50&{filter}"), "").json();
        let runs = answer["runs"].as_array().unwrap();
        let before = Utc::now();
        let shown = page(&format!("/runs?{filter}"));
        check_ages(&shown, before..=Utc::now());
        let rows = cells(&shown, "<table class=\"runs\">", "</table>", "<tr>", ["td", "th"]);
        assert_eq!(rows.len(), runs.len() + 1, "and the heading");
        for (row, run) in rows[1..].iter().zip(runs) {
            let name = format!("{} #{}", run["pipeline"].as_str().unwrap(), run["counter"]);
            assert!(row[1].starts_with(&name), "{row:?} {run}");
            if let Some(length) = length(&run["record"]) {
                assert_eq!(row[5], length, "{row:?} {run}");
            }
        }
        let total = answer["total"].as_u64().unwrap();
        assert_eq!(total == all as u64, is_all);
        let grouped = |number: u64| format!("{}\u{202f}{:03}", number / 1_000, number % 1_000);
        let number = if total < 1_000 {
            total.to_string()
        } else {
            grouped(total)
        };
        assert!(shown.contains(&format!("{number} runs")), "{number} in {filter}");
        if filter == "status=failure" {
            for run in &runs[..10] {
                check_run(server, page, run["record"]["reference_id"].as_str().unwrap());
            }
        }
    }
}

fn check_run(server: &Running, page: &dyn Fn(&str) -> String, reference: &str) {
    let detail = server.get(&format!("/api/runs/{}", encoded(reference)), "").json();
    let run = &detail["run"];
    let shown = page(&format!("/runs/{}", encoded(reference)));
    let facts = cells(&shown, "<dl class=\"facts wide\">", "</dl>", "<div", ["dt", "dd"]);
    let fact = |name: &str| facts.iter().find(|fact| fact[0] == name).map(|fact| fact[1].clone());
    assert_eq!(fact("Duration"), length(&run["record"]), "{facts:?} {run}");
    for (name, field) in [("Started", "started_at"), ("Finished", "finished_at")] {
        let time = run["record"][field].as_str().unwrap();
        assert_eq!(fact(name), Some(format!("{} {} UTC", &time[..10], &time[11..19])));
    }
    let lanes = cells(&shown, "<table class=\"timeline\">", "</table>", "<tr", ["td", "th"]);
    let jobs = run["jobs"].as_array().unwrap();
    assert!(
        !jobs.is_empty() && lanes.len() == jobs.len() + 2,
        "the heading and the run itself"
    );
    for job in jobs {
        let name = job["name"].as_str().unwrap();
        let lane = lanes.iter().find(|lane| lane[0] == name).unwrap();
        if let Some(length) = length(job) {
            assert_eq!(lane[2], length, "{lane:?} {job}");
        }
    }
}
