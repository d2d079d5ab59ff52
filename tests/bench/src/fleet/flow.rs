//! Forwarding of upserts as they arrive.

use std::time::{Duration, Instant};

use anyhow::Result;
use pipefold_simulation::dx::{Dx, Records};
use pipefold_simulation::fleet::{Fleet, Forwarding};
use pipefold_simulation::load::{Message, burst, steady};
use pipefold_simulation::publishing::{Progress, publish};

use super::{EACH, NODES, RATE, STUCK, WINDOW, block_on, ensure_right};
use crate::arguments::Arguments;

/// Enough that the window at the end is a small part.
const RUNS: u32 = 20_000;

/// Ten seconds' worth of them at the rate.
const STEADY_RUNS: u32 = 6_000;

/// Within which the notifications of a run come, at a steady rate: the window, and some time to get there.
const WITHIN: Duration = Duration::from_millis(1_500);

/// The results.
pub(super) struct Flow {
    pub(super) notifications: u64,
    took: Duration,
    /// To DX.
    requests_a_run: f64,
    /// The most that a forwarder held, in bytes.
    pub(super) memory: u64,
}

impl Flow {
    pub(super) fn rate(&self) -> f64 {
        self.notifications as f64 / self.took.as_secs_f64()
    }

    pub(super) fn requests_a_run(&self) -> f64 {
        self.requests_a_run
    }
}

/// As fast as the queue takes them.
pub(super) fn fast(arguments: &Arguments) -> Result<Flow> {
    measure(arguments, RUNS, burst(RUNS, EACH), None)
}

/// At the rate that is to be reached.
pub(super) fn at_the_rate(arguments: &Arguments) -> Result<Flow> {
    let load = steady(STEADY_RUNS, EACH, super::reach::RATE, WITHIN);
    measure(arguments, STEADY_RUNS, load.into_iter(), Some(1.0))
}

fn measure(arguments: &Arguments, runs: u32, load: impl Iterator<Item = Message>, speed: Option<f64>) -> Result<Flow> {
    let dx = Dx::start(Records::of(runs, None), Duration::ZERO)?;
    let fleet = Fleet::start(&arguments.pipefold, NODES, NODES)?;
    let url = dx.url();
    let forwarding = Forwarding {
        dx_url: &url,
        rate: RATE,
        window: WINDOW,
    };
    let forwarders = [fleet.forwarder(&forwarding)?, fleet.forwarder(&forwarding)?];
    let progress = Progress::of(runs);
    block_on(publish(fleet.queue(), load, speed, &progress))?;
    fleet.wait_drained(STUCK, |_| Ok(()))?;
    let last = dx.records().last_accepted().unwrap_or_else(Instant::now);
    let mut memory = 0;
    for forwarder in forwarders {
        memory = memory.max(forwarder.peak_memory()?);
        forwarder.stop()?;
    }
    ensure_right(&dx, runs)?;
    Ok(Flow {
        notifications: progress.acknowledged(),
        took: last.saturating_duration_since(progress.begun()),
        requests_a_run: dx.records().counts().accepted as f64 / f64::from(runs),
        memory,
    })
}

/// The upserts that the nodes accept in a second without a consumer.
pub(super) fn publishing_alone(arguments: &Arguments) -> Result<f64> {
    let fleet = Fleet::start(&arguments.pipefold, NODES, NODES)?;
    let progress = Progress::of(RUNS);
    block_on(publish(fleet.queue(), burst(RUNS, EACH), None, &progress))?;
    Ok(progress.acknowledged() as f64 / progress.begun().elapsed().as_secs_f64())
}
