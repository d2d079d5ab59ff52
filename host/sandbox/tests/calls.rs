//! Calls of the default plugin, and the errors that name the component at fault.

use crate::guests::guest;
use pipefold_sandbox::{Fault, HookError, Limit, Limits, Notification, Plugin, Sandbox, Status, Verdict};
use std::time::{Duration, Instant};

fn notification() -> Notification {
    Notification {
        pipeline_name: Some("integration_tests".into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some("AA713E04".into()),
        started_at: Some("2025-01-01T12:05:00".into()),
        ..Notification::default()
    }
}

fn sandbox() -> Sandbox {
    Sandbox::new(Limits::default()).unwrap()
}

/// Calls `step` of a guest whose step has this body.
fn step_of(step: &str, more: &str, limits: Limits) -> HookError {
    let plugin = Sandbox::new(limits)
        .unwrap()
        .compile_here("guest", &guest(step, more))
        .unwrap();
    plugin.step(&notification()).unwrap_err()
}

#[test]
fn every_hook_of_the_default_plugin_answers() {
    let plugin = sandbox().default_plugin().unwrap();
    let started = plugin.pipeline_start(&notification()).unwrap();
    assert!(matches!(started, Verdict::Report(report) if report.run.status == Status::Running));
    assert_eq!(plugin.step(&notification()).unwrap(), Verdict::Hold);
    let finish = Notification {
        status: Some("success".into()),
        ..notification()
    };
    let finished = plugin.pipeline_finish(&[notification(), finish.clone()]).unwrap();
    assert!(matches!(finished, Verdict::Report(report) if report.run.status == Status::Success));
    assert_eq!(
        plugin.merge(&[finish, notification()]).unwrap().run.status,
        Status::Success
    );
}

#[test]
fn the_rules_answer_from_a_kept_instance_as_from_a_fresh_one() {
    let sandbox = sandbox();
    let kept = sandbox.default_plugin().unwrap();
    let component = concat!(env!("CARGO_MANIFEST_DIR"), "/component/default.wasm");
    let fresh = sandbox
        .compile_here("fresh", &std::fs::read(component).unwrap())
        .unwrap();
    let history = |n: usize| -> Vec<Notification> {
        // Some take more memory than a kept instance may have.
        let count = if n % 31 == 7 { 4_000 } else { 1 + n % 5 };
        let event = |m: usize| Notification {
            status: Some(["running", "success", "failure", "?"][(n + m) % 4].into()).filter(|_| m.is_multiple_of(2)),
            started_at: Some(
                if n % 11 == 3 {
                    "yesterday"
                } else {
                    "2025-01-01T12:05:00"
                }
                .into(),
            ),
            step: Some(format!("step {m}")).filter(|_| m % 3 == 1),
            email: Some("mona@example.com ".repeat(1 + m % 20)),
            ..notification()
        };
        (0..count).map(event).collect()
    };
    let judged = |plugin: &Plugin, history: &[Notification]| {
        let refused = |error| match error {
            HookError::Refused(violations) => violations,
            error => panic!("{error}"),
        };
        (
            plugin.pipeline_start(&history[0]).map_err(refused),
            plugin.step(&history[history.len() - 1]).map_err(refused),
            plugin.pipeline_finish(history).map_err(refused),
            plugin.merge(history).map_err(refused),
        )
    };
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (kept, fresh) = (&kept, &fresh);
            scope.spawn(move || {
                for n in (thread..240).step_by(3) {
                    let history = history(n);
                    assert_eq!(judged(kept, &history), judged(fresh, &history), "{n}");
                }
            });
        }
    });
}

#[test]
fn a_refusal_is_the_guests_own_and_names_every_fault() {
    let plugin = sandbox().default_plugin().unwrap();
    let wrong = Notification {
        started_at: Some("yesterday".into()),
        pipeline_name: None,
        ..notification()
    };
    let HookError::Refused(violations) = plugin.step(&wrong).unwrap_err() else {
        panic!("not a refusal")
    };
    let faults: Vec<_> = violations.iter().map(|v| (v.fault, v.field.as_str())).collect();
    assert!(
        faults.contains(&(Fault::RequiredParamsMissing, "pipeline_name")),
        "{faults:?}"
    );
    assert!(faults.contains(&(Fault::InvalidTimestamp, "started_at")), "{faults:?}");
}

#[test]
fn a_trap_is_reported_and_the_next_call_works() {
    let error = step_of("unreachable", "", Limits::default());
    assert_eq!(
        error.to_string(),
        "plugin guest: step crashed: wasm trap: wasm `unreachable` instruction executed"
    );
    assert!(sandbox().default_plugin().unwrap().step(&notification()).is_ok());
}

