//! `pipefold forward` as a process of its own.

use std::ffi::OsString;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::Arc;

use pipefold_tests::http::{Answer, Client};
use pipefold_tests::{ServerProcess, Standin};
use rustix::process::Signal;
use tempfile::TempDir;

/// A running forwarder. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct Forwarder {
    process: ServerProcess,
    /// The arguments, to start it once more.
    arguments: Vec<OsString>,
    /// Holds the file with DX's token.
    directory: Arc<TempDir>,
}

impl Forwarder {
    /// Starts one from a queue to a DX, with further arguments, and waits until it prints the URL of its health page.
    pub fn start(queue: &str, dx: &Standin, arguments: &[&str]) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let token = directory.path().join("token");
        std::fs::write(&token, dx.token()).unwrap();
        let (url, token) = (dx.url(), token.to_string_lossy().into_owned());
        let all = [
            "forward",
            "--queue",
            queue,
            "--dx-url",
            &url,
            "--token-file",
            &token,
            "--listen",
            "127.0.0.1:0",
        ];
        let all = all.iter().chain(arguments).map(OsString::from);
        Self::spawn(all.collect(), directory)
    }

    fn spawn(arguments: Vec<OsString>, directory: Arc<TempDir>) -> Self {
        Self {
            process: ServerProcess::start(&arguments),
            arguments,
            directory,
        }
    }

    /// The file that it reads DX's token from.
    pub fn token_file(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    /// Its answer to a GET.
    pub fn get(&self, path: &str) -> Answer {
        let answer = self.try_get(path);
        answer.unwrap_or_else(|why| panic!("GET {path}: {why}: {}", self.log()))
    }

    /// Its answer to a GET, or the failure of one that has ended.
    pub fn try_get(&self, path: &str) -> io::Result<Answer> {
        let address = self
            .address()
            .unwrap_or_else(|| panic!("it does not listen: {}", self.log()));
        Client::new(address).ask("GET", path, "", b"")
    }

    /// Asks it to end by SIGTERM, and waits until it has. It must do so with the exit code 0. One that SIGSTOP holds goes on.
    pub fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
        let ended = self.wait();
        assert_eq!((ended.code, ended.signal), (Some(0), None), "{}", ended.log);
        ended.log
    }

    /// Kills it, and starts another one.
    pub fn kill_and_start_another(&mut self) {
        self.signal(Signal::KILL);
        let ended = self.wait();
        assert_eq!(ended.signal, Some(9), "it had ended by itself: {}", ended.log);
        *self = Self::spawn(self.arguments.clone(), Arc::clone(&self.directory));
    }
}

impl Deref for Forwarder {
    type Target = ServerProcess;

    fn deref(&self) -> &ServerProcess {
        &self.process
    }
}

impl DerefMut for Forwarder {
    fn deref_mut(&mut self) -> &mut ServerProcess {
        &mut self.process
    }
}
