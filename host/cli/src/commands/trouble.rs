//! Trouble with reporting: one line on stderr, and the exit code for it.

use std::process::ExitCode;

use pipefold::{Refused, Violation};

use crate::args::GlobalFlags;
use crate::terminal::{excerpt, neutral, say};

/// Something that went wrong with reporting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The text: what happened and what to do.
    text: String,
    weight: Weight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Nothing is wrong; it is said without a word of warning.
    Remark,
    /// Worth a line, and no failure even with `--strict`.
    Notice,
    /// The world's fault: DX, the disk.
    Other,
    /// The caller's fault: a field, a flag, a file.
    Input,
}

impl Trouble {
    /// Wrong input.
    pub fn input(text: String) -> Self {
        Self {
            text,
            weight: Weight::Input,
        }
    }

    /// Anything else that failed.
    pub fn other(text: String) -> Self {
        Self {
            text,
            weight: Weight::Other,
        }
    }

    /// Something to know that is no failure.
    pub fn notice(text: String) -> Self {
        Self {
            text,
            weight: Weight::Notice,
        }
    }

    /// Something to know with nothing wrong; an empty text is not said at all.
    pub fn remark(text: String) -> Self {
        Self {
            text,
            weight: Weight::Remark,
        }
    }

    /// All violations of a notification.
    pub fn refused(violations: Vec<Violation>) -> Self {
        let refused = Refused { violations };
        Self::input(format!("the run is not reported: {refused}"))
    }

    /// Optional fields that are wrong, so that the run is reported without them.
    pub fn left_out(violations: &[Violation]) -> Self {
        let refused = Refused {
            violations: violations.to_vec(),
        };
        Self::input(format!("left out of the run: {refused}"))
    }

    /// The same trouble where it keeps a run from being reported, which it does not say itself.
    pub fn unreported(self) -> Self {
        Self {
            text: format!("the run is not reported: {}", self.text),
            ..self
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self::refused(refused.violations)
    }
}

/// Says what went wrong, and gives the exit code for it: 0 unless `strict`, then 2 for wrong input and 1 for the rest.
pub fn conclude(troubles: &[Trouble], global: &GlobalFlags, strict: bool) -> ExitCode {
    tell(troubles, global);
    ExitCode::from(code(troubles, strict))
}

/// The exit code that the troubles come to.
pub fn code(troubles: &[Trouble], strict: bool) -> u8 {
    match troubles.iter().map(|trouble| trouble.weight).max() {
        Some(Weight::Input) if strict => 2,
        Some(Weight::Other) if strict => 1,
        _ => 0,
    }
}

/// Says what went wrong, each on one line.
pub fn tell(troubles: &[Trouble], global: &GlobalFlags) {
    if global.quiet && !global.strict {
        return;
    }
    for trouble in troubles {
        let text = match trouble.weight {
            Weight::Remark => {
                if !trouble.text.is_empty() {
                    say(&format!("pipefold: {}", neutral(&trouble.text)));
                }
                continue;
            }
            // The caller's own words come back in these, bounded where they are made; other words are cut.
            Weight::Input => neutral(&trouble.text),
            _ => excerpt(&trouble.text),
        };
        say(&format!(
            "pipefold: {}: {text}",
            if global.strict { "error" } else { "warning" }
        ));
    }
}
