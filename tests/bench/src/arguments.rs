//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

const USAGE: &str =
    "usage: pipefold-bench --pipefold FILE [--criterion DIR] [--policies DIR] [--rounds N] [--notifications N] [--backlog N]
  --pipefold FILE   the command to measure
  --criterion DIR   criterion's results, for the rows about the plugin
  --policies DIR    rust.wasm and python.wasm, for the rows about policies
  --rounds N        how often to run each command (60)
  --notifications N how many the collector is told (1000000)
  --backlog N       how many wait for a fleet's forwarders (1000000)
  --only PART       one of commands, jobs, policies, collector, gocd, fleet";

/// Enough for a median that repeats to within some per cent; all rounds take less than a minute.
const ROUNDS: usize = 60;

/// A year of an organisation with three hundred runs a day, at ten notifications each.
const NOTIFICATIONS: u64 = 1_000_000;

/// The backlog of a busy day without DX.
const BACKLOG: u64 = 1_000_000;

/// The measurement to run.
pub(crate) struct Arguments {
    pub(crate) pipefold: PathBuf,
    pub(crate) criterion: Option<PathBuf>,
    pub(crate) policies: Option<PathBuf>,
    pub(crate) rounds: usize,
    pub(crate) notifications: u64,
    pub(crate) backlog: u64,
    /// The part to measure; all if there is none.
    pub(crate) only: Option<String>,
}

impl Arguments {
    pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Self> {
        let (mut pipefold, mut criterion, mut policies) = (None, None, None);
        let (mut rounds, mut notifications, mut backlog) = (ROUNDS, NOTIFICATIONS, BACKLOG);
        let mut only = None;
        let mut arguments = arguments.into_iter();
        while let Some(flag) = arguments.next() {
            let mut value = || {
                let missing = || format!("{} needs a value\n{USAGE}", flag.display());
                arguments.next().with_context(missing)
            };
            match flag.to_str() {
                Some("--pipefold") => pipefold = Some(PathBuf::from(value()?)),
                Some("--criterion") => criterion = Some(PathBuf::from(value()?)),
                Some("--policies") => policies = Some(PathBuf::from(value()?)),
                Some("--rounds") => rounds = number(&value()?)?,
                Some("--notifications") => notifications = number(&value()?)?,
                Some("--backlog") => backlog = number(&value()?)?,
                Some("--only") => only = value()?.into_string().ok(),
                _ => bail!("{} is not known\n{USAGE}", flag.display()),
            }
        }
        let pipefold = pipefold.with_context(|| format!("--pipefold is missing\n{USAGE}"))?;
        let pipefold = pipefold
            .canonicalize()
            .with_context(|| format!("there is no {}: build it first", pipefold.display()))?;
        Ok(Self {
            pipefold,
            criterion,
            policies,
            rounds,
            notifications,
            backlog,
            only,
        })
    }
}

fn number<T: FromStr + From<u8> + PartialOrd>(text: &OsStr) -> Result<T> {
    let number = text.to_str().and_then(|text| text.parse().ok());
    number
        .filter(|number| *number >= T::from(1))
        .with_context(|| format!("{} is no number from 1\n{USAGE}", text.display()))
}
