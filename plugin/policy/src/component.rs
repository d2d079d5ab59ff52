//! The exports of the WebAssembly component, without any rule.
#![allow(unsafe_code, reason = "the generated exports are functions of raw memory")]

use crate::bindings::exports::pipefold::ci::{checking, hooks};
use crate::bindings::pipefold::ci::types::{Verdict, Violation};
use crate::bindings::pipefold::ci::{config, hooks as next};
use crate::{Known, Notification, Outcome, Policy, Problem, Settings};

struct Component;

struct Host;

impl Settings for Host {
    fn get(&self, key: &str) -> Option<String> {
        config::get(key)
    }
}

type Answer = Result<Verdict, Vec<Violation>>;

impl hooks::Guest for Component {
    fn pipeline_start(event: Notification) -> Answer {
        one(event, next::pipeline_start)
    }

    fn step(event: Notification) -> Answer {
        one(event, next::step)
    }

    fn pipeline_finish(history: Vec<Notification>) -> Answer {
        match policy().judge(history, Known::All) {
            Outcome::Pass { events, .. } => next::pipeline_finish(&events),
            Outcome::Discard(reason) => Ok(Verdict::Discard(reason)),
        }
    }
}

/// Judges one notification. One that is held also goes on: a collector keeps what the next plugin got.
fn one(event: Notification, next: fn(&Notification) -> Answer) -> Answer {
    match policy().judge(vec![event], Known::Part) {
        Outcome::Discard(reason) => Ok(Verdict::Discard(reason)),
        Outcome::Pass { events, hold } => match events.first().map(next) {
            Some(Ok(Verdict::Report(_))) if hold => Ok(Verdict::Hold),
            Some(answer) => answer,
            None => std::process::abort(),
        },
    }
}

/// The rules. The host does not use a policy with faults, so there are none here; if there were, nothing would go on.
fn policy() -> Policy<Host> {
    Policy::read(Host).unwrap_or_else(|_| std::process::abort())
}

impl checking::Guest for Component {
    fn check() -> Vec<Problem> {
        Policy::read(Host).err().unwrap_or_default()
    }
}

crate::bindings::export!(Component with_types_in crate::bindings);
