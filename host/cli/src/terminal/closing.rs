//! The one line with which `exec` ends.

use std::time::Duration;

use clap::builder::styling::AnsiColor;
use pipefold_sandbox::Status;

use super::text::say_painted;
use super::{Paint, excerpt, human};

/// The fate of the record of a run. The text is the reason, in any words: it is made harmless when shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate<'a> {
    /// DX said `ok`.
    Delivered,
    /// It is in the spool and will be tried again.
    Kept(&'a str),
    /// A policy dropped it.
    Dropped(&'a str),
    /// The run will not be sent: it is not valid, or DX or a policy refused it.
    Refused(&'a str),
    /// It is neither at DX nor in the spool.
    Lost(&'a str),
}

/// `pipefold: success in 1 m 23 s, delivered`
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing<'a> {
    /// The status of the run.
    pub(crate) status: Status,
    /// The time that the command ran.
    pub(crate) duration: Duration,
    /// The place where its record is.
    pub(crate) fate: Fate<'a>,
}

impl Closing<'_> {
    /// Writes the line to stderr.
    pub(crate) fn say(&self) {
        say_painted(&self.line(Paint::of_stderr()));
    }

    /// The line, without its end.
    fn line(&self, paint: Paint) -> String {
        let status = paint.text(colour(self.status), self.status.as_str());
        let duration = human(self.duration);
        let (fate, why) = match self.fate {
            Fate::Delivered => (paint.text(AnsiColor::Green, "delivered"), ""),
            Fate::Kept(why) => (paint.text(AnsiColor::Yellow, "kept"), why),
            Fate::Dropped(why) => (paint.text(AnsiColor::Yellow, "dropped"), why),
            Fate::Refused(why) => (paint.text(AnsiColor::Red, "refused"), why),
            Fate::Lost(why) => (paint.text(AnsiColor::Red, "not recorded"), why),
        };
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(": {}", excerpt(why))
        };
        format!("pipefold: {status} in {duration}, {fate}{why}")
    }
}

fn colour(status: Status) -> AnsiColor {
    match status {
        Status::Success => AnsiColor::Green,
        Status::Failure => AnsiColor::Red,
        Status::Cancelled => AnsiColor::Yellow,
        Status::Running | Status::Unknown => AnsiColor::Cyan,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: Status, fate: Fate<'_>, paint: Paint) -> String {
        Closing {
            status,
            duration: Duration::from_secs(83),
            fate,
        }
        .line(paint)
    }

    #[test]
    fn it_tells_status_duration_and_fate() {
        assert_eq!(
            line(Status::Success, Fate::Delivered, Paint::Plain),
            "pipefold: success in 1 m 23 s, delivered"
        );
        assert_eq!(
            line(Status::Failure, Fate::Kept("DX did not answer (timeout)"), Paint::Plain),
            "pipefold: failure in 1 m 23 s, kept: DX did not answer (timeout)"
        );
        assert_eq!(
            line(Status::Cancelled, Fate::Lost("the disk is full"), Paint::Plain),
            "pipefold: cancelled in 1 m 23 s, not recorded: the disk is full"
        );
        assert_eq!(
            line(Status::Success, Fate::Delivered, Paint::Coloured),
            "pipefold: \x1b[32msuccess\x1b[0m in 1 m 23 s, \x1b[32mdelivered\x1b[0m"
        );
    }

    #[test]
    fn a_reason_cannot_end_the_line_nor_paint() {
        let shown = line(Status::Success, Fate::Refused("bad\n##vso[x]\x1b[0m"), Paint::Plain);
        assert_eq!(
            shown,
            r"pipefold: success in 1 m 23 s, refused: bad\n# #vso[x]\u{1b}[0m"
        );
    }
}
