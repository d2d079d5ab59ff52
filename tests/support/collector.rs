//! A collector: `pipefold serve` as a process of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::http::Client;
use crate::{Ended, ServerProcess};

/// A running `pipefold serve`, on a port of the system's choice. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct Collector {
    process: ServerProcess,
    /// The URL that it printed, such as `http://127.0.0.1:40123`.
    pub url: String,
    /// The same as an address.
    pub address: SocketAddr,
    data_dir: PathBuf,
    arguments: Vec<OsString>,
}

impl Collector {
    /// Starts one over a data directory, which is made if it is missing, and waits until it prints its URL.
    ///
    /// # Panics
    /// If it ends instead.
    #[must_use]
    pub fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[] as &[&str])
    }

    /// The same with further arguments.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_with<S: Into<OsString> + Clone>(data_dir: &Path, arguments: &[S]) -> Self {
        Self::try_start(data_dir, arguments).unwrap_or_else(|ended| panic!("the collector did not start: {ended:?}"))
    }

    /// The same for one that may refuse.
    ///
    /// # Errors
    /// The end of one that did not start.
    pub fn try_start<S: Into<OsString> + Clone>(data_dir: &Path, arguments: &[S]) -> Result<Self, Ended> {
        let arguments: Vec<OsString> = arguments.iter().cloned().map(Into::into).collect();
        let mut all: Vec<OsString> = ["serve", "--listen", "127.0.0.1:0", "--data-dir"]
            .map(Into::into)
            .to_vec();
        all.push(data_dir.into());
        all.extend_from_slice(&arguments);
        let mut process = ServerProcess::start(&all);
        let Some(address) = process.address() else {
            return Err(process.wait());
        };
        Ok(Self {
            address,
            url: process.url().to_owned(),
            process,
            data_dir: data_dir.to_owned(),
            arguments,
        })
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Makes a token by `pipefold token add`, with these arguments beside the name.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn token(&self, name: &str, arguments: &[&str]) -> String {
        let output = Command::new(crate::binary("pipefold"))
            .args(["token", "add", name, "--data-dir"])
            .arg(&self.data_dir)
            .args(arguments)
            .env_clear()
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A client of it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Asks it to end, by SIGTERM, and waits until it has.
    ///
    /// # Panics
    /// If it does not end with the exit code 0.
    pub fn stop(mut self) -> Ended {
        self.signal(Signal::TERM);
        let ended = self.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    }

    /// Kills it by SIGKILL.
    ///
    /// # Panics
    /// If it does not end.
    pub fn kill(&mut self) -> Ended {
        self.signal(Signal::KILL);
        self.wait()
    }

    /// Starts another one over the same data, with the same arguments.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn again(&self) -> Self {
        Self::start_with(&self.data_dir, &self.arguments)
    }
}

impl Deref for Collector {
    type Target = ServerProcess;

    fn deref(&self) -> &ServerProcess {
        &self.process
    }
}

impl DerefMut for Collector {
    fn deref_mut(&mut self) -> &mut ServerProcess {
        &mut self.process
    }
}
