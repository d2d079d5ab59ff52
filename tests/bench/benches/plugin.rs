//! The rules called natively beside the same rules in the sandbox: what the sandbox costs.
//!
//! In the sandbox every call is a whole one, as a host makes it: in an instance that is kept, the arguments copied in, the answer copied out. The same with the core
//! module, whose instances are fresh, and whose arguments and answers are JSON.
// A benchmark that cannot run has nothing to measure: it stops, and says why.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "criterion's macros make public functions"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pipefold_plugin as native;
use pipefold_sandbox::{
    Chain, Compiler, Deadline, Delivery, Grants, Header, Limits, Notification, Plugin, Policy, Question, Sandbox,
    Setting,
};
use wasmtime::{Engine, InstancePre, Linker, Module, Store};

/// Lengths of a run's history: one command, a small build, a large one, and a matrix that got out of hand.
const HISTORIES: [usize; 4] = [1, 10, 100, 1_000];

/// Steps of the longest history, each of which runs five times.
const STEPS: usize = 200;

/// The notification of a step in a real build.
fn notification(number: usize) -> Notification {
    let (minute, second) = (number / 60 % 60, number % 60);
    let text = |value: &str| Some(value.to_owned());
    Notification {
        pipeline_name: text("integration_tests"),
        pipeline_source: text("Tekton"),
        reference_id: text("AA713E04-1880-4E17-8C49-4A41733DAFCF"),
        started_at: Some(format!("2025-01-01T12:{minute:02}:{second:02}.250Z")),
        finished_at: Some(format!("2025-01-01T13:{minute:02}:{second:02}.750Z")),
        status: text(["success", "running", "failure", "cancelled"][number % 4]),
        repository: text("getdx/some_repo"),
        commit_sha: text("7f3a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"),
        pr_number: Some(417),
        source_url: text("https://ci.example/pipelines/integration_tests/runs/417"),
        head_branch: text("feature/faster-builds"),
        email: text("john@getdx.com"),
        github_username: text("johndoe"),
        gitlab_username: None,
        step: Some(format!("compile module {}", number % STEPS)),
        ..Notification::default()
    }
}

/// The same in the rules' own type, which the sandbox makes from the guest's memory.
fn natively(from: &Notification) -> native::Notification {
    let from = from.clone();
    native::Notification {
        pipeline_name: from.pipeline_name,
        pipeline_source: from.pipeline_source,
        reference_id: from.reference_id,
        started_at: from.started_at,
        finished_at: from.finished_at,
        status: from.status,
        repository: from.repository,
        commit_sha: from.commit_sha,
        pr_number: from.pr_number,
        source_url: from.source_url,
        head_branch: from.head_branch,
        email: from.email,
        github_username: from.github_username,
        gitlab_username: from.gitlab_username,
        step: from.step,
        allowed_to_fail: from.allowed_to_fail,
        urgent: from.urgent,
        ..native::Notification::default()
    }
}

/// The core module on the same engine.
struct Core(InstancePre<()>);

impl Core {
    fn new() -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, pipefold_core::MODULE).expect("the module compiles");
        Self(
            Linker::new(&engine)
                .instantiate_pre(&module)
                .expect("it imports nothing"),
        )
    }

    /// Calls a hook in a fresh instance, and copies the answer out.
    fn ask(&self, hook: &str, input: &[u8]) -> wasmtime::Result<Vec<u8>> {
        let mut store = Store::new(self.0.module().engine(), ());
        let instance = self.0.instantiate(&mut store)?;
        let memory = instance.get_memory(&mut store, "memory").expect("it has a memory");
        let room = instance.get_typed_func::<u32, u32>(&mut store, "input")?;
        let place = room.call(&mut store, input.len() as u32)?;
        memory.write(&mut store, place as usize, input)?;
        let mut get = |export| {
            instance
                .get_typed_func::<(), u32>(&mut store, export)?
                .call(&mut store, ())
        };
        assert_eq!(get(hook)?, 0, "the notifications are valid");
        let (place, length) = (get("output")?, get("output_length")?);
        Ok(memory.data(&store)[place as usize..][..length as usize].to_vec())
    }
}

/// The JSON of a value.
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it has a JSON form")
}

fn plugin() -> Plugin {
    Sandbox::new(Limits::default())
        .and_then(|sandbox| sandbox.default_plugin())
        .expect("the default component loads")
}

fn step(criterion: &mut Criterion) {
    let plugin = plugin();
    let event = notification(7);
    let same = natively(&event);
    let mut group = criterion.benchmark_group("step");
    group.bench_function("native", |b| b.iter(|| native::step(black_box(&same))));
    group.bench_function("wasm", |b| {
        b.iter(|| plugin.step(black_box(&event)).expect("the step is valid"))
    });
    let (core, input) = (Core::new(), json(&event));
    group.bench_function("core", |b| {
        b.iter(|| core.ask("step", black_box(&input)).expect("the step is valid"))
    });
    group.finish();
}

