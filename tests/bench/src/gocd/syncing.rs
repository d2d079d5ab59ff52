//! A whole server to DX.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dx_standin::Standin;
use gocd_standin::{Generation, GocdStandin, History, Shape};
use pipefold_gocd::Resource;
use pipefold_gocd::documents::PipelineLocator;

use crate::arguments::Arguments;
use crate::bench::temporary;
use crate::collector::{Load, Server, load};
use crate::memory;
use crate::scene::quiet;

/// Jobs of a run of a collector, each with a document of its own.
const JOBS: u64 = 4;

/// The measured values.
pub(super) struct Synced {
    pub(super) what: String,
    pub(super) took: Duration,
    /// The most that the reader held, in bytes.
    pub(super) memory: u64,
}

/// A second round, in which nothing is new.
pub(super) struct Again {
    /// For lists of pipelines and for feeds.
    pub(super) of_feeds: usize,
    pub(super) pipelines: usize,
    /// For documents of runs that may go on, which the new feeds do not bring to the top.
    pub(super) of_runs: usize,
    /// The number of those runs.
    pub(super) open: usize,
}

impl Again {
    fn of(paths: &[String], pipelines: usize) -> Self {
        let (feeds, runs): (Vec<_>, Vec<_>) = paths.iter().partition(|path| {
            let path = path.split('?').next().unwrap_or_default();
            path.ends_with("stages.xml") || path.ends_with("pipelines.xml")
        });
        let open: BTreeSet<PipelineLocator> = runs.iter().filter_map(|path| run(path)).collect();
        Self {
            of_feeds: feeds.len(),
            pipelines,
            of_runs: runs.len(),
            open: open.len(),
        }
    }

    /// True if there was one request for each pipeline, one for the list of them, at most one to find out how old the server is, and one for
    /// each run that may go on.
    pub(super) fn is_least(&self) -> bool {
        self.of_feeds <= self.pipelines + 2 && self.of_runs <= self.open
    }
}

fn run(path: &str) -> Option<PipelineLocator> {
    match Resource::parse(path)? {
        Resource::Pipeline(run) => Some(run),
        Resource::Stage(stage) => Some(stage.pipeline),
        _ => None,
    }
}

/// `pipefold serve` with runs in it, which it serves as feeds.
pub(super) fn of_the_collector(arguments: &Arguments, runs: u64) -> Result<Synced> {
    let here = std::env::current_exe().context("cannot find this program's own file")?;
    let root = temporary(here.parent().unwrap_or(Path::new(".")))?;
    let collector = Server::collector(&arguments.pipefold, &root.path().join("runs"))?;
    load::run(collector.address(), Load::of_runs(runs, JOBS))?;
    let dx = Standin::start();
    let command = sync(arguments, &format!("http://{}", collector.address()), &dx, root.path())?;
    let (took, memory) = measured(&command)?;
    let told = dx.records().len() as u64;
    ensure!(told == runs, "{told} of {runs} runs were told");
    collector.stop()?;
    Ok(Synced {
        what: format!("{runs} runs of {JOBS} jobs of a collector"),
        took,
        memory,
    })
}

/// The requests of a second sync of a GoCD server.
pub(super) fn again(arguments: &Arguments, runs: u64, generation: Generation) -> Result<Again> {
    let here = std::env::current_exe().context("cannot find this program's own file")?;
    let root = temporary(here.parent().unwrap_or(Path::new(".")))?;
    let pipelines = 40;
    let of_each = runs / pipelines as u64;
    let shape = Shape {
        pipelines,
        runs: of_each..=of_each,
        ..Shape::default()
    };
    let gocd = GocdStandin::start(History::generate(1, &shape), generation);
    let dx = Standin::start();
    let command = sync(arguments, &gocd.url(), &dx, root.path())?;
    measured(&command)?;
    let _ = gocd.take_log();
    measured(&command)?;
    let paths: Vec<String> = gocd.take_log().into_iter().map(|logged| logged.target).collect();
    Ok(Again::of(&paths, pipelines))
}

fn sync(arguments: &Arguments, server: &str, dx: &Standin, root: &Path) -> Result<Command> {
    let operator = root.join("operator.toml");
    std::fs::write(&operator, "").context("cannot write the operator's file")?;
    let mut command = quiet(&arguments.pipefold);
    command.arg("--config").arg(operator);
    command.args([
        "gocd",
        "sync",
        "--quiet",
        "--strict",
        "--timeout",
        "120s",
        "--server",
        server,
    ]);
    command.env("DX_API_URL", dx.url());
    command.env("DX_API_TOKEN", dx.token());
    command.env("PIPEFOLD_SPOOL", root.join("spool"));
    Ok(command)
}

fn measured(command: &Command) -> Result<(Duration, u64)> {
    let begun = Instant::now();
    let memory = memory::peak(command)?;
    Ok((begun.elapsed(), memory))
}
