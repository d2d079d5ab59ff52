//! Colours, where they are wanted.

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::builder::styling::{AnsiColor, Style};

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
mod tests {
    use super::*;

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
