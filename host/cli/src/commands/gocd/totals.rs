//! What all rounds of a process came to.

use std::collections::BTreeMap;

use pipefold_gocd::sync::Round;

/// Pipelines that are named; the count is complete.
const MOST_NAMED: usize = 20;

/// The sum of rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    /// Number of rounds that came to their end.
    pub(super) rounds: u64,
    /// The dialect, as the flag calls it.
    pub(super) dialect: Option<&'static str>,
    /// Pipelines that were chosen in the last round.
    pub(super) pipelines: usize,
    /// Number of those that were left before their end.
    pub(super) failed_count: usize,
    /// The first of these, and why.
    pub(super) failed: Vec<(String, String)>,
    /// Pipelines that are not listed any more, with their runs that had not ended.
    pub(super) gone: Vec<(String, Vec<u64>)>,
    /// Patterns that fitted no pipeline in the last round.
    pub(super) unfitted: Vec<String>,
    pub(super) requests: u64,
    pub(super) pages: u64,
    pub(super) looked_at: u64,
    pub(super) runs: u64,
    pub(super) attempts: u64,
    pub(super) notifications: u64,
    pub(super) foreign_links: u64,
    /// By kind: how many, and the first.
    pub(super) notices: BTreeMap<&'static str, (u64, String)>,
    /// True if the last round was stopped before its end.
    pub(super) stopped: bool,
}

impl Totals {
    /// Adds a round.
    pub(super) fn add(&mut self, round: &Round) {
        self.rounds += 1;
        self.dialect = Some(match round.dialect {
            pipefold_gocd::Dialect::Old => "old",
            pipefold_gocd::Dialect::New => "new",
        });
        self.pipelines = round.pipelines;
        self.failed_count = round.failed.len();
        let named = round.failed.iter().take(MOST_NAMED);
        self.failed = named.map(|(name, why)| (name.to_string(), why.to_string())).collect();
        let gone = round.gone.iter().take(MOST_NAMED.saturating_sub(self.gone.len()));
        self.gone
            .extend(gone.map(|gone| (gone.pipeline.to_string(), gone.under_way.clone())));
        self.unfitted.clone_from(&round.unfitted);
        self.requests += round.requests;
        self.pages += round.pages;
        self.looked_at += round.looked_at;
        self.runs += round.runs;
        self.attempts += round.attempts;
        self.notifications += round.notifications;
        self.foreign_links += round.foreign_links;
        for (kind, tally) in &round.notices {
            let known = self.notices.entry(kind).or_insert_with(|| (0, tally.example.clone()));
            known.0 += tally.count;
        }
        self.stopped |= round.stopped;
    }

    /// True if there was something to read, and none of it could be.
    pub(super) fn is_nothing_read(&self) -> bool {
        self.pipelines > 0 && self.failed_count == self.pipelines
    }
}
