//! The tables `[[policy]]` of an operator's file.

use std::collections::{BTreeMap, BTreeSet};

use super::ConfigError;
use super::keys::POLICY_KEYS;
use super::reader::Entry;
use super::tuning::LimitKeys;

/// What happens to a notification when a policy fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is kept and judged again later; nothing of it is sent.
    Closed,
    /// The policy is passed over.
    Open,
}

/// Something that a policy may use besides its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// To write log lines.
    Log,
    /// To read its own table `config`.
    Config,
}

/// One table `[[policy]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyKeys {
    /// `FILE[@sha256:…]`; a relative file is taken from the directory of the file of settings.
    pub file: String,
    /// How messages name it; the file's own name if absent.
    pub name: Option<String>,
    /// What happens when it fails; the top level's `failure` if absent.
    pub failure: Option<Failure>,
    /// What it may use.
    pub grants: BTreeSet<Grant>,
    /// Its own settings.
    pub config: BTreeMap<String, String>,
    /// What it may use up, where it differs from the top level's `[limits]`.
    pub limits: LimitKeys,
}

impl PolicyKeys {
    /// Reads one table.
    pub(super) fn read(table: &Entry<'_>) -> Result<Self, ConfigError> {
        let mut policy = Self::default();
        for entry in table.table()? {
            match entry.name {
                "file" => {
                    let path = entry.path()?.unwrap_or_default();
                    policy.file = path.into_os_string().into_string().unwrap_or_default();
                }
                "name" => policy.name = entry.text()?,
                "failure" => policy.failure = Some(failure(&entry)?),
                "grants" => {
                    for word in entry.list_of_text()? {
                        policy.grants.insert(match word.as_str() {
                            "log" => Grant::Log,
                            "config" => Grant::Config,
                            other => {
                                return Err(entry
                                    .wrong(format!("there is no grant {other:?}; there are \"log\" and \"config\"")));
                            }
                        });
                    }
                }
                "config" => {
                    for entry in entry.table()? {
                        if let Some(value) = entry.text()? {
                            policy.config.insert(entry.name.to_owned(), value);
                        }
                    }
                }
                "limits" => {
                    for entry in entry.table()? {
                        policy.limits.take(&entry)?;
                    }
                }
                _ => return Err(entry.unknown(&POLICY_KEYS)),
            }
        }
        if policy.file.is_empty() {
            return Err(table.wrong("a policy needs a key `file`, the path of its component".into()));
        }
        Ok(policy)
    }
}

/// `open` or `closed`.
pub(super) fn failure(entry: &Entry<'_>) -> Result<Failure, ConfigError> {
    match entry.text()?.as_deref() {
        Some("open") => Ok(Failure::Open),
        Some("closed") => Ok(Failure::Closed),
        _ => Err(entry.wrong("this has to be \"closed\" or \"open\"".into())),
    }
}
