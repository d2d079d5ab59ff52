//! Where a value came from.

use std::fmt;
use std::path::PathBuf;

/// The place that gave a value, for `doctor`, for `--dry-run` and for error messages. Printed, it reads as the end of "it came from …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command, with its dashes. A setter of the builder counts as the flag of the same name.
    Flag(&'static str),
    /// A variable that is pipefold's or DX's own.
    Variable(&'static str),
    /// A `pipefold.toml`.
    File {
        /// The file, as it was found or named.
        path: PathBuf,
        /// The key in it, with the name of its table: `budgets.start`.
        key: String,
    },
    /// A variable of a CI system.
    Detected {
        /// The system's usual name, such as `GitHub Actions`.
        system: &'static str,
        /// The variable.
        variable: &'static str,
    },
    /// What is known of this machine outside CI, in words: `git's HEAD`.
    Local(&'static str),
    /// A variable that the system or the user's session sets for every program, such as `HOME`.
    Session(&'static str),
    /// Nothing was said.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) | Self::Session(name) | Self::Local(name) => f.write_str(name),
            Self::File { path, key } => write!(f, "{key} in {}", path.display()),
            Self::Detected { system, variable } => write!(f, "{variable} of {system}"),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The place that gave it.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    /// Puts the two together.
    #[must_use]
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_origin_reads_well() {
        let file = Origin::File {
            path: "/repo/pipefold.toml".into(),
            key: "repository".into(),
        };
        let detected = Origin::Detected {
            system: "GitHub Actions",
            variable: "GITHUB_SHA",
        };
        assert_eq!(Origin::Flag("--repository").to_string(), "--repository");
        assert_eq!(Origin::Variable("DX_API_URL").to_string(), "DX_API_URL");
        assert_eq!(file.to_string(), "repository in /repo/pipefold.toml");
        assert_eq!(detected.to_string(), "GITHUB_SHA of GitHub Actions");
        assert_eq!(Origin::Session("HOME").to_string(), "HOME");
        assert_eq!(Origin::Default.to_string(), "the default");
    }
}