fn merge(criterion: &mut Criterion) {
    let (plugin, core) = (plugin(), Core::new());
    let mut group = criterion.benchmark_group("merge");
    for length in HISTORIES {
        let history: Vec<_> = (0..length).map(notification).collect();
        let same: Vec<_> = history.iter().map(natively).collect();
        group.throughput(Throughput::Elements(length as u64));
        group.bench_with_input(BenchmarkId::new("native", length), &same, |b, history| {
            b.iter(|| native::merge(black_box(history)).expect("the history is valid"))
        });
        group.bench_with_input(BenchmarkId::new("wasm", length), &history, |b, history| {
            b.iter(|| plugin.merge(black_box(history)).expect("the history is valid"))
        });
        let input = json(&history);
        group.bench_with_input(BenchmarkId::new("core", length), &input, |b, input| {
            b.iter(|| core.ask("merge", black_box(input)).expect("the history is valid"))
        });
    }
    group.finish();
}

/// A `workflow_run` of GitHub, with members that no source reads up to 20 KB.
fn delivery() -> Delivery {
    let mut body = r#"{"action":"completed","workflow_run":{"id":30433642,"name":"Build","run_attempt":1,"event":"push","status":"completed","conclusion":"success","html_url":"https://github.com/octo-org/octo-repo/actions/runs/30433642","path":".github/workflows/build.yml","head_branch":"main","head_sha":"ffac537e6cbbf934b08745a378932722df287a53","pull_requests":[],"run_started_at":"2026-03-01T10:00:00Z","updated_at":"2026-03-01T10:05:00Z","triggering_actor":{"login":"octocat"}},"repository":{"id":1,"full_name":"octo-org/octo-repo","html_url":"https://github.com/octo-org/octo-repo"}"#.to_owned();
    for number in 0.. {
        if body.len() > 20_000 {
            break;
        }
        body.push_str(&format!(
            r#","link_{number}":"https://api.github.com/repos/octo-org/octo-repo/link""#
        ));
    }
    body.push('}');
    Delivery {
        headers: vec![Header {
            name: "x-github-event".into(),
            value: "workflow_run".into(),
        }],
        body,
        received_at: "2026-03-01T10:05:01Z".into(),
        settings: vec![Setting {
            name: "use".into(),
            value: "github".into(),
        }],
    }
}

fn translate(criterion: &mut Criterion) {
    let sandbox = Sandbox::new(Limits::default()).expect("the engine starts");
    let never = Deadline::never();
    let source = sandbox.built_in_sources_by(None, &Compiler::Here, &never);
    let source = source.expect("the built-in sources load").source;
    let delivery = delivery();
    let mut group = criterion.benchmark_group("translate");
    group.bench_function("wasm", |b| {
        b.iter(|| source.translate(black_box(&delivery)).expect("the delivery is right"))
    });
    group.finish();
}

/// Five rules of the built-in policy.
const RULES: &str = r#"[{"drop": "email"}, {"map": "github_username", "values": {}},
    {"rename": "pipeline_name", "regex": "^mono/(.+)$", "to": "$1"}, {"set": "repository", "to": "getdx/some_repo"},
    {"discard": "head_branch", "glob": ["dependabot/*", "renovate/*"]}]"#;

/// The rules behind the built-in policy, beside the rules alone: its difference is what a policy without code costs a hook.
fn policy(criterion: &mut Criterion) {
    let sandbox = Sandbox::new(Limits::default()).expect("the engine starts");
    let config = [("rules", RULES), ("values.2.johndoe", "j.doe")];
    let config = config.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let settings = Policy {
        grants: Grants {
            config: Some(Arc::new(BTreeMap::from(config))),
            ..Grants::default()
        },
        ..Policy::new("rules")
    };
    let loaded = sandbox.built_in_policy_by(&settings, None, &Compiler::Here, &Deadline::never());
    let link = loaded.expect("the built-in policy loads").link;
    let alone = Chain::new(Vec::new(), plugin()).expect("no policy is too many");
    let behind = sandbox.default_plugin().expect("the default component loads");
    let rules = Chain::new(vec![link], behind).expect("one policy is not too many");
    let event = notification(7);
    let mut group = criterion.benchmark_group("policy");
    for (name, chain) in [("none", &alone), ("rules", &rules)] {
        group.bench_function(BenchmarkId::new("step", name), |b| {
            b.iter(|| {
                chain
                    .ask(&Question::Step(black_box(&event)))
                    .expect("the step is valid")
            })
        });
        let history: Vec<_> = (0..1_000).map(notification).collect();
        group.bench_function(BenchmarkId::new("history of 1000", name), |b| {
            b.iter(|| {
                chain
                    .ask(&Question::PipelineFinish(black_box(&history)))
                    .expect("the history is valid")
            })
        });
    }
    group.bench_function("load", |b| {
        b.iter(|| {
            sandbox
                .built_in_policy_by(&settings, None, &Compiler::Here, &Deadline::never())
                .expect("it loads")
        })
    });
    group.finish();
}

criterion_group! {
    name = benches;
    // Fifteen of these take about a minute; the medians stay within a few per cent.
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = step, merge, translate, policy
}
criterion_main!(benches);
