//! Helpers of all tests of the client.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dx_standin::Standin;
use pipefold::dx::{Client, ClientOptions, DxUrl, Outcome, ProxyOptions};
use pipefold::{Run, Token};
use serde_json::json;

/// The timeout for answers that come: long enough for any, and short enough to fail a test that waits for ever.
pub(crate) const AMPLE: Duration = Duration::from_secs(20);
/// The timeout for answers that do not come.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

pub(crate) fn run(reference_id: &str) -> Run {
    let run = json!({
        "pipeline_name": "build", "pipeline_source": "Tekton", "reference_id": reference_id, "started_at": "2025-01-01T12:05:00Z",
        "status": "success", "repository": "o/r", "pr_number": 7,
    });
    serde_json::from_value(run).unwrap()
}

pub(crate) fn client_for(url: &str, ca_file: Option<PathBuf>, proxy: ProxyOptions) -> Client {
    Client::new(ClientOptions {
        url: DxUrl::parse(url).unwrap(),
        ca_file,
        proxy,
    })
    .unwrap()
}

pub(crate) fn client(dx: &Standin) -> Client {
    client_for(&dx.url(), None, ProxyOptions::default())
}

pub(crate) fn token(dx: &Standin) -> Token {
    Token::new(dx.token().to_owned()).unwrap()
}

pub(crate) fn upsert(dx: &Standin, timeout: Duration) -> Outcome {
    client(dx).upsert(&run("r"), &token(dx), timeout)
}

/// The cause of an outcome that is to be retried.
pub(crate) fn why(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Retry { why, .. } | Outcome::Unreachable { why } => why,
        other => panic!("not to be retried: {other:?}"),
    }
}

/// Runs something, and checks that it ended long before a test's patience.
pub(crate) fn quickly<T>(run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    assert!(start.elapsed() < AMPLE / 2, "took {:?}", start.elapsed());
    result
}
