//! `forward`: from the queue to DX; and `forward rejected`, about the upserts that DX or the rules refused.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use pipefold::Token;
use pipefold::config::{Environment, Settings, TokenPlace};
use pipefold::detect::Fields;
use pipefold::dx::{ClientOptions, DxUrl, ProxyOptions};
use pipefold_fleet::health::Health;
use pipefold_fleet::rejected::{self, Done, Numbered};
use pipefold_fleet::stream::StreamError;
use pipefold_fleet::{ConnectError, ForwardError, Forwarder, ForwarderOptions};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::queue::{named, runtime, with_queue};
use crate::args::{ForwardArgs, ForwardCommand, GlobalFlags, RejectedCommand, RejectedNumbers};
use crate::commands::context::settings;
use crate::commands::diagnostic::remark;
use crate::commands::server::{StopSignals, judge, log};
use crate::commands::{print_json, print_lines};
use crate::terminal::{excerpt, neutral, say};

/// The pause between two tries to reach a queue that is not there yet.
const RETRY: Duration = Duration::from_secs(1);

/// `pipefold forward`
pub fn forward(global: &GlobalFlags, args: &ForwardArgs) -> anyhow::Result<ExitCode> {
    if let Some(ForwardCommand::Rejected { command }) = &args.command {
        return run_rejected(global, command);
    }
    log(global);
    let environment = Environment::from_process();
    let settings = settings(global, Fields::default(), &environment)?;
    let queue = named(global, &environment)?;
    let options = options(args, &settings, &environment)?;
    if let Some(address) = args.listen {
        // Before the connection to the queue, which may take long.
        Health::allow(address, args.listen_anywhere)?;
    }
    let dx = options.dx.url.clone();
    let mut judge = Some(judge(global, &environment)?);
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        let mut signals = StopSignals::catch()?;
        let mut has_warned = false;
        let forwarder = loop {
            // Loaded again for another try, which is rare.
            let rules = match judge.take() {
                Some(judge) => judge,
                None => self::judge(global, &environment)?,
            };
            let opened = tokio::select! {
                opened = Forwarder::open(&queue, options.clone(), rules) => opened,
                stop = signals.next() => return anyhow::Ok(ExitCode::from(stop.exit_code())),
            };
            match opened {
                Ok(forwarder) => break forwarder,
                Err(why) if may_recover(&why) => {
                    if !has_warned {
                        say(&format!("pipefold: {}; trying on", neutral(&why.to_string())));
                        has_warned = true;
                    }
                }
                Err(why) => return Err(why.into()),
            }
            tokio::select! {
                () = sleep(RETRY) => {}
                stop = signals.next() => return Ok(ExitCode::from(stop.exit_code())),
            }
        };
        for difference in forwarder.differences() {
            tracing::warn!("{difference}");
        }
        if let Some(address) = args.listen {
            let health = Health::bind(
                address,
                args.listen_anywhere,
                forwarder.counters(),
                forwarder.policies(),
            )
            .await?;
            print_lines(&format!("{}\n", health.url().unwrap_or_default()))?;
            tokio::spawn(health.run());
        }
        remark(global, &format!("forwarding from {queue} to {dx}"));
        let first = async |signals: &mut StopSignals| signals.next().await.to_string();
        let run = |stopped: oneshot::Receiver<()>| {
            forwarder.run(async {
                // A dropped sender asks to stop as well.
                let _ = stopped.await;
            })
        };
        Ok(match signals.run(global, first, run).await {
            Ok(ended) => {
                ended?;
                ExitCode::SUCCESS
            }
            Err(second) => {
                say(&format!(
                    "pipefold: {second}: requests under way are cut; other forwarders receive their upserts"
                ));
                ExitCode::from(second.exit_code())
            }
        })
    })?;
    // A request to DX may wait for its answer in a thread of its own, for longer than a stop of the forwarder may take. It is sent again.
    runtime.shutdown_background();
    Ok(code)
}

