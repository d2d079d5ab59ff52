//! Machines that run scripts.

use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pipefold_tests::{Ci, Output, Pipefold, Record, binary};

use super::Script;

/// A DX, and as many machines as are asked for: each has a home, a temporary directory and so a spool of its own.
pub struct Machines {
    pub ci: Ci,
    next: Cell<usize>,
}

impl Machines {
    pub fn new() -> Self {
        Self {
            ci: Ci::new(),
            next: Cell::new(100),
        }
    }

    /// Runs a script on a new machine.
    pub fn run(&self, script: &Script, job: &[(&str, &str)]) -> Output {
        self.next.set(self.next.get() + 1);
        self.run_on(self.next.get(), script, job)
    }

    /// Runs a script on the machine of this number.
    pub fn run_on(&self, machine: usize, script: &Script, job: &[(&str, &str)]) -> Output {
        let directory = binary("pipefold").parent().unwrap_or(Path::new("/")).to_owned();
        self.command(machine, script, job, &[directory]).run()
    }

    /// Runs a script on a new machine without the command.
    pub fn run_without_pipefold(&self, script: &Script, job: &[(&str, &str)]) -> Output {
        self.next.set(self.next.get() + 1);
        self.command(self.next.get(), script, job, &[]).run()
    }

    /// Runs a script on a new machine whose command breaks down.
    pub fn run_with_a_broken_pipefold(&self, script: &Script, job: &[(&str, &str)]) -> Output {
        let directory = self.ci.directory().join("broken");
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("pipefold");
        std::fs::write(&file, "#!/bin/sh\nexit 139\n").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        self.next.set(self.next.get() + 1);
        self.command(self.next.get(), script, job, &[directory]).run()
    }

    /// The one record that there is.
    ///
    /// # Panics
    /// If there is none, or more than one.
    pub fn record(&self) -> Record {
        let records = self.ci.dx.records();
        assert_eq!(records.len(), 1, "{records:#?}");
        records.into_values().next().unwrap()
    }

    fn command(&self, machine: usize, script: &Script, job: &[(&str, &str)], first: &[PathBuf]) -> Pipefold {
        let home = self.ci.directory().join(format!("machine-{machine}"));
        std::fs::create_dir_all(&home).unwrap();
        // Every system stops a script at the first command that fails.
        let mut command = self
            .ci
            .program("/bin/sh")
            .args(["-e", "-c", &script.text, "script", "."]);
        for name in ["DX_API_URL", "DX_API_TOKEN", "PIPEFOLD_SPOOL"] {
            command = command.env_remove(name);
        }
        command = command
            .env("PATH", path(&[first, &[self.ci.directory().join("bin")]].concat()))
            .env("HOME", &home)
            .env("TMPDIR", &home)
            .stdin(script.stdin.as_str());
        for (name, value) in job {
            command = command.env(name, value);
        }
        for (name, value) in &script.environment {
            command = command.env(name, value);
        }
        if script.environment.contains_key("PIPEFOLD_SPOOL") {
            command = command.env("PIPEFOLD_SPOOL", home.join("spool"));
        }
        command
    }
}

/// These directories, and those of the tests' own PATH that have no pipefold.
fn path(first: &[PathBuf]) -> OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let without = std::env::split_paths(&own).filter(|directory| !directory.join("pipefold").exists());
    std::env::join_paths(first.iter().cloned().chain(without)).unwrap()
}
