//! The most memory that a process held.
//!
//! The kernel counts into a new process's maximum what the one that started it held at that moment. So the command is started by a fresh
//! copy of this program, which holds next to nothing, and not by the one with the servers in it.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use wait4::Wait4;

/// The first argument that makes this program run a command and print the most memory it held, in bytes.
pub(crate) const FLAG: &str = "--peak";

/// Runs `command`, and prints the largest resident set that it, or a child that it waited for, had.
pub(crate) fn measure_here(command: &[OsString]) -> Result<()> {
    let (program, arguments) = command.split_first().context("--peak needs a command")?;
    let child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let used = child
        .wait4()
        .with_context(|| format!("cannot wait for {}", program.display()))?;
    ensure!(used.status.success(), "{} failed: {}", program.display(), used.status);
    println!("{}", used.rusage.maxrss);
    Ok(())
}

/// The most memory that `command` held, in bytes; in a process of its own.
pub(crate) fn peak(command: &Command) -> Result<u64> {
    let mut outer = Command::new(std::env::current_exe().context("cannot find this program's own file")?);
    outer.arg(FLAG).arg(command.get_program()).args(command.get_args());
    outer.env_clear().stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            outer.env(name, value);
        }
    }
    let output = outer.output().context("cannot start this program anew")?;
    ensure!(
        output.status.success(),
        "measuring {command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .with_context(|| format!("measuring {command:?} gave {text:?}"))
}
