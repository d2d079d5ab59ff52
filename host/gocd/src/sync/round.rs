//! What a round did.

use std::collections::BTreeMap;

use super::failure::Failure;
use super::notice::Notice;
use crate::Dialect;
use crate::documents::Name;

/// What a round did, in sum.
#[derive(Debug)]
pub struct Round {
    /// How the server speaks.
    pub dialect: Dialect,
    /// How many pipelines were chosen.
    pub pipelines: usize,
    /// Pipelines that were left before their end, and why. The next round goes on with them.
    pub failed: Vec<(Name, Failure)>,
    /// Pipelines that are not listed any more: renamed, deleted, or hidden from the user. Each is said once.
    pub gone: Vec<Gone>,
    /// Patterns that no listed pipeline fits, where others are fitted.
    pub unfitted: Vec<String>,
    /// Documents asked for, repetitions aside.
    pub requests: u64,
    /// Pages of feeds read.
    pub pages: u64,
    /// Runs looked at, each as often as it was.
    pub looked_at: u64,
    /// Runs of which there was something new.
    pub runs: u64,
    /// Attempts of which there was something new.
    pub attempts: u64,
    /// Notifications handed on.
    pub notifications: u64,
    /// What came up, by [`Notice::kind`].
    pub notices: BTreeMap<&'static str, Tally>,
    /// Links in feeds to other hosts than the server's: it does not know its own name, or they lead elsewhere. None was followed there.
    pub foreign_links: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// A pipeline that is not listed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Which.
    pub pipeline: Name,
    /// Its runs that had not ended when they were read last: they stay so in DX.
    pub under_way: Vec<u64>,
}

/// Notices of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The first one, with what it is about.
    pub example: String,
}

impl Round {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            pipelines: 0,
            failed: Vec::new(),
            gone: Vec::new(),
            unfitted: Vec::new(),
            requests: 0,
            pages: 0,
            looked_at: 0,
            runs: 0,
            attempts: 0,
            notifications: 0,
            notices: BTreeMap::new(),
            foreign_links: 0,
            stopped: false,
        }
    }

    pub(super) fn count(&mut self, about: &dyn std::fmt::Display, notice: &Notice) {
        let tally = self.notices.entry(notice.kind()).or_insert_with(|| Tally {
            count: 0,
            example: format!("{about}: {notice}"),
        });
        tally.count += 1;
    }
}
