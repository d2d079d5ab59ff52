//! Monitored policies: they change, hold, fail and delay nothing, and what they would do is known.

use crate::{guests::policy, wasi::components::opens};
use pipefold_sandbox::{
    Access, Answered, Chain, ChainDigest, Counts, Directory, Grants, HookError, Limits, Link, Mode, Monitored,
    Notification, Observation, OnFailure, Outcome, Policy, PolicyComponent, Question, Role, Sandbox, Verdict, Wasi,
};
use proptest::prelude::*;
use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

const FORWARD: &str = "(call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
/// Removes the e-mail from the question: its presence is the byte at 136.
const REDACT: &str =
    "(i32.store8 offset=136 (local.get 0) (i32.const 0)) (call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
/// Removes the e-mail from the report.
const REDACT_LATE: &str =
    "(call $next (local.get 0) (i32.const 1024)) (i32.store8 (i32.const 1152) (i32.const 0)) (i32.const 1024)";
/// Changes the first letter of the pipeline's name.
const RENAME: &str = "(i32.store8 (i32.load offset=4 (local.get 0)) (i32.const 120)) \
    (call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
const HOLD: &str = "(i32.store8 (i32.const 1032) (i32.const 1)) (i32.const 1024)";
const DISCARD: &str = "(i32.store8 (i32.const 1032) (i32.const 2)) (i32.const 1024)";
const TRAP: &str = "unreachable";
const LOOP: &str = "(loop (br 0)) unreachable";
const HOG: &str = "(if (i32.eq (memory.grow (i32.const 2000)) (i32.const -1)) (then unreachable)) (i32.const 0)";
/// A refusal of its own.
const REFUSE: &str = "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1032) (i32.const 2000)) \
    (i32.store (i32.const 1036) (i32.const 1)) (i32.const 1024)";
/// Removes the pipeline's name, which the rules refuse.
const BLANK: &str =
    "(i32.store8 (local.get 0) (i32.const 0)) (call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
/// Changes the first letter of the reference_id, which no policy may.
const LIE: &str = "(i32.store8 (i32.load offset=28 (local.get 0)) (i32.const 120)) \
    (call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
/// Asks twice, the second time without the e-mail.
const TWICE: &str = "(call $next (local.get 0) (i32.const 4096)) (i32.store8 offset=136 (local.get 0) (i32.const 0)) \
    (call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";

const GUESTS: [&str; 13] = [
    FORWARD,
    REDACT,
    REDACT_LATE,
    RENAME,
    HOLD,
    DISCARD,
    TRAP,
    LOOP,
    HOG,
    REFUSE,
    BLANK,
    LIE,
    TWICE,
];

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

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    Sandbox::new(Limits {
        chain: Duration::from_secs(20),
        ..Limits::default()
    })
    .unwrap()
});

#[derive(Clone, Copy, Debug)]
struct Member {
    step: &'static str,
    mode: Mode,
    open: bool,
}

fn enforced(step: &'static str) -> Member {
    Member {
        step,
        mode: Mode::Enforce,
        open: false,
    }
}

fn monitored(step: &'static str) -> Member {
    Member {
        mode: Mode::Monitor,
        ..enforced(step)
    }
}

fn link((number, member): (usize, &Member)) -> Link {
    let settings = Policy {
        mode: member.mode,
        on_failure: if member.open {
            OnFailure::Open
        } else {
            OnFailure::Closed
        },
        ..Policy::new(format!("p{number}"))
    };
    let component = policy(member.step, "", "");
    SANDBOX.policy_compiled_here(&settings, &component).unwrap()
}

/// A chain whose policies are named `p0`, `p1` and so on.
fn chain(members: &[Member]) -> Chain {
    let links = members.iter().enumerate().map(link).collect();
    Chain::new(links, SANDBOX.default_plugin().unwrap()).unwrap()
}

