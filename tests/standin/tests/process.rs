//! The stand-in as a program that ends by itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Stdio};

#[test]
fn the_process_stops_when_its_time_is_up() {
    let output = Command::new(env!("CARGO_BIN_EXE_dx-standin"))
        .args(["--seconds", "0", "--ignore-stdin"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("\n{}\n"));
    let output = Command::new(env!("CARGO_BIN_EXE_dx-standin"))
        .arg("--what")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("usage:"));
}
