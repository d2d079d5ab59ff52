//! An overview of a spool: the runs that wait, with the reason.

use crate::{
    clock,
    spool::{Judgement, PolicyChain, Rejected, Size, Spool, SpoolError, SpooledRun},
    store::Store,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// The most runs that are listed. A spool may hold a hundred thousand; a reader needs no more, and the counts are complete.
const MOST_RUNS: usize = 1000;

/// The time without activity after which a run without an end counts as silent: longer than nearly every build. In milliseconds.
const A_DAY: u64 = 24 * 60 * 60 * 1000;

/// The contents of a spool.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overview {
    /// Runs, at most a thousand, those that wait first.
    pub runs: Vec<WaitingRun>,
    /// The number of runs.
    pub run_count: usize,
    /// The number of runs that wait to be sent.
    pub waiting_count: usize,
    /// The number of runs in `runs` without an end and without activity for a day: their jobs were killed, or did not report it.
    pub silent_count: usize,
    /// The notifications that DX or the rules refused for good.
    pub rejected: Vec<Rejected>,
    /// Names of files that were found in the spool and set aside.
    pub aside: Vec<String>,
    /// The spool's size on disk, in bytes.
    pub bytes: u64,
}

/// A run in the spool.
#[derive(Clone, Debug, Serialize)]
pub struct WaitingRun {
    /// The run's `reference_id`.
    pub reference_id: String,
    /// The pipeline's name, if any notification has one.
    pub pipeline_name: Option<String>,
    /// The run's state.
    pub state: RunState,
    /// True if its end was recorded.
    pub finished: bool,
    /// The number of its notifications.
    pub notifications: usize,
    /// The number of its notifications that DX has not accepted.
    pub unsent: usize,
    /// The address of the DX that it was recorded for.
    pub dx_url: Option<String>,
    /// The policies under which the waiting notifications were recorded, each chain once. They are sent only through these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyChain>,
    /// The reason why the last attempt did not deliver it.
    pub why: Option<String>,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// A notification is to be sent.
    Waiting,
    /// A plugin failed; it is judged again by the next flush.
    Unjudged,
    /// Steps are kept until the run ends.
    Held,
    /// DX has everything.
    Delivered,
}

impl Overview {
    pub(crate) fn of(store: &Store) -> Result<Self, SpoolError> {
        let mut overview = Self::default();
        let keys = store.runs()?;
        let done = store.spool().map_or_else(|_| Ok(Vec::new()), Spool::done_runs)?;
        overview.run_count = keys.len() + done.len();
        let day_ago = clock::milliseconds().saturating_sub(A_DAY).saturating_mul(1_000_000);
        for key in keys.into_iter().chain(done) {
            if overview.runs.len() < MOST_RUNS {
                let run = store.load(key)?;
                if let Some(run) = describe(&run) {
                    let changed = store.spool().ok().and_then(|spool| spool.changed_at(key));
                    let is_silent = !run.finished && changed.is_some_and(|changed| changed < day_ago);
                    overview.silent_count += usize::from(is_silent);
                    overview.waiting_count += usize::from(run.state <= RunState::Unjudged);
                    overview.runs.push(run);
                }
            } else {
                overview.waiting_count += usize::from(!store.unsent(key)?.is_empty());
            }
        }
        overview
            .runs
            .sort_by(|a, b| (a.state, &a.reference_id).cmp(&(b.state, &b.reference_id)));
        if let Ok(spool) = store.spool() {
            overview.rejected = spool.rejected()?;
            overview.aside = spool.aside()?;
            let Size { bytes, .. } = spool.measure()?;
            overview.bytes = bytes;
        }
        Ok(overview)
    }
}

fn describe(run: &SpooledRun) -> Option<WaitingRun> {
    let (_, first) = run.entries.first()?;
    let unsent: Vec<_> = run.waiting().map(|(_, entry)| entry).collect();
    let state = if unsent.is_empty() {
        RunState::Delivered
    } else if unsent
        .iter()
        .any(|entry| matches!(entry.verdict, Judgement::Unjudged(_)))
    {
        RunState::Unjudged
    } else if run.is_finished() || unsent.iter().any(|entry| matches!(entry.verdict, Judgement::Report(_))) {
        RunState::Waiting
    } else {
        RunState::Held
    };
    let policies: BTreeSet<_> = unsent
        .iter()
        .map(|entry| &entry.policies)
        .filter(|chain| !chain.is_empty())
        .collect();
    Some(WaitingRun {
        reference_id: first.notification.reference_id.clone().unwrap_or_default(),
        pipeline_name: run
            .entries
            .iter()
            .find_map(|(_, entry)| entry.notification.pipeline_name.clone()),
        state,
        finished: run.is_finished(),
        notifications: run.entries.len(),
        unsent: unsent.len(),
        dx_url: first.destination.url.clone(),
        policies: policies.into_iter().cloned().collect(),
        why: run
            .trouble
            .as_ref()
            .filter(|_| state != RunState::Delivered)
            .map(|trouble| trouble.message.clone()),
    })
}
