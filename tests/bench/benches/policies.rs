//! A hook behind a policy beside the hook alone, and what policies cost that fail.
// A benchmark that cannot run has nothing to measure: it stops, and says why.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    missing_docs,
    reason = "criterion's macros make public functions, and the guests are those of tests"
)]

#[path = "../../../host/sandbox/tests/guests/mod.rs"]
mod guests;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use pipefold_sandbox::{Chain, Limits, Notification, Policy, Question, Sandbox};

/// Of the policy that loops; `src/policies.rs` knows it too.
const TIME_LIMIT: Duration = Duration::from_millis(50);

/// The notification of a step in a real build.
fn event() -> Notification {
    let text = |value: &str| Some(value.to_owned());
    Notification {
        pipeline_name: text("integration_tests"),
        pipeline_source: text("Tekton"),
        reference_id: text("AA713E04-1880-4E17-8C49-4A41733DAFCF"),
        started_at: text("2025-01-01T12:05:00Z"),
        repository: text("getdx/some_repo"),
        commit_sha: text("7f3a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"),
        head_branch: text("feature/faster-builds"),
        email: text("john@getdx.com"),
        step: text("compile"),
        ..Notification::default()
    }
}

/// The plugin behind this policy.
fn behind(component: &[u8]) -> Chain {
    let sandbox = Sandbox::new(Limits::default()).expect("the engine starts");
    let policy = Policy {
        limits: Limits {
            hook: TIME_LIMIT,
            ..Limits::default()
        },
        ..Policy::new("policy")
    };
    let link = sandbox
        .policy_compiled_here(&policy, component)
        .expect("the policy loads");
    Chain::new(
        vec![link],
        sandbox.default_plugin().expect("the default component loads"),
    )
    .expect("one policy is not too many")
}

fn policies(criterion: &mut Criterion) {
    let event = event();
    let mut group = criterion.benchmark_group("policy");
    let sandbox = Sandbox::new(Limits::default()).expect("the engine starts");
    let alone = Chain::new(
        Vec::new(),
        sandbox.default_plugin().expect("the default component loads"),
    )
    .expect("no policy is not too many");
    let question = Question::Step(&event);
    group.bench_function("none", |b| {
        b.iter(|| alone.ask(black_box(&question)).expect("the step is valid"))
    });
    // What `make bench` could not build is not measured.
    if let Some(component) = std::env::var_os("PIPEFOLD_BENCH_POLICY").and_then(|file| std::fs::read(file).ok()) {
        let chain = behind(&component);
        group.bench_function("rust", |b| {
            b.iter(|| chain.ask(black_box(&question)).expect("the step is valid"))
        });
    }
    for (name, body) in [("trap", "unreachable"), ("loop", "(loop (br 0)) unreachable")] {
        let chain = behind(&guests::policy(body, "", ""));
        group.bench_function(name, |b| {
            b.iter(|| chain.ask(black_box(&question)).expect_err("the policy fails"))
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    // The fewest samples there can be: one of the policies takes its whole time limit each time.
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = policies
}
criterion_main!(benches);