fn settled(chain: &Chain) -> Vec<Monitored> {
    assert!(chain.settle(Instant::now() + Duration::from_secs(30)));
    chain.monitored()
}

/// The counters and the only observation of a chain with one monitored policy that was asked about [`urgent_step`].
fn observed(members: &[Member]) -> (Counts, Option<Observation>) {
    let chain = chain(members);
    chain.ask(&Question::Step(&urgent_step())).unwrap();
    let [policy] = settled(&chain).try_into().ok().unwrap();
    let mut observations = policy.observations();
    assert!(observations.len() <= 1);
    (policy.counts(), observations.pop())
}

#[test]
fn what_a_monitored_policy_would_do_is_known_by_fields() {
    let of = |step| observed(&[monitored(step)]).1;
    assert_eq!(of(FORWARD), None);
    let would = |step| {
        let observation = of(step).unwrap();
        assert_eq!((observation.hook, observation.reference_id.as_str()), ("step", "r/1"));
        (observation.outcome, observation.fields, observation.failure)
    };
    let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for redacts in [REDACT, REDACT_LATE, TWICE] {
        assert_eq!(
            would(redacts),
            (Outcome::Changed, fields(&["email"]), None),
            "{redacts}"
        );
    }
    assert_eq!(would(RENAME), (Outcome::Changed, fields(&["pipeline_name"]), None));
    assert_eq!(would(HOLD), (Outcome::Held, fields(&[]), None));
    assert_eq!(would(DISCARD), (Outcome::Discarded, fields(&[]), None));
    let fails = |step, why: &str| {
        assert_eq!(would(step), (Outcome::Failed, fields(&[]), Some(why.to_owned())));
    };
    fails(TRAP, "step crashed: wasm trap: wasm `unreachable` instruction executed");
    fails(LOOP, "step was stopped after 250 ms, its time limit");
    fails(HOG, "step reached the memory limit of 64 MiB");
    for wrong in [REFUSE, BLANK, LIE] {
        fails(wrong, "step gave a bad answer");
    }
}

#[test]
fn calls_are_counted_by_their_result() {
    let (counts, _) = observed(&[monitored(REDACT)]);
    assert_eq!(
        (counts.judged, counts.changed, counts.failed, counts.skipped),
        (1, 1, 0, 0)
    );
    assert!(counts.time > Duration::ZERO && counts.memory == 128 << 10, "{counts:?}");

    let links: Vec<_> = [FORWARD, REDACT, HOLD]
        .map(enforced)
        .iter()
        .enumerate()
        .map(link)
        .collect();
    let tallies: Vec<_> = links.iter().map(Link::tally).collect();
    let chain = Chain::new(links, SANDBOX.default_plugin().unwrap()).unwrap();
    for _ in 0..3 {
        assert_eq!(chain.ask(&Question::Step(&urgent_step())).unwrap(), Verdict::Hold);
    }
    let counts = tallies.iter().map(|tally| tally.counts());
    let counts: Vec<_> = counts
        .map(|of| (of.judged, of.unchanged, of.changed, of.held))
        .collect();
    // The answer that is passed on is the third one's.
    assert_eq!(counts, [(3, 3, 0, 0), (3, 0, 3, 0), (3, 0, 0, 3)]);

    // The fault of the question is no failure, and that of a link behind is not counted.
    let members = [enforced(FORWARD), enforced(TRAP)];
    let links: Vec<_> = members.iter().enumerate().map(link).collect();
    let tallies: Vec<_> = links.iter().map(Link::tally).collect();
    let failing = Chain::new(links, SANDBOX.default_plugin().unwrap()).unwrap();
    failing.ask(&Question::Step(&urgent_step())).unwrap_err();
    let counts: Vec<_> = tallies
        .iter()
        .map(|tally| (tally.counts().judged, tally.counts().failed))
        .collect();
    assert_eq!(counts, [(0, 0), (1, 1)]);
    let wrong = Notification {
        started_at: Some("yesterday".into()),
        ..urgent_step()
    };
    let links: Vec<_> = [enforced(FORWARD)].iter().enumerate().map(link).collect();
    let tally = links[0].tally();
    let chain = Chain::new(links, SANDBOX.default_plugin().unwrap()).unwrap();
    assert!(chain.ask(&Question::Step(&wrong)).unwrap_err().is_refusal());
    assert_eq!((tally.counts().judged, tally.counts().refused), (1, 1));
}

