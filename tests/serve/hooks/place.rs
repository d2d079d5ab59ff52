//! A collector with sources, and deliveries to it.

use std::path::Path;

use pipefold_tests::http::{Answer, Client};
use pipefold_tests::{Collector, Ended};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The secret of every source in these tests.
pub const SECRET: &str = "s3cr3t of a webhook";

/// A directory for a collector's data and its sources' files.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("secret", SECRET.as_bytes());
        place
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and gives its path.
    pub fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// The arguments of a source with the usual secret.
    pub fn source(&self, given: &str) -> [String; 4] {
        let name = given.split('=').next().unwrap();
        let secret = self.path().join("secret");
        [
            "--source".into(),
            given.into(),
            "--source-secret-file".into(),
            format!("{name}={}", secret.display()),
        ]
    }

    pub fn try_serve(&self, arguments: &[String]) -> Result<Collector, Ended> {
        let cache = self.path().join("cache").display().to_string();
        let arguments = [&["-vv".to_owned(), "--policy-cache".into(), cache], arguments].concat();
        Collector::try_start(&self.path().join("data"), &arguments)
    }

    /// A collector with the source `github`, and these arguments.
    pub fn serve(&self, arguments: &[String]) -> Collector {
        let all = [&self.source("github"), arguments].concat();
        self.try_serve(&all).unwrap_or_else(|ended| panic!("{ended:?}"))
    }
}

/// HMAC-SHA256 (RFC 2104) in hexadecimal, made without the code under test.
pub fn hmac(key: &str, data: &[u8]) -> String {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key.as_bytes());
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(data).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A delivery of GitHub.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub event: &'static str,
    pub body: Vec<u8>,
}

impl Delivery {
    pub fn new(event: &'static str, body: &Value) -> Self {
        Self {
            event,
            body: body.to_string().into_bytes(),
        }
    }

    /// Sends it with the right signature.
    pub fn send(&self, client: &mut Client) -> std::io::Result<Answer> {
        self.send_with(client, "/hooks/github", &[("X-Hub-Signature-256", &self.signature())])
    }

    pub fn signature(&self) -> String {
        format!("sha256={}", hmac(SECRET, &self.body))
    }

    /// Sends it with these headers beside the usual ones.
    pub fn send_with(&self, client: &mut Client, path: &str, headers: &[(&str, &str)]) -> std::io::Result<Answer> {
        let length = self.body.len().to_string();
        let usual = [
            ("Content-Length", &*length),
            ("X-GitHub-Event", self.event),
            ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ];
        let json = [("Content-Type", "application/json")];
        let has_type = headers.iter().any(|(name, _)| *name == "Content-Type");
        let json = if has_type { &[][..] } else { &json[..] };
        client.send("POST", path, &[&usual[..], json, headers].concat(), &self.body)
    }
}

/// A run of a workflow as GitHub reports it. Starts and ends have fixed times.
pub fn run(id: u64, action: &str, conclusion: Option<&str>) -> Delivery {
    let body = json!({
        "action": action,
        "workflow_run": {
            "id": id, "name": "CI", "run_attempt": 1, "event": "push", "head_branch": "main",
            "head_sha": "0123456789abcdef0123456789abcdef01234567", "conclusion": conclusion,
            "run_started_at": "2025-01-01T12:00:00Z", "updated_at": "2025-01-01T12:10:00Z",
            "html_url": format!("https://github.com/octo/hello/actions/runs/{id}"),
            "triggering_actor": { "login": "mona" }, "pull_requests": [],
        },
        "repository": { "id": 1, "full_name": "octo/hello", "html_url": "https://github.com/octo/hello" },
    });
    Delivery::new("workflow_run", &body)
}

/// A job of it.
pub fn job(id: u64, name: &str, conclusion: Option<&str>) -> Delivery {
    let body = json!({
        "action": if conclusion.is_some() { "completed" } else { "in_progress" },
        "workflow_job": {
            "id": 1, "run_id": id, "run_attempt": 1, "workflow_name": "CI", "name": name, "conclusion": conclusion,
            "head_sha": "0123456789abcdef0123456789abcdef01234567", "started_at": "2025-01-01T12:01:00Z",
            "completed_at": conclusion.map(|_| "2025-01-01T12:05:00Z"),
        },
        "repository": { "id": 1, "full_name": "octo/hello", "html_url": "https://github.com/octo/hello" },
    });
    Delivery::new("workflow_job", &body)
}

/// The name of a run.
pub fn reference(id: u64) -> String {
    format!("github/github.com/octo/hello/{id}/1")
}

/// The stored run.
pub fn stored(collector: &Collector, id: u64) -> Option<Value> {
    let path = format!("/api/runs/{}", reference(id).replace('/', "%2F"));
    let answer = collector.client().get(&path);
    (answer.status == 200).then(|| answer.json()["run"].clone())
}
