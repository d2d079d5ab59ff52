//! Answers of plugins, and the host's checks of each.
//!
//! A plugin is foreign code: its report is sent to DX with the operator's token, so it must be about the run of the question. Its reason for
//! a discard or refusal is printed in a build's log, so that must be short, and must not move a terminal's cursor or begin a line. The form
//! of a run is checked by the rules: a chain passes a policy's report to the default plugin.

#[cfg(feature = "sources")]
use crate::types::Translation;
use crate::types::{Job, Notification, Report, Run, Status, Verdict, Violation};

use std::collections::BTreeMap;

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
            attributes: run.attributes,
            ..Self::default()
        }
    }
}

impl Job {
    /// A notification of the step. It has of the run only the required fields, so that it adds nothing to the run.
    #[must_use]
    pub fn into_notification(self, run: &Run) -> Notification {
        Notification {
            pipeline_name: Some(run.pipeline_name.clone()),
            pipeline_source: Some(run.pipeline_source.clone()),
            reference_id: Some(run.reference_id.clone()),
            started_at: self.started_at,
            finished_at: self.finished_at,
            status: Some(self.status.to_string()),
            step_id: Some(self.reference_id).filter(|id| *id != self.name),
            step: Some(self.name),
            ..Notification::default()
        }
    }
}

impl Report {
    /// Notifications that stand for the report: one for the whole run, then one for each job.
    #[must_use]
    pub fn into_notifications(self) -> Vec<Notification> {
        let Self { run, jobs } = self;
        let steps: Vec<_> = jobs.into_iter().map(|job| job.into_notification(&run)).collect();
        std::iter::once(run.into()).chain(steps).collect()
    }
}

/// The notifications that the rules got behind a policy that answers `verdict` and got the answers `inner` in this order.
pub fn seen_behind(verdict: &Verdict, mut inner: Vec<Answered>) -> Option<Vec<Notification>> {
    // A policy may call the next plugin more than once; the last call counts.
    match (inner.pop(), verdict) {
        (Some(answered), Verdict::Report(report)) => {
            let rules = match answered.verdict {
                Verdict::Report(rules) => Some(rules),
                _ => None,
            };
            Some(follow(answered.seen?, rules.as_ref(), report))
        }
        (Some(answered), _) => answered.seen,
        (None, Verdict::Report(report)) => Some(report.clone().into_notifications()),
        (None, _) => None,
    }
}

/// Applies a policy's changes between the rules' report and its own to the notifications; everything in it, if the rules reported none.
fn follow(mut seen: Vec<Notification>, rules: Option<&Report>, report: &Report) -> Vec<Notification> {
    let of_rules = rules.map(|rules| Notification::from(rules.run.clone()));
    let of_policy = Notification::from(report.run.clone());
    for event in &mut seen {
        follow_run(event, of_rules.as_ref(), &of_policy);
    }
    let jobs: BTreeMap<&str, &Job> = report.jobs.iter().map(|job| (job.reference_id.as_str(), job)).collect();
    let of_rules: BTreeMap<&str, &Job> = rules
        .into_iter()
        .flat_map(|rules| &rules.jobs)
        .map(|job| (job.reference_id.as_str(), job))
        .collect();
    // A job that the policy left out or changed takes its notifications with it.
    seen.retain(|event| match step_id(event) {
        Some(id) if rules.is_some() => jobs.get(id) == of_rules.get(id),
        _ => true,
    });
    let changed = jobs.into_iter().filter(|(id, job)| of_rules.get(id) != Some(job));
    seen.extend(changed.map(|(_, job)| job.clone().into_notification(&report.run)));
    seen
}

/// The id of a notification's step.
fn step_id(event: &Notification) -> Option<&str> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty()).is_some();
    let step = event.step.as_deref().filter(|_| given(&event.step))?;
    Some(
        event
            .step_id
            .as_deref()
            .filter(|_| given(&event.step_id))
            .unwrap_or(step),
    )
}

/// Applies a policy's changes of the run to a notification. A step has its own times and status.
fn follow_run(event: &mut Notification, rules: Option<&Notification>, report: &Notification) {
    macro_rules! follow {
        ($($field:ident)*) => {
            $(if rules.is_none_or(|rules| rules.$field != report.$field) {
                event.$field.clone_from(&report.$field);
            })*
        };
    }
    follow!(pipeline_name pipeline_source repository commit_sha pr_number source_url);
    follow!(head_branch email github_username gitlab_username attributes);
    if event.step.is_none() {
        follow!(started_at finished_at status);
    }
}

/// Bytes of a reason for a discard: a line or two in a build log.
const MOST_REASON: usize = 1 << 10;
/// Violations in a refusal: the default plugin lists 100, and gives the number of others in one more.
const MOST_VIOLATIONS: usize = 101;
/// Bytes of a violation's message, which may quote two names of runs.
const MOST_MESSAGE: usize = 1 << 10;
/// Bytes of a field's name, of which the longest that DX knows has 15.
const MOST_FIELD: usize = 64;
/// Jobs in a report: one for each notification that a run may have. Their form is checked by the rules.
const MOST_JOBS: usize = 10_000;

