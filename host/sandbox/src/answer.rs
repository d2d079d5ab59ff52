//! Answers of plugins, and the host's checks of each.
//!
//! A plugin is foreign code: its report is sent to DX with the operator's token, so it must be about the run of the question. Its reason for
//! a discard or refusal is printed in a build's log, so that must be short, and must not move a terminal's cursor or begin a line. The form
//! of a run is checked by the rules: a chain passes a policy's report to the default plugin.

use crate::types::{Notification, Run, Status, Verdict, Violation};

/// The verdict of a chain, and the notifications that reached the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The verdict.
    pub verdict: Verdict,
    /// The notifications that the rules got, with the policies' changes of the report. These may be stored or shown: what a policy removes
    /// is not in them. `None` if a policy held or discarded without calling the next plugin, or if they were not requested.
    pub seen: Option<Vec<Notification>>,
}

impl From<Run> for Notification {
    /// One notification that stands for the whole run.
    fn from(run: Run) -> Self {
        Self {
            pipeline_name: Some(run.pipeline_name),
            pipeline_source: Some(run.pipeline_source),
            reference_id: Some(run.reference_id),
            started_at: Some(run.started_at),
            finished_at: run.finished_at,
            status: (run.status != Status::Unknown).then(|| run.status.to_string()),
            repository: run.repository,
            commit_sha: run.commit_sha,
            pr_number: run.pr_number,
            source_url: run.source_url,
            head_branch: run.head_branch,
            email: run.email,
            github_username: run.github_username,
            gitlab_username: run.gitlab_username,
            ..Self::default()
        }
    }
}

/// The notifications that the rules got behind a policy that answers `verdict` and got the answers `inner` in this order.
pub fn seen_behind(verdict: &Verdict, mut inner: Vec<Answered>) -> Option<Vec<Notification>> {
    // A policy may call the next plugin more than once; the last call counts.
    match (inner.pop(), verdict) {
        (Some(answered), Verdict::Report(report)) => {
            let mut seen = answered.seen?;
            let rules = match &answered.verdict {
                Verdict::Report(run) => Some(Notification::from(run.clone())),
                _ => None,
            };
            let report = Notification::from(report.clone());
            seen.iter_mut()
                .for_each(|event| apply_changes(event, rules.as_ref(), &report));
            Some(seen)
        }
        (Some(answered), _) => answered.seen,
        (None, Verdict::Report(report)) => Some(vec![report.clone().into()]),
        (None, _) => None,
    }
}

/// Applies a policy's changes between the rules' report and its own to a notification; all fields, if the rules reported none.
fn apply_changes(event: &mut Notification, rules: Option<&Notification>, report: &Notification) {
    macro_rules! follow {
        ($($field:ident)*) => {
            $(if rules.is_none_or(|rules| rules.$field != report.$field) {
                event.$field.clone_from(&report.$field);
            })*
        };
    }
    follow!(pipeline_name pipeline_source started_at finished_at status repository commit_sha pr_number source_url);
    follow!(head_branch email github_username gitlab_username);
}

/// Bytes of a reason for a discard: a line or two in a build log.
const MOST_REASON: usize = 1 << 10;
/// Violations in a refusal: the default plugin lists 100, and gives the number of others in one more.
const MOST_VIOLATIONS: usize = 101;
/// Bytes of a violation's message, which may quote two names of runs.
const MOST_MESSAGE: usize = 1 << 10;
/// Bytes of a field's name, of which the longest that DX knows has 15.
const MOST_FIELD: usize = 64;

/// Checks a verdict against its question.
///
/// # Errors
/// The fault in it.
pub fn check(verdict: &Verdict, notifications: &[Notification]) -> Result<(), String> {
    match verdict {
        Verdict::Report(run) => check_run(run, notifications),
        Verdict::Discard(reason) => check_text("reason for a discard", reason, MOST_REASON),
        Verdict::Hold => Ok(()),
    }
}

/// Checks a refusal, which is printed and not sent.
///
/// # Errors
/// The fault in it.
pub fn check_refusal(violations: &[Violation]) -> Result<(), String> {
    if violations.is_empty() {
        return Err("its refusal names no violation".into());
    }
    if violations.len() > MOST_VIOLATIONS {
        return Err(format!(
            "its refusal names {} violations; {MOST_VIOLATIONS} are allowed",
            violations.len()
        ));
    }
    for violation in violations {
        check_text("name of a refused field", &violation.field, MOST_FIELD)?;
        check_text("message of a refusal", &violation.message, MOST_MESSAGE)?;
    }
    Ok(())
}

/// Checks a text that is printed.
fn check_text(what: &str, text: &str, most: usize) -> Result<(), String> {
    if text.len() > most {
        return Err(format!("its {what} has {} bytes; {most} are allowed", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("its {what} has control characters"));
    }
    Ok(())
}

/// Checks that a run has the id of its notifications.
///
/// # Errors
/// The fault in it.
pub fn check_run(run: &Run, notifications: &[Notification]) -> Result<(), String> {
    let asked = notifications
        .iter()
        .find_map(|notification| notification.reference_id.as_deref());
    if asked != Some(run.reference_id.as_str()) {
        return Err("it answers for another reference_id than it was asked about".into());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    use crate::types::Fault;

    fn run() -> Run {
        Run {
            pipeline_name: "build".into(),
            pipeline_source: "Jenkins".into(),
            reference_id: "1".into(),
            started_at: "2025-01-01T12:05:00Z".into(),
            finished_at: None,
            status: Status::Running,
            repository: None,
            commit_sha: None,
            pr_number: None,
            source_url: None,
            head_branch: None,
            email: None,
            github_username: None,
            gitlab_username: None,
        }
    }

    #[test]
    fn a_report_is_about_the_run_that_was_asked_about() {
        let event = |id: Option<&str>| Notification {
            reference_id: id.map(Into::into),
            ..Notification::default()
        };
        let report = Verdict::Report(run());
        let other = Err("it answers for another reference_id than it was asked about".into());
        assert_eq!(check(&report, &[event(None), event(Some("1"))]), Ok(()));
        assert_eq!(check(&report, &[event(Some("2"))]), other);
        assert_eq!(check(&report, &[event(None)]), other);
    }

    fn refusal(count: usize, field: &str, message: &str) -> Vec<Violation> {
        let violation = Violation {
            fault: Fault::InvalidText,
            field: field.into(),
            message: message.into(),
        };
        vec![violation; count]
    }

    #[test]
    fn printed_text_is_short_and_plain() {
        assert_eq!(check_refusal(&refusal(101, "email", &"x".repeat(1024))), Ok(()));
        let wrong = |violations: &[Violation]| check_refusal(violations).unwrap_err();
        assert_eq!(wrong(&[]), "its refusal names no violation");
        assert_eq!(
            wrong(&refusal(102, "email", "no")),
            "its refusal names 102 violations; 101 are allowed"
        );
        assert_eq!(
            wrong(&refusal(1, "email", &"x".repeat(1025))),
            "its message of a refusal has 1025 bytes; 1024 are allowed"
        );
        assert_eq!(
            wrong(&refusal(1, "a\nb", "no")),
            "its name of a refused field has control characters"
        );
        assert_eq!(
            check(&Verdict::Discard("\u{1b}[2J".into()), &[]),
            Err("its reason for a discard has control characters".into())
        );
    }
}
