//! The rules of the built-in policy in an operator's file. The policy checks them itself; here they are read, with the line of each.

use super::ConfigError;
use super::reader::TomlEntry;
use pipefold_sandbox::Problem;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The rules of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleKeys {
    /// The rules as JSON, without the values of maps.
    pub json: String,
    /// What the rules take from elsewhere, each with the rule's number, from 1.
    pub inputs: Vec<(usize, Input)>,
}

/// Something that a rule takes from elsewhere than the list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The file with the key of a hash.
    Key(PathBuf),
    /// The file of a map.
    MapFile(PathBuf),
    /// The values of a map.
    Values(BTreeMap<String, String>),
}

impl Input {
    /// Its key in a rule.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::MapFile(_) => "file",
            Self::Values(_) => "values",
        }
    }
}

impl RuleKeys {
    /// Reads the list of rules.
    pub(super) fn read(list: &TomlEntry<'_>, places: &mut Places) -> Result<Self, ConfigError> {
        let (mut rules, mut inputs) = (Vec::new(), Vec::new());
        places.add("rules".to_owned(), list);
        let no_rules = |_| list.wrong("this has to be a list of rules, such as [{ drop = \"email\" }]".into());
        for (at, rule) in list.tables().map_err(no_rules)?.iter().enumerate() {
            let number = at + 1;
            let name = format!("rules[{number}]");
            places.add(name.clone(), rule);
            let mut json = rule.json();
            let entries = rule.table()?;
            let has = |verb: &str| entries.iter().any(|entry| entry.name == verb);
            for entry in &entries {
                places.add(format!("{name}.{}", entry.name), entry);
                let input = match entry.name {
                    "key" if has("hash") => entry.path()?.map(Input::Key),
                    "file" if has("map") => entry.path()?.map(Input::MapFile),
                    "values" if has("map") => {
                        json[entry.name] = Value::Object(serde_json::Map::new());
                        Some(Input::Values(values(entry)?))
                    }
                    _ => None,
                };
                inputs.extend(input.map(|input| (number, input)));
            }
            rules.push(json);
        }
        Ok(Self {
            json: Value::Array(rules).to_string(),
            inputs,
        })
    }
}

/// The values of a map rule. A target may be empty.
fn values(table: &TomlEntry<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    let pair = |entry: TomlEntry<'_>| Ok((entry.name.trim().to_owned(), entry.text()?.unwrap_or_default()));
    table.table()?.into_iter().map(pair).collect()
}

/// The lines of a policy's settings, by which its own checks name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    file: PathBuf,
    /// The line of the policy's table.
    line: usize,
    lines: BTreeMap<String, usize>,
}

impl Places {
    pub(super) fn new(table: &TomlEntry<'_>) -> Self {
        let (file, line) = table.place();
        Self {
            file,
            line,
            lines: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, key: String, entry: &TomlEntry<'_>) {
        self.lines.insert(key, entry.line);
    }

    /// The place of a setting as `FILE:LINE`: of itself, or of the nearest part of the file that has it.
    #[must_use]
    pub fn of(&self, key: &str) -> String {
        let mut part = key;
        let line = loop {
            if let Some(line) = self.lines.get(part) {
                break *line;
            }
            match part.rfind(['.', '[']) {
                Some(end) => part = &part[..end],
                None => break self.line,
            }
        };
        format!("{}:{line}", self.file.display())
    }

    /// The faults of the settings that a policy found, in one line: the first one with its place, and the number of the others.
    #[must_use]
    pub fn explain(&self, problems: &[Problem]) -> String {
        let Some(first) = problems.first() else {
            return self.of("");
        };
        let more = match problems.len() - 1 {
            0 => String::new(),
            1 => "; and 1 more fault".to_owned(),
            more => format!("; and {more} more faults"),
        };
        format!("{}: `{}`: {}{more}", self.of(&first.key), first.key, first.message)
    }
}
