//! Deliveries of GitHub's webhook beside upserts of the same runs: the costs of the signature, of the source and of its sandbox.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use sha2::{Digest, Sha256};

use super::Server;
use super::connection::Connection;
use super::load::{CONNECTIONS, body_of_a_whole_run, time_of};
use crate::arguments::Arguments;
use crate::samples::Samples;

/// The secret of the webhook.
const SECRET: &[u8] = b"the secret of the benchmark";

/// The address of the source.
const PATH: &str = "/hooks/github";

/// Bytes of a usual delivery: GitHub's own are 15 to 25 KB.
const USUAL: usize = 20 * 1000;

/// Bytes of the largest delivery that GitHub sends.
const LARGEST: usize = 25 * 1024 * 1024 - 1024;

/// The results.
pub(crate) struct Delivered {
    /// Deliveries, each of another run.
    pub(crate) deliveries: Samples,
    /// Seconds that all of them took.
    pub(crate) took: f64,
    /// Upserts of as many runs.
    pub(crate) upserts: Samples,
    /// Seconds that all of them took.
    pub(crate) upserts_took: f64,
    /// The most memory that a collector held that took the largest delivery, in bytes.
    pub(crate) memory: u64,
    /// Upserts of other senders while the largest delivery was taken.
    pub(crate) meanwhile: Samples,
}

/// A request: a body, and the headers that prove it.
type Request = (String, String);

/// Measures deliveries and upserts of `runs` runs, each in a fresh collector.
pub(crate) fn run(arguments: &Arguments, runs: u64, root: &Path) -> Result<Delivered> {
    let secret = root.join("webhook-secret");
    std::fs::write(&secret, SECRET).context("cannot write the secret")?;
    let config = root.join("serve.toml");
    let text = format!(
        "[[source]]\nname = \"github\"\nrate = 100000\nsecret_file = {:?}\n",
        secret.display().to_string()
    );
    std::fs::write(&config, text).context("cannot write the settings")?;
    let start = |data: &str| {
        Server::collector_with(
            &arguments.pipefold,
            &root.join(data),
            &["--config".as_ref(), config.as_os_str()],
        )
    };

    let collector = start("upserted")?;
    let (upserts, upserts_took) = send(collector.address(), super::METHOD_PATH, runs, |run| {
        (body_of_a_whole_run(run), String::new())
    })?;
    collector.stop()?;

    let collector = start("delivered")?;
    let (deliveries, took) = send(collector.address(), PATH, runs, |run| signed(delivery(run, USUAL)))?;
    collector.stop()?;

    let collector = start("large")?;
    let largest = signed(delivery(0, LARGEST));
    let is_over = AtomicBool::new(false);
    let meanwhile = thread::scope(|scope| {
        let upserts = scope.spawn(|| {
            let mut connection = Connection::open(collector.address())?;
            let mut samples = Samples::default();
            for run in 1.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let body = body_of_a_whole_run(run);
                let status = samples.time(|| connection.post(super::METHOD_PATH, &body))?;
                ensure!(status == 200, "the server answered {status}");
            }
            Ok(samples)
        });
        let taken = post(collector.address(), &largest);
        is_over.store(true, Ordering::Relaxed);
        let samples = upserts.join().map_err(|_| anyhow!("a connection's thread panicked"))?;
        taken.and(samples)
    })?;
    let memory = collector.peak_memory()?;
    collector.stop()?;
    Ok(Delivered {
        deliveries,
        took,
        upserts,
        upserts_took,
        memory,
        meanwhile,
    })
}

fn post(address: SocketAddr, (body, headers): &Request) -> Result<()> {
    let status = Connection::open(address)?.post_with(PATH, headers, body)?;
    ensure!(status == 200, "the server answered {status} to the largest delivery");
    Ok(())
}

/// Sends a request a run, from all connections. All requests are made first: the load's own work on them is not measured.
fn send(
    address: SocketAddr,
    path: &'static str,
    runs: u64,
    request: impl Fn(u64) -> Request + Sync,
) -> Result<(Samples, f64)> {
    let request = &request;
    let all_are_made = Barrier::new(CONNECTIONS as usize + 1);
    let barrier = &all_are_made;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|worker| {
                scope.spawn(move || {
                    let requests: Vec<Request> = (worker..runs).step_by(CONNECTIONS as usize).map(request).collect();
                    barrier.wait();
                    let mut connection = Connection::open(address)?;
                    let mut samples = Samples::default();
                    for (body, headers) in requests {
                        let status = samples.time(|| connection.post_with(path, &headers, &body))?;
                        ensure!(status == 200, "the server answered {status} to {path}");
                    }
                    Ok(samples)
                })
            })
            .collect();
        barrier.wait();
        let begun = Instant::now();
        let mut samples = Samples::default();
        for worker in workers {
            samples.extend(worker.join().map_err(|_| anyhow!("a connection's thread panicked"))??);
        }
        Ok((samples, begun.elapsed().as_secs_f64()))
    })
}

/// A `workflow_run` that is completed, with unread members up to this number of bytes.
fn delivery(run: u64, bytes: usize) -> String {
    let (start, end) = (time_of(run, 0), time_of(run, 300));
    let mut body = format!(
        r#"{{"action":"completed","workflow_run":{{"id":{id},"name":"pipeline-{pipeline}","run_attempt":1,"event":"push","status":"completed","conclusion":"success","html_url":"https://github.com/getdx/some_repo/actions/runs/{id}","path":".github/workflows/ci.yml","head_branch":"main","head_sha":"{id:040x}","pull_requests":[],"run_started_at":"{start}","updated_at":"{end}","triggering_actor":{{"login":"octocat"}}}},"repository":{{"id":1,"full_name":"getdx/some_repo","html_url":"https://github.com/getdx/some_repo"}}"#,
        id = run + 1,
        pipeline = run % 500,
    );
    let mut number = 0;
    while body.len() + 80 < bytes {
        // As long as GitHub's usual members.
        let _ = write!(
            body,
            r#","link_{number:06}":"https://api.github.com/repos/getdx/some_repo""#
        );
        number += 1;
    }
    body.push('}');
    body
}

/// The body with GitHub's headers.
fn signed(body: String) -> Request {
    let mut headers = String::from("X-GitHub-Event: workflow_run\r\nX-Hub-Signature-256: sha256=");
    for byte in hmac_sha256(SECRET, body.as_bytes()) {
        let _ = write!(headers, "{byte:02x}");
    }
    headers.push_str("\r\n");
    (body, headers)
}

/// HMAC-SHA256 by RFC 2104, of a key of at most 64 bytes.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}
