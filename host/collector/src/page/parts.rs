//! Pieces that several pages have.

use super::words;
use crate::store::RunSummary;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use pipefold_sandbox::foreign::visible;
use pipefold_sandbox::{Run, Status};
use std::time::Duration;

/// A status as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownStatus {
    /// The status by the rules.
    Is(Status),
    /// Still in progress; the status by the rules so far.
    SoFar(Status),
    /// Started, without activity for long.
    Stale,
}

impl ShownStatus {
    /// Returns the status of a run. DX's rule takes the result of a step for the run's, and the run is over only once a finish is reported.
    /// A run of one notification has nothing more to come; after a long silence the others count as over too.
    pub fn of(run: &RunSummary, now: DateTime<Utc>, stale_after: Duration) -> Self {
        let status = run.record.status;
        let is_silent = words::between(run.last_arrived, now) > stale_after;
        match run.completion {
            None if is_silent => Self::Stale,
            Some(_) if run.finished.is_none() && run.notifications > 1 && !is_silent => Self::SoFar(status),
            _ => Self::Is(status),
        }
    }

    /// Returns true if the run is in progress.
    pub fn goes_on(self) -> bool {
        matches!(self, Self::Is(Status::Running) | Self::SoFar(_))
    }

    /// Returns the name, which is also the class in the stylesheet.
    pub fn name(self) -> &'static str {
        match self {
            // A failure so far is shown as one.
            Self::Is(status) | Self::SoFar(status @ Status::Failure) => status.as_str(),
            Self::SoFar(_) => Status::Running.as_str(),
            Self::Stale => "stale",
        }
    }

    /// Returns the text.
    pub fn text(self) -> &'static str {
        match self {
            Self::Is(Status::Unknown) => "Unknown",
            Self::Is(Status::Running) => "Running",
            Self::Is(Status::Success) => "Success",
            Self::Is(Status::Cancelled) => "Cancelled",
            Self::Is(Status::Failure) => "Failure",
            Self::SoFar(Status::Failure) => "Failing",
            Self::SoFar(_) => "Running",
            Self::Stale => "Stale",
        }
    }

    /// Returns the text with the shape.
    pub fn pill(self) -> Markup {
        self.pill_as(self.text())
    }

    /// Returns another text with the shape.
    pub fn pill_as(self, text: &str) -> Markup {
        let name = self.name();
        let why = match self {
            Self::Is(_) => None,
            Self::SoFar(status) => Some(format!("In progress; so far: {status}.")),
            Self::Stale => Some("Started, without activity for a long time.".to_owned()),
        };
        html! {
            span class={ "pill s-" (name) } title=[why] {
                svg width="16" height="16" aria-hidden="true" { use href={ "#i-" (name) } {} }
                (text)
            }
        }
    }
}

/// Returns a reported value: invisible characters are escaped, and the text direction stays within it. A value with a space at an end,
/// which makes it another value, is in quotes.
pub fn value(text: &str) -> Markup {
    let shown = visible(text);
    if text.trim() == text {
        html! { bdi { (shown) } }
    } else {
        html! { bdi { "“" (shown) "”" } }
    }
}

/// Returns a moment as its age.
pub fn ago(then: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! { time datetime=(words::machine(then)) title=(words::full(then)) { (words::age(then, now)) } }
}

/// Returns a moment to the second.
pub fn moment(time: DateTime<Utc>) -> Markup {
    html! { time datetime=(words::machine(time)) { (words::full(time)) } }
}

/// Returns the duration of a run, or its duration so far.
pub fn duration(run: &RunSummary, shown: ShownStatus, now: DateTime<Utc>) -> Markup {
    match (run.finished, shown) {
        (Some(finished), _) => html! { (words::duration(words::between(run.started, finished))) },
        (None, shown) if shown.goes_on() => html! {
            span .so-far { (words::duration(words::between(run.started, now))) " so far" }
        },
        _ => html! { span .none { "–" } },
    }
}

/// Returns the person who started a run, by the shortest of the names.
pub fn person(run: &Run) -> Option<&str> {
    [&run.github_username, &run.gitlab_username, &run.email]
        .into_iter()
        .find_map(|name| name.as_deref())
}

/// Returns the first eight digits of a commit, as git shows at least; all of a text that is not one of git's.
pub fn short_commit(commit: &str) -> &str {
    const SHOWN: usize = 8;
    if commit.len() > SHOWN && commit.bytes().all(|b| b.is_ascii_hexdigit()) {
        &commit[..SHOWN]
    } else {
        commit
    }
}
