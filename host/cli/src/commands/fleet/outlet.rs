//! The queue as where reporting ends.

use std::panic;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use pipefold::config::{Environment, QueueSettings, Sourced};
use pipefold::detect::Fields;
use pipefold::{Builder, Outlet};
use pipefold_fleet::{AddressError, Connection, Purpose, Queue, QueueKeys, QueueOutlet, probe};
use tokio::runtime::Runtime;

use crate::args::GlobalFlags;
use crate::commands::context::settings;
use crate::commands::trouble::Trouble;

/// Lets a reporter's deliveries end in the queue.
pub(in crate::commands) fn report_into(
    builder: Builder,
    queue: &QueueSettings,
    ca_file: Option<&Sourced<PathBuf>>,
) -> Result<Builder, Trouble> {
    let queue = address(queue, ca_file).map_err(|error| Trouble::input(format!("{error}; nothing is sent")))?;
    Ok(builder.outlet(QueueOutlet::new(queue)))
}

/// The same for a collector.
pub(in crate::commands) fn outlet(
    queue: &QueueSettings,
    ca_file: Option<&Sourced<PathBuf>>,
) -> Result<Arc<dyn Outlet>, Trouble> {
    let queue = address(queue, ca_file).map_err(|error| Trouble::input(error.to_string()))?;
    Ok(Arc::new(QueueOutlet::new(queue)))
}

fn address(queue: &QueueSettings, ca_file: Option<&Sourced<PathBuf>>) -> Result<Queue, AddressError> {
    keep_the_clients_panics_quiet();
    let path = |file: &Option<Sourced<PathBuf>>| file.as_ref().map(|file| file.value.clone());
    let keys = QueueKeys {
        credentials_file: path(&queue.credentials_file),
        token_file: path(&queue.token_file),
        ca_file: ca_file.map(|file| file.value.clone()),
    };
    Queue::new(&queue.url.value, &keys)
}

/// Whether the queue is there, found out within a time; and what is to be mended in it.
pub(in crate::commands) fn probe(
    queue: &QueueSettings,
    ca_file: Option<&Sourced<PathBuf>>,
    within: Duration,
) -> Result<(String, Option<String>), String> {
    let queue = address(queue, ca_file).map_err(|why| why.to_string())?;
    let runtime = runtime().map_err(|why| why.to_string())?;
    let probed = runtime.block_on(probe::probe(&queue, within));
    // Looking up a host's name may take too long.
    runtime.shutdown_background();
    let probe = probed.map_err(|why| why.to_string())?;
    let answers = format!("answers after {} ms", probe.latency.as_millis());
    let Some(checked) = probe.checked else {
        return Ok((
            format!("{answers}; what is in it is not shown to these credentials"),
            None,
        ));
    };
    let count = checked.standing.first().map_or(0, |stream| stream.messages);
    let differences: Vec<String> = checked
        .differences
        .iter()
        .filter(|it| it.fatal)
        .map(ToString::to_string)
        .collect();
    let fix = (!differences.is_empty()).then(|| differences.join("; "));
    Ok((format!("{answers}, with {count} messages in it"), fix))
}

/// The queue that flags, variable or file name.
pub(super) fn named(global: &GlobalFlags, environment: &Environment) -> anyhow::Result<Queue> {
    let settings = settings(global, Fields::default(), environment).map_err(|trouble| anyhow!("{}", trouble.text()))?;
    let queue = settings.queue.as_ref();
    let queue =
        queue.ok_or_else(|| anyhow!("no queue is named: give its NATS servers with --queue or PIPEFOLD_QUEUE"))?;
    Ok(address(queue, settings.ca_file.as_ref())?)
}

/// The queue's client panics on some of what a server may say. That is caught, and reported as a failure; Rust's own words would stand
/// in a build's output.
fn keep_the_clients_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            let file = what.location().map(panic::Location::file);
            match file.is_some_and(|file| file.contains("async-nats")) {
                true => tracing::debug!("the queue's client gave up on what a server said: {what}"),
                false => usual(what),
            }
        }));
    });
}

/// Does something with the queue that is named, and ends.
pub(super) fn with_queue<T>(
    global: &GlobalFlags,
    work: impl AsyncFnOnce(Connection) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let queue = named(global, &Environment::from_process())?;
    let runtime = runtime()?;
    let done = runtime.block_on(async { work(Connection::open(&queue, Purpose::Forward).await?).await });
    // As for a probe.
    runtime.shutdown_background();
    done
}

/// The runtime of a forwarder.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // Waiting is most of it. More threads would only take memory.
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the threads that work")
}