#[test]
fn a_monitored_policy_gets_what_its_place_in_the_chain_has() {
    // Behind a redaction there is nothing to redact, and in front of one there is.
    assert_eq!(observed(&[enforced(REDACT), monitored(REDACT)]).1, None);
    let (_, observation) = observed(&[monitored(REDACT), enforced(REDACT)]);
    assert_eq!(observation.unwrap().fields, ["email"]);
    // What the chain holds anyway, the policy would not.
    assert_eq!(observed(&[monitored(FORWARD), enforced(HOLD)]).1, None);
    assert_eq!(
        observed(&[monitored(HOLD), enforced(HOLD)]).1.unwrap().outcome,
        Outcome::Held
    );
    // A policy that asks twice is followed to its last question.
    assert_eq!(observed(&[enforced(TWICE), monitored(REDACT)]).1, None);
    // A question without an answer is asked again later.
    let chain = chain(&[monitored(REDACT), enforced(TRAP)]);
    chain.ask(&Question::Step(&urgent_step())).unwrap_err();
    assert_eq!(settled(&chain)[0].counts().judged, 0);
}

#[test]
fn a_question_that_the_rules_refuse_makes_no_difference() {
    let wrong = Notification {
        started_at: Some("yesterday".into()),
        ..urgent_step()
    };
    let chain = chain(&[FORWARD, REFUSE, BLANK].map(monitored));
    assert!(chain.ask(&Question::Step(&wrong)).unwrap_err().is_refusal());
    for policy in settled(&chain) {
        assert_eq!((policy.counts().refused, policy.observations()), (1, Vec::new()));
    }
}

#[test]
fn the_answer_does_not_wait_for_monitored_policies() {
    let chain = chain(&[LOOP; 4].map(monitored));
    // The first call starts threads.
    chain.ask(&Question::Step(&urgent_step())).unwrap();
    let began = Instant::now();
    for _ in 0..400 {
        chain.ask(&Question::Step(&urgent_step())).unwrap();
    }
    // Each of them would loop for 100 s.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    for policy in chain.monitored() {
        let counts = policy.counts();
        assert!(counts.skipped > 0 && counts.judged < 100, "{counts:?}");
    }
    assert!(!chain.settle(Instant::now()));
}

#[test]
fn a_monitored_policy_that_waits_for_a_file_keeps_only_itself() {
    let directory = tempfile::tempdir().unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let settings = Policy {
        mode: Mode::Monitor,
        grants: Grants {
            wasi: Some(Wasi {
                directory: Some(Directory::open(directory.path(), Access::ReadWrite).unwrap()),
                ..Wasi::default()
            }),
            ..Grants::default()
        },
        ..Policy::new("waits")
    };
    let opens = opens("pipe", 0, 1, "(drop) (call $digit (i32.const 1))");
    let waits = SANDBOX.policy_compiled_here(&settings, &opens).unwrap();
    let links = vec![waits, link((1, &monitored(REDACT))), link((2, &enforced(FORWARD)))];
    let chain = Chain::new(links, SANDBOX.default_plugin().unwrap()).unwrap();
    for _ in 0..300 {
        chain.ask(&Question::Step(&urgent_step())).unwrap();
    }
    assert!(!chain.settle(Instant::now()));
    let [waits, redacts] = chain.monitored().try_into().ok().unwrap();
    // 256 wait behind the first one.
    let counts = waits.counts();
    assert!(counts.judged == 0 && (43..=44).contains(&counts.skipped), "{counts:?}");
    // An explanation does not wait for it without an end.
    let began = Instant::now();
    let explained = chain.explain(&Question::Step(&urgent_step()));
    assert!(began.elapsed() < Duration::from_secs(10));
    let waited = explained.visits.iter().find(|visit| visit.policy == "waits").unwrap();
    assert_eq!(waited.outcome, Some(Outcome::Failed));
    assert!(
        explained
            .visits
            .iter()
            .any(|visit| visit.policy == "p1" && visit.changes == ["email"])
    );
    assert!(redacts.counts().changed > 0);
    // Opening the pipe to write releases its thread.
    let _writer = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
}

