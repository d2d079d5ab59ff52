//! One run: its published messages, and their times.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta};
use pipefold::{Job, Run, Status};

use super::day::Day;
use fastrand::Rng;

/// The troubles of a load, in shares of all cases. No installation was asked: each is as high as a bad day of one might be.
mod share {
    /// Runs with urgent steps between start and finish.
    pub(super) const WITH_STEPS: f64 = 0.2;
    /// Runs with jobs.
    pub(super) const WITH_JOBS: f64 = 0.1;
    /// Jobs of which a state goes to DX before the last one.
    pub(super) const URGENT: f64 = 0.2;
    /// Notifications that waited in a spool, and come late.
    pub(super) const LATE: f64 = 0.05;
    /// Notifications that are published again, byte for byte.
    pub(super) const AGAIN: f64 = 0.05;
    /// Runners whose clock is minutes off; the others' are within two seconds.
    pub(super) const SKEWED: f64 = 0.1;
    /// Runs whose finish comes from another machine, with another clock.
    pub(super) const TWO_MACHINES: f64 = 0.1;
    /// Runs that a person lets run on, under the same name, after their end.
    pub(super) const RESUMED: f64 = 0.01;
    /// Runs whose machine dies before their end.
    pub(super) const UNFINISHED: f64 = 0.01;
}

/// The greatest delay of a notification that waited, and of a repeated one, in seconds: longer than the queue's window for duplicates.
const LATEST: f64 = 300.0;

/// The runs for one that is another attempt at the one before it, as most systems name them: same pipeline, and a name of its own.
const ATTEMPTS: u32 = 25;

/// The beginning of the simulated time, 2025-01-01, in seconds since 1970.
const EPOCH: i64 = 1_735_689_600;

/// The prefix of the names of all runs.
const PREFIX: &str = "simulated";

/// One notification, as its sender's plugin made it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The time of its publishing, from the beginning of the simulated time.
    pub at: Duration,
    /// The run's number.
    pub run: u32,
    /// The upsert that DX would get.
    pub upsert: Run,
    /// The job that the message is about, with the run beside it; none for a message of the run.
    pub job: Option<Job>,
}

/// A machine that reports.
#[derive(Clone, Copy)]
struct Machine {
    skew: TimeDelta,
}

impl Machine {
    fn any(random: &mut Rng) -> Self {
        let off = if random.f64() < share::SKEWED { 300.0 } else { 2.0 };
        let skew = off * (2.0 * random.f64() - 1.0);
        Self {
            skew: TimeDelta::milliseconds((skew * 1e3) as i64),
        }
    }

    /// The time by this machine's clock.
    fn time(&self, at: Duration) -> String {
        shown(at, self.skew)
    }
}

/// Everything that is published of a run; the same each time for the same seed. Not sorted by time.
#[must_use]
pub fn messages(seed: u64, day: Day, number: u32) -> Vec<Message> {
    let mut random = Rng::with_seed(seed ^ (u64::from(number) << 32));
    let start = whole_milliseconds(day.start(number));
    // From half a minute to twenty minutes, most of them short.
    let took = Duration::from_millis((1e3 * 30.0 * 40_f64.powf(random.f64())) as u64);
    let first = Machine::any(&mut random);
    let mut said = vec![(start, upsert(number, first.time(start), Status::Running))];
    if random.f64() < share::WITH_STEPS {
        for step in 1..=3 {
            let at = whole_milliseconds(start + took.mul_f64(f64::from(step) / 4.0));
            said.push((at, upsert(number, first.time(at), Status::Running)));
        }
    }
    if random.f64() >= share::UNFINISHED {
        let last = if random.f64() < share::TWO_MACHINES {
            Machine::any(&mut random)
        } else {
            first
        };
        said.push((
            start + took,
            finish(number, &last, start, start + took, result(&mut random)),
        ));
        if random.f64() < share::RESUMED {
            let (from, to) = (start + took * 6 / 5, start + took * 3 / 2);
            said.push((from, upsert(number, last.time(from), Status::Running)));
            said.push((to, finish(number, &last, start, to, result(&mut random))));
        }
    }
    let mut messages = Vec::with_capacity(said.len() + 1);
    for (at, upsert) in said {
        let late = if random.f64() < share::LATE {
            LATEST * random.f64()
        } else {
            0.5 * random.f64()
        };
        let message = Message {
            at: at + Duration::from_secs_f64(late),
            run: number,
            upsert,
            job: None,
        };
        if random.f64() < share::AGAIN {
            let again = message.at + Duration::from_secs_f64(LATEST * random.f64());
            messages.push(Message {
                at: again,
                ..message.clone()
            });
        }
        messages.push(message);
    }
    messages.extend(jobs(seed, number, start, took, &first));
    messages
}

