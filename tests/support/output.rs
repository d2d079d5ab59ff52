//! The output and the end of a process.

use std::time::Duration;

use serde_json::Value;

/// The end of a process, and everything that it wrote.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its stdout.
    pub stdout: Vec<u8>,
    /// Its stderr.
    pub stderr: Vec<u8>,
    /// The time from its start until it was reaped.
    pub elapsed: Duration,
}

impl Output {
    /// Stdout as text.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Stderr as text.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Stdout as one JSON value.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{self}"))
    }

    /// Checks the exit code, and shows everything if it is another.
    ///
    /// # Panics
    /// If it is another.
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "wrong exit code\n{self}");
        self
    }

    /// Checks that the process took at most so long: a bound on waiting, not a measurement.
    ///
    /// # Panics
    /// If it took longer.
    pub fn assert_within(&self, limit: Duration) -> &Self {
        assert!(self.elapsed <= limit, "took more than {limit:?}\n{self}");
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "code {:?}, signal {:?}, after {:?}",
            self.code, self.signal, self.elapsed
        )?;
        writeln!(f, "--- stdout, {} bytes\n{}", self.stdout.len(), start(&self.stdout()))?;
        write!(f, "--- stderr, {} bytes\n{}", self.stderr.len(), start(&self.stderr()))
    }
}

/// As much as a person wants to read in a failed test.
fn start(text: &str) -> String {
    text.chars().take(8000).collect()
}
