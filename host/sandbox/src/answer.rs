//! The host's checks of every answer.
//!
//! A plugin is foreign code: what it reports goes to DX under the operator's token, so it must be about the run that was asked about.
//! What it says of a notification that it drops or refuses is printed in a build's log, so that is short, and cannot move a terminal's
//! cursor or begin a line of its own. The form of a run is the rules' business: what a policy reports, a chain has the default plugin check.

use crate::types::{Notification, Run, Verdict, Violation};

/// Bytes of a reason for a discard: a line or two in a build log.
const MOST_REASON: usize = 1 << 10;
/// Violations in a refusal: the default plugin lists 100, and says in one more how many it left out.
const MOST_VIOLATIONS: usize = 101;
/// Bytes of a violation's message, which may quote two names of runs.
const MOST_MESSAGE: usize = 1 << 10;
/// Bytes of a field's name, of which the longest that DX knows has 15.
const MOST_FIELD: usize = 64;

/// Checks a verdict against the question it answers. The error says what is wrong with it.
pub(crate) fn check(verdict: &Verdict, notifications: &[Notification]) -> Result<(), String> {
    match verdict {
        Verdict::Report(run) => check_run(run, notifications),
        Verdict::Discard(reason) => check_words("reason for a discard", reason, MOST_REASON),
        Verdict::Hold => Ok(()),
    }
}

/// Checks a refusal, which is printed and not sent. The error says what is wrong with it.
pub(crate) fn check_refusal(violations: &[Violation]) -> Result<(), String> {
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
        check_words("name of a refused field", &violation.field, MOST_FIELD)?;
        check_words("message of a refusal", &violation.message, MOST_MESSAGE)?;
    }
    Ok(())
}

/// Checks what a person is to read.
fn check_words(what: &str, text: &str, most: usize) -> Result<(), String> {
    if text.len() > most {
        return Err(format!("its {what} has {} bytes; {most} are allowed", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("its {what} has control characters"));
    }
    Ok(())
}

/// Checks that a run is the one of the notifications that it is made of. The error says what is wrong with it.
pub(crate) fn check_run(run: &Run, notifications: &[Notification]) -> Result<(), String> {
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
    use crate::types::{Fault, Status};

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
    fn what_is_printed_is_short_and_plain() {
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
