//! Sends the jobs of a run after the run, several at a time.

use super::{
    attempts::Target,
    deliverer::Deliverer,
    delivery::{Delivery, Outlet},
    state::DeliveryState,
};
use crate::{
    config::{JobChoice, JobSelection},
    dx::{Outcome, job_body},
    kill_points,
    spool::{AcceptedJob, AcceptedStates, InDx, RunKey, StateDigest},
    store::Store,
};
use chrono::{DateTime, TimeDelta};
use pipefold_sandbox::{Job, Run, Status, foreign};
use std::{
    cmp::Reverse,
    collections::BTreeSet,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};

/// Requests under way at a time: within five seconds, a hundred jobs reach a DX that takes 300 ms for each.
const AT_ONCE: usize = 10;
/// Failures in a row that end an attempt: what fails is not one request but DX.
const MOST_FAILURES: usize = 3;
/// Jobs that a delivery sends without a pause: those of two large runs.
const BURST: usize = 200;
/// The time between jobs after these: a thousand a minute, the limit of DX's Web API.
const PACE: Duration = Duration::from_millis(60);
/// The part of the time that may go into noting what DX has: notes are rewritten whole, and grow with the jobs.
const FOR_NOTES: u32 = 5;

/// The jobs of a report that are to be sent.
#[derive(Default)]
pub struct DueJobs<'a> {
    pub jobs: Vec<&'a Job>,
    /// The number of jobs that are left out, because a run may have only so many.
    pub left_out: usize,
}

/// The results of sending jobs, by their place in the list.
#[derive(Default)]
pub struct JobResults {
    /// Jobs that DX refused, with its answer. It may lack their run.
    pub refused: Vec<(usize, String)>,
    /// The number of jobs that DX has, or will never accept.
    pub settled: usize,
    /// Their states.
    pub accepted: AcceptedStates,
    /// The last failure, and the pause that DX asked for.
    pub failed: Option<(String, Option<Duration>)>,
    /// The HTTP status by which the server showed that it has no such method.
    pub lacking: Option<u16>,
}

/// Jobs on their way to DX, shared by the threads that send them.
struct Sending<'a> {
    outlet: &'a dyn Outlet,
    run: &'a Run,
    jobs: &'a [&'a Job],
    target: Target<'a>,
    /// The place of the next job.
    next: AtomicUsize,
    /// Failures since the last answer.
    failures: AtomicUsize,
    is_over: AtomicBool,
    /// The number of jobs that this delivery has sent.
    sent: &'a AtomicUsize,
    /// The begin of this delivery.
    begin: Instant,
}

impl Deliverer<'_> {
    /// The jobs that DX does not have in their state, the most important first: failures, then the longest. Of a run that goes on, as many
    /// successes as leave half of the room for failures.
    pub fn due_jobs<'a>(
        &self,
        run: &Run,
        jobs: &'a [Job],
        in_dx: &AcceptedStates,
        is_end: bool,
        state: &DeliveryState,
    ) -> DueJobs<'a> {
        let mut due = DueJobs::default();
        if state.lacks_jobs() {
            return due;
        }
        let mut new = Vec::new();
        for job in jobs {
            match in_dx.jobs.get(&key(job)) {
                Some(accepted) if accepted.state == digest(run, job) || is_earlier(job, accepted) => {}
                // DX must not keep a state that is not the last one.
                Some(_) => due.jobs.push(job),
                None => new.push(job),
            }
        }
        let chosen = choose(self.jobs, new, in_dx.jobs.len(), is_end);
        due.jobs.extend(chosen.jobs);
        due.left_out = chosen.left_out;
        due
    }

    /// Sends jobs of a run that DX has, and notes each that it accepts.
    pub fn send_jobs(
        &self,
        run: &Run,
        jobs: &[&Job],
        target: Target<'_>,
        state: &mut DeliveryState,
        delivery: &mut Delivery,
    ) -> JobResults {
        let sending = Sending {
            outlet: self.outlet,
            run,
            jobs,
            target,
            next: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            sent: &state.jobs_sent,
            begin: state.begin,
        };
        let mut results = JobResults::default();
        let mut notes = Notes::new(self, target.key);
        let mut read = |(place, outcome): (usize, Outcome)| {
            let words = outcome.to_string();
            match outcome {
                Outcome::Accepted => {
                    delivery.jobs += 1;
                    results.settled += 1;
                    notes.add(run, jobs[place]);
                }
                Outcome::Rejected { code, message } => {
                    let name = foreign::excerpt(&jobs[place].name);
                    let said = if message.is_empty() {
                        String::new()
                    } else {
                        format!(": {message}")
                    };
                    delivery.warn(format!(
                        "DX refused step {name} of run {}: {code}{said}",
                        run.reference_id
                    ));
                    results.settled += 1;
                    notes.add(run, jobs[place]);
                }
                Outcome::Refused { .. } => results.refused.push((place, words)),
                Outcome::NoMethod { status } => results.lacking = Some(status),
                Outcome::Retry { after, why } => results.failed = Some((why, after)),
                Outcome::Unauthorised { .. } | Outcome::Redirected { .. } | Outcome::Unreachable { .. } => {
                    results.failed = Some((words, None));
                }
            }
        };
        let (sender, answers) = mpsc::channel();
        thread::scope(|scope| {
            let threads = if jobs.len() > 1 { jobs.len().min(AT_ONCE) } else { 0 };
            let start = |sender| {
                let work = || sending.send_some(sender);
                let thread = thread::Builder::new().name("jobs".into());
                thread.spawn_scoped(scope, work).is_ok()
            };
            let started = (0..threads).filter(|_| start(sender.clone())).count();
            if started == 0 {
                sending.send_some(sender);
            } else {
                drop(sender);
            }
            answers.into_iter().for_each(&mut read);
        });
        notes.write();
        results.accepted = notes.all;
        if let Some(why) = notes.trouble {
            delivery.warn(format!("{why}; DX has the steps; they will be sent again"));
        }
        if results.settled > 0 {
            state.was_accepted();
        }
        results
    }

    /// The name of the destination in the notes on what it has.
    pub fn destination_digest(&self) -> StateDigest {
        let (address, credentials) = (self.outlet.address(), self.outlet.credentials());
        StateDigest::of(format!("{address}\n{credentials}").as_bytes())
    }
}

