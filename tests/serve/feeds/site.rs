//! A collector with runs in it.

use std::io::{Read, Write};

use pipefold_gocd::Href;
use pipefold_tests::Collector;
use pipefold_tests::http::{Answer, Client, connect};
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct Site {
    pub collector: Collector,
    client: Client,
    _dir: TempDir,
}

impl Site {
    /// A collector that asks for no token.
    pub fn new() -> Self {
        Self::with(&[])
    }

    pub fn with(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let collector = Collector::start_with(&dir.path().join("data"), arguments);
        Self {
            client: collector.client(),
            collector,
            _dir: dir,
        }
    }

    /// Uses this token from now on.
    pub fn signed_in(&mut self, token: &str) -> &mut Self {
        self.client = self.collector.client().with_token(token);
        self
    }

    pub fn report(&mut self, arguments: &Value) {
        let answer = self.client.upsert(arguments).unwrap();
        assert_eq!(answer.status, 200, "{arguments}: {}", answer.text());
    }

    /// Reports a job of a run, which has its name for an id.
    pub fn job(&mut self, run: &str, name: &str, status: &str, times: [Option<&str>; 2]) {
        let job = json!({
            "pipeline_source": self.run(run)["record"]["pipeline_source"], "run_reference_id": run, "reference_id": name, "name": name,
            "status": status, "started_at": times[0], "finished_at": times[1],
        });
        let answer = self.client.upsert_job(&job).unwrap();
        assert_eq!(answer.status, 200, "{job}: {}", answer.text());
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.client.get(path)
    }

    /// A document that is there.
    pub fn document(&mut self, path: &str) -> Vec<u8> {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.body
    }

    /// A link's document.
    pub fn follow(&mut self, href: &Href) -> Vec<u8> {
        let path = self.path(href);
        self.document(&path)
    }

    /// A link's path; it leads to this server.
    pub fn path(&self, href: &Href) -> String {
        let path = href.as_str().strip_prefix(&self.collector.url);
        path.unwrap_or_else(|| panic!("{href} leads elsewhere")).to_owned()
    }

    /// The run as the JSON API shows it.
    pub fn run(&mut self, reference_id: &str) -> Value {
        let answer = self.get(&format!("/api/runs/{}", escaped(reference_id)));
        assert_eq!(answer.status, 200, "{reference_id}: {}", answer.text());
        answer.json()["run"].clone()
    }

    /// Sends a head as it is, on a connection of its own, and reads the answer to its end.
    pub fn raw(&self, request: &str) -> String {
        let mut stream = connect(self.collector.address).unwrap();
        let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
        let host = if headers.contains("Host:") {
            ""
        } else {
            "Host: 127.0.0.1\r\n"
        };
        let head = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// A run that took half an hour on one morning.
pub fn run(pipeline: &str, reference_id: &str, minute: u32, status: &str) -> Value {
    json!({
        "pipeline_name": pipeline, "pipeline_source": "tests", "reference_id": reference_id, "status": status,
        "started_at": format!("2025-01-01T08:{minute:02}:00Z"), "finished_at": format!("2025-01-01T09:{minute:02}:00Z"),
    })
}

/// The run with further arguments; null takes one away.
pub fn with(mut run: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        run[name] = value.clone();
    }
    run
}

/// A text as one segment of a path.
pub fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
