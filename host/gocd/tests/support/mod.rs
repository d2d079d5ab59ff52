//! Helpers of several of these tests.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use pipefold_gocd::ServerUrl;
use pipefold_gocd::documents::*;
use pipefold_gocd::mapping::*;
use pipefold_sandbox::Notification;

/// A file or directory of captured data below `gocd`; none where it is not at hand, which is printed past the test harness so that it is counted.
pub fn captured(test: &str, path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PIPEFOLD_FIXTURES")
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
            PathBuf::from,
        )
        .join("gocd")
        .join(path);
    if root.exists() {
        return Some(root);
    }
    // A failure to write cannot be reported either.
    let _ = writeln!(
        std::io::stdout(),
        "skipped: {test}: there are no captured documents in {}",
        root.display()
    );
    None
}

/// After all of the histories here.
pub fn now() -> DateTime<Utc> {
    "2020-01-01T00:00:00Z".parse().unwrap()
}

/// The defaults.
pub fn mapping() -> Mapping {
    let server = ServerUrl::parse("http://go-server.2.project:8153").unwrap();
    Mapping::new(
        ServerId::new(server.host()).unwrap(),
        ServerUrl::parse("https://ci.example.com").unwrap(),
    )
}

/// A stage's run: name, counter, `Passed`, `Failed`, `Cancelled`, `Building` …, day and hour of its end, and who let it run.
pub fn stage(name: &str, counter: u64, word: &str, (day, hour): (u32, u32), approved_by: &str) -> StageRun {
    StageRun {
        name: Name::new(name).unwrap(),
        counter: Counter::new(counter).unwrap(),
        result: StageResult::parse(if word == "Failing" { "Failed" } else { word }),
        state: StageState::parse(word),
        updated: Some(at(day, hour)),
        approved_by: (!approved_by.is_empty()).then(|| approved_by.to_owned()),
        approver_may_come: false,
        id: None,
        jobs: Vec::new(),
        lacks_jobs: false,
    }
}

/// A day of the month at a full hour.
pub fn at(day: u32, hour: u32) -> Timestamp {
    DateTime::parse_from_rfc3339(&format!("2019-12-{day:02}T{hour:02}:00:00+01:00")).unwrap()
}

/// A run of these stages: scheduled on the first at nine, from a commit to `main` of `o/n` by Ann, by a change.
pub fn history(stages: &[StageRun]) -> RunHistory {
    let run = PipelineLocator {
        name: Name::new("p").unwrap(),
        counter: Counter::new(7).unwrap(),
    };
    let pipeline = Pipeline {
        name: run.name.clone(),
        counter: run.counter,
        label: None,
        self_link: None,
        urn: None,
        inserted_before: None,
        inserted_after: None,
        scheduled: Some(at(1, 9)),
        materials: vec![git(
            "https://github.com/o/n.git",
            Some("main"),
            &"ab".repeat(20),
            "Ann <ann@example.com>",
        )],
        stages: Vec::new(),
        approved_by: Some("changes".into()),
    };
    RunHistory {
        run,
        pipeline: Some(pipeline),
        revisions: Revisions::OfRun,
        stages: stages.to_vec(),
    }
}

/// A git material with two changes of the first, at seven and at eight.
pub fn git(url: &str, branch: Option<&str>, revision: &str, user: &str) -> Material {
    let changeset = |revision: &str, hour| Changeset {
        user: Some(user.into()),
        checked_in: Some(at(1, hour)),
        revision: Some(revision.into()),
        ..Changeset::default()
    };
    Material {
        uri: None,
        kind: MaterialKind::Git {
            url: url.into(),
            branch: branch.map(str::to_owned),
            shallow_clone: None,
        },
        // The second is younger by its time, and still is not what was built.
        changesets: vec![changeset(revision, 7), changeset(&"cd".repeat(20), 8)],
    }
}

/// Attempts in short: reference id's end, start, status and finish; `-` for none.
pub fn summary(mapping: &Mapping, history: &RunHistory) -> Vec<String> {
    let attempts = mapping.map(history, now()).attempts;
    let short = |attempt: &Attempt| {
        let word = |of: &dyn Fn(&Notification) -> Option<String>| {
            attempt.finish.as_ref().and_then(of).unwrap_or_else(|| "-".into())
        };
        let status = word(&|notification| notification.status.clone());
        let finished = word(&|notification| notification.finished_at.clone());
        let id = attempt.reference_id.strip_prefix("gocd/go-server.2.project/").unwrap();
        format!(
            "{id} {} {status} {finished}",
            attempt.start.started_at.as_ref().unwrap()
        )
    };
    attempts.iter().map(short).collect()
}
