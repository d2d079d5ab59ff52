//! A month of an organisation: 40 pipelines and 5,000 runs, the same each time, with failures, flaky commits, runs that go on, runs that were
//! given up, an outlier, and days without runs.

use crate::access::Access;
use crate::store::{Append, NewJob, Store, stamp};
use chrono::{DateTime, Datelike, TimeDelta, Utc, Weekday};
use pipefold_sandbox::{Job, Notification, Status};

/// The number of runs.
pub const RUNS: usize = 5_000;

/// The number of pipelines.
pub const PIPELINES: usize = 40;

/// Fails on its main branch for five hours; the first failed run was mona's, and the step is `integration`.
pub const BROKEN: &str = "shop/checkout";

/// Failed last for a commit that has passed.
pub const FLAKY: &str = "api/search";

/// Its step `bundle` takes three times as long as before, for five days.
pub const SLOWER: &str = "web/frontend";

/// Fails most.
pub const FAILS_MOST: &str = "infra/terraform";

/// Runs most.
pub const RUNS_MOST: &str = "docs/site";

/// One of its runs took 22 hours.
pub const OUTLIER: &str = "data/etl-nightly";

/// Takes longest.
pub const SLOWEST: &str = "mobile/ios";

/// Its latest run was given up.
pub const STALE: &str = "mobile/android";

/// Its latest run goes on.
pub const RUNNING: &str = "api/orders";

const NAMED: [&str; 9] = [
    BROKEN, FLAKY, SLOWER, FAILS_MOST, RUNS_MOST, OUTLIER, SLOWEST, STALE, RUNNING,
];

const PEOPLE: [&str; 6] = ["mona", "anna", "li", "sam", "noor", "jonas"];

/// Numbers without a pattern, the same each time (Knuth's multiplier for 64 bits).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn commit(&mut self) -> String {
        let part = |numbers: &mut Self| format!("{:08x}", numbers.below(1 << 31));
        (0..5).map(|_| part(self)).collect()
    }
}

struct Seeded {
    name: String,
    runs: usize,
    branch: Option<&'static str>,
    /// The usual duration in seconds.
    usual: u64,
    /// Failures in a hundred runs.
    failures: u64,
    steps: &'static [&'static str],
}

fn pipelines() -> Vec<Seeded> {
    let mut all: Vec<Seeded> = (0..PIPELINES)
        .map(|n| {
            let name = NAMED
                .get(n)
                .map_or_else(|| format!("team-{}/service-{n:02}", n % 6), |&name| name.to_owned());
            Seeded {
                runs: match name.as_str() {
                    RUNS_MOST => 500,
                    OUTLIER => 31,
                    _ => 50 + (n * 37) % 134,
                },
                branch: match n {
                    12 | 20 => Some("master"),
                    13 => Some("release/1.x"),
                    14 => None,
                    _ => Some("main"),
                },
                usual: match name.as_str() {
                    SLOWEST => 3_000,
                    _ => 60 + (n as u64 * 131) % 900,
                },
                failures: match name.as_str() {
                    FAILS_MOST => 45,
                    RUNS_MOST => 1,
                    _ => (n as u64 * 7) % 15,
                },
                steps: match n % 4 {
                    _ if name == SLOWER => &["install", "bundle", "test"],
                    _ if name == BROKEN => &["build", "unit", "integration"],
                    0 => &["checkout", "build", "test", "lint"],
                    1 => &["build", "test", "deploy"],
                    2 => &["build", "test"],
                    _ => &["plan", "apply"],
                },
                name,
            }
        })
        .collect();
    let others: usize = all[..PIPELINES - 1].iter().map(|pipeline| pipeline.runs).sum();
    all[PIPELINES - 1].runs = RUNS - others;
    all
}

/// Returns the month before `now`, oldest runs first.
pub fn month(now: DateTime<Utc>) -> Vec<Append> {
    let mut numbers = Numbers(7);
    let mut all: Vec<Append> = pipelines()
        .iter()
        .flat_map(|pipeline| runs(pipeline, now, &mut numbers))
        .collect();
    assert_eq!(all.len(), RUNS);
    all.sort_by_key(|append| append.arrived);
    all
}

fn runs(pipeline: &Seeded, now: DateTime<Utc>, numbers: &mut Numbers) -> Vec<Append> {
    let Seeded { name, runs, .. } = pipeline;
    let between = 30 * 86_400 / *runs as i64;
    let mut all: Vec<Run> = Vec::new();
    for n in 0..*runs {
        let ago = (*runs - n) as i64 * between - numbers.below(between.unsigned_abs() / 2) as i64;
        let mut started = now - TimeDelta::seconds(ago);
        if matches!(started.weekday(), Weekday::Sat | Weekday::Sun) && pipeline.failures.is_multiple_of(2) {
            started -= TimeDelta::days(2);
        }
        let is_main = numbers.below(10) < 6;
        let took = pipeline.usual * (80 + numbers.below(50)) / 100;
        let mut run = Run {
            number: n,
            started,
            took: Some(took),
            status: match numbers.below(100) {
                chance if chance < pipeline.failures => Status::Failure,
                chance if chance > 97 => Status::Cancelled,
                _ => Status::Success,
            },
            branch: pipeline.branch.map(|main| {
                if is_main {
                    main.to_owned()
                } else {
                    format!("feature/{}", numbers.below(12))
                }
            }),
            commit: Some(numbers.commit()).filter(|_| pipeline.branch.is_some()),
            person: PEOPLE[numbers.below(PEOPLE.len() as u64) as usize],
            failed_step: numbers.below(pipeline.steps.len() as u64) as usize,
            is_slow: name == SLOWER && ago < 5 * 86_400,
        };
        // The next run of a failed commit is often a second try.
        if let Some(before) = all.last().filter(|before| before.status == Status::Failure)
            && numbers.below(10) < 3
        {
            (run.branch, run.commit) = (before.branch.clone(), before.commit.clone());
        }
        if name == OUTLIER && n == runs / 2 {
            (run.took, run.branch) = (Some(22 * 3_600), Some("main".to_owned()));
        }
        all.push(run);
    }
    stories(name, now, &mut all);
    all.into_iter().map(|run| run.append(pipeline)).collect()
}

