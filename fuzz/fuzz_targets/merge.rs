//! Any history. Order, repetition and grouping make no difference, and the sandboxed component says what the rules say natively.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use pipefold_fuzz::{
    contract,
    history::{Said, upsert},
    hosted, seeds,
};
use pipefold_plugin::{Notification, Verdict, merge, pipeline_finish, pipeline_start, step};
use pipefold_sandbox::{HookError, Limits, Plugin, Sandbox};
use std::{sync::LazyLock, time::Duration};

/// Notifications of a history: enough for every pair of kinds to meet, and few enough for many histories a second.
const MOST: usize = 12;

static PLUGIN: LazyLock<Plugin> = LazyLock::new(|| {
    // Nothing here is about time, and a busy machine may take long.
    let limits = Limits {
        hook: Duration::from_secs(20),
        chain: Duration::from_secs(20),
        ..Limits::default()
    };
    Sandbox::new(limits)
        .and_then(|sandbox| sandbox.default_plugin())
        .unwrap()
});

#[derive(Debug)]
struct Input<'a> {
    /// Whether faults are likely.
    wild: bool,
    /// Which notifications are given again.
    again: [u8; 4],
    /// Which change places.
    swaps: [(u8, u8); 8],
    /// Which part of three each belongs to.
    parts: [u8; MOST],
    history: Vec<Said<'a>>,
}

impl<'a> Arbitrary<'a> for Input<'a> {
    /// Not derived: a derived list ends with each element at even odds, and most histories would have one notification or none.
    fn arbitrary(from: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let length = from.int_in_range(0..=MOST)?;
        Ok(Self {
            // Most histories are such as are accepted.
            wild: from.ratio(1, 4)?,
            again: from.arbitrary()?,
            swaps: from.arbitrary()?,
            parts: from.arbitrary()?,
            history: (0..length).map(|_| from.arbitrary()).collect::<Result<_, _>>()?,
        })
    }
}

fuzz_target!(init: seeds::write("merge", noise()), |input: Input<'_>| {
    let history: Vec<Notification> = input
        .history
        .iter()
        .map(|said| said.notification(!input.wild))
        .collect();
    let whole = merge(&history);
    assert!(input.wild || history.is_empty() || whole.is_ok(), "{whole:?}");

    let mut shuffled = history.clone();
    if !history.is_empty() {
        let pick = |number: u8, length: usize| usize::from(number) % length;
        shuffled.extend(
            input
                .again
                .iter()
                .map(|number| history[pick(*number, history.len())].clone()),
        );
        let length = shuffled.len();
        for (one, other) in &input.swaps {
            shuffled.swap(pick(*one, length), pick(*other, length));
        }
    }
    assert_eq!(merge(&shuffled), whole);
    let finished = pipeline_finish(&history);
    assert_eq!(pipeline_finish(&shuffled), finished);
    assert_eq!(finished.is_ok(), whole.is_ok());

    if let Ok(whole) = &whole {
        grouped(&history, &input.parts, whole);
    }
    for event in &history {
        // An accepted notification must not make its run refused later, except together with those of another run.
        assert_eq!(step(event).is_ok(), pipeline_start(event).is_ok());
        assert_eq!(
            step(event).is_ok(),
            pipeline_finish(std::slice::from_ref(event)).is_ok()
        );
    }
    sandboxed(&history, &whole, &finished);
});

/// Folding the folds of the parts gives the whole.
fn grouped(history: &[Notification], parts: &[u8; MOST], whole: &pipefold_plugin::Run) {
    let mut upserts = Vec::new();
    for part in 0..3 {
        let of = |place: usize| parts[place] % 3;
        let members = history.iter().enumerate().filter(|(place, _)| of(*place) == part);
        let members: Vec<_> = members.map(|(_, event)| event.clone()).collect();
        if !members.is_empty() {
            upserts.push(upsert(merge(&members).unwrap()));
        }
    }
    assert_eq!(&merge(&upserts).unwrap(), whole);
}

/// The component, behind the host's checks, answers the same.
fn sandboxed(
    history: &[Notification],
    whole: &Result<pipefold_plugin::Run, Vec<pipefold_plugin::Violation>>,
    finished: &Result<Verdict, Vec<pipefold_plugin::Violation>>,
) {
    let events: Vec<_> = history.iter().map(hosted::notification).collect();
    match (whole, PLUGIN.merge(&events)) {
        (Ok(native), Ok(run)) => {
            assert_eq!(run, hosted::run(native));
            contract::check_run(&run, &native.reference_id);
        }
        (Err(native), Err(HookError::Refused(violations))) => {
            let native = native.iter().map(|violation| (&violation.field, &violation.message));
            assert!(
                violations
                    .iter()
                    .map(|violation| (&violation.field, &violation.message))
                    .eq(native)
            );
            contract::check_error(&HookError::Refused(violations));
        }
        (native, run) => panic!("natively {native:?}, sandboxed {run:?}"),
    }
    match (finished, PLUGIN.pipeline_finish(&events)) {
        (Ok(Verdict::Report(native)), Ok(pipefold_sandbox::Verdict::Report(run))) => {
            assert_eq!(run, hosted::run(native))
        }
        (Err(_), Err(HookError::Refused(_))) => {}
        (native, verdict) => panic!("natively {native:?}, sandboxed {verdict:?}"),
    }
}

/// Bytes as good as random, always the same: a fuzzer that begins with nothing takes long to come to histories of several notifications.
fn noise() -> Vec<(&'static str, Vec<u8>)> {
    let mut state = 1_u64;
    let mut byte = move || {
        // Knuth's MMIX generator; its high bits are the better ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    ["a", "b", "c", "d", "e", "f", "g", "h"]
        .map(|name| (name, (0..2048).map(|_| byte()).collect()))
        .into()
}
