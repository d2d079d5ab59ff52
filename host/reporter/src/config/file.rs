//! Reads `pipefold.toml`, as far as it is trusted.

use super::forge::ForgeKeys;
use super::gocd::GocdKeys;
use super::jobs::{JobChoice, JobKeys, MOST_JOBS, most_jobs};
use super::policy::{Failure, PolicyKeys, failure};
use super::quantity::{BudgetKeys, LimitKeys};
use super::queue::QueueKeys;
use super::reader::{BUDGET_KEYS, LIMIT_KEYS, OPERATOR_KEYS, TOKEN_KEYS, TomlEntry, entries};
use super::templates::TemplateKeys;
use super::webhook::SourceKeys;
use super::{ConfigError, Sourced};
use crate::detect::{ATTRIBUTES, Attributes, Field, Fields};
use pipefold_sandbox::foreign;
use std::fs;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::DeTable;

/// The table of templates, which every file may have: a template sets no more than a field.
const TEMPLATES: &str = "templates";

/// The trust in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Found upwards from the working directory: a pull request may have written it. Fields of the run and templates only.
    Workspace,
    /// Named by `--config`, or `/etc/pipefold.toml`: the operator's settings.
    Operator,
}

/// The contents of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// Fields of the run.
    pub fields: Fields,
    /// Templates for fields of the run.
    pub templates: TemplateKeys,
    /// The settings of an operator's file; empty for a workspace file.
    pub operator: OperatorKeys,
}

/// The settings that only an operator's file can have. `None` is not set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperatorKeys {
    /// Address of the DX instance.
    pub dx_url: Option<Sourced<String>>,
    /// File that holds the token.
    pub token_file: Option<Sourced<PathBuf>>,
    /// File of certificates to trust, in PEM.
    pub ca_file: Option<Sourced<PathBuf>>,
    /// Directory of the spool.
    pub spool: Option<Sourced<PathBuf>>,
    /// The most the spool may hold, in bytes.
    pub spool_limit: Option<u64>,
    /// The time without activity after which a run without an end is ended as cancelled.
    pub abandon_after: Option<Duration>,
    /// The jobs of a run that are sent.
    pub jobs: JobKeys,
    /// True if a fault in reporting fails the command.
    pub strict: Option<bool>,
    /// The time that delivery may take.
    pub budgets: BudgetKeys,
    /// The limits of a plugin.
    pub limits: LimitKeys,
    /// The failure mode of policies without one of their own.
    pub failure: Option<Failure>,
    /// The tables `[[policy]]`, in order.
    pub policies: Vec<PolicyKeys>,
    /// The tables `[[source]]`, in order.
    pub sources: Vec<SourceKeys>,
    /// The tables `[[forge]]`, in order.
    pub forges: Vec<ForgeKeys>,
    /// The table `[gocd]`.
    pub gocd: GocdKeys,
    /// The table `[queue]`.
    pub queue: QueueKeys,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// Any [`ConfigError`] except [`ConfigError::Variable`]; the first of several faults.
    pub fn read(path: &Path, trust: Trust) -> Result<Self, ConfigError> {
        Self::parse(path, &read_text(path, trust)?, trust)
    }

    /// Reads a workspace's file as far as it can be used, and returns its harmless faults.
    ///
    /// # Errors
    /// As [`File::read`], for a fault of the whole file, or one that is not harmless.
    pub(super) fn read_workspace(path: &Path) -> Result<(Self, Vec<ConfigError>), ConfigError> {
        let mut faults = Vec::new();
        let file = Self::parse_on(path, &read_text(path, Trust::Workspace)?, Trust::Workspace, |fault| {
            if fault.is_harmless() {
                faults.push(fault);
                Ok(())
            } else {
                Err(fault)
            }
        })?;
        Ok((file, faults))
    }

    /// Reads a file that need not exist.
    ///
    /// # Errors
    /// As [`File::read`], except that an absent file is `None`.
    pub fn read_if_there(path: &Path, trust: Trust) -> Result<Option<Self>, ConfigError> {
        match Self::read(path, trust) {
            Err(ConfigError::Unreadable { source, .. })
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }

    /// Reads `text` as the file at `path`, which is not opened.
    ///
    /// # Errors
    /// As [`File::read`], except the errors of opening the file.
    pub fn parse(path: &Path, text: &str, trust: Trust) -> Result<Self, ConfigError> {
        Self::parse_on(path, text, trust, Err)
    }

    /// Reads `text`, and continues after each fault for which `on_fault` returns no error.
    fn parse_on(
        path: &Path,
        text: &str,
        trust: Trust,
        mut on_fault: impl FnMut(ConfigError) -> Result<(), ConfigError>,
    ) -> Result<Self, ConfigError> {
        let syntax = |error: toml::de::Error| ConfigError::Syntax {
            path: path.to_path_buf(),
            line: error.span().map_or(1, |span| line_of(text.as_bytes(), span.start)),
            problem: foreign::excerpt(error.message()),
        };
        let document = DeTable::parse(text).map_err(syntax)?;
        let mut file = Self::default();
        for entry in entries(document.get_ref(), "", path, text) {
            file.take(&entry, trust).or_else(&mut on_fault)?;
        }
        Ok(file)
    }

    fn take(&mut self, entry: &TomlEntry<'_>, trust: Trust) -> Result<(), ConfigError> {
        if TOKEN_KEYS.contains(&entry.name.to_ascii_lowercase().replace('-', "_").as_str()) {
            return Err(entry.is_a_token());
        }
        if let Some(field) = Field::from_name(entry.name) {
            if !field.in_files() {
                return Err(entry.in_no_file(field));
            }
            let value = match field {
                Field::PrNumber => entry.text_or_integer()?,
                _ => entry.text()?,
            };
            self.fields.set(field, value.unwrap_or_default(), entry.origin());
            return Ok(());
        }
        if entry.name == TEMPLATES {
            return entry.table()?.iter().try_for_each(|entry| self.templates.take(entry));
        }
        if entry.name == ATTRIBUTES {
            return take_attributes(&mut self.fields.attributes, entry, "");
        }
        match OPERATOR_KEYS.iter().find(|known| known.name == entry.name) {
            None => Err(entry.unknown(&names(trust))),
            Some(known) if trust == Trust::Workspace => Err(entry.not_in_workspace(known.instead())),
            Some(_) => self.operator.take(entry),
        }
    }
}

