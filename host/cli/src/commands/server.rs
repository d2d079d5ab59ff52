//! The parts that `serve` and `forward` share: the judge, the log, and the signals that stop a server.

use std::fmt;
use std::time::Instant;

use anyhow::{Context as _, bail};
use pipefold::config::Environment;
use pipefold::detect::Fields;
use pipefold::{Judge, Monitoring, NoVerdict};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing::Level;

use super::context::settings;
use super::diagnostic::{print, remark};
use super::policies;
use crate::args::GlobalFlags;
use crate::terminal::neutral;

/// Makes the judge of a server, and checks its policies and rules.
pub fn judge(global: &GlobalFlags, environment: &Environment) -> anyhow::Result<Judge> {
    let mut diagnostics = Vec::new();
    let judge = settings(global, Fields::default(), environment)
        .and_then(|settings| policies::judge(global, environment, &settings, &mut diagnostics));
    // A server without the policies that it was given would be worse than none.
    let judge = judge?;
    print(&diagnostics, global);
    judge.set_monitoring(Monitoring::Compile);
    for policy in judge.policies() {
        let is_monitored = policy.is_monitored();
        if let Some(why) = policy.trouble.filter(|_| !policy.open && !is_monitored) {
            bail!("{}", neutral(&why));
        }
    }
    // At the start, while a person reads the output. A merge of nothing is refused, which shows that the rules answer.
    if let Err(NoVerdict::Failed(why)) = judge.merge(&[]) {
        bail!("runs could not be judged here: {}", neutral(&why));
    }
    // Beside the server, which does not wait for them.
    judge.load_monitored(Instant::now());
    Ok(judge)
}

/// Shows the log also without `-v`: a server has no other way to report errors.
pub fn log(global: &GlobalFlags) {
    if global.verbose > 0 {
        return;
    }
    let level = if global.quiet { Level::ERROR } else { Level::WARN };
    crate::terminal::show_events(level);
}

/// SIGTERM and SIGINT of a server, caught from now on.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

/// A signal that asks to stop.
#[derive(Clone, Copy, Debug)]
pub enum StopSignal {
    Terminate,
    Interrupt,
}

impl StopSignals {
    /// Catches both signals.
    pub fn catch() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = self.interrupt.recv() => StopSignal::Interrupt,
        }
    }

    /// Runs a server until it ends. The first signal, which `first` waits for, asks it to stop by the channel.
    ///
    /// # Errors
    /// The second signal, which cuts the server off.
    pub async fn run<S: Future>(
        mut self,
        global: &GlobalFlags,
        first: impl AsyncFnOnce(&mut Self) -> String,
        server: impl FnOnce(oneshot::Receiver<()>) -> S,
    ) -> Result<S::Output, StopSignal> {
        let (stop, stopped) = oneshot::channel();
        let second = async {
            let first = first(&mut self).await;
            remark(global, &format!("{first}: stopping after the requests under way"));
            // The server may have ended by itself.
            let _ = stop.send(());
            self.next().await
        };
        tokio::select! {
            ended = server(stopped) => Ok(ended),
            second = second => Err(second),
        }
    }
}

impl StopSignal {
    /// The exit code that a shell returns for a process that this signal ended.
    pub fn exit_code(self) -> u8 {
        128 + match self {
            Self::Terminate => 15,
            Self::Interrupt => 2,
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}
