//! A small simulation ends with every record right.

use std::process::Command;

use pipefold_tests::{binary, nats, skipped};

#[test]
fn every_record_is_the_fold_of_what_was_published() {
    if let Err(why) = nats::server() {
        return skipped("every_record_is_the_fold_of_what_was_published", &why);
    }
    // Eleven minutes' runs within ten seconds, and a DX that takes fewer requests than there are notifications.
    let output = Command::new(env!("CARGO_BIN_EXE_fleet-simulation"))
        .arg("--pipefold")
        .arg(binary("pipefold"))
        .args([
            "--runs",
            "2000",
            "--runs-a-day",
            "250000",
            "--speed",
            "300",
            "--limit",
            "200",
            "--nodes",
            "1",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success()
            && said.contains("2000 are the fold of what was published, 0 are missing, 0 are different"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
