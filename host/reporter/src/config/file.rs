//! `pipefold.toml`: what it may say, and who may say it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipefold_sandbox::foreign;
use toml::de::DeTable;

use super::gocd::GocdKeys;
use super::keys::{BUDGET_KEYS, LIMIT_KEYS, OPERATOR_KEYS, TOKEN_KEYS};
use super::open::{line_of, read_text};
use super::policy::{Failure, PolicyKeys, failure};
use super::queue::QueueKeys;
use super::reader::{TomlEntry, entries};
use super::templates::TemplateKeys;
use super::tuning::{BudgetKeys, LimitKeys};
use super::{ConfigError, Sourced};
use crate::detect::{Field, Fields};

/// The table of templates, which may stand in every file: a template says no more than a field does.
const TEMPLATES: &str = "templates";

/// Whose word a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Found upwards from the working directory: a pull request may have written it. Fields of the run and templates only.
    Workspace,
    /// Named by `--config`, or `/etc/pipefold.toml`: the operator's settings.
    Operator,
}

/// What one file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// Fields of the run.
    pub fields: Fields,
    /// Templates for fields of the run.
    pub templates: TemplateKeys,
    /// What only an operator's file can set; of a workspace file always empty.
    pub operator: OperatorKeys,
}

/// The settings that only an operator's file can have. What is absent was not said.
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
    /// After how long without news a run that has no end is ended as cancelled.
    pub abandon_after: Option<Duration>,
    /// Whether trouble with reporting fails the command.
    pub strict: Option<bool>,
    /// How long delivery may take.
    pub budgets: BudgetKeys,
    /// What a plugin may use.
    pub limits: LimitKeys,
    /// What happens when a policy fails that does not say so itself.
    pub failure: Option<Failure>,
    /// The tables `[[policy]]`, in order.
    pub policies: Vec<PolicyKeys>,
    /// The table `[gocd]`.
    pub gocd: GocdKeys,
    /// The table `[queue]`.
    pub queue: QueueKeys,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// Every kind of [`ConfigError`] but [`ConfigError::Variable`]; of several faults the first in the file.
    pub fn read(path: &Path, trust: Trust) -> Result<Self, ConfigError> {
        Self::parse(path, &read_text(path, trust)?, trust)
    }

    /// Reads a workspace's file as far as it can be used. What is wrong in it and does no harm comes with it: the rest is not lost for that.
    ///
    /// # Errors
    /// As [`File::read`], for a fault that is about the whole file or is not harmless.
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

    /// Reads a file that need not be there.
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

    /// Reads the text of the file at `path`, which is not opened.
    ///
    /// # Errors
    /// As [`File::read`], without those of opening it.
    pub fn parse(path: &Path, text: &str, trust: Trust) -> Result<Self, ConfigError> {
        Self::parse_on(path, text, trust, Err)
    }

    /// The same, going on after a fault for which `on_fault` does not end it.
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
        match OPERATOR_KEYS.iter().find(|known| known.name == entry.name) {
            None => Err(entry.unknown(&names(trust))),
            Some(known) if trust == Trust::Workspace => Err(entry.not_in_workspace(known.instead())),
            Some(_) => self.operator.take(entry),
        }
    }
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
            "strict" => self.strict = Some(entry.boolean()?),
            "failure" => self.failure = Some(failure(entry)?),
            "policy" => self.policies = entry.tables()?.iter().map(PolicyKeys::read).collect::<Result<_, _>>()?,
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

/// The keys that may stand at the top of a file.
fn names(trust: Trust) -> Vec<&'static str> {
    let fields = Field::ALL.into_iter().filter(|field| field.in_files()).map(Field::name);
    let operator = OPERATOR_KEYS
        .iter()
        .map(|key| key.name)
        .filter(|_| trust == Trust::Operator);
    fields.chain([TEMPLATES]).chain(operator).collect()
}