impl Sending<'_> {
    /// Sends the next job until none is left, there is no time, or DX fails.
    fn send_some(&self, answers: Sender<(usize, Outcome)>) {
        while !self.is_over.load(Relaxed) {
            let place = self.next.fetch_add(1, Relaxed);
            let Some(job) = self.jobs.get(place) else { return };
            let Some(timeout) = self.turn() else { return };
            kill_points::pass("jobs.send");
            let outcome = self.outlet.upsert_job(self.run, job, timeout);
            kill_points::pass("jobs.answered");
            match &outcome {
                Outcome::Accepted | Outcome::Rejected { .. } | Outcome::Refused { .. } => {
                    self.failures.store(0, Relaxed)
                }
                Outcome::Retry { after: None, .. } => {
                    let failures = self.failures.fetch_add(1, Relaxed) + 1;
                    self.is_over.fetch_or(failures >= MOST_FAILURES, Relaxed);
                }
                _ => self.is_over.store(true, Relaxed),
            }
            // The receiver lives as long as the threads.
            let _ = answers.send((place, outcome));
        }
    }

    /// Waits until the next job may be sent. Returns the time that is left for it; none if there is none.
    fn turn(&self) -> Option<Duration> {
        let before = self.sent.fetch_add(1, Relaxed).saturating_sub(BURST);
        let due = self.begin + PACE * u32::try_from(before).unwrap_or(u32::MAX);
        let Target { deadline, budget, .. } = self.target;
        if due >= deadline || !budget.sleep(due.saturating_duration_since(Instant::now())) {
            return None;
        }
        deadline
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }
}

/// Notes which jobs DX has, as the answers come.
struct Notes<'a> {
    store: &'a Store,
    run: RunKey,
    destination: StateDigest,
    /// The accepted states, and those of them that are not noted yet.
    all: AcceptedStates,
    new: AcceptedStates,
    written: Instant,
    /// The time that the last note took.
    cost: Duration,
    trouble: Option<String>,
}

impl<'a> Notes<'a> {
    fn new(deliverer: &Deliverer<'a>, run: RunKey) -> Self {
        Self {
            store: deliverer.store,
            run,
            destination: deliverer.destination_digest(),
            all: AcceptedStates::default(),
            new: AcceptedStates::default(),
            written: Instant::now(),
            cost: Duration::ZERO,
            trouble: None,
        }
    }

    fn add(&mut self, run: &Run, job: &Job) {
        let accepted = AcceptedJob {
            state: digest(run, job),
            started_at: job.started_at.clone(),
        };
        self.all.jobs.insert(key(job), accepted.clone());
        self.new.jobs.insert(key(job), accepted);
        if self.written.elapsed() >= self.cost * FOR_NOTES {
            self.write();
        }
    }

    fn write(&mut self) {
        let new = std::mem::take(&mut self.new);
        if new.jobs.is_empty() {
            return;
        }
        let begin = Instant::now();
        let in_dx = InDx([(self.destination, new)].into());
        if let Err(error) = self.store.mark_accepted(self.run, &BTreeSet::new(), in_dx) {
            self.trouble = Some(error.to_string());
        }
        (self.written, self.cost) = (Instant::now(), begin.elapsed());
    }
}

/// Chooses among jobs that DX does not have, where it has `sent` others of the run.
pub fn choose<'a>(selection: JobSelection, mut new: Vec<&'a Job>, sent: usize, is_end: bool) -> DueJobs<'a> {
    new.retain(|job| match selection.which {
        JobChoice::All => true,
        JobChoice::Failed => has_failed(job),
        JobChoice::None => false,
    });
    new.sort_by_cached_key(|job| Reverse((has_failed(job), job.status == Status::Failure, duration(job))));
    let mut due = DueJobs::default();
    let mut room = selection.most.saturating_sub(sent);
    for job in new {
        let reserved = if is_end || has_failed(job) {
            0
        } else {
            selection.most / 2
        };
        if room > reserved {
            room -= 1;
            due.jobs.push(job);
        } else {
            due.left_out += usize::from(is_end);
        }
    }
    due
}

/// The digest of a job's `reference_id`.
fn key(job: &Job) -> StateDigest {
    StateDigest::of(job.reference_id.as_bytes())
}

/// The digest of the request about a job.
fn digest(run: &Run, job: &Job) -> StateDigest {
    StateDigest::of(&job_body(run, job))
}

/// Returns true if DX has a later execution of the job.
fn is_earlier(job: &Job, accepted: &AcceptedJob) -> bool {
    let time = |text: &Option<String>| text.as_deref().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    time(&job.started_at) < time(&accepted.started_at)
}

/// Returns true for a status that says that the step failed, or was stopped.
fn has_failed(job: &Job) -> bool {
    job.status >= Status::Cancelled
}

fn duration(job: &Job) -> Option<TimeDelta> {
    let time = |text: &Option<String>| DateTime::parse_from_rfc3339(text.as_deref()?).ok();
    Some(time(&job.finished_at)? - time(&job.started_at)?)
}
