//! The instructions that a command executes, counted by valgrind: they repeat where times do not, on a busy machine too.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The number of instructions that `command` executes in user space; none where valgrind is not installed.
pub(crate) fn count(command: &Command) -> Result<Option<u64>> {
    if crate::scene::quiet("valgrind").arg("--version").status().is_err() {
        return Ok(None);
    }
    let mut counted = crate::scene::quiet("valgrind");
    counted.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    counted.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        counted.env(name, value.unwrap_or(OsStr::new("")));
    }
    let output = counted
        .stderr(Stdio::piped())
        .output()
        .context("cannot start valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "counting the instructions of {command:?} failed: {text}"
    );
    let count = text
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count
        .map(Some)
        .with_context(|| format!("valgrind gave no count for {command:?}: {text}"))
}