/// Checks a verdict against its question.
///
/// # Errors
/// The fault in it.
pub fn check(verdict: &Verdict, notifications: &[Notification]) -> Result<(), String> {
    match verdict {
        Verdict::Report(report) => check_report(report, notifications),
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

/// Notifications in a translation: a delivery of GitLab names all jobs of a pipeline, and few pipelines have some hundreds. Each is judged and
/// stored within the time that a vendor waits.
#[cfg(feature = "sources")]
const MOST_TRANSLATED: usize = 1_000;
/// Bytes of a text in a translated notification. The rules allow 4 KiB at most and name the field; this keeps them from reading megabytes.
#[cfg(feature = "sources")]
const MOST_TEXT: usize = 64 << 10;
/// Attributes of a translated notification: a multiple of what the rules allow.
#[cfg(feature = "sources")]
const MOST_ATTRIBUTES: usize = 256;

/// Checks a translation. The form of the notifications is checked by the rules.
///
/// # Errors
/// The fault in it.
#[cfg(feature = "sources")]
pub fn check_translation(translation: &Translation) -> Result<(), String> {
    let notifications = match translation {
        Translation::Notifications(notifications) => notifications,
        Translation::Ignored(reason) => return check_text("reason to ignore a delivery", reason, MOST_REASON),
    };
    match notifications.len() {
        0 => return Err("its translation has no notification, and is not `ignored`".into()),
        1..=MOST_TRANSLATED => {}
        count => {
            return Err(format!(
                "its translation has {count} notifications; {MOST_TRANSLATED} are allowed"
            ));
        }
    }
    for notification in notifications {
        let attributes = &notification.attributes;
        if attributes.len() > MOST_ATTRIBUTES {
            return Err(format!(
                "a notification has {} attributes; {MOST_ATTRIBUTES} are allowed",
                attributes.len()
            ));
        }
        let pairs = attributes
            .iter()
            .flat_map(|attribute| [&attribute.key, &attribute.value]);
        let longest = texts(notification)
            .into_iter()
            .flatten()
            .chain(pairs)
            .map(String::len)
            .max();
        if let Some(bytes) = longest.filter(|bytes| *bytes > MOST_TEXT) {
            return Err(format!(
                "a notification has a text of {bytes} bytes; {MOST_TEXT} are allowed"
            ));
        }
    }
    Ok(())
}

/// The texts of a notification beside its attributes. The compiler leads here from a new field.
#[cfg(feature = "sources")]
fn texts(notification: &Notification) -> [Option<&String>; 15] {
    let Notification {
        pipeline_name,
        pipeline_source,
        reference_id,
        started_at,
        finished_at,
        status,
        repository,
        commit_sha,
        pr_number: _,
        source_url,
        head_branch,
        email,
        github_username,
        gitlab_username,
        step,
        step_id,
        allowed_to_fail: _,
        urgent: _,
        attributes: _,
    } = notification;
    [
        pipeline_name,
        pipeline_source,
        reference_id,
        started_at,
        finished_at,
        status,
        repository,
        commit_sha,
        source_url,
        head_branch,
        email,
        github_username,
        gitlab_username,
        step,
        step_id,
    ]
    .map(Option::as_ref)
}

/// Checks the refusal of a delivery, which is printed and sent to the vendor.
///
/// # Errors
/// The fault in it.
#[cfg(feature = "sources")]
pub fn check_refused_delivery(refusal: &str) -> Result<(), String> {
    if refusal.trim().is_empty() {
        return Err("it refuses the delivery without a reason".into());
    }
    check_text("reason to refuse a delivery", refusal, MOST_REASON)
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

/// Checks that a report is about the run of its notifications.
///
/// # Errors
/// The fault in it.
pub fn check_report(report: &Report, notifications: &[Notification]) -> Result<(), String> {
    let Report { run, jobs } = report;
    if jobs.len() > MOST_JOBS {
        return Err(format!("its report has {} jobs; {MOST_JOBS} are allowed", jobs.len()));
    }
    // The rules would read it as a notification about the whole run.
    if jobs.iter().any(|job| job.name.trim().is_empty()) {
        return Err("a job in its report has no name".into());
    }
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

    fn report() -> Report {
        let run = Run {
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
            attributes: Vec::new(),
        };
        Report { run, jobs: Vec::new() }
    }

    #[test]
    fn a_report_is_about_the_run_that_was_asked_about() {
        let event = |id: Option<&str>| Notification {
            reference_id: id.map(Into::into),
            ..Notification::default()
        };
        let report = Verdict::Report(report());
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