#[test]
fn questions_wait_for_a_policy_that_is_loaded_beside_the_chain() {
    let chain = chain(&[enforced(FORWARD)]);
    let (ready, is_ready) = std::sync::mpsc::channel::<()>();
    let late = link((1, &enforced(REDACT)));
    let policy = chain
        .monitor("late", 1, move || {
            is_ready.recv().unwrap();
            Ok(late)
        })
        .unwrap();
    let fails = chain.monitor("fails", 0, || Err("no such file".into())).unwrap();
    for _ in 0..3 {
        chain.ask(&Question::Step(&urgent_step())).unwrap();
    }
    assert!(!policy.load(Instant::now()) && !policy.is_loaded());
    ready.send(()).unwrap();
    settled(&chain);
    assert_eq!(
        (policy.counts().changed, policy.counts().skipped, policy.trouble()),
        (3, 0, None)
    );
    assert!(fails.load(Instant::now() + Duration::from_secs(30)) && !fails.is_loaded());
    assert_eq!((fails.counts().judged, fails.counts().skipped), (0, 3));
    assert_eq!(fails.trouble(), Some("no such file"));
}

#[test]
fn a_chain_without_enforced_policies_can_be_observed_alone() {
    let chain = chain(&[monitored(REDACT), monitored(FORWARD)]);
    chain.observe(&Question::Step(&urgent_step()));
    let [redacts, forwards] = settled(&chain).try_into().ok().unwrap();
    assert_eq!(redacts.observations()[0].fields, ["email"]);
    assert_eq!((forwards.counts().judged, forwards.counts().unchanged), (1, 1));
    // With enforced ones these would have to be asked first.
    let mixed = self::chain(&[monitored(REDACT), enforced(FORWARD)]);
    mixed.observe(&Question::Step(&urgent_step()));
    assert_eq!(settled(&mixed)[0].counts().judged, 0);
}

#[test]
fn monitored_policies_are_no_part_of_the_digest_and_have_a_number_of_their_own() {
    let with = chain(&[monitored(FORWARD), enforced(REDACT), monitored(LOOP)]);
    assert_eq!(with.digest(), chain(&[enforced(REDACT)]).digest());
    assert_eq!(chain(&[monitored(REDACT)]).digest(), ChainDigest::EMPTY);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redact.wasm");
    std::fs::write(&path, policy(REDACT, "", "")).unwrap();
    let file: PolicyComponent = path.into();
    let watches = Policy {
        mode: Mode::Monitor,
        ..Policy::new("a")
    };
    assert_eq!(ChainDigest::of([(&watches, &file)]), ChainDigest::EMPTY);
    let enforces = Policy::new("a");
    let both = [(&watches, &file), (&enforces, &file), (&watches, &file)];
    assert_eq!(ChainDigest::of(both), with.digest());
    let many: Vec<_> = [enforced(FORWARD); 4]
        .into_iter()
        .chain([monitored(FORWARD); 4])
        .collect();
    let full = chain(&many);
    let another = link((9, &monitored(FORWARD)));
    assert_eq!(full.monitor("p9", 0, || Ok(another)).err(), Some(5));
}

