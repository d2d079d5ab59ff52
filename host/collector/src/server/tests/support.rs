//! A server with a store in a directory of its own, and a client that can send anything.

use crate::access::{Access, Rights, TokenFile, Tokens};
use crate::request::{App, Exposure, Gate, Limits};
use crate::rules::Rules;
use crate::server::{Server, TlsFiles};
use crate::store::sqlite::{self, SqliteStore};
use axum::Router;
use chrono::Utc;
use pipefold::Judge;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Longer than anything takes that works, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The page's example, as the body of a request.
pub const EXAMPLE: &str = r#"{"pipeline_name": "build_panda_finder", "pipeline_source": "Tekton",
    "reference_id": "AA713E04-1880-4E17-8C49-4A41733DAFCF", "started_at": "2025-01-01T12:05:00",
    "finished_at": "2025-01-01T12:10:00", "status": "success"}"#;

/// The settings that differ from the defaults.
#[derive(Default)]
pub struct Setup {
    pub limits: Limits,
    /// Name, rights and pattern of each token.
    pub tokens: Vec<(&'static str, Rights, &'static str)>,
    pub tls: Option<TlsFiles>,
    pub forwards: bool,
    pub more: Router,
}

pub struct Running {
    pub app: App,
    pub address: SocketAddr,
    pub url: String,
    /// In the order of the setup.
    pub tokens: Vec<String>,
    pub dir: TempDir,
    pub runtime: Arc<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub fn start(setup: Setup) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules::new(Arc::new(Judge::default()));
    let store = SqliteStore::open(dir.path(), rules.for_store(), sqlite::RunLimits::default()).unwrap();
    let file = TokenFile::of(dir.path());
    let add = |(name, rights, glob): (&str, Rights, &str)| {
        let access = Access::new(rights, vec![glob.parse().unwrap()]);
        file.add(name.parse().unwrap(), access, Utc::now())
            .unwrap()
            .reveal()
            .to_owned()
    };
    let tokens = setup.tokens.into_iter().map(add).collect();
    let exposure = Exposure {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: setup.tls.is_some(),
        behind_proxy: false,
    };
    let known = Tokens::open(file).unwrap();
    let gate = Gate::new(known, exposure, setup.limits.per_token);
    let app = App::new(Arc::new(store), rules, gate, setup.limits, setup.forwards);
    let runtime = Arc::new(
        Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap(),
    );
    let server = runtime
        .block_on(Server::bind(app.clone(), setup.tls, setup.more))
        .unwrap();
    let (address, url) = (server.address(), server.url());
    let (stop, stopped) = oneshot::channel();
    let on = Arc::clone(&runtime);
    let thread = std::thread::spawn(move || {
        on.block_on(server.run(async {
            let _ = stopped.await;
        }));
    });
    Running {
        app,
        address,
        url,
        tokens,
        dir,
        runtime,
        stop: Some(stop),
        thread: Some(thread),
    }
}

impl Running {
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes on a connection of their own and reads the answer. What cannot be sent is left: the server may have had enough.
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes.as_ref());
        read_answer(&mut stream).unwrap()
    }

    pub fn get(&self, path: &str, headers: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n"))
    }

    pub fn upsert(&self, headers: &str, body: &str) -> Answer {
        self.send(post(headers, body))
    }

    pub fn bearer(&self, token: usize) -> String {
        format!("Authorization: Bearer {}\r\n", self.tokens[token])
    }

    /// Returns the stored run.
    pub fn record(&self, reference_id: &str) -> Value {
        let answer = self.get(&format!("/api/runs/{reference_id}"), "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["run"]["record"].clone()
    }

    /// Asks the server to end.
    pub fn ask_to_stop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }

    /// Waits until it has.
    pub fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ask_to_stop();
        self.wait();
    }
}

pub fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /api/pipelineRuns.upsert HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    /// The status and the code; checks that the answer is as every refusal.
    pub fn refusal(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(json["ok"], false, "{self:?}");
        assert!(
            json["message"].as_str().is_some_and(|message| !message.is_empty()),
            "{self:?}"
        );
        (self.status, json["error"].as_str().unwrap().to_owned())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Reads one answer; `None` if the connection ends before.
pub fn read_answer(stream: &mut impl Read) -> Option<Answer> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let mut more = [0; 4096];
        match stream.read(&mut more) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&more[..count]),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut body = bytes[end..].to_vec();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let missing = length.unwrap_or(0_usize).saturating_sub(body.len());
    let mut rest = vec![0; missing];
    stream.read_exact(&mut rest).ok()?;
    body.extend(rest);
    Some(Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body: String::from_utf8(body).unwrap(),
    })
}
