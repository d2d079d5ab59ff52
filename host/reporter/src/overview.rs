//! What is kept, for whoever asks what waits and why.

use crate::{
    spool::{Judged, PolicyChain, Rejected, Size, SpoolError, SpooledRun},
    store::Store,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// Runs that are told one by one. A spool may hold a hundred thousand; nobody reads more, and the counts are complete.
const MOST_RUNS: usize = 1000;

/// Everything that is kept.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overview {
    /// Runs, at most a thousand, those that wait first.
    pub runs: Vec<WaitingRun>,
    /// How many runs there are.
    pub run_count: usize,
    /// How many of them wait to be sent.
    pub waiting_count: usize,
    /// What DX or the rules refused for good.
    pub rejected: Vec<Rejected>,
    /// Names of files that were found in the spool and set aside.
    pub aside: Vec<String>,
    /// Bytes on disk.
    pub bytes: u64,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct WaitingRun {
    /// Its `reference_id`.
    pub reference_id: String,
    /// Its pipeline, if any notification names one.
    pub pipeline_name: Option<String>,
    /// How it stands.
    pub state: RunState,
    /// Notifications that are kept of it.
    pub notifications: usize,
    /// Those that no acceptance covers.
    pub unsent: usize,
    /// Address of the DX it was recorded for.
    pub dx_url: Option<String>,
    /// The policies that what waits was recorded under, each chain once. It is sent only through them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyChain>,
    /// Why it was not delivered when it was last tried.
    pub why: Option<String>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Something is to be sent.
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
        overview.run_count = keys.len();
        for key in keys {
            if overview.runs.len() < MOST_RUNS {
                let run = store.load(key)?;
                if let Some(run) = describe(&run) {
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
    } else if unsent.iter().any(|entry| matches!(entry.verdict, Judged::Unjudged(_))) {
        RunState::Unjudged
    } else if run.is_finished() || unsent.iter().any(|entry| matches!(entry.verdict, Judged::Report(_))) {
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
