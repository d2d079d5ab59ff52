//! `pipefold forward` as a process of its own.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pipefold_tests::http::{Answer, Client};
use pipefold_tests::{Standin, binary};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than a start or a clean end takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running forwarder. Dropped before its end, it is killed.
#[derive(Debug)]
pub struct Forwarder {
    child: Child,
    /// What starts it once more.
    arguments: Vec<String>,
    /// Holds the file with DX's token.
    directory: Arc<TempDir>,
    /// Where it tells how it is.
    listens: Option<std::net::SocketAddr>,
    log: Arc<Mutex<String>>,
}

impl Forwarder {
    /// Starts one from a queue to a DX, with further arguments, and waits until it says where it tells how it is.
    pub fn start(queue: &str, dx: &Standin, arguments: &[&str]) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let token = directory.path().join("token");
        std::fs::write(&token, dx.token()).unwrap();
        let (url, token) = (dx.url(), token.to_string_lossy().into_owned());
        let all = [
            "--queue",
            queue,
            "--dx-url",
            &url,
            "--token-file",
            &token,
            "--listen",
            "127.0.0.1:0",
        ];
        let all = all.iter().chain(arguments).map(|text| (*text).to_owned());
        Self::spawn(all.collect(), directory)
    }

    fn spawn(arguments: Vec<String>, directory: Arc<TempDir>) -> Self {
        let mut child = Command::new(binary("pipefold"))
            .arg("forward")
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
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Until it ends: whoever has a full pipe waits.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let mut line = String::new();
        // It says one line, once it listens; one that ends before says none.
        let _ = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
        let listens = line.trim().strip_prefix("http://").and_then(|text| text.parse().ok());
        Self {
            child,
            arguments,
            directory,
            listens,
            log,
        }
    }

    /// The file that it reads DX's token from.
    pub fn token_file(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    /// What it wrote to stderr so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its answer to a GET.
    pub fn get(&self, path: &str) -> Answer {
        let answer = self.try_get(path);
        answer.unwrap_or_else(|why| panic!("GET {path}: {why}: {}", self.log()))
    }

    /// Its answer to a GET, or the failure of one that has ended.
    pub fn try_get(&self, path: &str) -> io::Result<Answer> {
        let address = self
            .listens
            .unwrap_or_else(|| panic!("it does not listen: {}", self.log()));
        Client::new(address).ask("GET", path, "", b"")
    }

    /// Asks it to end by SIGTERM, and waits until it has. It must do so with the exit code 0. One that SIGSTOP holds goes on.
    pub fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
        let (code, signal) = self.wait();
        assert_eq!((code, signal), (Some(0), None), "{}", self.log());
        self.log()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: the exit code and the signal.
    pub fn wait(&mut self) -> (Option<i32>, Option<i32>) {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), status.signal());
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it, and starts another one.
    pub fn kill_and_start_another(&mut self) {
        let _ = self.child.kill();
        let (_, signal) = self.wait();
        assert_eq!(signal, Some(9), "it had ended by itself: {}", self.log());
        *self = Self::spawn(self.arguments.clone(), Arc::clone(&self.directory));
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
