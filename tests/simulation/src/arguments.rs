//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub(crate) const USAGE: &str =
    "usage: fleet-simulation [--pipefold FILE] [--runs N] [--runs-a-day N] [--speed N] [--limit N] [--window SECONDS]
                        [--forwarders N] [--ask SHARE] [--nodes N] [--seed N]
  --pipefold FILE   the command, built with the fleet (the one beside this program)
  --runs N          how many runs (20000)
  --runs-a-day N    how dense they are: fewer runs make a shorter day (1000000)
  --speed N         how many times faster than a clock the simulated time goes (30)
  --limit N         requests that DX takes in a simulated minute (1000); 0 for no limit
  --window SECONDS  how long, in simulated time, a forwarder gathers what belongs to one run (2)
  --forwarders N    how many (2)
  --ask SHARE       how much of DX's limit the forwarders ask for together (1.2): above 1, DX answers 429 now and then
  --nodes N         NATS nodes, 1 or 3, each with everything (3)
  --seed N          another load (1)";

/// The simulation to run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) pipefold: Option<PathBuf>,
    pub(crate) runs: u32,
    pub(crate) runs_a_day: u32,
    pub(crate) speed: f64,
    pub(crate) limit: u32,
    pub(crate) window: Duration,
    pub(crate) forwarders: u32,
    pub(crate) ask: f64,
    pub(crate) nodes: usize,
    pub(crate) seed: u64,
}

impl Default for Arguments {
    /// Half an hour of a day with a million runs, and what comes after it of them, in two minutes.
    fn default() -> Self {
        Self {
            pipefold: None,
            runs: 20_000,
            runs_a_day: 1_000_000,
            speed: 30.0,
            limit: 1_000,
            window: Duration::from_secs(2),
            forwarders: 2,
            ask: 1.2,
            nodes: 3,
            seed: 1,
        }
    }
}

impl Arguments {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut parsed = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(flag) = arguments.next() {
            let flag = flag.to_string_lossy().into_owned();
            let value = arguments
                .next()
                .with_context(|| format!("{flag} needs a value\n{USAGE}"))?;
            match flag.as_str() {
                "--pipefold" => parsed.pipefold = Some(value.into()),
                "--runs" => parsed.runs = number(&flag, &value, 1, 100_000_000)?,
                "--runs-a-day" => parsed.runs_a_day = number(&flag, &value, 1, 1_000_000_000)?,
                "--speed" => parsed.speed = number(&flag, &value, 0.1, 10_000.0)?,
                "--limit" => parsed.limit = number(&flag, &value, 0, 10_000_000)?,
                "--window" => parsed.window = Duration::from_secs_f64(number(&flag, &value, 0.0, 86_400.0)?),
                "--forwarders" => parsed.forwarders = number(&flag, &value, 1, 100)?,
                "--ask" => parsed.ask = number(&flag, &value, 0.01, 100.0)?,
                "--nodes" => parsed.nodes = number(&flag, &value, 1, 5)?,
                "--seed" => parsed.seed = number(&flag, &value, 0, u64::MAX)?,
                _ => bail!("{flag} is not known\n{USAGE}"),
            }
        }
        Ok(parsed)
    }
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(flag: &str, text: &OsStr, least: T, most: T) -> Result<T> {
    let number = text.to_str().and_then(|text| text.parse().ok());
    number
        .filter(|number| (&least..=&most).contains(&number))
        .with_context(|| {
            format!(
                "{flag}: {} is no number from {least} to {most}\n{USAGE}",
                text.display()
            )
        })
}
