//! The progress of long work: one line that is redrawn on a terminal, a line every 10 s elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use pipefold_sandbox::foreign::cut;

use super::say;

/// The time between two drawings on a terminal: as fast as an eye follows.
const FRAME: Duration = Duration::from_millis(100);

/// The time between two lines in a log, which a person has to read.
const LINE: Duration = Duration::from_secs(10);

/// The number of cells of the bar.
const CELLS: usize = 20;

/// The columns of a terminal whose width is unknown, less one: a cursor in the last column may begin a new line.
const COLUMNS: usize = 79;

/// Shows progress on stderr.
pub struct ProgressLine {
    form: Form,
    shown: Option<Instant>,
    /// True if the terminal shows a line without its end.
    is_drawn: bool,
    columns: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bar,
    Lines,
    Nothing,
}

impl ProgressLine {
    /// The progress on this process's stderr.
    pub fn of_stderr(quiet: bool) -> Self {
        let can_draw = || std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse::<usize>().ok());
        Self {
            form: match quiet {
                true => Form::Nothing,
                false if std::io::stderr().is_terminal() && can_draw() => Form::Bar,
                false => Form::Lines,
            },
            // Work that is over within the time of a line needs none.
            shown: Some(Instant::now()),
            is_drawn: false,
            columns: columns.map_or(COLUMNS, |columns| columns.saturating_sub(1).max(20)),
        }
    }

    /// Shows the line, if it is time for one: `done` of `all`, then the text.
    pub fn show(&mut self, done: usize, all: usize, words: impl FnOnce() -> String) {
        let pause = match self.form {
            Form::Bar => FRAME,
            Form::Lines => LINE,
            Form::Nothing => return,
        };
        if self.shown.is_some_and(|shown| shown.elapsed() < pause) {
            return;
        }
        self.shown = Some(Instant::now());
        if self.form == Form::Bar {
            let bar = bar(done, all);
            let line = format!("{bar} {}", cut(&words(), self.columns.saturating_sub(bar.len() + 1)));
            // To the line's beginning, and its old text erased (ECMA-48, EL).
            let _ = std::io::stderr().lock().write_all(format!("\r{line}\x1b[K").as_bytes());
            self.is_drawn = true;
        } else {
            say(&format!("pipefold: {}", words()));
        }
    }

    /// Erases the line, before something else is printed.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = std::io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `[########............]`
fn bar(done: usize, all: usize) -> String {
    let full = (done * CELLS).checked_div(all).unwrap_or(0).min(CELLS);
    format!("[{}{}]", "#".repeat(full), ".".repeat(CELLS - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_full_as_the_work() {
        assert_eq!(bar(0, 0), format!("[{}]", ".".repeat(20)));
        assert_eq!(bar(1, 4), format!("[{}{}]", "#".repeat(5), ".".repeat(15)));
        assert_eq!(bar(5, 4), format!("[{}]", "#".repeat(20)));
    }
}
