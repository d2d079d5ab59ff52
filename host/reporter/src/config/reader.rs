//! Typed values of a parsed file, with errors that name the line, and the keys that it may have.

use super::file::line_of;
use super::{ConfigError, Origin, nearest, parse_age, parse_duration, parse_size, variables};
use crate::detect::Field;
use pipefold_sandbox::{KeyPlace, SignatureError, foreign};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One key of a file with its value.
pub struct TomlEntry<'a> {
    /// The name in its table.
    pub name: &'a str,
    /// The name with that of its table: `budgets.start`.
    pub key: String,
    /// The line, from 1.
    pub line: usize,
    value: &'a DeValue<'a>,
    path: &'a Path,
    text: &'a str,
}

/// The entries of a table in the order of the file, so that the message has the first fault.
pub fn entries<'a>(table: &'a DeTable<'a>, parent: &str, path: &'a Path, text: &'a str) -> Vec<TomlEntry<'a>> {
    let mut pairs: Vec<(&Spanned<_>, &Spanned<DeValue<'_>>)> = table.iter().collect();
    pairs.sort_by_key(|(name, _)| name.span().start);
    pairs
        .into_iter()
        .map(|(name, value)| TomlEntry {
            name: name.get_ref(),
            key: dotted(parent, name.get_ref()),
            line: line_of(text.as_bytes(), name.span().start),
            value: value.get_ref(),
            path,
            text,
        })
        .collect()
}

/// A key for messages, cut to a few times the length of the longest real one, since the file is untrusted.
fn dotted(parent: &str, name: &str) -> String {
    let name = foreign::cut(name, 80);
    if parent.is_empty() {
        name
    } else {
        format!("{parent}.{name}")
    }
}

impl<'a> TomlEntry<'a> {
    /// Text; `None` if it is blank, which counts as absent.
    pub fn text(&self) -> Result<Option<String>, ConfigError> {
        match self.value.as_str() {
            Some(text) => Ok((!text.trim().is_empty()).then(|| text.to_owned())),
            None => Err(self.wrong_type("text in quotes")),
        }
    }

    /// Text, or a whole number as its decimal digits.
    pub fn text_or_integer(&self) -> Result<Option<String>, ConfigError> {
        match self.value.as_integer() {
            Some(number) => Ok(Some(
                // A number that is too large is passed on as text, to be refused with the field's own message.
                i64::from_str_radix(number.as_str(), number.radix())
                    .map_or_else(|_| number.to_string(), |number| number.to_string()),
            )),
            None => self.text(),
        }
    }

    /// A path; a relative one is taken from the file's own directory, wherever the command runs.
    pub fn path(&self) -> Result<Option<PathBuf>, ConfigError> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        Ok(self.text()?.map(|path| directory.join(path)))
    }

    /// The key that must have signed a component: its text, or the path of its file. A blank one is an error: it stands where a key was to be filled in.
    pub fn key_place(&self) -> Result<KeyPlace, ConfigError> {
        let text = self.text()?.unwrap_or_default();
        let place = text
            .parse()
            .map_err(|error: SignatureError| self.wrong(error.to_string()))?;
        let directory = self.path.parent().unwrap_or(Path::new(""));
        Ok(match place {
            KeyPlace::File(path) => KeyPlace::File(directory.join(path)),
            key @ KeyPlace::Key(_) => key,
        })
    }

    /// One of these words; `None` if it is blank.
    pub fn word(&self, words: &[&'static str]) -> Result<Option<&'static str>, ConfigError> {
        let Some(text) = self.text()? else { return Ok(None) };
        match words.iter().find(|word| **word == text.trim()) {
            Some(word) => Ok(Some(*word)),
            None => {
                let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                Err(self.wrong(format!("this has to be {}", words.join(" or "))))
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Result<bool, ConfigError> {
        self.value.as_bool().ok_or_else(|| self.wrong_type("true or false"))
    }

    /// A size in bytes, as text with a unit or as a number.
    pub fn size(&self) -> Result<u64, ConfigError> {
        match self.value {
            DeValue::String(text) => parse_size(text).map_err(|problem| self.wrong(problem)),
            DeValue::Integer(_) => self.count(),
            _ => Err(self.wrong_type("a size such as \"256 MiB\"")),
        }
    }

    /// A duration, as text with a unit.
    pub fn duration(&self) -> Result<Duration, ConfigError> {
        match self.value.as_str() {
            Some(text) => parse_duration(text).map_err(|problem| self.wrong(problem)),
            None => Err(self.wrong_type("a duration in quotes, such as \"500ms\" or \"1s\"")),
        }
    }

    /// An age, as text with a unit.
    pub fn age(&self) -> Result<Duration, ConfigError> {
        match self.value.as_str() {
            Some(text) => parse_age(text).map_err(|problem| self.wrong(problem)),
            None => Err(self.wrong_type("an age in quotes, such as \"24h\" or \"7d\"")),
        }
    }

    /// A whole number from 0.
    pub fn count(&self) -> Result<u64, ConfigError> {
        match self.value.as_integer() {
            Some(number) => u64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| self.wrong(format!("this has to be a whole number from 0 to {}", u64::MAX))),
            None => Err(self.wrong_type("a whole number")),
        }
    }

    /// Returns true if the value is a table.
    pub fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// The entries of a table.
    pub fn table(&self) -> Result<Vec<TomlEntry<'a>>, ConfigError> {
        match self.value.as_table() {
            Some(table) => Ok(entries(table, &self.key, self.path, self.text)),
            None => Err(self.wrong_type(&format!("a table ([{}])", self.key))),
        }
    }

    /// A list of tables, each as an entry of this key.
    pub fn tables(&self) -> Result<Vec<TomlEntry<'a>>, ConfigError> {
        match self.value.as_array() {
            Some(list) if list.iter().all(|item| item.get_ref().is_table()) => Ok(list
                .iter()
                .map(|item| TomlEntry {
                    name: self.name,
                    key: self.key.clone(),
                    line: line_of(self.text.as_bytes(), item.span().start),
                    value: item.get_ref(),
                    path: self.path,
                    text: self.text,
                })
                .collect()),
            _ => Err(self.wrong_type(&format!("a list of tables ([[{}]])", self.key))),
        }
    }

    /// The value as JSON. What rules have no use for, such as a date, is null.
    pub fn json(&self) -> serde_json::Value {
        json(self.value)
    }

    /// The place of the entry, as messages begin with it.
    pub fn place(&self) -> (PathBuf, usize) {
        (self.path.to_path_buf(), self.line)
    }

    /// A list of texts.
    pub fn list_of_text(&self) -> Result<Vec<String>, ConfigError> {
        let wrong = || self.wrong_type("a list of text in quotes");
        let list = self.value.as_array().ok_or_else(wrong)?;
        list.iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned).ok_or_else(wrong))
            .collect()
    }

    /// The entry's place, as the origin of a value.
    pub fn origin(&self) -> Origin {
        Origin::File {
            path: self.path.to_path_buf(),
            key: self.key.clone(),
        }
    }

    /// The error for an unknown key, with the known ones.
    pub fn unknown(&self, known: &[&'static str]) -> ConfigError {
        ConfigError::UnknownKey {
            path: self.path.to_path_buf(),
            line: self.line,
            key: self.key.clone(),
            hint: match nearest(self.name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are {}", known.join(", ")),
            },
        }
    }

    /// The error for a key that only the operator may set; `instead` names the places.
    pub fn not_in_workspace(&self, instead: String) -> ConfigError {
        ConfigError::NotInWorkspace {
            path: self.path.to_path_buf(),
            line: self.line,
            key: self.key.clone(),
            instead,
        }
    }

    /// The error for a field that belongs to one moment of a run.
    pub fn in_no_file(&self, field: Field) -> ConfigError {
        ConfigError::NotInAnyFile {
            path: self.path.to_path_buf(),
            line: self.line,
            key: self.key.clone(),
            flag: field.flag(),
            variable: field.variable(),
        }
    }

    /// The error for a key that seems to hold the token itself.
    pub fn is_a_token(&self) -> ConfigError {
        ConfigError::TokenInFile {
            path: self.path.to_path_buf(),
            line: self.line,
            key: self.key.clone(),
        }
    }

    /// The error for a value that cannot be used, because of `problem`.
    pub fn wrong(&self, problem: String) -> ConfigError {
        ConfigError::Value {
            path: self.path.to_path_buf(),
            line: self.line,
            key: self.key.clone(),
            problem,
        }
    }

    fn wrong_type(&self, wanted: &str) -> ConfigError {
        let given = match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format!("this has to be {wanted}, and is {given}"))
    }
}

