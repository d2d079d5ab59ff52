//! `forward`: out of the queue, to DX.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use pipefold::Token;
use pipefold::config::{Environment, Settings, TokenPlace};
use pipefold::detect::Fields;
use pipefold::dx::{ClientOptions, DxUrl, ProxyOptions};
use pipefold_fleet::health::Health;
use pipefold_fleet::stream::StreamError;
use pipefold_fleet::{ConnectError, ForwardError, Forwarder, ForwarderOptions, Queue};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::outlet::{named, runtime};
use super::rejected;
use crate::args::{ForwardArgs, ForwardCommand, GlobalFlags};
use crate::commands::context::settings;
use crate::commands::print_lines;
use crate::commands::serve::{judge, log};
use crate::commands::stop::StopSignals;
use crate::terminal::{neutral, say};

/// Between tries to reach a queue that is not there yet.
const AGAIN: Duration = Duration::from_secs(1);

/// `pipefold forward`
pub(in crate::commands) fn forward(global: &GlobalFlags, args: &ForwardArgs) -> anyhow::Result<ExitCode> {
    if let Some(ForwardCommand::Rejected { command }) = &args.command {
        return rejected::run(global, command);
    }
    log(global);
    let environment = Environment::from_process();
    let settings =
        settings(global, Fields::default(), &environment).map_err(|trouble| anyhow!("{}", trouble.text()))?;
    let queue = named(global, &environment)?;
    let options = options(args, &settings, &environment)?;
    if let Some(address) = args.listen {
        // Before the queue is reached, which may take long.
        Health::allow(address, args.listen_anywhere)?;
    }
    let dx = options.dx.url.clone();
    let mut judge = Some(judge(global, &environment)?);
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        let mut signals = StopSignals::catch()?;
        let mut said = false;
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
                Err(why) if may_come(&why) => {
                    if !said {
                        say(&format!("pipefold: {}; trying on", neutral(&why.to_string())));
                        said = true;
                    }
                }
                Err(why) => return Err(why.into()),
            }
            tokio::select! {
                () = sleep(AGAIN) => {}
                stop = signals.next() => return Ok(ExitCode::from(stop.exit_code())),
            }
        };
        for difference in forwarder.differences() {
            tracing::warn!("{difference}");
        }
        if let Some(address) = args.listen {
            let health = Health::bind(address, args.listen_anywhere, forwarder.counters()).await?;
            print_lines(&format!("{}\n", health.url().unwrap_or_default()))?;
            tokio::spawn(health.run());
        }
        announce(global, &queue, &dx);
        let (stop, stopped) = oneshot::channel::<()>();
        let run = forwarder.run(async {
            // A sender that is gone asks as well.
            let _ = stopped.await;
        });
        let asked_twice = async {
            let first = signals.next().await;
            if !global.quiet {
                say(&format!("pipefold: {first}: stopping; what is under way is waited for"));
            }
            // It may have ended by itself.
            let _ = stop.send(());
            signals.next().await
        };
        tokio::select! {
            ended = run => {
                ended?;
                Ok(ExitCode::SUCCESS)
            }
            second = asked_twice => {
                say(&format!("pipefold: {second}: what is under way is cut; other forwarders get it"));
                Ok(ExitCode::from(second.exit_code()))
            }
        }
    })?;
    // A request to DX may wait for its answer in a thread of its own, for longer than a stop of the forwarder may take. It is sent again.
    runtime.shutdown_background();
    Ok(code)
}

fn announce(global: &GlobalFlags, queue: &Queue, dx: &DxUrl) {
    if !global.quiet {
        say(&format!("pipefold: forwarding from {queue} to {dx}"));
    }
}

/// True if waiting may help: servers that are started together come up in any order.
fn may_come(why: &ForwardError) -> bool {
    matches!(
        why,
        ForwardError::Connect(ConnectError::Unreachable { .. } | ConnectError::NotNats { .. })
            | ForwardError::Stream(StreamError::Server { .. })
    )
}

fn options(args: &ForwardArgs, settings: &Settings, environment: &Environment) -> anyhow::Result<ForwarderOptions> {
    let Some(url) = &settings.dx_url else {
        bail!("no DX is named: give its address with --dx-url or DX_API_URL");
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
    // Looked at now, while a person may read the log.
    Token::from_file(&token_file)?;
    Ok(ForwarderOptions {
        per_second: args.rate,
        window: args.window,
        concurrency: args.concurrency.into(),
        ..ForwarderOptions::new(dx, token_file)
    })
}
