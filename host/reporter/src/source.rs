//! Sources of values: the process environment as data, the origin of a value, and the nearest known name to a misspelt one.

mod nearest;

pub use nearest::nearest;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// Variables by name. Read from the process once, and passed down from there.
///
/// An empty value counts as absent: CI systems set a variable to nothing where another tool would leave it out (`GITHUB_HEAD_REF` outside a
/// pull request, a secret in a build of a fork). `{:?}` shows names only, since a value may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The variables of this process, as they are now.
    #[must_use]
    pub fn from_process() -> Self {
        std::env::vars_os().collect()
    }

    /// Variables from pairs of name and value; the last value of a name counts.
    pub fn from_pairs<N: Into<OsString>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    /// Returns a copy with one more variable, or another value for one.
    #[must_use]
    pub fn with(&self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let mut variables = self.variables.clone();
        variables.insert(name.into(), value.into());
        Self { variables }
    }

    /// The value as text. `None` if there is no such variable, or it is empty, or it is not UTF-8; [`Environment::not_utf8`] lists those.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_os(name)?.to_str()
    }

    /// The value as the system gave it, UTF-8 or not. `None` if there is no such variable or it is empty.
    #[must_use]
    pub fn get_os(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value.as_os_str())
    }

    /// The value as an absolute path; a relative one counts as absent, as the XDG base directory specification asks.
    #[must_use]
    pub fn absolute_path(&self, name: &str) -> Option<PathBuf> {
        let path = Path::new(self.get_os(name)?);
        path.is_absolute().then(|| path.to_path_buf())
    }

    /// Names that start with `prefix` and whose value is not empty, in order. A name that is not UTF-8 is left out.
    pub fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.present()
            .filter_map(|(name, _)| name.to_str())
            .filter(move |name| name.starts_with(prefix))
    }

    /// Names of the variables whose value is not UTF-8, so that [`Environment::get`] returns none, in order.
    pub fn not_utf8(&self) -> impl Iterator<Item = &str> {
        self.present()
            .filter(|(_, value)| value.to_str().is_none())
            .filter_map(|(name, _)| name.to_str())
    }

    fn present(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.variables.iter().filter(|(_, value)| !value.is_empty())
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(pairs: I) -> Self {
        Self {
            variables: pairs.into_iter().collect(),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

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
    /// A source on this machine, outside CI: `git's HEAD`.
    Local(&'static str),
    /// A variable that the system or the user's session sets for every program, such as `HOME`.
    Session(&'static str),
    /// The default.
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

/// A value and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The place that gave it.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    /// A value with its origin.
    #[must_use]
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_absent() {
        let environment = Environment::from_pairs([("GITHUB_HEAD_REF", ""), ("CI", "true")]);
        assert_eq!(environment.get("GITHUB_HEAD_REF"), None);
        assert_eq!(environment.get_os("GITHUB_HEAD_REF"), None);
        assert_eq!(environment.get("CI"), Some("true"));
        assert_eq!(environment.get("NONE"), None);
        assert_eq!(environment.names("").collect::<Vec<_>>(), ["CI"]);
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf8_are_absent_and_named() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = OsString::from_vec(b"/spool\xff".to_vec());
        let environment = Environment::from_pairs([("PIPEFOLD_SPOOL", bytes.clone()), ("CI", "true".into())]);
        assert_eq!(environment.get("PIPEFOLD_SPOOL"), None);
        assert_eq!(environment.get_os("PIPEFOLD_SPOOL"), Some(bytes.as_os_str()));
        assert_eq!(environment.not_utf8().collect::<Vec<_>>(), ["PIPEFOLD_SPOOL"]);
    }

    #[test]
    fn a_relative_path_is_absent() {
        let environment = Environment::from_pairs([("A", "state"), ("B", "/state")]);
        assert_eq!(environment.absolute_path("A"), None);
        assert_eq!(environment.absolute_path("B"), Some(PathBuf::from("/state")));
    }

    #[test]
    fn debug_shows_no_value() {
        let environment = Environment::from_pairs([("DX_API_TOKEN", "s3cret")]);
        assert_eq!(format!("{environment:?}"), r#"{"DX_API_TOKEN"}"#);
    }

    #[test]
    fn the_process_environment_is_read() {
        let path = std::env::var("PATH").unwrap();
        assert_eq!(Environment::from_process().get("PATH"), Some(path.as_str()));
    }

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

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["repository", "reference_id", "spool", "spool_limit"];
        assert_eq!(nearest("repositroy", known), Some("repository"));
        assert_eq!(nearest("reference-id", known), Some("reference_id"));
        assert_eq!(nearest("Spool", known), Some("spool"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"repository".repeat(1000), known), None);
    }
}
