//! The simulation.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pipefold_simulation::check::{Found, check};
use pipefold_simulation::dx::{Counts, Dx, Limit, Records};
use pipefold_simulation::fleet::{Fleet, Forwarding};
use pipefold_simulation::load::{Day, Load, messages};
use pipefold_simulation::publishing::{Progress, publish};
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Arguments;

/// The interval between lines about the progress.
const EVERY: Duration = Duration::from_secs(10);

/// A queue from which nothing goes for so long is stuck.
const STUCK: Duration = Duration::from_secs(180);

/// The outcome of a simulation.
#[derive(Debug)]
pub(crate) struct Simulated {
    pub(crate) published: u64,
    pub(crate) duplicates: u64,
    pub(crate) failed: u64,
    /// The delay of publishing behind the simulated clock, by this machine's clock.
    pub(crate) behind: Duration,
    /// The time from the first upsert to the last acknowledgement of one.
    pub(crate) publishing: Duration,
    /// The time from the first upsert to DX's last `ok`.
    pub(crate) took: Duration,
    /// The most upserts in the queue.
    pub(crate) backlog: u64,
    /// The times from the acknowledgement of a run's end until DX shows it as done; sorted.
    pub(crate) lags: Vec<Duration>,
    pub(crate) dx: Counts,
    pub(crate) refusal: Option<String>,
    pub(crate) found: Found,
    /// The most that a forwarder held, in bytes.
    pub(crate) memory: u64,
}

impl Simulated {
    /// Returns true if every record is the fold of the published upserts, and DX refused none.
    pub(crate) fn is_right(&self) -> bool {
        self.found.missing == 0 && self.found.different == 0 && self.dx.refused == 0
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Simulated> {
    let pipefold = match &arguments.pipefold {
        Some(file) => file.clone(),
        None => beside()?,
    };
    let day = Day::of(arguments.runs, arguments.runs_a_day);
    let speed = arguments.speed;
    let limit = (arguments.limit > 0).then(|| Limit {
        requests: arguments.limit,
        window: Duration::from_secs(60).div_f64(speed),
    });
    let dx = Dx::start(Records::of(arguments.runs, limit), Duration::ZERO)?;
    let fleet = Fleet::start(&pipefold, arguments.nodes, arguments.nodes)?;
    // What DX takes in a second of this machine's clock, or more than can be reached.
    let a_second = if arguments.limit > 0 {
        f64::from(arguments.limit) / 60.0 * speed
    } else {
        10_000.0
    };
    let url = dx.url();
    let forwarding = Forwarding {
        dx_url: &url,
        rate: (a_second * arguments.ask / f64::from(arguments.forwarders)).max(0.1),
        window: arguments.window.div_f64(speed),
    };
    let forwarders = (0..arguments.forwarders).map(|_| fleet.forwarder(&forwarding));
    let forwarders = forwarders.collect::<Result<Vec<_>>>()?;

    let progress = Progress::of(arguments.runs);
    let publishing = {
        let (progress, queue, load) = (
            Arc::clone(&progress),
            fleet.queue().clone(),
            Load::new(arguments.seed, day),
        );
        thread::spawn(move || -> Result<Duration> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(publish(&queue, load, Some(speed), &progress))?;
            Ok(progress.begun().elapsed())
        })
    };
    let (mut backlog, mut said) = (0, Instant::now());
    let stopped = stop_signals()?;
    let mut watch = |waiting: u64| -> Result<()> {
        // An error is an orderly end: nodes and forwarders are processes of their own, and would live on.
        ensure!(!stopped.load(Relaxed), "stopped by a signal");
        backlog = backlog.max(waiting);
        if said.elapsed() >= EVERY {
            said = Instant::now();
            let (counts, now) = (dx.records().counts(), progress.begun().elapsed().mul_f64(speed));
            eprintln!(
                "{:>6.0} min simulated: {} published, {waiting} in the queue, {} accepted by DX, {} × 429",
                now.as_secs_f64() / 60.0,
                progress.acknowledged(),
                counts.accepted,
                counts.limited,
            );
        }
        Ok(())
    };
    while !publishing.is_finished() {
        watch(fleet.waiting().unwrap_or_default())?;
        thread::sleep(Duration::from_millis(100));
    }
    let published_in = publishing
        .join()
        .map_err(|_| anyhow::anyhow!("the publishing thread panicked"))??;
    fleet.wait_drained(STUCK, watch)?;
    let last = dx.records().last_accepted().unwrap_or_else(Instant::now);

    let memory = forwarders.iter().map(|forwarder| forwarder.peak_memory());
    let memory = memory
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .max()
        .unwrap_or_default();
    for forwarder in forwarders {
        forwarder.stop()?;
    }
    let lag = |run| Some(dx.records().done(run)?.saturating_duration_since(progress.ended(run)?));
    let mut lags: Vec<Duration> = (0..arguments.runs).filter_map(lag).collect();
    lags.sort_unstable();
    Ok(Simulated {
        published: progress.acknowledged(),
        duplicates: progress.duplicates(),
        failed: progress.failed(),
        behind: progress.behind(),
        publishing: published_in,
        took: last.saturating_duration_since(progress.begun()),
        backlog,
        lags,
        dx: dx.records().counts(),
        refusal: dx.records().first_refusal(),
        found: check(dx.records(), arguments.runs, |run| messages(arguments.seed, day, run)),
        memory,
    })
}

/// Becomes true when SIGINT or SIGTERM comes.
fn stop_signals() -> Result<Arc<AtomicBool>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let stopped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stopped);
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        seen.store(true, Relaxed);
    });
    Ok(stopped)
}

/// The command that was built with this program.
fn beside() -> Result<PathBuf> {
    let here = std::env::current_exe().context("cannot find this program's own file")?;
    let file = here.with_file_name(format!("pipefold{}", std::env::consts::EXE_SUFFIX));
    anyhow::ensure!(
        file.is_file(),
        "there is no {}: build it, or give --pipefold",
        file.display()
    );
    Ok(file)
}
