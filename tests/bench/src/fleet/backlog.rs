//! Forwarding of a backlog: after an outage of DX, or of all forwarders.

use std::time::{Duration, Instant};

use anyhow::Result;
use pipefold_simulation::dx::{Dx, Records};
use pipefold_simulation::fleet::{Fleet, Forwarding};
use pipefold_simulation::load::burst;
use pipefold_simulation::publishing::{Progress, publish};

use super::{EACH, NODES, RATE, STUCK, WINDOW, block_on, ensure_right};
use crate::arguments::Arguments;

/// The results.
pub(super) struct Backlog {
    pub(super) notifications: u64,
    took: Duration,
    /// The most that a forwarder held, in bytes.
    pub(super) memory: u64,
}

impl Backlog {
    pub(super) fn rate(&self) -> f64 {
        self.notifications as f64 / self.took.as_secs_f64()
    }
}

pub(super) fn measure(arguments: &Arguments) -> Result<Backlog> {
    let runs = u32::try_from(arguments.backlog / u64::from(EACH))?.max(1);
    let dx = Dx::start(Records::of(runs, None), Duration::ZERO)?;
    let fleet = Fleet::start(&arguments.pipefold, NODES, NODES)?;
    let progress = Progress::of(runs);
    block_on(publish(fleet.queue(), burst(runs, EACH), None, &progress))?;
    let url = dx.url();
    let forwarding = Forwarding {
        dx_url: &url,
        rate: RATE,
        window: WINDOW,
    };
    let begun = Instant::now();
    let forwarders = [fleet.forwarder(&forwarding)?, fleet.forwarder(&forwarding)?];
    fleet.wait_drained(STUCK, |_| Ok(()))?;
    let last = dx.records().last_accepted().unwrap_or_else(Instant::now);
    let mut memory = 0;
    for forwarder in forwarders {
        memory = memory.max(forwarder.peak_memory()?);
        forwarder.stop()?;
    }
    ensure_right(&dx, runs)?;
    Ok(Backlog {
        notifications: progress.acknowledged(),
        took: last.saturating_duration_since(begun),
        memory,
    })
}