/// Reads the attributes of a table. A key with dots that is not in quotes makes tables within it.
fn take_attributes(attributes: &mut Attributes, table: &TomlEntry<'_>, prefix: &str) -> Result<(), ConfigError> {
    for entry in table.table()? {
        let key = format!("{prefix}{}", entry.name);
        match entry.is_table() {
            true => take_attributes(attributes, &entry, &format!("{key}."))?,
            false => attributes.set(&key, &entry.text_or_integer()?.unwrap_or_default(), entry.origin()),
        }
    }
    Ok(())
}

impl OperatorKeys {
    fn take(&mut self, entry: &TomlEntry<'_>) -> Result<(), ConfigError> {
        let sourced = |path: PathBuf| Sourced::new(path, entry.origin());
        match entry.name {
            "dx_url" => self.dx_url = entry.text()?.map(|url| Sourced::new(url, entry.origin())),
            "token_file" => self.token_file = entry.path()?.map(sourced),
            "ca_file" => self.ca_file = entry.path()?.map(sourced),
            "spool" => self.spool = entry.path()?.map(sourced),
            "spool_limit" => self.spool_limit = Some(entry.size()?),
            "abandon_after" => self.abandon_after = Some(entry.age()?),
            "jobs" => self.jobs.which = entry.word(&JobChoice::WORDS)?.and_then(|word| word.parse().ok()),
            "most_jobs" => {
                let wrong = || entry.wrong(format!("this has to be a whole number from 0 to {MOST_JOBS}"));
                self.jobs.most = Some(most_jobs(entry.count()?).ok_or_else(wrong)?);
            }
            "strict" => self.strict = Some(entry.boolean()?),
            "failure" => self.failure = Some(failure(entry)?),
            "policy" => self.policies = entry.tables()?.iter().map(PolicyKeys::read).collect::<Result<_, _>>()?,
            "source" => self.sources = entry.tables()?.iter().map(SourceKeys::read).collect::<Result<_, _>>()?,
            "forge" => self.forges = entry.tables()?.iter().map(ForgeKeys::read).collect::<Result<_, _>>()?,
            "gocd" => self.gocd = GocdKeys::read(entry)?,
            "queue" => self.queue = QueueKeys::read(entry)?,
            "budgets" => {
                for entry in entry.table()? {
                    let budget = match entry.name {
                        "start" => &mut self.budgets.start,
                        "finish" => &mut self.budgets.finish,
                        "stop" => &mut self.budgets.stop,
                        _ => return Err(entry.unknown(&BUDGET_KEYS)),
                    };
                    *budget = Some(entry.duration()?);
                }
            }
            "limits" => {
                for entry in entry.table()? {
                    self.limits.take(&entry)?;
                }
            }
            _ => return Err(entry.unknown(&names(Trust::Operator))),
        }
        Ok(())
    }
}

impl LimitKeys {
    pub(super) fn take(&mut self, entry: &TomlEntry<'_>) -> Result<(), ConfigError> {
        match entry.name {
            "hook" => self.hook = Some(entry.duration()?),
            "chain" => self.chain = Some(entry.duration()?),
            "memory" => self.memory = Some(entry.size()?),
            "component_size" => self.component_size = Some(entry.size()?),
            "table_elements" => self.table_elements = Some(entry.count()?),
            "instances" => self.instances = Some(entry.count()?),
            "hostcall_fuel" => self.hostcall_fuel = Some(entry.size()?),
            "stack" => self.stack = Some(entry.size()?),
            _ => return Err(entry.unknown(&LIMIT_KEYS)),
        }
        Ok(())
    }
}

