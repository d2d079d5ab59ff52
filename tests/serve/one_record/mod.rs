//! One run, reported by a build and by its CI system's webhook: one record, in whatever order the parts come. Each table has the environment of
//! the build, the deliveries about the same run, and the record of both.

use std::path::Path;

use pipefold_tests::{Ci, Collector};
use serde_json::Value;

/// A part of a run: a report of the build, or a delivery.
#[derive(Clone, Debug)]
enum Part {
    Report(&'static str),
    Delivery { header: String, body: String },
}

/// A table, with `{number}` in the place of the run's number.
struct Table {
    system: &'static str,
    environment: String,
    parts: Vec<Part>,
    record: String,
    jobs: String,
}

/// The reports of the build: it begins after the run and ends before it.
const REPORTS: [&str; 2] = [
    "start --started-at 2026-03-01T10:00:11Z",
    "finish --status success --finished-at 2026-03-01T10:04:29Z",
];

impl Table {
    fn read(system: &'static str, text: &str) -> Self {
        let mut table = Self {
            system,
            environment: String::new(),
            parts: REPORTS.map(Part::Report).to_vec(),
            record: String::new(),
            jobs: String::new(),
        };
        for section in text.split("---\n") {
            let section = section
                .trim_start_matches(|letter| letter != '\n' && section.starts_with('#'))
                .trim_start();
            let (title, rest) = section.split_once('\n').unwrap();
            let rest = rest.to_owned();
            match title.split_once(' ') {
                Some(("delivery", header)) => table.parts.push(Part::Delivery {
                    header: header.to_owned(),
                    body: rest,
                }),
                _ if title == "environment" => table.environment = rest,
                _ if title == "record" => table.record = rest,
                _ => table.jobs = rest,
            }
        }
        table
    }

    fn send(&self, part: &Part, number: &str, ci: &Ci, collector: &Collector) {
        match part {
            Part::Report(arguments) => {
                let mut command = ci.pipefold(arguments.split(' ')).env("DX_API_URL", &collector.url);
                for line in self.environment.lines() {
                    let (name, value) = line.split_once('=').unwrap();
                    command = command.env(name, value.replace("{number}", number));
                }
                let spool = ci.directory().join(format!("spool-{number}"));
                command.env("PIPEFOLD_SPOOL", spool).run().assert_code(0);
            }
            Part::Delivery { header, body } => {
                let body = body.replace("{number}", number);
                let path = format!("/hooks/{}", self.system);
                let mut client = collector.client().with_header(header);
                let answer = client.ask("POST", &path, "application/json", body.as_bytes()).unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        }
    }
}

/// Every order of the parts, by their places.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let with_last = |order: &Vec<usize>| {
        let order = order.clone();
        (0..count).map(move |place| {
            let mut longer = order.clone();
            longer.insert(place, count - 1);
            longer
        })
    };
    shorter.iter().flat_map(with_last).collect()
}

fn in_every_order(system: &'static str, text: &str) {
    let table = Table::read(system, text);
    let ci = Ci::new();
    let collector = start(&ci.directory().join("data"), system);
    let mut client = collector.client();
    for (at, order) in orders(table.parts.len()).into_iter().enumerate() {
        let number = (9_000_000_000_u64 + at as u64).to_string();
        for place in &order {
            table.send(&table.parts[*place], &number, &ci, &collector);
        }
        // Once more, and late.
        table.send(&table.parts[order[0]], &number, &ci, &collector);
        let expected: Value = serde_json::from_str(&table.record.replace("{number}", &number)).unwrap();
        let reference_id = expected["reference_id"].as_str().unwrap();
        let answer = client.get(&format!("/api/runs/{}", reference_id.replace('/', "%2F")));
        assert_eq!(answer.status, 200, "{order:?}: {}", answer.text());
        let run = answer.json()["run"].clone();
        assert_eq!(run["record"], expected, "{order:?}");
        let jobs: Value = serde_json::from_str(&table.jobs).unwrap();
        assert_eq!(named(&run["jobs"]), jobs, "{order:?}");
    }
    let all = client.get("/api/runs?limit=200").json();
    let count = all["runs"].as_array().map(Vec::len);
    assert_eq!(count, Some(orders(table.parts.len()).len()), "one record a run");
}

/// The jobs with the fields that DX has.
fn named(jobs: &Value) -> Value {
    let fields = ["reference_id", "name", "status", "started_at", "finished_at"];
    let jobs = jobs.as_array().into_iter().flatten();
    let job = |job: &Value| {
        fields
            .iter()
            .map(|field| ((*field).to_owned(), job[*field].clone()))
            .collect::<Value>()
    };
    jobs.map(job).collect::<Vec<_>>().into()
}

/// A collector that takes a system's deliveries without a signature.
fn start(data: &Path, system: &str) -> Collector {
    let config = data.with_file_name("serve.toml");
    std::fs::write(&config, format!("[[source]]\nname = \"{system}\"\nscheme = \"none\"\n")).unwrap();
    Collector::start_with(data, &["--config".into(), config.into_os_string()])
}

#[test]
fn of_github_actions() {
    in_every_order("github", include_str!("github.txt"));
}

#[test]
fn of_gitlab() {
    in_every_order("gitlab", include_str!("gitlab.txt"));
}

#[test]
fn of_buildkite() {
    in_every_order("buildkite", include_str!("buildkite.txt"));
}

#[test]
fn of_circleci() {
    in_every_order("circleci", include_str!("circleci.txt"));
}

#[test]
fn every_order_is_tried() {
    let mut all = orders(4);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 24);
}
