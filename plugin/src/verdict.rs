//! The hooks, which decide what is sent, and when.

use crate::history::fold;
use crate::merge::{Fold, Outcome};
use crate::validate::validate;
use crate::{Notification, Report, Status, Verdict, Violation};

/// Judges the notification that a run begins: it is reported as running, without a finish.
///
/// # Errors
/// All faults of the notification.
pub fn pipeline_start(event: &Notification) -> Result<Verdict, Vec<Violation>> {
    let fold = Fold::of(&validate(event)?);
    let begun = Outcome {
        status: Status::Running,
        finished_at: None,
    };
    Ok(Verdict::Report(fold.report(begun)?))
}

/// Judges the notification that a step began or ended: it is held, unless it is urgent.
///
/// With an urgent one its run is reported as running and without a finish, since it goes on: DX does not take a result back, and the step may
/// be tolerated, retried, or followed by one that fails. A step without a status says nothing about the run's. The job has its own status and
/// finish.
///
/// # Errors
/// All faults of the notification.
pub fn step(event: &Notification) -> Result<Verdict, Vec<Violation>> {
    let checked = validate(event)?;
    if !event.urgent {
        return Ok(Verdict::Hold);
    }
    let status = match checked.status() {
        Status::Unknown => Status::Unknown,
        _ => Status::Running,
    };
    let so_far = Outcome {
        status,
        finished_at: None,
    };
    Ok(Verdict::Report(Fold::of(&checked).report(so_far)?))
}

/// Judges the history of a run that ended: it is reported.
///
/// Notifications without a step that carry success, failure or cancelled decide the status among themselves. Without such a one all decide,
/// except steps that are allowed to fail. Only notifications without a step give the finish.
///
/// # Errors
/// All faults of the notifications, or of the history as a whole: too large, empty, or of more than one run.
pub fn pipeline_finish(history: &[Notification]) -> Result<Verdict, Vec<Violation>> {
    let fold = fold(history)?;
    Ok(Verdict::Report(fold.report(fold.finished())?))
}

/// Folds notifications of one run by DX's rule: steps give the jobs, the others the run's status and finish. Order, repetition and grouping
/// make no difference.
///
/// # Errors
/// As [`pipeline_finish`].
pub fn merge(history: &[Notification]) -> Result<Report, Vec<Violation>> {
    let fold = fold(history)?;
    fold.report(fold.merged())
}
