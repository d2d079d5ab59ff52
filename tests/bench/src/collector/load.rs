//! Runners that report.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use chrono::{DateTime, SecondsFormat};
use pipefold::dx::{JOB_METHOD_PATH, METHOD_PATH};

use super::connection::Connection;
use crate::samples::Samples;

/// Connections at the same time.
pub(super) const CONNECTIONS: u64 = 64;

/// Notifications of a run: it begins, runs on, and ends.
const OF_A_RUN: u64 = 10;

/// Runs that a connection reports side by side.
const SIDE_BY_SIDE: u64 = 10;

/// Seconds since 1970 at which the first run starts.
const EPOCH: u64 = 1_735_689_600;

/// The reports.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    runs: u64,
    /// Jobs of a run, each reported in place of one of its notifications.
    jobs: u64,
}

/// The results.
pub(crate) struct Loaded {
    pub(crate) load: Load,
    pub(crate) samples: Samples,
    took: Duration,
}

impl Loaded {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.samples.count() as f64 / self.took.as_secs_f64()
    }
}

impl Load {
    /// About so many notifications.
    pub(crate) fn of(notifications: u64) -> Self {
        Self {
            runs: (notifications / OF_A_RUN).max(1),
            jobs: 0,
        }
    }

    /// So many runs of so many jobs, fewer than [`OF_A_RUN`] by two.
    pub(crate) fn of_runs(runs: u64, jobs: u64) -> Self {
        Self { runs, jobs }
    }

    /// The name of a run's pipeline: 500 pipelines, or fewer where there are few runs, so that each has pages to leaf through.
    pub(crate) fn pipeline(self, run: u64) -> String {
        format!("pipeline-{}", run % (self.runs / 200).clamp(1, 500))
    }

    /// Calls `take` with each body, in about the order in which [`run`] sends them.
    pub(crate) fn each(self, mut take: impl FnMut(&str) -> std::io::Result<()>) -> Result<()> {
        let all: Vec<u64> = (0..self.runs).collect();
        for runs in all.chunks((CONNECTIONS * SIDE_BY_SIDE) as usize) {
            for number in 0..OF_A_RUN {
                for run in runs {
                    take(&self.request(*run, number).1)?;
                }
            }
        }
        Ok(())
    }

    /// The path and the body of a run's request `number`.
    fn request(self, run: u64, number: u64) -> (&'static str, String) {
        if !(1..=self.jobs).contains(&number) {
            return (METHOD_PATH, self.body(run, number));
        }
        let at = |seconds| time(EPOCH + run * 60 + seconds);
        let job = format!(
            r#"{{"pipeline_source":"Tekton","run_reference_id":"AA713E04-1880-4E17-8C49-{run:012}","reference_id":"step-{number}","name":"step-{number}","status":"success","started_at":"{}","finished_at":"{}"}}"#,
            at(number),
            at(number + 30),
        );
        (JOB_METHOD_PATH, job)
    }

    /// The body of a run's notification `number`. The fields are those of DX's example.
    fn body(self, run: u64, number: u64) -> String {
        let last = number + 1 == OF_A_RUN;
        let status = match (last, run % 50) {
            (false, _) => "running",
            (true, 0) => "failure",
            (true, _) => "success",
        };
        let at = |seconds| time(EPOCH + run * 60 + seconds);
        let finished = if last {
            format!(r#""finished_at":"{}","#, at(300))
        } else {
            String::new()
        };
        let branch = if run.is_multiple_of(3) {
            "main".to_owned()
        } else {
            format!("feature/{}", run % 1000)
        };
        format!(
            r#"{{"pipeline_name":"{}","pipeline_source":"Tekton","reference_id":"AA713E04-1880-4E17-8C49-{run:012}","started_at":"{}",{finished}"status":"{status}","repository":"getdx/some_repo","commit_sha":"{run:040x}","pr_number":{},"source_url":"https://ci.example/runs/{run}","head_branch":"{branch}","email":"dev{}@example.org"}}"#,
            self.pipeline(run),
            at(number),
            1 + run % 900,
            run % 300,
        )
    }
}

/// The body of an upsert of a run that has ended.
pub(super) fn body_of_a_whole_run(run: u64) -> String {
    Load::of_runs(500 * 200, 0).body(run, OF_A_RUN - 1)
}

/// The time at so many seconds after the start of a run.
pub(super) fn time_of(run: u64, seconds: u64) -> String {
    time(EPOCH + run * 60 + seconds)
}

/// RFC 3339 of seconds since 1970.
fn time(seconds: u64) -> String {
    let time = DateTime::from_timestamp(i64::try_from(seconds).unwrap_or_default(), 0);
    time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Reports everything, and says how long each answer took.
pub(crate) fn run(address: SocketAddr, load: Load) -> Result<Loaded> {
    let begun = Instant::now();
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| thread::spawn(move || report(address, load, worker)))
        .collect();
    let mut samples = Samples::default();
    for worker in workers {
        let own = worker.join().map_err(|_| anyhow!("a connection's thread panicked"))?;
        samples.extend(own.context("a connection failed")?);
    }
    let took = begun.elapsed();
    Ok(Loaded { load, samples, took })
}

fn report(address: SocketAddr, load: Load, worker: u64) -> Result<Samples> {
    let mut connection = Connection::open(address)?;
    let mut samples = Samples::default();
    let mine: Vec<u64> = (worker..load.runs).step_by(CONNECTIONS as usize).collect();
    for runs in mine.chunks(SIDE_BY_SIDE as usize) {
        for number in 0..OF_A_RUN {
            for run in runs {
                let (path, body) = load.request(*run, number);
                let status = samples.time(|| connection.post(path, &body))?;
                ensure!(status == 200, "the server answered {status} to {body}");
            }
        }
    }
    Ok(samples)
}
