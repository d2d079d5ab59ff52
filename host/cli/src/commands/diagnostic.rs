//! Messages about reporting: one line each on stderr, and the exit code that they cause.

use std::process::ExitCode;

use pipefold::{Refused, Violation};

use crate::args::GlobalFlags;
use crate::terminal::{excerpt, neutral, say};

/// A message about reporting, with its severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Diagnostic {
    /// The event and the advice.
    text: String,
    severity: Severity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    /// Nothing is wrong; the message is no warning.
    Remark,
    /// A warning, and no failure even with `--strict`.
    Notice,
    /// A fault outside of this command: DX, the disk.
    Failure,
    /// The caller's fault: a field, a flag, a file.
    Input,
}

impl Diagnostic {
    /// Wrong input.
    pub fn input(text: String) -> Self {
        Self {
            text,
            severity: Severity::Input,
        }
    }

    /// Any other failure.
    pub fn failure(text: String) -> Self {
        Self {
            text,
            severity: Severity::Failure,
        }
    }

    /// A warning that is no failure.
    pub fn notice(text: String) -> Self {
        Self {
            text,
            severity: Severity::Notice,
        }
    }

    /// A message with nothing wrong; an empty text is not printed.
    pub fn remark(text: String) -> Self {
        Self {
            text,
            severity: Severity::Remark,
        }
    }

    /// All violations of a notification, which keep the run from being reported.
    pub fn refused(violations: Vec<Violation>) -> Self {
        let refused = Refused { violations };
        Self::input(format!("the run is not reported: {refused}"))
    }

    /// The violations of optional fields, without which the run is reported.
    pub fn left_out(violations: &[Violation]) -> Self {
        let refused = Refused {
            violations: violations.to_vec(),
        };
        Self::input(format!("left out of the run: {refused}"))
    }

    /// The same message, with the addition that the run is not reported.
    pub fn unreported(self) -> Self {
        Self {
            text: format!("the run is not reported: {}", self.text),
            ..self
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<Refused> for Diagnostic {
    fn from(refused: Refused) -> Self {
        Self::refused(refused.violations)
    }
}

/// Prints the messages, and returns their exit code.
pub fn conclude(diagnostics: &[Diagnostic], global: &GlobalFlags, strict: bool) -> ExitCode {
    print(diagnostics, global);
    ExitCode::from(exit_code(diagnostics, strict))
}

/// The exit code of messages: 0 unless `strict`, then 2 for wrong input and 1 for another failure.
pub fn exit_code(diagnostics: &[Diagnostic], strict: bool) -> u8 {
    match diagnostics.iter().map(|diagnostic| diagnostic.severity).max() {
        Some(Severity::Input) if strict => 2,
        Some(Severity::Failure) if strict => 1,
        _ => 0,
    }
}

/// Prints a remark on one line, unless --quiet is given.
pub fn remark(global: &GlobalFlags, text: &str) {
    if !global.quiet {
        say(&format!("pipefold: {text}"));
    }
}

/// Prints messages, each on one line.
pub fn print(diagnostics: &[Diagnostic], global: &GlobalFlags) {
    if global.quiet && !global.strict {
        return;
    }
    for diagnostic in diagnostics {
        let text = match diagnostic.severity {
            Severity::Remark => {
                if !diagnostic.text.is_empty() {
                    say(&format!("pipefold: {}", neutral(&diagnostic.text)));
                }
                continue;
            }
            // These repeat the caller's own values, bounded where the message is made; other foreign text is cut.
            Severity::Input => neutral(&diagnostic.text),
            _ => excerpt(&diagnostic.text),
        };
        say(&format!(
            "pipefold: {}: {text}",
            if global.strict { "error" } else { "warning" }
        ));
    }
}
