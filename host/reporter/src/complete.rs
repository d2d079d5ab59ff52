//! Fills in the absent fields of a notification, from the clock and from the records of its run.

use crate::{
    clock,
    detect::Field,
    judge::Refused,
    spool::{Hook, Judgement, RunKey, SpooledRun},
    steps::{fill_in_starts, has_ended},
    store::Store,
};
use pipefold_sandbox::{Fault, Notification, Run, Violation};

/// A notification with its fields filled in, for the plugin.
pub struct Completed {
    pub notification: Notification,
    pub warnings: Vec<String>,
}

/// Fills in absent fields. Given fields are never changed, except the times of a run's end: an end with a time that cannot be read, or that
/// is before the start, is not lost. Clocks of two processes may differ, and a shell's `date` has no zone, which means UTC.
///
/// `read` returns a time as the rules read it; none if it is not a time.
///
/// # Errors
/// [`Refused`] if only the clock could give the start, and the clock is wrong.
pub fn complete(
    hook: Hook,
    mut notification: Notification,
    store: &Store,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<Completed, Refused> {
    let mut warnings = Vec::new();
    let n = &mut notification;
    let now = clock::now();
    let incomplete = n.pipeline_name.is_none() || n.pipeline_source.is_none();
    let recorded = match &n.reference_id {
        Some(id) if hook == Hook::Finish || (hook == Hook::Step && incomplete) => store.load(RunKey::of(id)).ok(),
        _ => None,
    };
    // The process that finds a foreign file in the spool moves it away, so only this process can name it.
    warnings.extend(recorded.iter().flat_map(|run| &run.aside).map(ToString::to_string));
    if let Some(run) = recorded.as_ref().and_then(first_known) {
        n.pipeline_name.get_or_insert_with(|| run.0.clone());
        n.pipeline_source.get_or_insert_with(|| run.1.clone());
    }
    if hook == Hook::Finish {
        let start = recorded.as_ref().and_then(recorded_start);
        if n.started_at.is_none() {
            // A run with a given end and an unknown start counts as started at its end.
            n.started_at = start
                .map(|run| run.started_at.clone())
                .or_else(|| n.finished_at.clone());
        }
        end_in_order(n, start, &now, read, &mut warnings);
    } else if hook == Hook::Step && n.started_at.is_none() && has_ended(n) && !n.urgent {
        if n.finished_at.is_none() && clock::is_wrong() {
            return Err(no_start(&now));
        }
        // Its beginning may be in another record.
        n.finished_at.get_or_insert(now);
        return Ok(Completed { notification, warnings });
    } else if n.started_at.is_none() {
        if n.urgent && has_ended(n) {
            n.finished_at.get_or_insert_with(|| now.clone());
            start_of_step(n, store);
        }
        if n.started_at.is_none() {
            n.started_at.clone_from(&n.finished_at);
        }
    }
    if n.started_at.is_none() && clock::is_wrong() {
        return Err(no_start(&now));
    }
    n.started_at.get_or_insert(now);
    Ok(Completed { notification, warnings })
}

/// Takes the start of a step that ended from the records of its run.
fn start_of_step(n: &mut Notification, store: &Store) {
    let Some(run) = n.reference_id.as_deref().and_then(|id| store.load(RunKey::of(id)).ok()) else {
        return;
    };
    let mut steps: Vec<Notification> = run.entries.into_iter().map(|(_, entry)| entry.notification).collect();
    steps.push(n.clone());
    fill_in_starts(&mut steps);
    n.started_at = steps.pop().and_then(|step| step.started_at);
}

fn no_start(now: &str) -> Refused {
    let violation = Violation {
        fault: Fault::RequiredParamsMissing,
        field: Field::StartedAt.name().into(),
        message: format!("the clock of this machine is wrong ({now}); set it, or give --started-at"),
    };
    Refused {
        violations: vec![violation],
    }
}

/// Puts the times of a run's end in order.
fn end_in_order(
    n: &mut Notification,
    start: Option<&Run>,
    now: &str,
    read: &dyn Fn(&str) -> Option<String>,
    warnings: &mut Vec<String>,
) {
    let mut readable = |name: &str, time: &mut Option<String>, instead: &str| {
        let Some(given) = time.as_deref() else { return };
        if read(given).is_none() {
            let shown: String = given.chars().take(40).collect();
            warnings.push(format!(
                "{name} {shown:?} is not an ISO 8601 timestamp; {instead} is used"
            ));
            *time = Some(instead.to_owned());
        }
    };
    readable("finished_at", &mut n.finished_at, now);
    let finished_at = n.finished_at.get_or_insert_with(|| now.to_owned()).clone();
    let recorded = start.map_or(&finished_at, |run| &run.started_at);
    readable("started_at", &mut n.started_at, recorded);
    // The recorded start is in the history, so it takes precedence.
    let begins = [start.map(|run| &run.started_at), n.started_at.as_ref()];
    let Some(end) = read(&finished_at) else { return };
    for (begin, which) in begins.into_iter().zip(["recorded ", ""]) {
        if let Some(begin) = begin.and_then(|begin| read(begin))
            && clock::is_before(&end, &begin)
        {
            warnings.push(format!(
                "finished_at {finished_at} lies before the {which}start {begin}; the start is used for both"
            ));
            n.finished_at = Some(begin);
            return;
        }
    }
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
            (Hook::Start, Judgement::Report(report)) => Some(&report.run),
            _ => None,
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_1970_gives_no_start() {
        clock::set_back();
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), 1 << 20);
        let complete = |hook, notification| complete(hook, notification, &store, &|time| Some(time.to_owned()));
        for hook in [Hook::Start, Hook::Step] {
            let refused = complete(hook, Notification::default()).err().unwrap();
            assert_eq!(refused.violations[0].field, "started_at");
        }
        let given = Notification {
            started_at: Some("2026-01-31T10:00:00Z".into()),
            ..Notification::default()
        };
        let end = complete(Hook::Finish, given.clone()).unwrap().notification;
        assert_eq!(
            (&end.started_at, &end.finished_at),
            (&given.started_at, &given.started_at)
        );
    }
}
