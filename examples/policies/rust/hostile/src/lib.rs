//! A policy that misbehaves on demand, for the tests of hosts.
//!
//! `head_branch` says how: `loop`, `trap`, `recurse`, `allocate` or `flood`. Any other notification is passed on.

use exports::pipefold::ci::hooks::Guest;
use pipefold::ci::hooks as next;
use pipefold::ci::types::{Notification, Verdict, Violation};
use std::hint::black_box;

wit_bindgen::generate!({ path: "../../../../wit", world: "policy" });

struct Policy;

impl Guest for Policy {
    fn pipeline_start(event: Notification) -> Result<Verdict, Vec<Violation>> {
        misbehave(&event);
        next::pipeline_start(&event)
    }

    fn step(event: Notification) -> Result<Verdict, Vec<Violation>> {
        misbehave(&event);
        next::step(&event)
    }

    fn pipeline_finish(history: Vec<Notification>) -> Result<Verdict, Vec<Violation>> {
        history.iter().for_each(misbehave);
        next::pipeline_finish(&history)
    }
}

fn misbehave(event: &Notification) {
    match event.head_branch.as_deref() {
        Some("loop") => loop {
            black_box(event);
        },
        Some("trap") => core::arch::wasm32::unreachable(),
        Some("recurse") => drop(black_box(recurse(black_box(0)))),
        // Two GiB, one MiB at a time.
        Some("allocate") => drop((0..2048).map(|_| vec![black_box(1_u8); 1 << 20]).collect::<Vec<_>>()),
        // Little memory here, and much in a host that makes objects of it.
        Some("flood") => drop(next::pipeline_finish(&vec![event.clone(); 100_000])),
        _ => {}
    }
}

/// Not a loop to any optimiser, and without memory of its own: it uses up the engine's stack.
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    recurse(depth + 1).rotate_left(5).wrapping_sub(depth)
}

export!(Policy);
