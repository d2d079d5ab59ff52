//! The closing line of `exec`.

use std::time::Duration;

use clap::builder::styling::AnsiColor;
use pipefold_sandbox::Status;

use super::{Paint, excerpt, say_painted};

/// The outcome of reporting a run. The text is the reason, in foreign words: it is made safe when shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// DX answered `ok`.
    Delivered,
    /// The run is in the spool, and later commands send it.
    Kept(&'a str),
    /// A policy dropped the run.
    Dropped(&'a str),
    /// The run will not be sent: it is not valid, or DX or a policy refused it.
    Refused(&'a str),
    /// The run is neither at DX nor in the spool.
    Lost(&'a str),
}

/// `pipefold: success in 1 m 23 s, delivered`
#[derive(Debug, Clone, Copy)]
pub struct ClosingLine<'a> {
    /// The status of the run.
    pub status: Status,
    /// The time that the command ran.
    pub duration: Duration,
    /// The outcome of its delivery.
    pub outcome: Outcome<'a>,
}

impl ClosingLine<'_> {
    /// Writes the line to stderr.
    pub fn say(&self) {
        say_painted(&self.line(Paint::of_stderr()));
    }

    /// The line, without its end.
    fn line(&self, paint: Paint) -> String {
        let status = paint.text(colour(self.status), self.status.as_str());
        let duration = human_duration(self.duration);
        let (outcome, why) = match self.outcome {
            Outcome::Delivered => (paint.text(AnsiColor::Green, "delivered"), ""),
            Outcome::Kept(why) => (paint.text(AnsiColor::Yellow, "kept"), why),
            Outcome::Dropped(why) => (paint.text(AnsiColor::Yellow, "dropped"), why),
            Outcome::Refused(why) => (paint.text(AnsiColor::Red, "refused"), why),
            Outcome::Lost(why) => (paint.text(AnsiColor::Red, "not recorded"), why),
        };
        let why = if why.is_empty() {
            String::new()
        } else {
            format!(": {}", excerpt(why))
        };
        format!("pipefold: {status} in {duration}, {outcome}{why}")
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

/// The two largest units that matter, rounded down: `412 ms`, `3.2 s`, `1 m 03 s`, `2 h 03 m`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: Status, outcome: Outcome<'_>, paint: Paint) -> String {
        ClosingLine {
            status,
            duration: Duration::from_secs(83),
            outcome,
        }
        .line(paint)
    }

    #[test]
    fn the_line_has_status_duration_and_outcome() {
        assert_eq!(
            line(Status::Success, Outcome::Delivered, Paint::Plain),
            "pipefold: success in 1 m 23 s, delivered"
        );
        assert_eq!(
            line(
                Status::Failure,
                Outcome::Kept("DX did not answer (timeout)"),
                Paint::Plain
            ),
            "pipefold: failure in 1 m 23 s, kept: DX did not answer (timeout)"
        );
        assert_eq!(
            line(Status::Cancelled, Outcome::Lost("the disk is full"), Paint::Plain),
            "pipefold: cancelled in 1 m 23 s, not recorded: the disk is full"
        );
        assert_eq!(
            line(Status::Success, Outcome::Delivered, Paint::Coloured),
            "pipefold: \x1b[32msuccess\x1b[0m in 1 m 23 s, \x1b[32mdelivered\x1b[0m"
        );
    }

    #[test]
    fn a_reason_cannot_end_the_line_nor_paint() {
        let shown = line(Status::Success, Outcome::Refused("bad\n##vso[x]\x1b[0m"), Paint::Plain);
        assert_eq!(
            shown,
            r"pipefold: success in 1 m 23 s, refused: bad\n# #vso[x]\u{1b}[0m"
        );
    }

    #[test]
    fn each_size_has_its_units() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (412, "412 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (3_290, "3.2 s"),
            (59_999, "59.9 s"),
            (60_000, "1 m 00 s"),
            (83_000, "1 m 23 s"),
            (3_599_999, "59 m 59 s"),
            (3_600_000, "1 h 00 m"),
            (7_380_000, "2 h 03 m"),
            (360_000_000, "100 h 00 m"),
        ] {
            assert_eq!(human_duration(Duration::from_millis(milliseconds)), text);
        }
    }
}
