//! Fills in what a notification leaves out, from the clock and from what is recorded of its run.

use crate::{
    clock,
    spool::{Hook, Judged, RunKey, SpooledRun},
    store::Store,
};
use pipefold_sandbox::{Notification, Run};

/// A notification as it goes to the plugin.
pub(crate) struct Completed {
    pub(crate) notification: Notification,
    pub(crate) warnings: Vec<String>,
}

/// Fills in what is absent. What was given is never changed, except a finish that lies before the recorded start: clocks of two
/// processes may differ, and a run that ends before it begins is nobody's intention.
pub(crate) fn complete(hook: Hook, mut notification: Notification, store: &Store) -> Completed {
    let mut warnings = Vec::new();
    let n = &mut notification;
    let now = clock::now();
    let incomplete = n.pipeline_name.is_none() || n.pipeline_source.is_none();
    let recorded = match &n.reference_id {
        Some(id) if hook == Hook::Finish || (hook == Hook::Step && incomplete) => store.load(RunKey::of(id)).ok(),
        _ => None,
    };
    // Whoever finds something that does not belong in the spool moves it away, and so is the only one who can name it.
    warnings.extend(recorded.iter().flat_map(|run| &run.aside).map(ToString::to_string));
    if let Some(run) = recorded.as_ref().and_then(first_known) {
        n.pipeline_name.get_or_insert_with(|| run.0.clone());
        n.pipeline_source.get_or_insert_with(|| run.1.clone());
    }
    if hook == Hook::Finish {
        let start = recorded.as_ref().and_then(recorded_start);
        if n.started_at.is_none() {
            // A finish whose end is given but whose start nobody knows began, as far as anyone can tell, when it ended.
            n.started_at = start
                .map(|run| run.started_at.clone())
                .or_else(|| n.finished_at.clone());
        }
        let finished_at = n.finished_at.get_or_insert_with(|| now.clone());
        if let Some(run) = start
            && clock::is_before(finished_at, &run.started_at)
        {
            warnings.push(format!(
                "finished_at {finished_at} lies before the recorded start {}; the start is used for both",
                run.started_at
            ));
            finished_at.clone_from(&run.started_at);
        }
    } else if n.started_at.is_none() {
        n.started_at.clone_from(&n.finished_at);
    }
    n.started_at.get_or_insert(now);
    Completed { notification, warnings }
}

/// Names of the pipeline and its source, as first recorded.
fn first_known(run: &SpooledRun) -> Option<(String, String)> {
    let mut notifications = run.entries.iter().map(|(_, entry)| &entry.notification);
    notifications.find_map(|n| Some((n.pipeline_name.clone()?, n.pipeline_source.clone()?)))
}

/// The start that was recorded, as the plugin read it.
fn recorded_start(run: &SpooledRun) -> Option<&Run> {
    run.entries
        .iter()
        .find_map(|(_, entry)| match (&entry.hook, &entry.verdict) {
            (Hook::Start, Judged::Report(run)) => Some(run),
            _ => None,
        })
}
