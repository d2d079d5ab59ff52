//! The queue as the place that receives reports, and `queue`, which creates and checks its streams.

use std::fmt::Write as _;
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use pipefold::Builder;
use pipefold::config::{Environment, QueueSettings, Sourced};
use pipefold::detect::Fields;
use pipefold_fleet::stream::{Checked, Difference, PATIENCE, Setup, StreamError, check, init_patiently};
use pipefold_fleet::{AddressError, Connection, Purpose, Queue, QueueKeys, QueueOutlet, probe};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::args::{GlobalFlags, QueueArgs, QueueCommand};
use crate::commands::context::settings;
use crate::commands::diagnostic::{Diagnostic, remark};
use crate::commands::{print_json, print_lines};
use crate::terminal::{neutral, say};

/// `pipefold queue`
pub fn queue(global: &GlobalFlags, args: &QueueArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        QueueCommand::Init { replicas, max_size } => {
            let setup = Setup {
                replicas: replicas.into(),
                max_size,
            };
            let on_retry = |why: &StreamError| {
                remark(global, &format!("{why}; trying on for {} s", PATIENCE.as_secs()));
            };
            let made = with_queue(global, async |connection| {
                Ok(init_patiently(&connection, setup, on_retry).await?)
            })?;
            if global.json {
                let answer = json!({ "made": made.made, "differences": differences(&made.differences) });
                print_json(&answer)?;
            } else {
                let text = match made.made.is_empty() {
                    true => "everything is there\n".to_owned(),
                    false => format!("made {}\n", made.made.join(", ")),
                };
                print_lines(&text)?;
            }
            Ok(print_differences(global, &made.differences))
        }
        QueueCommand::Check => {
            let checked = with_queue(global, async |connection| Ok(check(&connection).await?))?;
            print_state(global.json, &checked)?;
            Ok(print_differences(global, &checked.differences))
        }
    }
}

/// Prints every difference. A fatal one, which loses messages, is a failure.
fn print_differences(global: &GlobalFlags, differences: &[Difference]) -> ExitCode {
    for difference in differences {
        if !global.quiet || difference.fatal {
            say(&format!("pipefold: {}", neutral(&difference.to_string())));
        }
    }
    match differences.iter().any(|difference| difference.fatal) || (global.strict && !differences.is_empty()) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn differences(differences: &[Difference]) -> Vec<Value> {
    let one = |it: &Difference| json!({ "of": it.of, "setting": it.setting, "is": it.is, "should_be": it.should_be, "fatal": it.fatal });
    differences.iter().map(one).collect()
}

fn print_state(as_json: bool, checked: &Checked) -> anyhow::Result<()> {
    if as_json {
        let streams = checked.standing.iter().map(|it| {
            json!({
                "stream": it.stream, "messages": it.messages, "bytes": it.bytes, "replicas": it.replicas,
                "leader": it.leader, "lagging": it.lagging,
            })
        });
        let streams: Vec<Value> = streams.collect();
        let differences = differences(&checked.differences);
        let (waiting, in_hand) = (checked.waiting, checked.in_hand);
        return print_json(
            &json!({ "streams": streams, "waiting": waiting, "in_hand": in_hand, "differences": differences }),
        );
    }
    let mut text = String::new();
    for it in &checked.standing {
        let leader = it.leader.as_deref().unwrap_or("none");
        let _ = write!(
            text,
            "{}: {} messages, {} bytes, replicas {}, leader {}",
            it.stream,
            it.messages,
            it.bytes,
            it.replicas,
            neutral(leader)
        );
        if !it.lagging.is_empty() {
            let _ = write!(text, ", behind or gone: {}", neutral(&it.lagging.join(", ")));
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "waiting: {}; with forwarders: {}",
        checked.waiting, checked.in_hand
    );
    print_lines(&text)
}

/// Makes a reporter deliver into the queue.
pub fn report_into(
    builder: Builder,
    queue: &QueueSettings,
    ca_file: Option<&Sourced<PathBuf>>,
) -> Result<Builder, Diagnostic> {
    let queue = address(queue, ca_file).map_err(|error| Diagnostic::input(format!("{error}; nothing is sent")))?;
    Ok(builder.outlet(QueueOutlet::new(queue)))
}

/// The queue as an outlet of a collector.
#[cfg(feature = "collector")]
pub fn outlet(
    queue: &QueueSettings,
    ca_file: Option<&Sourced<PathBuf>>,
) -> Result<std::sync::Arc<dyn pipefold::Outlet>, Diagnostic> {
    let queue = address(queue, ca_file).map_err(|error| Diagnostic::input(error.to_string()))?;
    Ok(std::sync::Arc::new(QueueOutlet::new(queue)))
}

fn address(queue: &QueueSettings, ca_file: Option<&Sourced<PathBuf>>) -> Result<Queue, AddressError> {
    silence_client_panics();
    let path = |file: &Option<Sourced<PathBuf>>| file.as_ref().map(|file| file.value.clone());
    let keys = QueueKeys {
        credentials_file: path(&queue.credentials_file),
        token_file: path(&queue.token_file),
        ca_file: ca_file.map(|file| file.value.clone()),
    };
    Queue::new(&queue.url.value, &keys)
}

/// Probes the queue. Returns the finding and the advice, if something in the queue has to be corrected.
///
/// # Errors
/// The reason why the queue did not answer in time.
pub fn probe(
    queue: &QueueSettings,
    ca_file: Option<&Sourced<PathBuf>>,
    within: Duration,
) -> Result<(String, Option<String>), String> {
    let queue = address(queue, ca_file).map_err(|why| why.to_string())?;
    let runtime = runtime().map_err(|why| why.to_string())?;
    let probed = runtime.block_on(probe::probe(&queue, within));
    // The lookup of a host's name may still run, for too long.
    runtime.shutdown_background();
    let probe = probed.map_err(|why| why.to_string())?;
    let answers = format!("answers after {} ms", probe.latency.as_millis());
    let Some(checked) = probe.checked else {
        return Ok((
            format!("{answers}; its messages are not shown to these credentials"),
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

/// The queue that a flag, a variable or a file names.
pub fn named(global: &GlobalFlags, environment: &Environment) -> anyhow::Result<Queue> {
    let settings = settings(global, Fields::default(), environment)?;
    let queue = settings.queue.as_ref();
    let queue =
        queue.ok_or_else(|| anyhow!("no queue is named: give its NATS servers with --queue or PIPEFOLD_QUEUE"))?;
    Ok(address(queue, settings.ca_file.as_ref())?)
}

/// Keeps the panics of the queue's client out of a build's output. The client panics on some messages of a server; that is caught and
/// reported as a failure.
fn silence_client_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            let file = what.location().map(panic::Location::file);
            match file.is_some_and(|file| file.contains("async-nats")) {
                true => tracing::debug!("the queue's client panicked on a message of a server: {what}"),
                false => usual(what),
            }
        }));
    });
}

/// Connects to the configured queue and runs `work` with it.
pub fn with_queue<T>(
    global: &GlobalFlags,
    work: impl AsyncFnOnce(Connection) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let queue = named(global, &Environment::from_process())?;
    let runtime = runtime()?;
    let done = runtime.block_on(async { work(Connection::open(&queue, Purpose::Forward).await?).await });
    // As in `probe`.
    runtime.shutdown_background();
    done
}

/// The runtime of a forwarder.
pub fn runtime() -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // The threads mostly wait. More of them would only take memory.
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the worker threads")
}