/// Changes the latest runs of a pipeline to what is known of it.
fn stories(name: &str, now: DateTime<Utc>, all: &mut [Run]) {
    let end = all.len();
    let hours_ago = |hours: i64| now - TimeDelta::hours(hours);
    let main = Some("main".to_owned());
    match name {
        BROKEN => {
            for (place, hours) in [7, 5, 4, 2, 1].into_iter().enumerate() {
                let run = &mut all[end - 5 + place];
                (run.started, run.branch, run.took) = (hours_ago(hours), main.clone(), Some(65));
                (run.status, run.failed_step) = (if place == 0 { Status::Success } else { Status::Failure }, 2);
                (run.commit, run.person) = (Some(format!("{place:040x}")), if place == 1 { "mona" } else { "li" });
            }
        }
        FLAKY => {
            for (place, status) in [Status::Success, Status::Failure].into_iter().enumerate() {
                let run = &mut all[end - 2 + place];
                (run.started, run.branch, run.status) = (hours_ago(3 - place as i64), main.clone(), status);
                (run.commit, run.took) = (Some("f1a4".repeat(10)), Some(200));
            }
        }
        STALE | RUNNING => {
            let run = &mut all[end - 1];
            (run.started, run.branch, run.status, run.took) =
                (now - TimeDelta::minutes(4), main, Status::Running, None);
            if name == STALE {
                run.started = hours_ago(50);
                let later = all.iter_mut().rev().skip(1);
                for run in later.filter(|run| run.started > hours_ago(51)) {
                    run.started -= TimeDelta::days(3);
                }
            }
        }
        // All others are well now.
        _ if name != FAILS_MOST => {
            for run in &mut all[end - 6..] {
                run.status = Status::Success;
            }
        }
        _ => {}
    }
}

struct Run {
    number: usize,
    started: DateTime<Utc>,
    took: Option<u64>,
    status: Status,
    branch: Option<String>,
    commit: Option<String>,
    person: &'static str,
    failed_step: usize,
    is_slow: bool,
}

impl Run {
    fn append(self, pipeline: &Seeded) -> Append {
        let reference_id = format!("{}/{}", pipeline.name.replace('/', "-"), self.number);
        let seconds = |seconds: u64| TimeDelta::seconds(seconds.cast_signed());
        let mut took = self.took;
        // Each step has an equal part; the slow one takes as much again, twice.
        let part = took.unwrap_or(pipeline.usual) / pipeline.steps.len() as u64;
        let mut jobs = Vec::new();
        let mut at = self.started;
        for (place, &step) in pipeline.steps.iter().enumerate() {
            let length = if self.is_slow && step == "bundle" {
                3 * part
            } else {
                part
            };
            let is_last = self.status == Status::Failure && place == self.failed_step;
            let status = if is_last { Status::Failure } else { Status::Success };
            let goes_on = took.is_none() && place == 1;
            jobs.push(NewJob {
                job: Job {
                    reference_id: step.into(),
                    name: step.into(),
                    status: if goes_on { Status::Running } else { status },
                    started_at: Some(stamp(at)),
                    finished_at: (!goes_on).then(|| stamp(at + seconds(length))),
                },
                by_policies: false,
                held: false,
            });
            at += seconds(length);
            if is_last || goes_on {
                break;
            }
        }
        if self.is_slow {
            took = took.map(|took| took + 2 * part);
        }
        let begun = Notification {
            pipeline_name: Some(pipeline.name.clone()),
            pipeline_source: Some("GitHub Actions".into()),
            reference_id: Some(reference_id.clone()),
            started_at: Some(stamp(self.started)),
            status: Some("running".into()),
            repository: Some(format!("acme/{}", pipeline.name.replace('/', "-"))),
            head_branch: self.branch,
            commit_sha: self.commit,
            github_username: Some(self.person.into()),
            source_url: Some(format!("https://ci.example/{reference_id}")),
            ..Notification::default()
        };
        let finished = took.map(|took| self.started + seconds(took));
        let mut notifications = vec![begun.clone().into()];
        if let Some(finished) = finished {
            let over = Notification {
                status: Some(self.status.as_str().into()),
                finished_at: Some(stamp(finished)),
                ..begun
            };
            notifications.push(over.into());
        }
        Append {
            reference_id,
            source: None,
            notifications,
            jobs,
            token: "ci".into(),
            access: Access::everything(),
            arrived: finished.unwrap_or(self.started),
        }
    }
}

/// Stores runs.
pub async fn store(store: &dyn Store, runs: Vec<Append>) {
    let mut runs = runs.into_iter().peekable();
    while runs.peek().is_some() {
        // They share their waits for the disk.
        for answer in runs
            .by_ref()
            .take(200)
            .map(|append| store.append(append))
            .collect::<Vec<_>>()
        {
            answer.await.unwrap();
        }
    }
}
