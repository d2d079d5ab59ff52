//! A DX that takes its time, told by one forwarder, by two, and by four.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use pipefold_simulation::dx::{Dx, Records};
use pipefold_simulation::fleet::{Fleet, Forwarding};
use pipefold_simulation::load::burst;
use pipefold_simulation::publishing::{Progress, publish};

use super::{NODES, RATE, WINDOW, block_on};
use crate::arguments::Arguments;

/// The time of DX for each answer.
pub(super) const DELAY: Duration = Duration::from_millis(50);

/// More runs than are told in the time.
const RUNS: u32 = 60_000;

/// Forwarders have begun and their window is over.
const WARM: Duration = Duration::from_secs(4);

/// Long enough for a rate.
const MEASURED: Duration = Duration::from_secs(6);

/// Runs a second that one forwarder tells, that two do, and that four do.
pub(super) fn measure(arguments: &Arguments) -> Result<[f64; 3]> {
    Ok([rate(arguments, 1)?, rate(arguments, 2)?, rate(arguments, 4)?])
}

/// The runs that forwarders send in a second, from a backlog of runs that each have one notification.
fn rate(arguments: &Arguments, forwarders: usize) -> Result<f64> {
    let dx = Dx::start(Records::of(RUNS, None), DELAY)?;
    let fleet = Fleet::start(&arguments.pipefold, NODES, NODES)?;
    block_on(publish(fleet.queue(), burst(RUNS, 1), None, &Progress::of(RUNS)))?;
    let url = dx.url();
    let forwarding = Forwarding {
        dx_url: &url,
        rate: RATE,
        window: WINDOW,
    };
    let running = (0..forwarders).map(|_| fleet.forwarder(&forwarding));
    let running = running.collect::<Result<Vec<_>>>()?;
    sleep(WARM);
    let before = dx.records().counts().accepted;
    sleep(MEASURED);
    let accepted = dx.records().counts().accepted;
    ensure!(
        accepted < u64::from(RUNS),
        "{forwarders} forwarders told all {RUNS} runs within {:?}: more are needed to measure their rate",
        WARM + MEASURED
    );
    for forwarder in running {
        forwarder.stop()?;
    }
    Ok((accepted - before) as f64 / MEASURED.as_secs_f64())
}
