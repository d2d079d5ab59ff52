//! A GoCD server, a machine that reads it, and the DX that gets the runs.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, TimeDelta, Utc};
use dx_standin::Job;
use gocd_standin::{Expected, Generation, GocdStandin, History, Server, Wanted};
use pipefold_tests::{Ci, Pipefold, SpoolContent};
use serde_json::Value;
use tempfile::TempDir;

/// The server's name in reference ids.
pub const SERVER_ID: &str = "go.example.com";

/// The address of its pages.
pub const PAGES: &str = "https://go.example.com/go";

/// The history so much later that it ends just now.
pub fn until_now(history: History) -> History {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = DateTime::<Utc>::from_timestamp(now as i64, 0).unwrap();
    let age = now - history.time(history.events()).unwrap();
    history.later(age - TimeDelta::seconds(5))
}

/// A GoCD server and the machine that reads it.
pub struct Reading {
    /// The machine, with its DX.
    pub ci: Ci,
    /// The server.
    pub gocd: GocdStandin,
    /// As what the server is read: its age, unless it has both feeds and the new one is chosen.
    pub read_as: Generation,
    /// True if the reader asks for revisions.
    pub enriched: bool,
    /// True if jobs are sent to DX.
    pub sends_jobs: bool,
    spool: TempDir,
    /// The last output, shown when a test fails.
    said: RefCell<String>,
}

impl Reading {
    /// A server of an age at the end of a history.
    pub fn new(history: impl Into<Arc<History>>, generation: Generation) -> Self {
        // The disk adds nothing here but waiting: what a killed process wrote is not lost.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        Self {
            ci: Ci::new(),
            gocd: GocdStandin::run(Server::new(history, generation)),
            read_as: generation,
            enriched: false,
            sends_jobs: true,
            said: RefCell::default(),
            spool: tempfile::Builder::new()
                .prefix("pipefold-test-")
                .tempdir_in(place)
                .unwrap(),
        }
    }

    /// The directory of the reader's state.
    pub fn spool(&self) -> PathBuf {
        self.spool.path().join("spool")
    }

    /// `pipefold gocd COMMAND`, with what names the server.
    pub fn gocd(&self, command: &str) -> Pipefold {
        let url = self.gocd.url();
        self.ci
            .pipefold(["gocd", command, "--server", &url])
            .args(["--server-id", SERVER_ID, "--pages-url", PAGES])
            .env("PIPEFOLD_SPOOL", self.spool())
            // Long runs have more jobs than are sent by default.
            .env("PIPEFOLD_MOST_JOBS", "10000")
            .env("PIPEFOLD_JOBS", if self.sends_jobs { "all" } else { "none" })
    }

    /// `pipefold gocd sync`, with its summary in JSON.
    pub fn sync(&self) -> Pipefold {
        self.gocd("sync").args(["--json"])
    }

    /// Reads to the end, and gives the summary.
    pub fn read(&self) -> Value {
        let output = self.sync().run();
        output.assert_code(0);
        *self.said.borrow_mut() = output.to_string();
        serde_json::from_str(&output.stdout()).unwrap_or_else(|why| panic!("{why}: {output}"))
    }

    /// DX's records.
    pub fn records(&self) -> BTreeMap<String, Value> {
        let records = self.ci.dx.records();
        records.into_iter().map(|(id, record)| (id, record.to_json())).collect()
    }

    /// DX's jobs by run.
    pub fn jobs(&self) -> BTreeMap<String, Vec<Value>> {
        let jobs = self.ci.dx.all_jobs().into_iter();
        jobs.map(|(run, jobs)| (run, jobs.iter().map(Job::to_json).collect()))
            .collect()
    }

    /// The records that DX must hold after reading in this way.
    pub fn expected(&self, reading: gocd_standin::Reading) -> Vec<Expected> {
        let server = self.gocd.server();
        Expected::of(
            server.history(),
            server.events(),
            &Wanted {
                generation: self.read_as,
                reading,
                enriched: self.enriched,
                server_id: SERVER_ID.to_owned(),
                pages: PAGES.to_owned(),
            },
        )
    }

    /// Checks that DX holds what it must, and that nothing waits that could go.
    pub fn assert_told(&self, reading: gocd_standin::Reading, context: &dyn std::fmt::Debug) {
        let expected = self.expected(reading);
        let mut differences = Expected::differences(&expected, &self.records());
        if self.sends_jobs {
            differences.extend(Expected::job_differences(&expected, &self.jobs()));
        } else {
            differences.extend(self.jobs().into_keys().map(|id| format!("{id}: there are jobs of it")));
        }
        assert!(
            differences.is_empty(),
            "{context:?}: {differences:#?}; {}",
            self.said.borrow()
        );
        let content = SpoolContent::read(&self.spool());
        content.assert_sound(context);
        // The steps of a run that goes on are held until its end.
        let is_step = |record: &pipefold_tests::SpooledRecord| record.hook() == "step";
        assert!(content.waiting().all(is_step), "{context:?}: {content:#?}");
        assert!(content.rejections.is_empty(), "{context:?}: {:?}", content.rejections);
    }
}