/// The messages of a run's jobs, if it has some. Their draw changes nothing of the run's own messages. Of a job's states the last is published
/// last, as a sender does: DX has what came last.
fn jobs(seed: u64, number: u32, start: Duration, took: Duration, machine: &Machine) -> Vec<Message> {
    let mut random = Rng::with_seed(!seed ^ (u64::from(number) << 32));
    if random.f64() >= share::WITH_JOBS {
        return Vec::new();
    }
    let mut messages = Vec::new();
    for step in 1..=random.u32(1..=6) {
        let begin = whole_milliseconds(start + took.mul_f64(f64::from(step) / 8.0));
        let end = begin + took / 8;
        let mut message = Message {
            // Soon after it, and after its run's start.
            at: begin + Duration::from_secs_f64(1.0 + random.f64()),
            run: number,
            upsert: upsert(number, machine.time(start), Status::Running),
            job: Some(Job {
                reference_id: format!("step-{step}"),
                name: format!("step {step}"),
                status: Status::Running,
                started_at: Some(machine.time(begin)),
                finished_at: None,
            }),
        };
        if random.f64() < share::URGENT {
            messages.push(message.clone());
        }
        if let Some(job) = &mut message.job {
            job.status = result(&mut random);
            job.finished_at = Some(machine.time(end));
        }
        let late = if random.f64() < share::LATE { LATEST } else { 0.5 };
        message.at = start + took + Duration::from_secs_f64(2.0 + late * random.f64());
        messages.push(message.clone());
        if random.f64() < share::AGAIN {
            message.at += Duration::from_secs_f64(LATEST * random.f64());
            messages.push(message);
        }
    }
    messages
}

/// The number of the run with this name.
#[must_use]
pub fn number(reference_id: &str) -> Option<u32> {
    reference_id.strip_prefix(PREFIX)?.split('/').nth(1)?.parse().ok()
}

/// The time by a right clock.
pub(super) fn time(at: Duration) -> String {
    shown(at, TimeDelta::zero())
}

fn shown(at: Duration, skew: TimeDelta) -> String {
    let begin = DateTime::from_timestamp(EPOCH, 0).unwrap_or_default();
    let time = begin + TimeDelta::from_std(at).unwrap_or_default() + skew;
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn result(random: &mut Rng) -> Status {
    match random.f64() {
        rank if rank < 0.12 => Status::Failure,
        rank if rank < 0.15 => Status::Cancelled,
        _ => Status::Success,
    }
}

/// The first notification of a run, with this start and status.
pub(super) fn upsert(number: u32, started_at: String, status: Status) -> Run {
    let attempt = if number % ATTEMPTS == ATTEMPTS - 1 { 2 } else { 1 };
    let of = number + 1 - attempt;
    Run {
        pipeline_name: format!("pipeline-{}", of % 500),
        pipeline_source: "simulation".to_owned(),
        reference_id: format!("{PREFIX}/{number}/{attempt}"),
        started_at,
        finished_at: None,
        status,
        repository: Some(format!("getdx/repository-{}", of % 100)),
        commit_sha: Some(format!("{of:040x}")),
        pr_number: None,
        source_url: Some(format!("https://ci.example/runs/{number}")),
        head_branch: Some(format!("feature/{}", of % 1_000)),
        email: None,
        github_username: None,
        gitlab_username: None,
        attributes: Vec::new(),
    }
}

/// The end knows a little more than the beginning: who it was.
fn finish(number: u32, machine: &Machine, start: Duration, end: Duration, status: Status) -> Run {
    Run {
        finished_at: Some(machine.time(end)),
        email: Some(format!("dev{}@example.org", number % 300)),
        pr_number: Some(i64::from(1 + number % 900)),
        ..upsert(number, machine.time(start), status)
    }
}

/// Times are sent in milliseconds at the finest, as CI systems have them.
fn whole_milliseconds(time: Duration) -> Duration {
    Duration::from_millis(time.as_millis() as u64)
}
