//! Many processes at work on one run at the same time.

use std::sync::atomic::{AtomicBool, Ordering};

use pipefold_tests::{Ci, Running, SpoolContent};

const STEPS: u64 = 50;

/// The steps are numbered all over the place, so that neither the first nor the last to come has the extreme of any field.
fn shuffled(step: u64) -> u64 {
    (step * 37 + 11) % STEPS
}

fn step(ci: &Ci, number: u64) -> Running {
    let place = shuffled(number);
    let mut arguments: Vec<String> = "step --status success --repository o/r --step"
        .split(' ')
        .map(str::to_owned)
        .collect();
    arguments.push(format!("step-{number}"));
    arguments.extend(["--started-at".into(), format!("2025-01-01T10:{place:02}:00Z")]);
    arguments.extend(["--head-branch".into(), format!("branch-{place:02}")]);
    arguments.extend(["--pr-number".into(), (place + 1).to_string()]);
    if number.is_multiple_of(7) {
        arguments.push("--now".into());
    }
    ci.report(arguments).spawn()
}

#[test]
fn fifty_steps_at_once_beside_a_flush_are_all_in_the_record() {
    let ci = Ci::new();
    ci.report(["start", "--started-at", "2025-01-01T11:00:00Z"])
        .run()
        .assert_code(0);
    let over = AtomicBool::new(false);
    let flushes = std::thread::scope(|scope| {
        let flushing = scope.spawn(|| {
            let mut flushes = 0;
            while !over.load(Ordering::Relaxed) {
                ci.pipefold(["flush", "--timeout", "20s"]).run().assert_code(0);
                flushes += 1;
            }
            flushes
        });
        let running: Vec<Running> = (0..STEPS).map(|number| step(&ci, number)).collect();
        let outputs: Vec<_> = running.into_iter().map(Running::wait).collect();
        over.store(true, Ordering::Relaxed);
        for output in outputs {
            output.assert_code(0);
        }
        flushing.join().unwrap()
    });
    assert!(flushes > 0);
    let before = ci.record();
    assert!(before.finished_at.is_none(), "only a finish ends a run: {before:?}");

    ci.report(["finish", "--status", "success", "--finished-at", "2025-01-01T12:00:00Z"])
        .run()
        .assert_code(0);
    let record = ci.record();
    assert_eq!(
        record.started_at, "2025-01-01T10:00:00Z",
        "the earliest start is that of a step"
    );
    assert_eq!(record.finished_at.as_deref(), Some("2025-01-01T12:00:00Z"));
    assert_eq!(record.status, "success");
    assert_eq!(record.get("head_branch"), Some("branch-49"));
    assert_eq!(record.pr_number, Some(50));

    let content = SpoolContent::read(&ci.spool());
    content.assert_sound(&"after the finish");
    let mut steps: Vec<&str> = content
        .records
        .iter()
        .map(|record| record.field("step"))
        .filter(|step| !step.is_empty())
        .collect();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps.len() as u64, STEPS);
    assert_eq!(content.records.len() as u64, STEPS + 2);
    assert_eq!(content.waiting().count(), 0, "DX's last answer covers them all");
}
