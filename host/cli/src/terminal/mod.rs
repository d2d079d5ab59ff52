//! The text that a person reads: lines that are safe to show, the log, the closing line of `exec`, progress and colours.

mod closing;
mod progress;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};
use pipefold_sandbox::foreign::cut;
use tracing::Level;

pub use closing::{ClosingLine, Outcome, human_duration};
pub use pipefold_sandbox::foreign::{excerpt, neutral};
pub use progress::ProgressLine;

/// The longest line on stderr, in characters. Messages are shorter; only names of files and the caller's own values come near.
const LONGEST: usize = 4000;

/// Writes one line to stderr, made safe to show.
pub fn say(line: &str) {
    say_painted(&cut(line, LONGEST));
}

/// Writes a line that may have colours to stderr: its text must be safe already. Lines are written in one piece, so that those of several
/// processes do not mix. A closed stderr is no error.
fn say_painted(line: &str) {
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// The text with each of its lines made safe to show.
pub fn lines(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => neutral(line) + "\n",
            None => neutral(line),
        })
        .collect()
}

/// A writer that makes each line safe to show. A line has to be written in one piece, as the lines of a log are.
#[derive(Debug, Clone, Copy)]
struct SafeWriter<W>(W);

impl<W: Write> Write for SafeWriter<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let (line, end) = match text.strip_suffix(b"\n") {
            Some(line) => (line, "\n"),
            None => (text, ""),
        };
        let line = neutral(&String::from_utf8_lossy(line)) + end;
        self.0.write_all(line.as_bytes())?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Shows the log on stderr, from `-v` (info) to `-vvv` (everything). Without `-v` nothing is shown.
pub fn show_log(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    show_events(level);
}

/// Shows events of a level and above on stderr, each on one line that is safe to show.
pub fn show_events(level: Level) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| SafeWriter(io::stderr()))
        .with_ansi(false)
        .with_target(false)
        .init();
}

/// Breaks the text into lines of at most `width` characters, at least one, each safe to show by itself. Lines are broken at blanks where
/// there are some, else anywhere: an address or a path is shown whole, over two lines.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        let mut word = word;
        let mut word_length = word.chars().count();
        if !line.is_empty() && length + 1 + word_length <= width {
            line.push(' ');
            line.push_str(word);
            length += 1 + word_length;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while word_length > width {
            let end = word.char_indices().nth(width).map_or(word.len(), |(end, _)| end);
            lines.push(word[..end].to_owned());
            word = &word[end..];
            word_length -= width;
        }
        line.push_str(word);
        length = word_length;
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    // A word that was harmless within a line may begin one now.
    lines.iter().map(|line| neutral(line)).collect()
}

/// The choice between plain and coloured text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// No colours: a file, a pipe, a CI log, or the user's choice.
    Plain,
    /// Colours.
    Coloured,
}

impl Paint {
    /// The choice for this process's stderr.
    pub fn of_stderr() -> Self {
        Self::decide(std::io::stderr().is_terminal(), |name| std::env::var_os(name))
    }

    /// The choice for this process's stdout.
    pub fn of_stdout() -> Self {
        Self::decide(std::io::stdout().is_terminal(), |name| std::env::var_os(name))
    }

    /// `NO_COLOR` (no-color.org) beats `CLICOLOR_FORCE` (bixense.com/clicolors), which beats the abilities of the terminal.
    fn decide(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let wanted = if set("NO_COLOR").is_some() {
            false
        } else if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
            true
        } else {
            terminal && set("TERM").is_some_and(|term| term != "dumb")
        };
        if wanted { Self::Coloured } else { Self::Plain }
    }

    /// The text in a colour, if colours are wanted.
    pub fn text(self, colour: AnsiColor, text: &str) -> String {
        let style = match self {
            Self::Plain => Style::new(),
            Self::Coloured => Style::new().fg_color(Some(colour.into())),
        };
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_safe_and_stays_a_line() {
        assert_eq!(lines("a\n  ::error::x\n\n##[b\x1b"), "a\n  : :error::x\n\n# #[b\\u{1b}");
    }

    #[test]
    fn a_line_of_a_log_is_one_line() {
        let mut out = Vec::new();
        SafeWriter(&mut out).write_all(b"INFO a=b\n::error::\xff\n").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "INFO a=b\\n::error::\u{fffd}\n");
    }

    #[test]
    fn lines_break_at_blanks_and_long_words_anywhere() {
        for (text, lines) in [
            ("", &[""] as &[&str]),
            ("ab", &["ab"]),
            ("ab cd", &["ab cd"]),
            ("ab cd e", &["ab cd", "e"]),
            ("abcdefghijkl mn", &["abcde", "fghij", "kl mn"]),
            ("a abcdefg", &["a", "abcde", "fg"]),
            ("äöüßé ñ", &["äöüßé", "ñ"]),
            ("abcde fghij", &["abcde", "fghij"]),
        ] {
            assert_eq!(wrap(text, 5), lines, "{text}");
        }
        assert_eq!(wrap("ab", 0), ["a", "b"]);
        assert_eq!(wrap("a ::error::b", 10), ["a", ": :error::b"]);
    }

    fn decide(terminal: bool, variables: &[(&str, &str)]) -> Paint {
        Paint::decide(terminal, |name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.into())
        })
    }

    #[test]
    fn colours_are_for_terminals_that_can_and_users_that_want_them() {
        let term = ("TERM", "xterm-256color");
        assert_eq!(decide(true, &[term]), Paint::Coloured);
        assert_eq!(decide(false, &[term]), Paint::Plain);
        assert_eq!(decide(true, &[("TERM", "dumb")]), Paint::Plain);
        assert_eq!(decide(true, &[]), Paint::Plain);
        assert_eq!(decide(true, &[term, ("NO_COLOR", "1")]), Paint::Plain);
        assert_eq!(decide(true, &[term, ("NO_COLOR", "")]), Paint::Coloured);
        assert_eq!(decide(false, &[("CLICOLOR_FORCE", "1")]), Paint::Coloured);
        assert_eq!(decide(false, &[("CLICOLOR_FORCE", "0")]), Paint::Plain);
        assert_eq!(
            decide(true, &[term, ("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]),
            Paint::Plain
        );
    }

    #[test]
    fn plain_text_has_no_escape() {
        assert_eq!(Paint::Plain.text(AnsiColor::Red, "x"), "x");
        assert_eq!(Paint::Coloured.text(AnsiColor::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}
