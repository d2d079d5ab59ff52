//! Chains of policies: their abilities and limits, and the link at fault for a failure.

mod grants;

use crate::guests;
use crate::guests::policy;
use pipefold_sandbox::{
    Access, Answered, Chain, ChainDigest, ComponentFile, Directory, Grants, HookError, Limits, Link, LogLevel,
    Notification, OnFailure, Policy, PolicyComponent, Question, Run, Sandbox, Verdict, Wasi,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Passes the question on.
const FORWARD: &str = "(call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
/// Removes the e-mail. It is the twelfth field of the record: its presence is the byte at 136.
const REDACT: &str =
    "(i32.store8 offset=136 (local.get 0) (i32.const 0)) (call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
const TRAP: &str = "unreachable";
const LOOP: &str = "(loop (br 0)) unreachable";

fn urgent_step() -> Notification {
    Notification {
        pipeline_name: Some("build".into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some("r/1".into()),
        started_at: Some("2025-01-01T12:05:00Z".into()),
        email: Some("john@getdx.com".into()),
        step: Some("compile".into()),
        urgent: true,
        ..Notification::default()
    }
}

fn named(name: &str) -> Policy {
    Policy::new(name)
}

fn open(name: &str) -> Policy {
    Policy {
        on_failure: OnFailure::Open,
        ..named(name)
    }
}

/// A sandbox whose hooks are short, so that endless loops do not make the tests long.
fn sandbox() -> Sandbox {
    Sandbox::new(Limits {
        chain: Duration::from_millis(600),
        ..Limits::default()
    })
    .unwrap()
}

fn link(sandbox: &Sandbox, policy: &Policy, component: &[u8]) -> Link {
    sandbox.policy_compiled_here(policy, component).unwrap()
}

/// A chain of policies, each with its `step`.
fn chain(policies: &[(Policy, &str)]) -> Chain {
    let sandbox = sandbox();
    let links = policies
        .iter()
        .map(|(policy, step)| link(&sandbox, policy, &guests::policy(step, "", "")))
        .collect();
    Chain::new(links, sandbox.default_plugin().unwrap()).unwrap()
}

fn ask(chain: &Chain) -> Result<Verdict, HookError> {
    chain.ask(&Question::Step(&urgent_step()))
}

fn reported(answer: Result<Verdict, HookError>) -> Run {
    match answer {
        Ok(Verdict::Report(report)) => report.run,
        other => panic!("no report: {other:?}"),
    }
}

fn error_of(policies: &[(Policy, &str)]) -> String {
    ask(&chain(policies)).unwrap_err().to_string()
}

#[test]
fn a_policy_that_passes_on_changes_nothing() {
    let alone = ask(&chain(&[])).unwrap();
    let behind_four = [FORWARD; 4].map(|step| (named("forward"), step));
    assert_eq!(ask(&chain(&behind_four)).unwrap(), alone);
    let history = [
        urgent_step(),
        Notification {
            step: None,
            status: Some("success".into()),
            ..urgent_step()
        },
    ];
    let finish = Question::PipelineFinish(&history);
    assert_eq!(
        chain(&behind_four).ask(&finish).unwrap(),
        chain(&[]).ask(&finish).unwrap()
    );
    let start = urgent_step();
    let start = Question::PipelineStart(&start);
    assert_eq!(
        chain(&behind_four).ask(&start).unwrap(),
        chain(&[]).ask(&start).unwrap()
    );
}

#[test]
fn a_policy_can_rewrite_hold_and_discard() {
    assert_eq!(reported(ask(&chain(&[]))).email.as_deref(), Some("john@getdx.com"));
    assert_eq!(reported(ask(&chain(&[(named("redact"), REDACT)]))).email, None);

    let hold = "(i32.store8 (i32.const 1032) (i32.const 1)) (i32.const 1024)";
    assert_eq!(ask(&chain(&[(named("hold"), hold)])).unwrap(), Verdict::Hold);

    let discard = r"(i32.store8 (i32.const 1032) (i32.const 2)) (i32.store (i32.const 1040) (i32.const 2000))
        (i32.store (i32.const 1044) (i32.const 4)) (i32.store (i32.const 2000) (i32.const 0x65666173)) (i32.const 1024)";
    assert_eq!(
        ask(&chain(&[(named("discard"), discard)])).unwrap(),
        Verdict::Discard("safe".into())
    );
}

#[test]
fn the_input_is_refused_through_every_policy() {
    let wrong = Notification {
        started_at: Some("yesterday".into()),
        ..urgent_step()
    };
    let chain = chain(&[(named("a"), FORWARD), (open("b"), FORWARD)]);
    let error = chain.ask(&Question::Step(&wrong)).unwrap_err();
    assert!(error.is_refusal(), "{error}");
    assert!(error.to_string().starts_with("started_at: "), "{error}");
}

/// Removes the name from the question: its presence is the byte at 0.
const BLANK: &str =
    "(i32.store8 (local.get 0) (i32.const 0)) (call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
/// A refusal of its own, with one violation: `missing`, without a field or message.
const REFUSE: &str = "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1032) (i32.const 2000)) \
    (i32.store (i32.const 1036) (i32.const 1)) (i32.const 1024)";

#[test]
fn a_refusal_of_what_the_rules_accept_is_the_policys_failure() {
    let blames = |policies: &[(Policy, &str)], name: &str| {
        let error = error_of(policies);
        let words = format!("policy {name}: step gave a bad answer: it refuses what the rules accept: ");
        assert!(error.starts_with(&words), "{error}");
    };
    for refuses in [BLANK, REFUSE] {
        blames(&[(named("a"), refuses)], "a");
        blames(&[(named("a"), refuses), (named("b"), FORWARD)], "a");
        blames(&[(named("a"), FORWARD), (named("b"), refuses)], "b");
        blames(&[(open("a"), FORWARD), (named("b"), refuses)], "b");
        // An open policy is skipped, and the others apply.
        let run = reported(ask(&chain(&[(open("a"), refuses), (named("b"), REDACT)])));
        assert_eq!((run.pipeline_name.as_str(), run.email), ("build", None));
        let run = reported(ask(&chain(&[(named("a"), REDACT), (open("b"), refuses)])));
        assert_eq!((run.pipeline_name.as_str(), run.email), ("build", None));
    }
    // A refusal that a policy handles itself does not count.
    let second = "(i32.store8 (local.get 0) (i32.const 0)) (call $next (local.get 0) (i32.const 1024)) \
        (i32.store8 (local.get 0) (i32.const 1)) (call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
    reported(ask(&chain(&[(named("a"), second)])));
    // A question that the rules refuse by themselves stays refused, with their violations.
    let wrong = Notification {
        started_at: Some("yesterday".into()),
        ..urgent_step()
    };
    for refuses in [BLANK, REFUSE] {
        let error = chain(&[(open("a"), FORWARD), (open("b"), refuses)])
            .ask(&Question::Step(&wrong))
            .unwrap_err();
        assert!(error.is_refusal(), "{error}");
        assert!(
            error.to_string().starts_with("started_at: ") && !error.to_string().contains("pipeline_name"),
            "{error}"
        );
    }
}

/// Changes the report that it gets: the first byte of the run's start.
const NEVER: &str = "(call $next (local.get 0) (i32.const 1024)) (i32.store8 (i32.load (i32.const 1064)) (i32.const 120)) (i32.const 1024)";

#[test]
fn a_report_that_the_rules_refuse_is_the_policys_failure() {
    let error = error_of(&[(named("a"), FORWARD), (named("b"), NEVER)]);
    let words = "policy b: step gave a bad answer: the rules refuse its report: started_at: \"x025-01-01T12:05:00Z\" is not an ISO 8601";
    assert!(error.starts_with(words), "{error}");
    let run = reported(ask(&chain(&[(named("a"), REDACT), (open("b"), NEVER)])));
    assert_eq!((run.started_at.as_str(), run.email), ("2025-01-01T12:05:00Z", None));
}

#[test]
fn the_reported_input_of_the_rules_lacks_removed_fields() {
    let see = |policies: &[(Policy, &str)]| chain(policies).ask_and_see(&Question::Step(&urgent_step())).unwrap();
    let only = |seen: Answered| {
        let seen = seen.seen.unwrap();
        assert_eq!(seen.len(), 1);
        seen.into_iter().next().unwrap()
    };
    let redacted = Notification {
        email: None,
        ..urgent_step()
    };
    assert_eq!(only(see(&[])), urgent_step());
    assert_eq!(only(see(&[(named("a"), FORWARD)])), urgent_step());
    // Removed in the question, in either order of the policies, and in the report alone.
    let late =
        "(call $next (local.get 0) (i32.const 1024)) (i32.store8 (i32.const 1152) (i32.const 0)) (i32.const 1024)";
    for redacts in [REDACT, late] {
        let line = [(named("a"), FORWARD), (named("b"), redacts), (named("c"), FORWARD)];
        let answered = see(&line);
        assert_eq!(reported(Ok(answered.verdict.clone())).email, None);
        assert_eq!(only(answered), redacted);
    }
    // And of a history.
    let history = [
        urgent_step(),
        Notification {
            step: None,
            ..urgent_step()
        },
    ];
    let finish = Question::PipelineFinish(&history);
    assert_eq!(
        chain(&[(named("a"), FORWARD)])
            .ask_and_see(&finish)
            .unwrap()
            .seen
            .unwrap(),
        history
    );
    // A call with the field and then one without it, and in the other order.
    let twice = |first: u8, second: u8| {
        format!(
            "(i32.store8 offset=136 (local.get 0) (i32.const {first})) (call $next (local.get 0) (i32.const 4096)) \
             (i32.store8 offset=136 (local.get 0) (i32.const {second})) (call $next (local.get 0) (i32.const 1024))"
        )
    };
    let last = twice(1, 0) + "(i32.const 1024)";
    assert_eq!(only(see(&[(named("a"), &last)])), redacted);
    let first = twice(0, 1) + "(i32.const 4096)";
    assert_eq!(only(see(&[(named("a"), &first)])), redacted);
    // The calls of a skipped policy do not count.
    let fails = twice(1, 1) + "unreachable";
    assert_eq!(only(see(&[(named("a"), REDACT), (open("b"), &fails)])), redacted);
    // A policy that does not call the next plugin has shown nothing.
    let hold = "(i32.store8 (i32.const 1032) (i32.const 1)) (i32.const 1024)";
    assert_eq!(see(&[(named("a"), hold)]).seen, None);
}

#[test]
fn a_chain_is_known_by_what_it_does_and_not_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, step: &str| -> PolicyComponent {
        let path = folder.path().join(name);
        std::fs::write(&path, guests::policy(step, "", "")).unwrap();
        ComponentFile::from(path).into()
    };
    let (one, two) = (file("one.wasm", FORWARD), file("two.wasm", REDACT));
    let of = |policies: &[(&Policy, &PolicyComponent)]| ChainDigest::of(policies.iter().copied());
    let a = named("a");
    assert_eq!(of(&[]), ChainDigest::EMPTY);
    assert_eq!(chain(&[]).digest(), ChainDigest::EMPTY);
    let line = of(&[(&a, &one), (&a, &two)]);
    assert_eq!(chain(&[(named("x"), FORWARD), (named("y"), REDACT)]).digest(), line);
    assert_eq!(line.to_string().parse::<ChainDigest>().unwrap(), line);
    assert_eq!(serde_json::to_string(&line).unwrap(), format!("\"{line}\""));
    assert!("0".repeat(63).parse::<ChainDigest>().is_err());

    let with = |change: &dyn Fn(&mut Policy)| {
        let mut policy = named("a");
        change(&mut policy);
        of(&[(&policy, &one)])
    };
    let config = |table: &[(&str, &str)]| {
        let table = table
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Some(Arc::new(table.collect::<BTreeMap<_, _>>()))
    };
    let wasi = |access: Access, path: &std::path::Path| {
        Some(Wasi {
            directory: Some(Directory::open(path, access).unwrap()),
            ..Wasi::default()
        })
    };
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let all = [
        of(&[(&a, &one)]),
        of(&[(&a, &two)]),
        of(&[(&a, &two), (&a, &one)]),
        line,
        with(&|policy| policy.on_failure = OnFailure::Open),
        with(&|policy| policy.grants.log = Some(Arc::new(|_, _, _| ()))),
        with(&|policy| policy.grants.config = config(&[])),
        with(&|policy| policy.grants.config = config(&[("ab", "c")])),
        with(&|policy| policy.grants.config = config(&[("a", "bc")])),
        with(&|policy| policy.grants.config = config(&[("a", "b")])),
        with(&|policy| policy.grants.wasi = Some(Wasi::default())),
        with(&|policy| policy.grants.wasi = wasi(Access::ReadOnly, folder.path())),
        with(&|policy| policy.grants.wasi = wasi(Access::ReadWrite, folder.path())),
        with(&|policy| policy.grants.wasi = wasi(Access::ReadOnly, &inner)),
        of(&[(&a, &ComponentFile::from(folder.path().join("absent.wasm")).into())]),
        of(&[(&a, &ComponentFile::from(folder.path().join("none.wasm")).into())]),
    ];
    for (place, digest) in all.iter().enumerate() {
        assert!(!digest.is_empty() && !all[..place].contains(digest), "{place}");
    }
    let other = Policy {
        name: "b".into(),
        limits: Limits {
            memory: 1,
            ..Limits::default()
        },
        ..named("a")
    };
    assert_eq!(of(&[(&other, &one)]), all[0]);
}

#[test]
fn a_failure_is_closed_by_default_and_names_the_link_at_fault() {
    assert_eq!(
        error_of(&[(named("outer"), FORWARD), (named("inner"), TRAP)]),
        "policy inner: step crashed: wasm trap: wasm `unreachable` instruction executed"
    );
    assert_eq!(
        error_of(&[(named("outer"), TRAP), (named("inner"), FORWARD)]),
        "policy outer: step crashed: wasm trap: wasm `unreachable` instruction executed"
    );
}

#[test]
fn an_open_policy_that_fails_is_passed_over_and_the_others_apply() {
    for failing in [
        TRAP,
        LOOP,
        "(i32.const -1)",
        "(i32.store8 (i32.const 1024) (i32.const 9)) (i32.const 1024)",
    ] {
        let run = reported(ask(&chain(&[(open("broken"), failing), (named("redact"), REDACT)])));
        assert_eq!(run.email, None, "{failing}");
        let run = reported(ask(&chain(&[(named("redact"), REDACT), (open("broken"), failing)])));
        assert_eq!(run.email, None, "{failing}");
    }
    // An open policy does not hide that a closed one behind it failed.
    let error = error_of(&[(open("outer"), FORWARD), (named("inner"), TRAP)]);
    assert!(error.starts_with("policy inner: "), "{error}");
}

#[test]
fn time_of_the_next_link_is_not_the_outer_ones() {
    let began = Instant::now();
    let error = error_of(&[(named("outer"), FORWARD), (named("inner"), LOOP)]);
    assert_eq!(error, "policy inner: step was stopped after 250 ms, its time limit");
    assert!(began.elapsed() >= Duration::from_millis(250));
    // The inner one is skipped after its whole time, and the outer one still has its own.
    reported(ask(&chain(&[(named("outer"), FORWARD), (open("inner"), LOOP)])));
}

#[test]
fn a_chain_has_a_time_limit_of_its_own() {
    let endless = [("a", LOOP), ("b", LOOP), ("c", LOOP)].map(|(name, step)| (open(name), step));
    // The link that is stopped at the chain's end depends on the delays of stopping the others.
    let error = error_of(&endless);
    let words = "step was stopped, as the chain of plugins had taken 600 ms, its time limit";
    assert!(error.ends_with(words), "{error}");
}

#[test]
fn the_next_link_can_be_asked_four_times_and_no_more() {
    let times = |count| "(call $next (local.get 0) (i32.const 1024))".repeat(count) + "(i32.const 1024)";
    reported(ask(&chain(&[(named("four"), &times(4))])));
    assert_eq!(
        error_of(&[(named("five"), &times(5))]),
        "policy five: step reached the limit of 4 calls of the next plugin"
    );
}

#[test]
fn the_next_link_asked_from_the_bottom_of_a_recursion_is_safe() {
    // Each level of the recursion takes a few dozen bytes: the first depth fits the stack limit, the second does not.
    let dive = |depth: u32| {
        policy(
            &format!("(call $dive (local.get 0) (i32.const {depth}))"),
            "",
            r"(func $dive (param $event i32) (param $left i32) (result i32)
                (if (result i32) (local.get $left)
                    (then (call $dive (local.get $event) (i32.sub (local.get $left) (i32.const 1))))
                    (else (call $next (local.get $event) (i32.const 1024)) (i32.const 1024))))",
        )
    };
    let sandbox = sandbox();
    let line = |depth| {
        let links = (0..4).map(|_| link(&sandbox, &named("diver"), &dive(depth))).collect();
        Chain::new(links, sandbox.default_plugin().unwrap()).unwrap()
    };
    reported(ask(&line(8_000)));
    assert_eq!(
        ask(&line(1_000_000)).unwrap_err().to_string(),
        "policy diver: step reached the stack limit of 512 KiB"
    );
}

