//! Runs that were reported to one collector, read from its feeds, and reported to another, are the same runs.

use pipefold_gocd::mapping::{Mapping, RunHistory, ServerId};
use pipefold_gocd::{Dialect, ServerUrl};
use pipefold_tests::Ci;
use serde_json::{Value, json};

use crate::feeds::crawl::crawl;
use crate::feeds::site::{Site, escaped, run, with};

/// The fields that must stay the same.
const KEPT: [&str; 10] = [
    "pipeline_name",
    "status",
    "started_at",
    "finished_at",
    "repository",
    "commit_sha",
    "head_branch",
    "pr_number",
    "email",
    "github_username",
];

fn fill(site: &mut Site) -> Vec<String> {
    let mut ids = Vec::new();
    let mut report = |runs: &[Value]| {
        for run in runs {
            site.report(run);
        }
        ids.push(runs[0]["reference_id"].as_str().unwrap().to_owned());
    };
    let facts = |repository: &str, number: u8| {
        json!({
            "repository": repository, "commit_sha": format!("{number:02x}").repeat(20), "head_branch": format!("feature/{number}"),
            "email": format!("dev+{number}@example.com"),
            "pr_number": number.is_multiple_of(3).then_some(u64::from(number) + 1),
        })
    };
    for (number, status) in ["success", "failure", "cancelled"]
        .into_iter()
        .cycle()
        .take(60)
        .enumerate()
    {
        let number = u8::try_from(number).unwrap();
        report(&[with(
            run("web", &format!("w{number}"), number.into(), status),
            facts("o/n", number),
        )]);
    }
    for (number, repository) in ["group/sub/name", "My Project/name", "alone", "é/日本", "o/n.git"]
        .into_iter()
        .enumerate()
    {
        let number = u8::try_from(number).unwrap();
        report(&[with(
            run("a/b <&]]> é", &format!("n{number}"), number.into(), "success"),
            facts(repository, number),
        )]);
    }
    let exact = json!({ "started_at": "2025-01-01T08:00:00.123456789Z", "finished_at": "2025-01-01T08:00:00.5Z" });
    report(&[with(run("exact", "exact", 0, "success"), exact)]);
    report(&[with(
        run("exact", "zone", 0, "failure"),
        json!({ "started_at": "2025-01-01T08:00:00.25+05:30" }),
    )]);
    report(&[with(
        run("exact", "hidden", 0, "success"),
        json!({ "github_username": "octocat", "repository": "o/n" }),
    )]);
    report(&[run("jobs", "jobs", 10, "success")]);
    let times = [Some("2025-01-01T08:10:00Z"), Some("2025-01-01T08:20:00.75Z")];
    site.job("jobs", "compile", "success", times);
    // Longer than the run, and not its failure.
    let times = [Some("2025-01-01T08:55:00Z"), Some("2025-01-01T11:00:00Z")];
    site.job("jobs", "tidy up", "failure", times);
    ids
}

fn mapping() -> Mapping {
    let pages = ServerUrl::parse("https://first.example.com").unwrap();
    Mapping::new(ServerId::new("first").unwrap(), pages)
}

/// Reports a run to the second collector, as the reader does.
fn tell(second: &mut Site, mapping: &Mapping, history: &RunHistory) {
    let mapped = mapping.map(history, "2030-01-01T00:00:00Z".parse().unwrap());
    let [attempt] = &mapped.attempts[..] else {
        panic!("{mapped:?}")
    };
    for notification in [&attempt.start].into_iter().chain(&attempt.finish) {
        let mut arguments = serde_json::to_value(notification).unwrap();
        arguments
            .as_object_mut()
            .unwrap()
            .retain(|name, value| !value.is_null() && name != "urgent");
        second.report(&arguments);
    }
    let reference_id = attempt.start.reference_id.as_deref().unwrap();
    for step in &attempt.steps {
        let (name, status) = (step.step.as_deref().unwrap(), step.status.as_deref());
        let times = [step.started_at.as_deref(), step.finished_at.as_deref()];
        second.job(reference_id, name, status.unwrap_or("unknown"), times);
    }
}

fn to_the_second(run: &Value, time: &str) -> String {
    run["record"][time].as_str().unwrap()[..19].to_owned()
}

fn kept(run: &Value) -> Vec<Value> {
    KEPT.iter().map(|name| run["record"][*name].clone()).collect()
}

/// The id of each run with its records, in the first collector and in one that got it from the first one's feeds.
fn carried(dialect: Dialect) -> Vec<(String, Value, Value)> {
    let (mut first, mut second) = (Site::new(), Site::new());
    let ids = fill(&mut first);
    let mapping = mapping();
    let histories = crawl(&mut first, dialect);
    assert_eq!(histories.len(), ids.len());
    for history in &histories {
        tell(&mut second, &mapping, history);
    }
    let both = |id: String| {
        let run = first.run(&id);
        let pipeline = escaped(run["pipeline"].as_str().unwrap());
        let there = second.run(&format!("gocd/first/{pipeline}/{}", run["counter"]));
        (id, run, there)
    };
    ids.into_iter().map(both).collect()
}

#[test]
fn in_the_old_dialect_everything_is_the_same() {
    for (id, run, there) in carried(Dialect::Old) {
        assert_eq!(kept(&there), kept(&run), "{id}");
    }
}

#[test]
fn in_the_new_dialect_all_that_it_has_is_the_same() {
    for (id, run, there) in carried(Dialect::New) {
        for time in ["started_at", "finished_at"] {
            assert_eq!(to_the_second(&there, time), to_the_second(&run, time), "{id}");
        }
        let mut names = vec!["pipeline_name", "status", "repository", "head_branch", "pr_number"];
        if id == "w59" {
            // A server of that dialect has the right revision for its newest run alone.
            names.extend(["commit_sha", "email"]);
        }
        for name in names {
            assert_eq!(there["record"][name], run["record"][name], "{id}: {name}");
        }
    }
}

#[test]
fn the_command_carries_runs_from_one_collector_to_another() {
    let (mut first, mut second) = (Site::new(), Site::new());
    let ids = fill(&mut first);
    let before: Vec<Value> = ids.iter().map(|id| first.run(id)).collect();
    // With a token, the feeds ask for it.
    let password = first.collector.token("feed-reader", &["--read"]);
    let ci = Ci::new();
    for dialect in ["old", "new"] {
        let arguments = [
            "gocd",
            "sync",
            "--server-id",
            dialect,
            "--dialect",
            dialect,
            "--user",
            "feed-reader",
            "--json",
        ];
        let output = ci
            .pipefold(arguments)
            .args(["--server", &first.collector.url])
            .env("GOCD_PASSWORD", &password)
            .env("DX_API_URL", &second.collector.url)
            .run();
        output.assert_code(0);
        for (id, run) in ids.iter().zip(&before) {
            let pipeline = escaped(run["pipeline"].as_str().unwrap());
            let there = second.run(&format!("gocd/{dialect}/{pipeline}/{}", run["counter"]));
            if dialect == "old" {
                assert_eq!(kept(&there), kept(run), "{id}\n{output}");
                continue;
            }
            for time in ["started_at", "finished_at"] {
                // The newer documents have them to the second.
                assert_eq!(to_the_second(&there, time), to_the_second(run, time), "{id}");
            }
            // And they have the right revision for the newest run alone.
            let is_told =
                |name: &&&str| !name.ends_with("_at") && !["commit_sha", "email", "github_username"].contains(name);
            for name in KEPT.iter().filter(is_told) {
                assert_eq!(there["record"][*name], run["record"][*name], "{id}: {name}\n{output}");
            }
        }
    }
}
