//! The policies and the rules for a row: what is sent of it.

use super::mapping::{Mapped, Subject};
use crate::clock;
use crate::judge::NoVerdict;
use crate::reporter::Reporter;
use pipefold_sandbox::{Notification, Question, Report, Status, Verdict, Violation, foreign};

/// The outcome for a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Sent.
    Send(Box<Report>),
    /// A policy drops it.
    Dropped,
    /// Refused, for this reason.
    Refused(String),
}

/// Judges a row as a collector judges the request that has its arguments.
pub fn judge(reporter: &Reporter, mapped: &Mapped) -> Judged {
    let asked = match mapped.subject {
        Subject::Run => judge_run(reporter, &mapped.notification),
        Subject::Step | Subject::Job => judge_job(reporter, &mapped.notification),
    };
    match asked {
        Ok(Verdict::Report(report)) => Judged::Send(Box::new(report)),
        Ok(Verdict::Discard(_)) => Judged::Dropped,
        Ok(Verdict::Hold) => Judged::Refused("a policy held it".to_owned()),
        Err(NoVerdict::Failed(why)) => Judged::Refused(why),
        Err(NoVerdict::Refused(refused)) => {
            let violations = refused.violations.into_iter();
            let named: Vec<Violation> = violations.map(|violation| named(violation, mapped.subject)).collect();
            Judged::Refused(foreign::listed(&named))
        }
    }
}

/// Asks the hook that a runner would have called at the row's time.
fn judge_run(reporter: &Reporter, notification: &Notification) -> Result<Verdict, NoVerdict> {
    let judge = reporter.plugins();
    let status = notification.status.as_deref().unwrap_or_default().trim();
    let goes_on = status.eq_ignore_ascii_case(Status::Running.as_str()) && notification.finished_at.is_none();
    if goes_on || judge.has_policies() {
        // A policy may discard a run at its start alone.
        let begun = judge.ask(&Question::PipelineStart(notification))?;
        if goes_on || matches!(begun, Verdict::Discard(_)) {
            return Ok(begun);
        }
    }
    judge.ask(&Question::PipelineFinish(std::slice::from_ref(notification)))
}

/// Asks about an urgent step, which is reported at once.
fn judge_job(reporter: &Reporter, notification: &Notification) -> Result<Verdict, NoVerdict> {
    let mut event = notification.clone();
    let has_start = event.started_at.is_some();
    if !has_start {
        // The hook needs one. DX's method does not.
        event.started_at = Some(event.finished_at.clone().unwrap_or_else(clock::now));
    }
    if event.pipeline_name.is_none() && !reporter.plugins().has_policies() && !reporter.has_outlet() {
        // Not sent: DX knows the run by its reference_id.
        event.pipeline_name = Some("-".to_owned());
    }
    let mut verdict = reporter.plugins().ask(&Question::Step(&event))?;
    if let Verdict::Report(report) = &mut verdict
        && !has_start
    {
        report.jobs.iter_mut().for_each(|job| job.started_at = None);
    }
    Ok(verdict)
}

/// The violation with the field's name in the row.
fn named(violation: Violation, subject: Subject) -> Violation {
    let field = match (&*violation.field, subject) {
        ("reference_id", Subject::Job) => "run_reference_id",
        ("step", Subject::Job) => "name",
        ("step_id", Subject::Job) => "reference_id",
        _ => return violation,
    };
    Violation {
        field: field.to_owned(),
        ..violation
    }
}
