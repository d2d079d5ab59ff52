//! `pipefold gocd sync` and `watch` as a person meets them: flags, files, secrets, summaries, signals.

mod captured;
mod reading;
mod running;
mod settings;

use gocd_standin::{Generation, GocdStandin, History, Shape};
use pipefold_tests::{Ci, Output, Pipefold};
use serde_json::Value;

/// A server with this many pipelines, at the end of their histories.
fn gocd(seed: u64, pipelines: usize, generation: Generation) -> GocdStandin {
    let shape = Shape {
        pipelines,
        runs: 3..=6,
        long_runs: 0,
        ..Shape::default()
    };
    GocdStandin::start(History::generate(seed, &shape), generation)
}

fn sync(ci: &Ci, gocd: &GocdStandin, arguments: &[&str]) -> Pipefold {
    let url = gocd.url();
    ci.pipefold(["gocd", "sync", "--server", &url].iter().chain(arguments).copied())
}

fn names(ci: &Ci) -> Vec<String> {
    ci.dx.records().into_keys().collect()
}

/// The summary that `--json` prints last.
fn summary(output: &Output) -> Value {
    let text = output.stdout();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// The names of its pipelines.
fn pipelines(gocd: &GocdStandin) -> Vec<String> {
    let server = gocd.server();
    server
        .history()
        .pipelines
        .iter()
        .map(|pipeline| pipeline.name.to_string())
        .collect()
}
