//! A queue, a machine whose commands report into it, and a DX that knows nothing of them.

use std::ffi::OsString;
use std::time::Duration;

use pipefold_tests::nats::{Cluster, Message, Options};
use pipefold_tests::{Ci, Output, Pipefold, SpoolContent, eventually, skipped};

use crate::forwarder::Forwarder;

/// The stream of upserts.
pub const STREAM: &str = "PIPEFOLD";
/// The stream of what was refused.
pub const REJECTED: &str = "PIPEFOLD_REJECTED";

/// The whole of it. Everything ends when it is dropped.
pub struct Fleet {
    pub cluster: Cluster,
    pub ci: Ci,
}

/// Returns true if the `pipefold` under test was built without queues, and counts the test as skipped then.
pub fn without_queues(test: &str) -> bool {
    let ci = Ci::new();
    let output = ci.pipefold(["queue", "check", "--queue", "nats://127.0.0.1:1"]).run();
    let without = output.stderr().contains("was built without");
    if without {
        skipped(test, "this pipefold was built without the feature `fleet`");
    }
    without
}

impl Fleet {
    /// One node with its streams. `None` where there is no server; the test counts as skipped.
    pub fn start(test: &str) -> Option<Self> {
        let fleet = Self::bare(test, &Options::default())?;
        fleet.init(&[]);
        Some(fleet)
    }

    /// Three nodes that each keep everything.
    pub fn of_three(test: &str) -> Option<Self> {
        let options = Options {
            nodes: 3,
            ..Options::default()
        };
        let fleet = Self::bare(test, &options)?;
        fleet.init(&[]);
        Some(fleet)
    }

    /// The nodes without any stream.
    pub fn bare(test: &str, options: &Options) -> Option<Self> {
        if without_queues(test) {
            return None;
        }
        let cluster = Cluster::start_with(test, options)?;
        Some(Self { cluster, ci: Ci::new() })
    }

    /// `pipefold queue init`.
    pub fn init(&self, arguments: &[&str]) -> Output {
        let replicas = if self.cluster.size() > 1 { "3" } else { "1" };
        let all = [&["queue", "init", "--replicas", replicas], arguments].concat();
        let output = self.pipefold(&all).run();
        output.assert_code(0);
        output
    }

    /// Any command, with the queue's settings and without a DX.
    pub fn pipefold<I: IntoIterator<Item: Into<OsString>>>(&self, arguments: I) -> Pipefold {
        self.told(self.ci.pipefold(arguments))
    }

    /// A command about a run.
    pub fn report(&self, reference_id: &str, command: &str) -> Pipefold {
        self.told(self.ci.report_run(reference_id, command.split(' ')))
    }

    /// Gives a command the queue's settings, and takes DX's from it.
    pub fn told(&self, command: Pipefold) -> Pipefold {
        command
            .env("PIPEFOLD_QUEUE", self.cluster.url())
            .env_remove("DX_API_URL")
            .env_remove("DX_API_TOKEN")
    }

    /// A forwarder to this machine's DX, which folds what comes within so short a time that no test waits for it.
    pub fn forward(&self, arguments: &[&str]) -> Forwarder {
        let arguments = [&["--window", "200ms"], arguments].concat();
        Forwarder::start(&self.cluster.url(), &self.ci.dx, &arguments)
    }

    /// The number of upserts in the stream.
    pub fn waiting(&self) -> u64 {
        self.cluster.stream(STREAM).map_or(0, |stream| stream.messages)
    }

    /// The number of upserts that were refused and are kept.
    pub fn refused(&self) -> u64 {
        self.cluster.stream(REJECTED).map_or(0, |stream| stream.messages)
    }

    /// The messages in the stream, in order.
    pub fn messages(&self) -> Vec<Message> {
        let Some(stream) = self.cluster.stream(STREAM) else {
            return Vec::new();
        };
        let mut connection = self.cluster.connect(0).unwrap();
        let of = |number| connection.message(STREAM, number).unwrap();
        (1..=stream.last_sequence).filter_map(of).collect()
    }

    /// Waits until forwarders have taken everything from the stream.
    pub fn wait_until_empty(&self) {
        eventually("the stream is empty", || {
            self.cluster.stream(STREAM).is_some_and(|stream| stream.messages == 0)
        });
    }

    /// Delivers what waits in the spool of this machine, as often as it takes.
    pub fn flush_all(&self) {
        eventually("the spool is empty", || {
            let output = self.pipefold(["flush", "--timeout", "10s"]).run();
            assert!(output.signal.is_none(), "{output}");
            SpoolContent::read(&self.ci.spool()).waiting().count() == 0
        });
    }

    /// Puts an upsert into the stream as a foreign publisher would.
    pub fn publish(&self, subject: &str, payload: &[u8]) {
        let mut connection = self.cluster.connect(0).unwrap();
        let answer = connection.request(subject, &[], payload).unwrap();
        assert_eq!(answer["stream"], STREAM, "{answer}");
    }

    /// Waits for the time in which a forwarder would have sent what it has: nothing may be sent, so there is no condition.
    pub fn a_moment(&self) {
        std::thread::sleep(Duration::from_millis(700));
    }
}
