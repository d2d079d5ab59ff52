//! All calls by 16 threads, with a policy that traps and loops. `scripts/sanitize.sh` runs it for longer, and under tools that look for faults.

use crate::hostile;
use crate::support::{Driver, compile_with, here};
use serde_json::json;
use std::env::var;

#[test]
fn many_threads_and_a_hostile_policy() {
    let rounds: usize = var("LIBRARY_STRESS_ROUNDS").map_or(14, |rounds| rounds.parse().unwrap());
    let under = var("LIBRARY_STRESS_UNDER").unwrap_or_default();
    let flags = var("LIBRARY_STRESS_CFLAGS").unwrap_or_default();
    let directory = tempfile::tempdir().unwrap();
    let (program, library) = compile_with(directory.path(), &here().join("include"), &flags);
    let driver = Driver::of(program, &library).under(&under);
    let policy = hostile::write(&driver);
    let spool_limit = "1 GiB";
    let config = driver.config(json!({ "policy": [policy], "spool_limit": spool_limit }));
    let lines = driver.run(&["signals", &format!("stress {rounds} {config}"), "signals"]);
    assert_eq!(lines[0], lines[2]);
    let numbers: Vec<i64> = lines[1].split(' ').map(|number| number.parse().unwrap()).collect();
    let [failures, early, late] = numbers[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(failures, 0);
    if var("LIBRARY_STRESS_ROUNDS").is_ok() {
        println!(
            "{} calls, resident memory {early} KiB after a fifth, {late} KiB at the end",
            rounds * 16 * 5
        );
    }
}