fn json(value: &DeValue<'_>) -> serde_json::Value {
    use serde_json::Value;
    match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.into(),
            Err(_) => Value::String(number.to_string()),
        },
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Array(list) => list.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (key.get_ref().clone().into_owned(), json(value.get_ref())))
            .collect(),
        DeValue::Float(_) | DeValue::Datetime(_) => Value::Null,
    }
}

/// A key at the top of an operator's file, and the other places that set the same.
pub struct OperatorKey {
    pub name: &'static str,
    flag: Option<&'static str>,
    variable: Option<&'static str>,
}

const fn key(name: &'static str, flag: Option<&'static str>, variable: Option<&'static str>) -> OperatorKey {
    OperatorKey { name, flag, variable }
}

/// The keys that only an operator may set: the destination of the token, the rights of policies, times and sizes.
pub const OPERATOR_KEYS: [OperatorKey; 17] = [
    key("dx_url", Some("--dx-url"), Some(variables::DX_API_URL)),
    key("token_file", Some("--token-file"), Some(variables::TOKEN_FILE)),
    key("ca_file", Some("--ca-file"), Some(variables::CA_FILE)),
    key("spool", Some("--spool"), Some(variables::SPOOL)),
    key("spool_limit", None, None),
    key("abandon_after", None, Some(variables::ABANDON_AFTER)),
    key("jobs", Some("--jobs"), Some(variables::JOBS)),
    key("most_jobs", Some("--most-jobs"), Some(variables::MOST_JOBS)),
    key("strict", Some("--strict"), Some(variables::STRICT)),
    key("budgets", None, None),
    key("limits", None, None),
    key("policy", Some("--policy"), None),
    key("failure", None, None),
    key("source", Some("--source"), None),
    key("forge", None, None),
    key("gocd", None, None),
    key("queue", Some("--queue"), Some(variables::QUEUE)),
];

