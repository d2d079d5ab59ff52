//! An hour of trouble at DX, time injected, under the jobs of one machine: then every run is there, without a command by hand.

use super::Outlet;
use crate::clock;
use crate::config::Budgets;
use crate::dx::Outcome;
use crate::spool::{Hook, RunKey};
use crate::{Budget, Flush, Job, Notification, Reporter, Run};
use pipefold_sandbox::Status;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

const JOBS: u64 = 200;
const HOUR: Duration = Duration::from_secs(3600);

/// DX's answer during an incident.
type Answer = fn(Duration) -> Outcome;

/// DX, as the fold of what it accepted.
#[derive(Default)]
struct Dx {
    answer: Option<Answer>,
    records: BTreeMap<String, (Status, bool)>,
    requests: usize,
}

struct ToDx(Arc<Mutex<Dx>>);

impl Outlet for ToDx {
    fn address(&self) -> String {
        "https://dx.test".into()
    }

    fn credentials(&self) -> String {
        "0123abcd0123".into()
    }

    fn upsert(&self, run: &Run, timeout: Duration) -> Outcome {
        let mut dx = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        dx.requests += 1;
        if let Some(answer) = dx.answer {
            return answer(timeout);
        }
        let record = dx
            .records
            .entry(run.reference_id.clone())
            .or_insert((Status::Unknown, false));
        record.0 = record.0.max(run.status);
        record.1 |= run.finished_at.is_some();
        Outcome::Accepted
    }

    fn upsert_job(&self, _: &Run, _: &Job, _: Duration) -> Outcome {
        Outcome::Accepted
    }
}

fn retry(why: &str, after: Option<Duration>) -> Outcome {
    Outcome::Retry { after, why: why.into() }
}

fn refused(code: &str) -> Outcome {
    Outcome::Refused {
        status: 200,
        code: code.into(),
        message: String::new(),
    }
}

fn notification(reference_id: &str) -> Notification {
    Notification {
        pipeline_name: Some("build".into()),
        pipeline_source: Some("tests".into()),
        reference_id: Some(reference_id.into()),
        ..Notification::default()
    }
}

/// A reporter that shares nothing in memory with another.
fn reporter(spool: &Path, dx: &Arc<Mutex<Dx>>, budget: Duration) -> Reporter {
    let budgets = Budgets {
        start: budget,
        finish: budget,
        stop: budget,
    };
    let builder = Reporter::builder().spool(spool).outlet(ToDx(Arc::clone(dx)));
    builder.budgets(budgets).build().unwrap()
}

fn job(reporter: &Reporter, name: &str, status: Status) {
    reporter.start(notification(name)).unwrap();
    let step = Notification {
        step: Some("test".into()),
        status: Some(status.as_str().into()),
        ..notification(name)
    };
    reporter.step(step).unwrap();
    // The steps decide for every other run.
    let said = name.len().is_multiple_of(2).then(|| status.as_str().to_owned());
    let finish = Notification {
        status: said,
        ..notification(name)
    };
    reporter.finish(finish).unwrap();
}

fn status_of(number: u64) -> Status {
    [Status::Success, Status::Failure, Status::Cancelled][usize::try_from(number % 3).unwrap()]
}

fn incident(answer: Answer) {
    let directory = tempfile::tempdir().unwrap();
    let (spool, dx) = (directory.path().join("spool"), Arc::new(Mutex::new(Dx::default())));
    dx.lock().unwrap().answer = Some(answer);
    let mut process = reporter(&spool, &dx, Duration::from_millis(5));
    for number in 0..JOBS {
        if number % 10 == 0 {
            process = reporter(&spool, &dx, Duration::from_millis(5));
        }
        job(&process, &format!("run-{number}"), status_of(number));
        clock::advance(HOUR / u32::try_from(JOBS).unwrap());
    }
    {
        let mut dx = dx.lock().unwrap();
        assert!(dx.records.is_empty());
        assert!(
            dx.requests < 10 * usize::try_from(JOBS).unwrap(),
            "{} requests",
            dx.requests
        );
        dx.answer = None;
    }
    // What DX asked for is over by then.
    clock::advance(Duration::from_secs(60));
    let next = reporter(&spool, &dx, Duration::from_secs(20));
    job(&next, "next", Status::Success);
    let dx = dx.lock().unwrap();
    for number in 0..JOBS {
        let name = format!("run-{number}");
        assert_eq!(dx.records.get(&name), Some(&(status_of(number), true)), "{name}");
    }
    assert!(next.spool().unwrap().runs().unwrap().is_empty());
    assert!(next.spool().unwrap().rejected().unwrap().is_empty());
}

