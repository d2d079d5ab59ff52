//! The exports of the WebAssembly component, without any rule.
#![allow(unsafe_code, reason = "the generated exports are functions of raw memory")]

use crate::bindings::exports::pipefold::ci::{hooks, merging};
use crate::{Notification, Report, Verdict, Violation, verdict};

struct Component;

impl hooks::Guest for Component {
    fn pipeline_start(event: Notification) -> Result<Verdict, Vec<Violation>> {
        verdict::pipeline_start(&event)
    }

    fn step(event: Notification) -> Result<Verdict, Vec<Violation>> {
        verdict::step(&event)
    }

    fn pipeline_finish(history: Vec<Notification>) -> Result<Verdict, Vec<Violation>> {
        verdict::pipeline_finish(&history)
    }
}

impl merging::Guest for Component {
    fn merge(history: Vec<Notification>) -> Result<Report, Vec<Violation>> {
        verdict::merge(&history)
    }
}

crate::bindings::export!(Component with_types_in crate::bindings);