#[test]
fn a_policy_that_lies_about_the_run_is_found_out() {
    // Changes the first letter of the reference_id before it passes the question on.
    let lie = r"(i32.store8 (i32.load offset=28 (local.get 0)) (i32.const 120))
        (call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
    assert_eq!(
        error_of(&[(named("liar"), lie)]),
        "policy liar: step gave a bad answer: it answers for another reference_id than it was asked about"
    );
}

#[test]
fn the_largest_legal_history_passes_through_a_policy() {
    let one = Notification {
        step: None,
        urgent: false,
        source_url: Some("x".repeat(700)),
        ..urgent_step()
    };
    let history = vec![one; 10_000];
    // The sizes are tested, not the time: a debug build on a busy machine may take long.
    let limits = Limits {
        hook: Duration::from_secs(20),
        chain: Duration::from_secs(20),
        ..Limits::default()
    };
    let sandbox = Sandbox::new(limits.clone()).unwrap();
    let forward = Policy {
        limits,
        ..named("forward")
    };
    let first = link(&sandbox, &forward, &policy(FORWARD, "", ""));
    let chain = Chain::new(vec![first], sandbox.default_plugin().unwrap()).unwrap();
    assert!(matches!(
        chain.ask(&Question::PipelineFinish(&history)),
        Ok(Verdict::Report(_))
    ));
}

#[test]
fn a_fifth_policy_is_one_too_many() {
    let sandbox = sandbox();
    let links = (0..5)
        .map(|_| link(&sandbox, &named("forward"), &policy(FORWARD, "", "")))
        .collect();
    assert_eq!(Chain::new(links, sandbox.default_plugin().unwrap()).err(), Some(5));
}