/// Keys under which users might put the token itself.
pub const TOKEN_KEYS: [&str; 5] = ["token", "dx_token", "api_token", "dx_api_token", "auth_token"];

/// Keys of a table `[[policy]]`.
pub const POLICY_KEYS: [&str; 11] = [
    "file", "key", "use", "rules", "name", "failure", "mode", "grants", "dir", "config", "limits",
];

/// Keys of a policy's table `dir`.
pub const DIR_KEYS: [&str; 2] = ["path", "access"];

/// Keys of a table `[[source]]`.
pub const SOURCE_KEYS: [&str; 10] = [
    "name",
    "use",
    "file",
    "key",
    "settings",
    "secret_file",
    "scheme",
    "rate",
    "max_age",
    "limits",
];

/// Keys of a table `[[forge]]`.
pub const FORGE_KEYS: [&str; 3] = ["url", "kind", "repositories"];

/// Keys of the table `gocd`.
pub const GOCD_KEYS: [&str; 4] = ["in_job", "server_id", "users", "server"];

/// Keys of a table `[[gocd.server]]`.
pub const GOCD_SERVER_KEYS: [&str; 22] = [
    "name",
    "url",
    "server_id",
    "user",
    "password_file",
    "access_token_file",
    "ca_file",
    "insecure_http",
    "pipelines",
    "since",
    "dialect",
    "reruns",
    "quiet_for",
    "late_stages",
    "final_stages",
    "restarted",
    "material",
    "users",
    "pages_url",
    "enrich",
    "state",
    "every",
];

/// Keys under which users might put a secret of a GoCD server.
pub const SECRET_KEYS: [&str; 4] = ["password", "access_token", "token", "secret"];

/// Keys of the table `queue`.
pub const QUEUE_KEYS: [&str; 3] = ["url", "credentials_file", "token_file"];

/// Keys of the table `templates`.
pub const TEMPLATE_KEYS: [&str; 2] = ["pipeline_name", "reference_id"];

/// Keys of the table `budgets`.
pub const BUDGET_KEYS: [&str; 3] = ["start", "finish", "stop"];

/// Keys of the table `limits`.
pub const LIMIT_KEYS: [&str; 8] = [
    "hook",
    "chain",
    "memory",
    "component_size",
    "table_elements",
    "instances",
    "hostcall_fuel",
    "stack",
];

impl OperatorKey {
    /// The places for the key, as the end of "set it …".
    pub fn instead(&self) -> String {
        let mut places = Vec::new();
        places.extend(self.flag.map(|flag| format!("by {flag}")));
        places.extend(self.variable.map(|variable| format!("by the variable {variable}")));
        places.push("in /etc/pipefold.toml or the file that --config names".to_owned());
        places.join(", or ")
    }
}