#[test]
fn an_endless_loop_is_stopped_at_its_limit() {
    let limits = Limits {
        hook: Duration::from_millis(100),
        ..Limits::default()
    };
    let began = Instant::now();
    let error = step_of("(loop (br 0)) unreachable", "", limits);
    assert_eq!(
        error.to_string(),
        "plugin guest: step was stopped after 100 ms, its time limit"
    );
    assert!(began.elapsed() >= Duration::from_millis(100));
}

#[test]
fn a_late_tick_of_one_call_does_not_stop_the_next() {
    let limits = Limits {
        hook: Duration::from_millis(20),
        ..Limits::default()
    };
    let sandbox = Sandbox::new(limits).unwrap();
    let endless = sandbox
        .compile_here("guest", &guest("(loop (br 0)) unreachable", ""))
        .unwrap();
    let plugin = sandbox.default_plugin().unwrap();
    for _ in 0..10 {
        assert!(matches!(endless.step(&notification()), Err(HookError::TimedOut { .. })));
        for _ in 0..20 {
            assert_eq!(plugin.step(&notification()).unwrap(), Verdict::Hold);
        }
    }
}

#[test]
fn endless_recursion_reaches_the_stack_limit() {
    let error = step_of(
        "(call $deeper (i32.const 0))",
        "(func $deeper (param i32) (result i32) (call $deeper (local.get 0)))",
        Limits::default(),
    );
    assert_eq!(
        error.to_string(),
        "plugin guest: step reached the stack limit of 512 KiB"
    );
}

#[test]
fn memory_up_to_the_limit_is_given_and_past_it_refused() {
    // Two pages are there; 1022 more make 64 MiB.
    let grow = |pages: u32| {
        format!(
            "(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable)) (loop (br 0)) unreachable"
        )
    };
    let limits = || Limits {
        hook: Duration::from_millis(20),
        ..Limits::default()
    };
    assert!(
        matches!(step_of(&grow(1022), "", limits()), HookError::TimedOut { .. }),
        "64 MiB are allowed"
    );
    let error = step_of(&grow(1023), "", limits());
    assert!(
        matches!(
            error,
            HookError::Limit {
                limit: Limit::Memory(_),
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        "plugin guest: step reached the memory limit of 64 MiB"
    );
}

#[test]
fn tables_up_to_the_limit_are_given_and_past_it_refused() {
    let grow = |elements: u32| {
        format!(
            "(if (i32.eq (table.grow $t (ref.null func) (i32.const {elements})) (i32.const -1)) (then unreachable)) (loop (br 0)) unreachable"
        )
    };
    let limits = || Limits {
        hook: Duration::from_millis(20),
        ..Limits::default()
    };
    let table = "(table $t 0 funcref)";
    assert!(
        matches!(step_of(&grow(20_000), table, limits()), HookError::TimedOut { .. }),
        "20000 are allowed"
    );
    assert_eq!(
        step_of(&grow(20_001), table, limits()).to_string(),
        "plugin guest: step reached the limit of 20000 table elements"
    );
}

#[test]
fn copies_are_limited_however_small_they_are_in_the_guest() {
    // result: err(list of 1,000,000 violations, all over the same zeroed bytes).
    let huge = "(i32.store8 (i32.const 16) (i32.const 1))
        (i32.store (i32.const 24) (i32.const 1024)) (i32.store (i32.const 28) (i32.const 4000)) (i32.const 16)";
    let limits = Limits {
        copied_out: 1 << 10,
        ..Limits::default()
    };
    let error = step_of(huge, "", limits);
    assert_eq!(
        error.to_string(),
        "plugin guest: step reached the limit of 1 KiB that may be handed to the host in one call"
    );
}

#[test]
fn an_answer_outside_its_type_is_reported_as_such() {
    let error = step_of(
        "(i32.store8 (i32.const 16) (i32.const 7)) (i32.const 16)",
        "",
        Limits::default(),
    );
    assert!(matches!(error, HookError::BadAnswer { .. }), "{error}");
}

#[test]
fn the_largest_legal_history_fits_the_limits() {
    // The sizes are tested, not the time: a debug build on a busy machine may take long.
    let limits = Limits {
        hook: Duration::from_secs(20),
        chain: Duration::from_secs(20),
        ..Limits::default()
    };
    let plugin = Sandbox::new(limits).unwrap().default_plugin().unwrap();
    let mut one = notification();
    // The rules allow 10,000 notifications and 8 MiB of text in one run.
    one.source_url = Some("x".repeat(700));
    let history = vec![one; 10_000];
    assert!(plugin.pipeline_finish(&history).is_ok());
}

#[test]
fn calls_from_many_threads_share_nothing() {
    let plugin = sandbox().default_plugin().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let plugin = &plugin;
            scope.spawn(move || {
                for round in 0..50 {
                    let id = format!("{thread}/{round}");
                    let report = plugin
                        .merge(&[Notification {
                            reference_id: Some(id.clone()),
                            ..notification()
                        }])
                        .unwrap();
                    assert_eq!(report.run.reference_id, id);
                }
            });
        }
    });
}
