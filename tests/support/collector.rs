//! A collector: `pipefold serve` as a process of its own.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http::Client;

/// Longer than a start or a clean end takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a collector ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Everything that it wrote to stderr.
    pub log: String,
}

/// A running `pipefold serve`, on a port of the system's choice. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    /// Where it says to be found, such as `http://127.0.0.1:40123`.
    pub url: String,
    /// The same as an address.
    pub address: SocketAddr,
    data_dir: PathBuf,
    arguments: Vec<OsString>,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Collector {
    /// Starts one over a data directory, which is made if it is missing, and waits until it says where it is.
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
    /// How it ended.
    pub fn try_start<S: Into<OsString> + Clone>(data_dir: &Path, arguments: &[S]) -> Result<Self, Ended> {
        let arguments: Vec<OsString> = arguments.iter().cloned().map(Into::into).collect();
        let mut child = Command::new(crate::binary("pipefold"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(&arguments)
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
            // Until it ends: whoever has a full pipe waits.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let mut url = String::new();
        // It says one line, once it listens; one that ends before says none.
        let _ = BufReader::new(child.stdout.take().unwrap()).read_line(&mut url);
        let address = url
            .trim()
            .strip_prefix("http://")
            .and_then(|address| address.parse().ok());
        let mut collector = Self {
            child,
            address: address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            url: url.trim().to_owned(),
            data_dir: data_dir.to_owned(),
            arguments,
            log,
            reader: Some(reader),
        };
        if address.is_none() {
            return Err(collector.wait());
        }
        Ok(collector)
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

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stderr so far.
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

    /// Whether it has ended.
    ///
    /// # Panics
    /// If the system does not tell.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    pub fn wait(&mut self) -> Ended {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "the collector did not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        };
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        Ended {
            code: status.code(),
            signal: status.signal(),
            log: self.log(),
        }
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

    /// Kills it: nothing of it gets to do anything more.
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

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