/// True if a retry may help: servers that are started together come up in any order.
fn may_recover(why: &ForwardError) -> bool {
    matches!(
        why,
        ForwardError::Connect(ConnectError::Unreachable { .. } | ConnectError::NotNats { .. })
            | ForwardError::Stream(StreamError::Server { .. })
    )
}

fn options(args: &ForwardArgs, settings: &Settings, environment: &Environment) -> anyhow::Result<ForwarderOptions> {
    let Some(url) = &settings.dx_url else {
        bail!("no DX is configured: give its address with --dx-url or DX_API_URL");
    };
    let dx = ClientOptions {
        url: DxUrl::parse(&url.value)?,
        ca_file: settings.ca_file.as_ref().map(|file| PathBuf::clone(&file.value)),
        proxy: ProxyOptions::from_env(|name| environment.get(name).map(str::to_owned)),
    };
    let token_file = match settings.token.as_ref().map(|token| &token.value) {
        Some(TokenPlace::File(path)) => path.clone(),
        _ => bail!("forwarding needs the DX token in a file, so that it can be replaced: give --token-file"),
    };
    // Read now, while a person may read the log.
    Token::from_file(&token_file)?;
    Ok(ForwarderOptions {
        per_second: args.rate,
        window: args.window,
        concurrency: args.concurrency.into(),
        ..ForwarderOptions::new(dx, token_file)
    })
}

/// `pipefold forward rejected`
fn run_rejected(global: &GlobalFlags, command: &RejectedCommand) -> anyhow::Result<ExitCode> {
    match command {
        RejectedCommand::List { limit } => {
            let (found, all) = with_queue(global, async |queue| Ok(rejected::list(&queue, *limit).await?))?;
            match global.json {
                true => print_json(&json!({ "rejected": found, "count": all }))?,
                false => print_lines(&found.iter().map(line).collect::<String>())?,
            }
            let shown = u64::try_from(found.len()).unwrap_or(u64::MAX);
            if shown < all {
                let more = all - shown;
                remark(global, &format!("{more} more are not shown; `--limit {all}` shows all"));
            }
            Ok(ExitCode::SUCCESS)
        }
        RejectedCommand::Retry { numbers, .. } => {
            let done = with_queue(global, async |queue| Ok(rejected::retry(&queue, numbers).await?))?;
            print_done(global, &done, "put back into the queue")
        }
        RejectedCommand::Drop(which) => {
            let done = with_queue(global, async |queue| Ok(rejected::drop(&queue, numbers(which)).await?))?;
            print_done(global, &done, "deleted")
        }
    }
}

/// The chosen numbers; none means all.
fn numbers(which: &RejectedNumbers) -> &[u64] {
    if which.all { &[] } else { &which.numbers }
}

/// Prints the result. A number that does not exist is a failure: the user meant another one.
fn print_done(global: &GlobalFlags, done: &Done, what: &str) -> anyhow::Result<ExitCode> {
    if global.json {
        let answer = json!({ "count": done.count, "missing": done.missing });
        print_json(&answer)?;
    } else {
        remark(global, &format!("{} {what}", done.count));
    }
    if done.missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let missing: Vec<String> = done.missing.iter().map(u64::to_string).collect();
    say(&format!(
        "pipefold: there is no refused upsert with number {}; `pipefold forward rejected list` shows the numbers",
        missing.join(", ")
    ));
    Ok(ExitCode::FAILURE)
}

/// A line about a refused upsert. Each part is foreign text: of DX, of a runner, or of another writer to the stream.
fn line(found: &Numbered) -> String {
    let rejected = &found.rejected;
    let mut about = excerpt(rejected.reference_id().as_deref().unwrap_or("?"));
    if let Some(job) = rejected.job() {
        about = format!("{about}, job {}", excerpt(&job));
    }
    format!(
        "{}  {}  {}  {}: {}\n",
        found.number,
        excerpt(&rejected.at),
        about,
        excerpt(&rejected.code),
        excerpt(&rejected.message)
    )
}