#[test]
fn an_explanation_has_each_call() {
    let chain = chain(&[enforced(REDACT), monitored(RENAME), enforced(FORWARD)]);
    let event = urgent_step();
    let explained = chain.explain(&Question::Step(&event));
    let Ok(Verdict::Report(report)) = explained.answer else {
        panic!("{:?}", explained.answer)
    };
    assert_eq!((report.run.pipeline_name.as_str(), report.run.email), ("build", None));
    let visits: Vec<_> = explained
        .visits
        .iter()
        .map(|visit| (visit.policy.as_str(), visit.role, visit.monitored))
        .collect();
    let policy = Role::Policy;
    assert_eq!(visits[0], ("p0", policy, false));
    assert_eq!(visits[1], ("p2", policy, false));
    assert_eq!((visits[2].1, visits[2].2), (Role::Plugin, false));
    assert_eq!(visits[3], ("p1", policy, true));
    let email = |place: usize| {
        let visit = &explained.visits[place];
        let passed = visit
            .passed
            .as_ref()
            .map(|passed| passed.notifications()[0].email.is_some());
        (visit.question.notifications()[0].email.is_some(), passed)
    };
    assert_eq!(
        [0, 1, 2, 3].map(email),
        [
            (true, Some(false)),
            (false, Some(false)),
            (false, None),
            (false, Some(false))
        ]
    );
    assert_eq!(explained.visits[0].changes, ["email"]);
    assert_eq!(explained.visits[3].changes, ["pipeline_name"]);
    assert!(
        explained
            .visits
            .iter()
            .all(|visit| visit.time > Duration::ZERO && visit.memory > 0 && visit.answer.is_ok())
    );

    // The link at fault, and the ones in front of it.
    let chain = self::chain(&[enforced(FORWARD), enforced(TRAP)]);
    let explained = chain.explain(&Question::Step(&event));
    assert!(matches!(explained.answer, Err(HookError::Trap { .. })));
    let outcomes: Vec<_> = explained.visits.iter().map(|visit| visit.outcome).collect();
    assert_eq!(outcomes, [None, Some(Outcome::Failed)]);
}

fn member() -> impl Strategy<Value = Member> {
    let guest = prop::sample::select(GUESTS.to_vec());
    (guest, any::<bool>(), any::<bool>()).prop_map(|(step, monitored, open)| Member {
        step,
        mode: if monitored { Mode::Monitor } else { Mode::Enforce },
        open,
    })
}

fn told(answer: Result<Answered, HookError>) -> Result<Answered, String> {
    answer.map_err(|error| error.to_string())
}

proptest! {
    // Each case compiles its guests, and those that loop take their time.
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_chain_answers_as_without_its_monitored_policies(mut members in prop::collection::vec(member(), 1..=4)) {
        // At least one.
        let first = members.len() / 2;
        members[first].mode = Mode::Monitor;
        let with = chain(&members);
        // Without them the others keep their names.
        let others = members.iter().enumerate().filter(|(_, member)| member.mode == Mode::Enforce);
        let without = Chain::new(others.map(link).collect(), SANDBOX.default_plugin().unwrap()).unwrap();
        prop_assert_eq!(with.digest(), without.digest());
        let step = urgent_step();
        let (start, wrong) = (Notification { step: None, ..step.clone() }, Notification { started_at: None, ..step.clone() });
        let history = [step.clone(), start.clone()];
        for question in [Question::Step(&step), Question::PipelineStart(&start), Question::Step(&wrong), Question::PipelineFinish(&history)] {
            prop_assert_eq!(told(with.ask_and_see(&question)), told(without.ask_and_see(&question)));
        }
        prop_assert!(with.settle(Instant::now() + Duration::from_secs(30)));
        let asked = with.monitored().iter().map(|policy| policy.counts().judged).max();
        prop_assert!(asked > Some(0));
    }
}