/// The keys that a file may have at its top.
fn names(trust: Trust) -> Vec<&'static str> {
    let fields = Field::ALL.into_iter().filter(|field| field.in_files()).map(Field::name);
    let operator = OPERATOR_KEYS
        .iter()
        .map(|key| key.name)
        .filter(|_| trust == Trust::Operator);
    fields.chain([TEMPLATES, ATTRIBUTES]).chain(operator).collect()
}

/// The largest file of settings, in bytes: a hundred times a long one.
const LARGEST: u64 = 256 * 1024;

/// The text of the file.
fn read_text(path: &Path, trust: Trust) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let file = match open(path, trust) {
        Ok(file) => file,
        Err(_) if trust == Trust::Workspace && path.is_symlink() => {
            return Err(ConfigError::Link {
                path: path.to_path_buf(),
            });
        }
        Err(error) => return Err(unreadable(error)),
    };
    // Metadata of the open file, not of the path, which could change in between.
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ConfigError::NotAFile {
            path: path.to_path_buf(),
        });
    }
    if trust == Trust::Operator && writable_by_everyone(&metadata) {
        return Err(ConfigError::WorldWritable {
            path: path.to_path_buf(),
        });
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ConfigError::TooLarge {
            path: path.to_path_buf(),
            limit: LARGEST,
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        ConfigError::NotUtf8 {
            path: path.to_path_buf(),
            line: line_of(error.as_bytes(), good),
        }
    })
}

/// The line, from 1, of the byte at `offset`.
pub fn line_of(text: &[u8], offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// Opens the file without waiting for a writer if it is a pipe. Operators' files may be links: Kubernetes mounts them so.
#[cfg(unix)]
fn open(path: &Path, trust: Trust) -> io::Result<fs::File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = match trust {
        Trust::Workspace => OFlags::NONBLOCK | OFlags::NOFOLLOW,
        Trust::Operator => OFlags::NONBLOCK,
    };
    fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path, trust: Trust) -> io::Result<fs::File> {
    if trust == Trust::Workspace && path.is_symlink() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    fs::OpenOptions::new().read(true).open(path)
}

#[cfg(unix)]
fn writable_by_everyone(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o002 != 0
}

#[cfg(not(unix))]
fn writable_by_everyone(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_file_of_the_largest_size_is_read_and_one_byte_more_is_not() {
        let directory = directory();
        let path = directory.path().join("pipefold.toml");
        fs::write(&path, "#".repeat(LARGEST as usize)).unwrap();
        assert_eq!(read_text(&path, Trust::Workspace).unwrap().len() as u64, LARGEST);
        fs::write(&path, "#".repeat(LARGEST as usize + 1)).unwrap();
        let error = read_text(&path, Trust::Workspace).unwrap_err();
        assert!(matches!(error, ConfigError::TooLarge { limit: LARGEST, .. }), "{error}");
    }

    #[test]
    fn a_directory_and_an_absent_file_are_named() {
        let directory = directory();
        let error = read_text(directory.path(), Trust::Operator).unwrap_err();
        assert!(matches!(error, ConfigError::NotAFile { .. }), "{error}");
        let absent = directory.path().join("absent.toml");
        let text = read_text(&absent, Trust::Operator).unwrap_err().to_string();
        assert!(
            text.contains("absent.toml") && text.ends_with("; check the path"),
            "{text}"
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named_by_line() {
        let directory = directory();
        let path = directory.path().join("pipefold.toml");
        fs::write(&path, b"a = 1\nb = \"\xff\"\n").unwrap();
        let error = read_text(&path, Trust::Workspace).unwrap_err();
        assert!(matches!(error, ConfigError::NotUtf8 { line: 2, .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_refused_in_a_workspace_and_followed_for_an_operator() {
        let directory = directory();
        let (file, link) = (directory.path().join("real"), directory.path().join("pipefold.toml"));
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let error = read_text(&link, Trust::Workspace).unwrap_err();
        assert!(matches!(error, ConfigError::Link { .. }), "{error}");
        assert_eq!(read_text(&link, Trust::Operator).unwrap(), "x");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_at_once() {
        let directory = directory();
        let path = directory.path().join("pipefold.toml");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let error = read_text(&path, Trust::Workspace).unwrap_err();
        assert!(matches!(error, ConfigError::NotAFile { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn an_operator_file_that_everyone_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = directory();
        let path = directory.path().join("operator.toml");
        fs::write(&path, "").unwrap();
        for (mode, refused) in [(0o666, true), (0o602, true), (0o664, false), (0o644, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let answer = read_text(&path, Trust::Operator);
            assert_eq!(
                matches!(answer, Err(ConfigError::WorldWritable { .. })),
                refused,
                "{mode:o}"
            );
            assert!(read_text(&path, Trust::Workspace).is_ok(), "{mode:o}");
        }
    }
}
