//! All calls by 16 threads, with a policy that traps and loops. `scripts/sanitize.sh` runs it for longer, and under tools that look for faults.

use crate::hostile;
use crate::support::{Driver, compile_with, here};
use dx_standin::Standin;
use serde_json::json;
use std::env::var;

#[test]
fn many_threads_and_a_hostile_policy() {
    let rounds: usize = var("LIBRARY_STRESS_ROUNDS").map_or(64, |rounds| rounds.parse().unwrap());
    let under = var("LIBRARY_STRESS_UNDER").unwrap_or_default();
    let flags = var("LIBRARY_STRESS_CFLAGS").unwrap_or_default();
    let directory = tempfile::tempdir().unwrap();
    let (program, library) = compile_with(directory.path(), &here().join("include"), &flags);
    let driver = Driver::of(program, &library).under(&under);
    let dx = Standin::start();
    let mut policy = hostile::write(&driver);
    // Passed over when it fails, so that runs are delivered and do not pile up.
    policy["failure"] = json!("open");
    let mut limits = json!({});
    if let Ok(hook) = var("LIBRARY_STRESS_HOOK") {
        policy["limits"]["hook"] = json!(hook);
        limits["chain"] = json!("1m");
    }
    let config =
        driver.config(json!({ "policy": [policy], "limits": limits, "dx_url": dx.url(), "token": dx.token() }));
    let lines = driver.run(&["signals", &format!("stress {rounds} {config}"), "signals"]);
    assert_eq!(lines[0], lines[2]);
    let numbers: Vec<i64> = lines[1].split(' ').map(|number| number.parse().unwrap()).collect();
    let runs = dx.records().len();
    let [failures, early, late] = numbers[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(failures, 0);
    if var("LIBRARY_STRESS_ROUNDS").is_ok() {
        println!(
            "{runs} runs delivered, {} calls, resident memory {early} KiB after a fifth, {late} KiB at the end",
            rounds * 16 * 4 + rounds * 16 / 8 * 3
        );
    }
}
