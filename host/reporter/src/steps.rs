//! Starts of steps whose beginning and end were reported by two commands.
//!
//! A step's end that was reported without a start is recorded without one, as its beginning may be in another record. The start is filled
//! in when all records of the run are at hand.

use crate::clock;
use pipefold_sandbox::{Notification, Status};
use std::collections::BTreeMap;

/// Returns true if the notification's status says that its step ended.
pub fn has_ended(notification: &Notification) -> bool {
    let ends = [Status::Success, Status::Cancelled, Status::Failure].map(Status::as_str);
    notification
        .status
        .as_deref()
        .is_some_and(|status| ends.contains(&status))
}

/// The name of a step that is unique in its run.
fn id(notification: &Notification) -> Option<&str> {
    let id = notification.step_id.as_deref().filter(|id| !id.trim().is_empty());
    id.or(notification.step.as_deref())
}

/// Fills in the start of each end of a step that has none: the latest begin of the same step that is not after the end, else the end
/// itself.
pub fn fill_in_starts(notifications: &mut [Notification]) {
    let lacks_start = |n: &Notification| n.step.is_some() && n.started_at.is_none();
    if !notifications.iter().any(lacks_start) {
        return;
    }
    let mut begins: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for begin in notifications.iter().filter(|n| !has_ended(n)) {
        if let (Some(step), Some(start)) = (id(begin).filter(|_| begin.step.is_some()), &begin.started_at) {
            begins.entry(step.to_owned()).or_default().push(start.clone());
        }
    }
    for end in notifications.iter_mut().filter(|n| lacks_start(n)) {
        let Some(finish) = end.finished_at.clone() else {
            continue;
        };
        let begins = id(end).and_then(|step| begins.get(step));
        let before = begins
            .into_iter()
            .flatten()
            .filter(|begin| !clock::is_before(&finish, begin));
        let latest = before.reduce(|one, other| if clock::is_before(one, other) { other } else { one });
        end.started_at = Some(latest.cloned().unwrap_or(finish));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, status: &str, started_at: Option<&str>, finished_at: Option<&str>) -> Notification {
        let time = |minute: &str| format!("2025-01-01T12:{minute}:00Z");
        Notification {
            step: Some(name.into()),
            status: Some(status.into()),
            started_at: started_at.map(time),
            finished_at: finished_at.map(time),
            ..Notification::default()
        }
    }

    #[test]
    fn an_end_belongs_to_the_latest_begin_before_it() {
        let mut history = [
            step("lint", "failure", None, Some("03")),
            step("lint", "running", Some("04"), None),
            step("lint", "running", Some("01"), None),
            step("lint", "success", None, Some("05")),
            step("test", "running", Some("02"), None),
            step("test", "success", Some("03"), Some("06")),
            step("deploy", "success", None, Some("07")),
        ];
        fill_in_starts(&mut history);
        let minutes = history.map(|n| n.started_at.map(|start| start[14..16].to_owned()).unwrap_or_default());
        assert_eq!(minutes, ["01", "04", "01", "04", "02", "03", "07"]);
    }
}
