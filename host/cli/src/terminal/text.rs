//! Lines on stderr and stdout, which a terminal and a CI system obey.

use std::io::{self, Write};

use pipefold_sandbox::foreign::{cut, neutral};

/// The longest line on stderr, in characters. What is said is shorter; only names of files and the caller's own values come near.
const LONGEST: usize = 4000;

/// Writes one line to stderr, safe to show whatever is in it.
pub(crate) fn say(line: &str) {
    say_painted(&cut(line, LONGEST));
}

/// The same for a line that may have colours: its text must be safe already. Lines are written in one piece, so that those of several
/// processes do not mix. A closed stderr is no error.
pub(super) fn say_painted(line: &str) {
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// The text with each of its lines safe to show.
pub(crate) fn lines(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => neutral(line) + "\n",
            None => neutral(line),
        })
        .collect()
}

/// Makes each line safe to show that is written in one piece, as the lines of a log are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Safe<W>(pub(crate) W);

impl<W: Write> Write for Safe<W> {
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
        Safe(&mut out).write_all(b"INFO a=b\n::error::\xff\n").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "INFO a=b\\n::error::\u{fffd}\n");
    }
}
