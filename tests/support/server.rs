//! A server of pipefold's as a process: `serve` and `forward`.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use dx_standin::until;
use rustix::process::{Pid, Signal, kill_process};

/// The limit of a start or a clean end: longer than it takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// The end of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Everything that it wrote to stderr.
    pub log: String,
}

/// A running server. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    url: String,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl ServerProcess {
    /// Starts `pipefold` with these arguments and an empty environment, and waits for the line with its URL, or its end.
    ///
    /// # Panics
    /// If the system cannot start it.
    #[must_use]
    pub fn start(arguments: &[OsString]) -> Self {
        let mut child = Command::new(crate::binary("pipefold"))
            .args(arguments)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (kept, mut from) = (Arc::clone(&log), child.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Read to the end: a full pipe would stop the server.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let mut url = String::new();
        // One line once it listens; none if it ends before.
        let _ = BufReader::new(child.stdout.take().unwrap()).read_line(&mut url);
        Self {
            child,
            url: url.trim().to_owned(),
            log,
            reader: Some(reader),
        }
    }

    /// The URL that it printed, such as `http://127.0.0.1:40123`; empty if it ended before.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address in [`Self::url`].
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.url.strip_prefix("http://")?.parse().ok()
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its stderr so far.
    ///
    /// # Panics
    /// If the thread that reads it panicked.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If the system does not allow it.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Returns true if it has ended.
    ///
    /// # Panics
    /// If the system does not answer.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    pub fn wait(&mut self) -> Ended {
        let status = until(PATIENCE, || self.child.try_wait().unwrap());
        let status = status.unwrap_or_else(|| panic!("it did not end: {}", self.log()));
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        Ended {
            code: status.code(),
            signal: status.signal(),
            log: self.log(),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
