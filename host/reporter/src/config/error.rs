//! Errors of the configuration.

use std::io;
use std::path::PathBuf;

/// A configuration that cannot be used. Each message names the place (`FILE:LINE` where there is one), the key, and what to do.
///
/// After such an error nothing may be sent: the destination and the policies are not known.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}; {}", .path.display(), advice(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The path is not a regular file.
    #[error("{} is not a regular file; put a file of settings there, or take it away", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A workspace file is a symbolic link, by which an error message could quote a file that the link's author cannot read.
    #[error("{} is a symbolic link; in a workspace it has to be a file itself", .path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// Every user of the machine may write to an operator's file.
    #[error("{} can be written by everyone, so it is not trusted; run `chmod o-w` on it", .path.display())]
    WorldWritable {
        /// The file.
        path: PathBuf,
    },
    /// The file is longer than a file of settings can be.
    #[error("{} is larger than {limit} bytes, the most that is read; is it the right file?", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size, in bytes.
        limit: u64,
    },
    /// The file is not text.
    #[error("{}:{line}: this line is not UTF-8; save the file as UTF-8", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The file is not TOML.
    #[error("{}:{line}: this is not TOML: {problem}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's message.
        problem: String,
    },
    /// An unknown key.
    #[error("{}:{line}: unknown key `{key}`; {hint}", .path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, with the name of its table.
        key: String,
        /// The nearest key, or all of them.
        hint: String,
    },
    /// A key of the operator's in a file that a pull request may have written.
    #[error(
        "{}:{line}: `{key}` may not be set in a workspace file, which anyone who can open a pull request can write; \
         set it {instead}", .path.display()
    )]
    NotInWorkspace {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The places where it may be set.
        instead: String,
    },
    /// The token itself in a file of settings.
    #[error(
        "{}:{line}: `{key}`: a token never stands in a file of settings; put it into the variable DX_API_TOKEN, or into a file of its own \
         that `token_file` (in /etc/pipefold.toml or the file that --config names), PIPEFOLD_TOKEN_FILE or --token-file names, \
         and change the token if this file was shared", .path.display()
    )]
    TokenInFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// A field that differs from one notification of a run to the next.
    #[error(
        "{}:{line}: `{key}` belongs to one moment of one run, not to a file; give it by {flag} or {variable}", .path.display()
    )]
    NotInAnyFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The field's flag.
        flag: &'static str,
        /// The field's variable.
        variable: &'static str,
    },
    /// A value of the wrong type, or one that cannot be read.
    #[error("{}:{line}: `{key}`: {problem}", .path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, with the name of its table.
        key: String,
        /// The fault, and advice.
        problem: String,
    },
    /// A variable that cannot be read.
    #[error("{name}: {problem}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// The fault, and advice.
        problem: String,
    },
}

impl ConfigError {
    /// Returns true if a workspace's file with this fault may be ignored: it is damaged or mistyped, and sets nothing of the operator's.
    pub(super) fn is_harmless(&self) -> bool {
        !matches!(
            self,
            Self::NotInWorkspace { .. } | Self::TokenInFile { .. } | Self::WorldWritable { .. } | Self::Variable { .. }
        )
    }
}

/// Advice on a file that cannot be read.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "let this user read it",
        _ => "check the file and the disk it is on",
    }
}
