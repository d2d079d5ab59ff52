//! Urgent steps of a build that runs within `exec`.

use std::fs;
use std::time::{Duration, Instant};

use pipefold_tests::{Ci, eventually};

/// A look a second, and a slow machine; without it the fifth step would wait for 16 s.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn each_urgent_step_within_exec_is_sent_soon_after_the_one_before() {
    let ci = Ci::new();
    let script = "for step in 1 2 3 4 5 6; do
        until [ -e \"go-$step\" ]; do sleep 0.05; done
        [ $step = 6 ] || pipefold step --step \"step-$step\" --now
    done";
    let running = ci.exec_script(script).spawn();
    eventually("the start is delivered", || ci.dx.requests().len() == 1);
    for step in 1..=5 {
        let begun = Instant::now();
        fs::write(ci.workspace().join(format!("go-{step}")), "").unwrap();
        eventually("the step is delivered", || ci.dx.requests().len() > step);
        assert!(begun.elapsed() < SOON, "step {step} took {:?}", begun.elapsed());
    }
    fs::write(ci.workspace().join("go-6"), "").unwrap();
    running.wait().assert_code(0);
    assert_eq!(ci.record().status, "success");
}
