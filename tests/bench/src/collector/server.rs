//! The servers to be measured, each a process of its own.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{PATIENCE, bare};
use crate::scene::quiet;

/// A running server. Dropped, it is killed.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// `pipefold serve`, with its data in that directory. There is no token: checking one is a digest of 32 bytes, and everyone may look.
    pub(crate) fn collector(pipefold: &Path, data: &Path) -> Result<Self> {
        Self::collector_with(pipefold, data, &[])
    }

    /// The same with further arguments.
    pub(crate) fn collector_with(pipefold: &Path, data: &Path, arguments: &[&OsStr]) -> Result<Self> {
        let mut command = quiet(pipefold);
        command
            .args(["serve", "--quiet", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .args(arguments);
        // The limit is for one token that runs away, and here all load has the same.
        command.args(["--token-rate", "1000000"]);
        Self::start(command)
    }

    /// The route that it is measured beside.
    pub(crate) fn bare() -> Result<Self> {
        let mut command = quiet(std::env::current_exe().context("cannot find this program's own file")?);
        command.arg(bare::FLAG).stdin(Stdio::piped());
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the server has no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim()
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok());
        match address {
            Some(address) => Ok(Self { child, address }),
            None => {
                // It has ended, or says something else than where it is.
                let _ = child.kill();
                let _ = child.wait();
                Err(anyhow::anyhow!("{command:?} did not say where it is, but {line:?}"))
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most memory that it has held so far, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(1024 * kib.with_context(|| format!("{file} does not say how much memory it held"))?)
    }

    /// Ends it as its manager would, and waits for that.
    pub(crate) fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let id = self.child.id().to_string();
        // The bare one ends with its stdin.
        let asked = Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status();
        asked.context("cannot start `kill`")?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begun.elapsed() < PATIENCE, "a server did not end when it was told to");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