#[test]
fn connections_are_refused() {
    incident(|_| retry("could not connect", None));
}

#[test]
fn nothing_answers() {
    incident(|timeout| {
        sleep(timeout);
        retry("no complete answer", None)
    });
}

#[test]
fn dx_asks_for_a_pause() {
    incident(|_| retry("DX answered with status 429", Some(Duration::from_secs(60))));
}

#[test]
fn dx_answers_with_server_errors() {
    incident(|_| retry("DX answered with status 500", None));
}

#[test]
fn dx_refuses_with_an_unlisted_code() {
    incident(|_| refused("internal_error"));
}

#[test]
fn another_server_has_dx_s_address() {
    incident(|_| Outcome::Unreachable {
        why: "the server answered with status 404".into(),
    });
}

/// Refuses the run `strange` and takes the others.
struct Choosy(Arc<Mutex<Dx>>, Arc<AtomicUsize>);

impl Outlet for Choosy {
    fn address(&self) -> String {
        ToDx(Arc::clone(&self.0)).address()
    }

    fn credentials(&self) -> String {
        ToDx(Arc::clone(&self.0)).credentials()
    }

    fn upsert(&self, run: &Run, timeout: Duration) -> Outcome {
        if run.reference_id == "strange" {
            self.1.fetch_add(1, Relaxed);
            return refused("moon_phase");
        }
        ToDx(Arc::clone(&self.0)).upsert(run, timeout)
    }

    fn upsert_job(&self, run: &Run, job: &Job, timeout: Duration) -> Outcome {
        ToDx(Arc::clone(&self.0)).upsert_job(run, job, timeout)
    }
}

/// A process whose DX refuses one run that waits, that DX, and how often it was asked for that run.
fn beside_a_refused_run(spool: &Path) -> (Reporter, Arc<Mutex<Dx>>, Arc<AtomicUsize>) {
    let (dx, tries) = (Arc::default(), Arc::default());
    let builder = Reporter::builder().spool(spool);
    let process = builder
        .outlet(Choosy(Arc::clone(&dx), Arc::clone(&tries)))
        .build()
        .unwrap();
    process.record(Hook::Finish, notification("strange")).unwrap();
    (process, dx, tries)
}

#[test]
fn a_run_that_dx_alone_refuses_is_given_up_after_a_week() {
    let directory = tempfile::tempdir().unwrap();
    let (process, dx, _) = beside_a_refused_run(&directory.path().join("spool"));
    for day in 0..=8 {
        let receipt = process.finish(notification(&format!("run-{day}"))).unwrap();
        assert!(receipt.is_settled(), "day {day}: {receipt:?}");
        let given_up = process.spool().unwrap().rejected().unwrap().len();
        assert_eq!(given_up, usize::from(day >= 7), "day {day}");
        clock::advance(Duration::from_hours(24));
    }
    assert_eq!(dx.lock().unwrap().records.len(), 9);
}

#[test]
fn a_run_that_dx_alone_refuses_has_its_own_pause() {
    let directory = tempfile::tempdir().unwrap();
    let (process, _, tries) = beside_a_refused_run(&directory.path().join("spool"));
    for (after, tried) in [(0, 1), (1, 1), (1, 1), (10, 2), (1, 2), (30, 3)] {
        clock::advance(Duration::from_secs(after));
        process.finish(notification(&format!("run-{after}"))).unwrap();
        assert_eq!(tries.load(Relaxed), tried, "after {after} s more");
    }
}

#[test]
fn while_dx_takes_nothing_no_run_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, dx) = (directory.path().join("spool"), Arc::new(Mutex::new(Dx::default())));
    dx.lock().unwrap().answer = Some(|_| refused("internal_error"));
    for day in 0..=8 {
        let process = reporter(&spool, &dx, Duration::from_millis(5));
        process.finish(notification(&format!("run-{day}"))).unwrap();
        assert!(process.spool().unwrap().rejected().unwrap().is_empty(), "day {day}");
        clock::advance(Duration::from_hours(24));
    }
    dx.lock().unwrap().answer = None;
    let process = reporter(&spool, &dx, Duration::from_secs(20));
    process.finish(notification("next")).unwrap();
    assert_eq!(dx.lock().unwrap().records.len(), 10);
}

