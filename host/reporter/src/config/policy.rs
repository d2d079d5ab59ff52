//! The tables `[[policy]]` of an operator's file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use pipefold_sandbox::KeyPlace;

use pipefold_sandbox::Mode;

use super::ConfigError;
use super::quantity::LimitKeys;
use super::reader::{DIR_KEYS, POLICY_KEYS, TomlEntry};
use super::rules::{Places, RuleKeys};

/// The name of the built-in policy.
pub const RULES: &str = "rules";

/// The failure mode of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The notification is kept and judged again later; nothing of it is sent.
    Closed,
    /// The policy is skipped.
    Open,
}

/// Something that a policy may use besides its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// To write log lines.
    Log,
    /// To read its own table `config`.
    Config,
    /// To import the system interface WASI, with nothing behind it.
    Wasi,
    /// To read the time through WASI.
    Clock,
    /// To get random bytes through WASI.
    Random,
}

impl Grant {
    const WORDS: [(&'static str, Self); 5] = [
        ("log", Self::Log),
        ("config", Self::Config),
        ("wasi", Self::Wasi),
        ("clock", Self::Clock),
        ("random", Self::Random),
    ];

    fn of(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, grant)| *grant)
    }
}

/// A directory that a policy is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedDirectory {
    /// The directory; a relative path is taken from the directory of the file of settings.
    pub path: PathBuf,
    /// True if the policy may also write and delete in it.
    pub writable: bool,
}

/// One table `[[policy]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyKeys {
    /// `FILE[@sha256:…]`; a relative file is taken from the directory of the file of settings. Empty if the policy has rules.
    pub file: String,
    /// The key that must have signed the file; a relative path is taken from the directory of the file of settings.
    pub key: Option<KeyPlace>,
    /// The rules of the built-in policy; none if the policy is a file.
    pub rules: Option<RuleKeys>,
    /// The lines of its settings.
    pub places: Places,
    /// The policy's name in messages; the file's own name if absent.
    pub name: Option<String>,
    /// The failure mode; the top level's `failure` if absent.
    pub failure: Option<Failure>,
    /// Its part in the chain.
    pub mode: Mode,
    /// The policy's grants.
    pub grants: BTreeSet<Grant>,
    /// A directory that it may use, through WASI.
    pub directory: Option<GrantedDirectory>,
    /// The policy's own settings.
    pub config: BTreeMap<String, String>,
    /// The limits that differ from the top level's `[limits]`.
    pub limits: LimitKeys,
}

impl PolicyKeys {
    /// Reads one table.
    pub(super) fn read(table: &TomlEntry<'_>) -> Result<Self, ConfigError> {
        let mut policy = Self {
            places: Places::new(table),
            ..Self::default()
        };
        let mut use_rules = None;
        for entry in table.table()? {
            match entry.name {
                "file" => {
                    let path = entry.path()?.unwrap_or_default();
                    policy.file = path.into_os_string().into_string().unwrap_or_default();
                }
                "key" => policy.key = Some(entry.key_place()?),
                "use" => {
                    entry.word(&[RULES])?;
                    use_rules = Some(entry);
                }
                "rules" => policy.rules = Some(RuleKeys::read(&entry, &mut policy.places)?),
                "name" => policy.name = entry.text()?,
                "failure" => policy.failure = Some(failure(&entry)?),
                "mode" => policy.mode = mode(&entry)?,
                "grants" => {
                    for word in entry.list_of_text()? {
                        let grant = Grant::of(&word).ok_or_else(|| entry.wrong(no_such_grant(&word)))?;
                        policy.grants.insert(grant);
                    }
                }
                "dir" => policy.directory = Some(directory(&entry)?),
                "config" => {
                    for entry in entry.table()? {
                        policy.places.add(entry.name.to_owned(), &entry);
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
        policy.check(table, use_rules.as_ref())?;
        Ok(policy)
    }

    /// Checks that it is either a file or the built-in policy, and has what belongs to that.
    fn check(&self, table: &TomlEntry<'_>, use_rules: Option<&TomlEntry<'_>>) -> Result<(), ConfigError> {
        let needs = match use_rules {
            None if self.rules.is_some() => {
                "`rules` belong to the built-in policy: write `use = \"rules\"` beside them"
            }
            None if self.file.is_empty() => {
                "a policy needs a key `file`, the path of its component, or `use = \"rules\"` with `rules = […]`"
            }
            None => return Ok(()),
            Some(_) if !self.file.is_empty() => "a policy has either `use` or `file`: leave out one of them",
            Some(entry) if self.rules.is_none() => {
                return Err(entry.wrong("it needs a key `rules`, such as `rules = [{ drop = \"email\" }]`".into()));
            }
            Some(_) if !self.grants.is_empty() || self.directory.is_some() || !self.config.is_empty() => {
                "the built-in policy takes no `grants`, `dir` or `config`: its rules are all that it uses"
            }
            Some(_) if self.key.is_some() => {
                "`key` is for a component: the built-in policy has no signature, and the key of a hash goes into its rule"
            }
            Some(_) => return Ok(()),
        };
        Err(table.wrong(needs.into()))
    }
}

/// `enforce` or `monitor`.
fn mode(entry: &TomlEntry<'_>) -> Result<Mode, ConfigError> {
    match entry.text()?.as_deref() {
        Some("enforce") => Ok(Mode::Enforce),
        Some("monitor") => Ok(Mode::Monitor),
        _ => Err(entry.wrong("this has to be \"enforce\" or \"monitor\"".into())),
    }
}

fn no_such_grant(word: &str) -> String {
    let words = Grant::WORDS.map(|(word, _)| format!("{word:?}")).join(", ");
    // `dir` is a key, not a grant, but users look for it here.
    let hint = if word == "dir" {
        "; a directory is granted by the key `dir`"
    } else {
        ""
    };
    format!("there is no grant {word:?}; there are {words}{hint}")
}

fn directory(table: &TomlEntry<'_>) -> Result<GrantedDirectory, ConfigError> {
    let (mut path, mut writable) = (None, false);
    for entry in table.table()? {
        match entry.name {
            "path" => path = entry.path()?,
            "access" => {
                writable = match entry.text()?.as_deref() {
                    Some("read-only") => false,
                    Some("read-write") => true,
                    _ => return Err(entry.wrong("this has to be \"read-only\" or \"read-write\"".into())),
                }
            }
            _ => return Err(entry.unknown(&DIR_KEYS)),
        }
    }
    let path = path.filter(|path| !path.as_os_str().is_empty());
    let path = path.ok_or_else(|| table.wrong("a granted directory needs a key `path`".into()))?;
    Ok(GrantedDirectory { path, writable })
}

/// `open` or `closed`.
pub fn failure(entry: &TomlEntry<'_>) -> Result<Failure, ConfigError> {
    match entry.text()?.as_deref() {
        Some("open") => Ok(Failure::Open),
        Some("closed") => Ok(Failure::Closed),
        _ => Err(entry.wrong("this has to be \"closed\" or \"open\"".into())),
    }
}