#[test]
fn a_pause_that_dx_asked_for_holds_for_every_process() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, dx) = (directory.path().join("spool"), Arc::new(Mutex::new(Dx::default())));
    dx.lock().unwrap().answer = Some(|_| retry("status 429", Some(Duration::from_secs(60))));
    for (after, requests) in [(0, 1), (1, 1), (50, 1), (10, 2), (10, 2)] {
        clock::advance(Duration::from_secs(after));
        let process = reporter(&spool, &dx, Duration::from_secs(20));
        process.finish(notification(&format!("run-{after}"))).unwrap();
        assert_eq!(dx.lock().unwrap().requests, requests, "after {after} s more");
    }
}

#[test]
fn pauses_are_kept_and_grow_and_the_commands_own_run_goes_first() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, dx) = (directory.path().join("spool"), Arc::new(Mutex::new(Dx::default())));
    let process = reporter(&spool, &dx, Duration::from_millis(5));
    for number in 0..50 {
        process
            .record(Hook::Finish, notification(&format!("left-{number}")))
            .unwrap();
    }
    dx.lock().unwrap().answer = Some(|_| retry("DX answered with status 500", None));
    let asked = |dx: &Arc<Mutex<Dx>>| std::mem::take(&mut dx.lock().unwrap().requests);
    // A minute after the first failure, a command asks once for its own run, and not at all for others in the pause.
    process.finish(notification("a")).unwrap();
    clock::advance(Duration::from_secs(61));
    process.finish(notification("b")).unwrap();
    asked(&dx);
    // What a minute did not mend, a second does not.
    let patient = reporter(&spool, &dx, Duration::from_secs(2));
    for name in ["c", "d", "e"] {
        patient.finish(notification(name)).unwrap();
        assert_eq!(asked(&dx), 1, "{name}");
    }
    // When it is over, others are tried again: two of them, as the third failure in a row says that it is DX.
    clock::advance(Duration::from_secs(120));
    patient.finish(notification("f")).unwrap();
    assert_eq!(asked(&dx), 3);
    dx.lock().unwrap().answer = None;
    let patient = reporter(&spool, &dx, Duration::from_secs(20));
    patient.finish(notification("g")).unwrap();
    assert_eq!(dx.lock().unwrap().records.len(), 57);
}

#[test]
fn a_run_with_nothing_to_send_is_read_once() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, dx) = (directory.path().join("spool"), Arc::new(Mutex::new(Dx::default())));
    let process = reporter(&spool, &dx, Duration::from_secs(20));
    process.record(Hook::Step, notification("held")).unwrap();
    // File systems distinguish changes that are a few seconds apart.
    clock::advance(Duration::from_secs(10));
    process.finish(notification("a")).unwrap();
    // In place, so that its directory does not change: who looks at it now finds a stray.
    let run = spool.join("runs").join(RunKey::of("held").to_string());
    let record = std::fs::read_dir(run).unwrap().next().unwrap().unwrap();
    std::fs::write(record.path(), "torn").unwrap();
    process.finish(notification("b")).unwrap();
    let strays = || std::fs::read_dir(spool.join("aside")).map_or(0, Iterator::count);
    assert_eq!(strays(), 0);
    process.flush(&Budget::new(Duration::from_secs(20)), &Flush::default());
    assert_eq!(strays(), 1, "a flush looks at all");
}

#[test]
fn an_attempt_that_the_budget_cuts_short_does_not_hide_the_reason_of_an_earlier_one() {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    let directory = tempfile::tempdir().unwrap();
    let dx = Arc::new(Mutex::new(Dx::default()));
    dx.lock().unwrap().answer = Some(|timeout| match REQUESTS.fetch_add(1, Relaxed) {
        0 => retry("DX answered with status 500", None),
        _ => {
            sleep(timeout);
            retry("no complete answer", None)
        }
    });
    let reporter = reporter(directory.path(), &dx, Duration::from_secs(1));
    let finish = Notification {
        status: Some("success".into()),
        ..notification("run")
    };
    let receipt = reporter.finish(finish).unwrap();
    assert!(REQUESTS.load(Relaxed) > 1);
    assert_eq!(receipt.trouble(), Some("DX answered with status 500"));
}
