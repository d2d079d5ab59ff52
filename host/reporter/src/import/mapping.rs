//! From a row to the notification that it stands for.

use super::reading::{Cells, Content};
use super::{Format, ImportError};
use crate::dx::{ARGUMENT_NAMES, Arguments, JOB_ARGUMENT_NAMES, JobArguments, from_foreign_json};
use crate::source::nearest;
use pipefold_sandbox::{Notification, foreign};
use serde::de::value::MapDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Error, Value};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// The names of a job's step: pipefold's own, in a row that has its run's other names.
const STEP_NAMES: [&str; 2] = ["step", "step_id"];

/// The column that a file of refused rows has besides those of its origin.
pub const REASON: &str = "refused";

/// The most names of columns that a message has.
const MOST_NAMED: usize = 8;

/// The choices of a user about columns and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingOptions {
    /// DX's name and the file's name of a column.
    pub columns: Vec<(String, String)>,
    /// DX's name and a value for all rows.
    pub constants: Vec<(String, String)>,
    /// The file's word for a status, and DX's.
    pub statuses: Vec<(String, String)>,
}

/// The subject of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A run.
    Run,
    /// A job, by the names of pipefold: `reference_id` is the run's, `step` names the job.
    Step,
    /// A job, by the names of DX: `run_reference_id` is the run's, `reference_id` the job's.
    Job,
}

/// A row as a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The notification, unchecked.
    pub notification: Notification,
    /// Its subject.
    pub subject: Subject,
}

/// Makes notifications of rows.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// For each column of CSV, the names that take its value.
    columns: Vec<Vec<&'static str>>,
    /// For each name in a JSON object, the names that take its value.
    keys: HashMap<String, Vec<&'static str>>,
    constants: Vec<(&'static str, String)>,
    /// In lower case.
    statuses: HashMap<String, String>,
}

/// All names that a column may have.
pub fn names() -> impl Iterator<Item = &'static str> {
    let jobs = JOB_ARGUMENT_NAMES
        .into_iter()
        .filter(|name| !ARGUMENT_NAMES.contains(name));
    ARGUMENT_NAMES.into_iter().chain(jobs).chain(STEP_NAMES)
}

impl Mapping {
    /// The mapping by these options.
    ///
    /// # Errors
    /// A name that is none of [`names`], or is given twice.
    pub fn new(options: &MappingOptions) -> Result<Self, ImportError> {
        let mut mapping = Self::default();
        for (name, value) in &options.constants {
            let name = known("--set", name)?;
            if mapping.is_constant(name) {
                return Err(ImportError::Options(format!("--set {name} is given twice")));
            }
            mapping.constants.push((name, value.clone()));
        }
        let mut renamed = Vec::new();
        for (name, theirs) in &options.columns {
            let name = known("--column", name)?;
            if mapping.is_constant(name) || renamed.contains(&name) {
                return Err(ImportError::Options(format!(
                    "{name} is given twice, by --column or --set: leave one out"
                )));
            }
            renamed.push(name);
            mapping.keys.entry(theirs.clone()).or_default().push(name);
        }
        let free: Vec<&str> = names()
            .filter(|name| !renamed.contains(name) && !mapping.is_constant(name))
            .collect();
        for name in free {
            mapping.keys.entry(name.to_owned()).or_default().push(name);
        }
        for (theirs, word) in &options.statuses {
            mapping.statuses.insert(theirs.trim().to_lowercase(), word.clone());
        }
        Ok(mapping)
    }

    fn is_constant(&self, name: &str) -> bool {
        self.constants.iter().any(|(known, _)| *known == name)
    }

    /// Takes the names of the columns of CSV. Returns a remark about columns that are not imported, if there are any.
    ///
    /// # Errors
    /// A column that is missing or occurs twice.
    pub fn take_header(&mut self, header: &Cells, options: &MappingOptions) -> Result<Option<String>, ImportError> {
        let given: Vec<String> = header
            .iter()
            .map(|cell| String::from_utf8_lossy(cell).trim().to_owned())
            .collect();
        for (name, theirs) in &options.columns {
            if !given.contains(theirs) {
                let near = nearest(theirs, given.iter().map(String::as_str));
                return Err(missing(
                    &format!("--column {name}={theirs}: there is no such column"),
                    near,
                    &given,
                ));
            }
        }
        self.columns = given
            .iter()
            .map(|name| self.keys.get(name).cloned().unwrap_or_default())
            .collect();
        let mut taken = self.columns.concat();
        taken.sort_unstable();
        if let Some(twice) = taken.windows(2).find(|two| two[0] == two[1]) {
            return Err(ImportError::Header(format!(
                "the column {} occurs twice: rename one of them",
                twice[0]
            )));
        }
        let has = |name: &&str| taken.contains(name) || self.is_constant(name);
        // A file of jobs alone needs less.
        let required: &[&str] = match has(&"run_reference_id") {
            true => &["pipeline_source"],
            false => &["pipeline_name", "pipeline_source", "reference_id", "started_at"],
        };
        let lacks = required.iter().find(|name| !has(name));
        if let Some(name) = lacks {
            let free = given.iter().zip(&self.columns).filter(|(_, names)| names.is_empty());
            let near = nearest(name, free.map(|(given, _)| given.as_str()));
            let what = format!("no column is {name}: name one by --column {name}=COLUMN, or give --set {name}=VALUE");
            return Err(missing(&what, near, &given));
        }
        Ok(self.remark(given.iter().map(String::as_str)))
    }

    /// Returns a remark about the names of a row that are not imported, if there are any.
    fn remark<'a>(&self, given: impl Iterator<Item = &'a str>) -> Option<String> {
        let ignored = given.filter(|name| !self.keys.contains_key(*name) && *name != REASON);
        let ignored: Vec<String> = ignored
            .map(|name| match nearest(name, names()) {
                Some(near) => format!("{} ({near}?)", foreign::excerpt(name)),
                None => foreign::excerpt(name),
            })
            .collect();
        (!ignored.is_empty()).then(|| format!("columns that are not imported: {}", shortened(&ignored)))
    }

    /// Returns a remark about the names of a JSON object that are not imported, if there are any.
    #[must_use]
    pub fn remark_on(&self, content: &Content) -> Option<String> {
        let Content::Line(line) = content else { return None };
        let pairs: Pairs = from_foreign_json(line).ok()?;
        self.remark(pairs.0.iter().map(|(name, _)| name.as_str()))
    }

    /// The notification of a row.
    ///
    /// # Errors
    /// The fault of the row, in a sentence.
    pub fn map(&self, content: &Content) -> Result<Mapped, String> {
        let mut pairs = match content {
            Content::Unreadable { why, .. } => return Err((*why).to_owned()),
            Content::Cells(cells) => self.of_cells(cells)?,
            Content::Line(line) => self.of_object(line)?,
        };
        let constants = self.constants.iter();
        pairs.extend(constants.map(|(name, value)| (*name, Value::String(value.clone()))));
        for (name, value) in &mut pairs {
            if let Value::String(text) = value {
                match *name {
                    "status" => self.use_status(text),
                    "started_at" | "finished_at" => use_time(text),
                    _ => {}
                }
            }
        }
        pairs.retain(|(_, value)| !is_blank(value));
        mapped(pairs)
    }

    fn of_cells(&self, cells: &Cells) -> Result<Vec<(&'static str, Value)>, String> {
        if cells.len() != self.columns.len() {
            return Err(format!(
                "the row has {} cells and the header {}: quote a cell that has a delimiter",
                cells.len(),
                self.columns.len()
            ));
        }
        let mut pairs = Vec::new();
        for (cell, names) in cells.iter().zip(&self.columns) {
            for name in names {
                let text = std::str::from_utf8(cell).map_err(|_| format!("{name}: the text is not UTF-8"))?;
                pairs.push((*name, Value::String(text.trim().to_owned())));
            }
        }
        Ok(pairs)
    }

    fn of_object(&self, line: &[u8]) -> Result<Vec<(&'static str, Value)>, String> {
        let Pairs(given) = from_foreign_json(line).map_err(|why| why.to_string())?;
        let mut pairs = Vec::new();
        for (key, value) in given {
            for name in self.keys.get(&key).into_iter().flatten() {
                if pairs.iter().any(|(known, _)| known == name) {
                    return Err(format!("{name} is given twice"));
                }
                pairs.push((*name, value.clone()));
            }
        }
        Ok(pairs)
    }

    fn use_status(&self, text: &mut String) {
        if let Some(word) = self.statuses.get(&text.trim().to_lowercase()) {
            text.clone_from(word);
        }
    }
}

/// Brings times as databases write them, such as `2025-01-31 12:05:00 UTC`, into the form of ISO 8601.
fn use_time(text: &mut String) {
    let is_blank_between = text.as_bytes().get(10) == Some(&b' ') && text.as_bytes()[4] == b'-';
    if !is_blank_between || !text.is_ascii() {
        return;
    }
    let (date, time) = text.split_at(10);
    let time = time[1..].replace(" UTC", "Z").replacen(' ', "", 1);
    *text = format!("{date}T{time}");
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

fn mapped(pairs: Vec<(&'static str, Value)>) -> Result<Mapped, String> {
    let pairs: BTreeMap<&'static str, Value> = pairs.into_iter().collect();
    let subject = match (pairs.contains_key("step"), pairs.contains_key("run_reference_id")) {
        (true, true) => {
            return Err("step and run_reference_id: give step with reference_id, or run_reference_id with name".into());
        }
        (true, false) => Subject::Step,
        (false, true) => Subject::Job,
        (false, false) if pairs.contains_key("step_id") => return Err("step_id: its step has no name".into()),
        (false, false) => Subject::Run,
    };
    if subject == Subject::Run {
        let pairs = pairs.into_iter().filter(|(name, _)| ARGUMENT_NAMES.contains(name));
        let arguments: Arguments = read(pairs.collect())?;
        let notification = arguments.into();
        return Ok(Mapped { notification, subject });
    }
    let (mut of_job, mut of_run) = (Vec::new(), Vec::new());
    for (name, value) in pairs {
        match (name, subject) {
            ("pipeline_name", _) => of_run.push((name, value)),
            ("reference_id", Subject::Step) => of_job.push(("run_reference_id", value)),
            ("step", _) => of_job.push(("name", value)),
            ("step_id", _) => of_job.push(("reference_id", value)),
            ("name", Subject::Step) => {}
            _ if JOB_ARGUMENT_NAMES.contains(&name) => of_job.push((name, value)),
            _ => {}
        }
    }
    let run: Arguments = read(of_run)?;
    let job: JobArguments = read(of_job)?;
    if subject == Subject::Job && job.name.is_none() {
        return Err("name: the job has no name".into());
    }
    let step_id = job.reference_id.filter(|id| job.name.as_ref() != Some(id));
    let notification = Notification {
        pipeline_name: run.pipeline_name,
        pipeline_source: job.pipeline_source,
        reference_id: job.run_reference_id,
        step: job.name,
        step_id,
        status: job.status,
        started_at: job.started_at,
        finished_at: job.finished_at,
        urgent: true,
        ..Notification::default()
    };
    Ok(Mapped { notification, subject })
}

/// Reads arguments of DX.
///
/// # Errors
/// The fault, with the name of the argument.
fn read<T: for<'de> Deserialize<'de>>(pairs: Vec<(&'static str, Value)>) -> Result<T, String> {
    let parse = |pairs: Vec<(&'static str, Value)>| T::deserialize(MapDeserializer::<_, Error>::new(pairs.into_iter()));
    parse(pairs.clone()).map_err(|why| {
        // Of the whole, the error has no name.
        let faults = pairs.into_iter().filter_map(|(name, value)| {
            let why = parse(vec![(name, value)]).err()?;
            Some(format!("{name}: {why}"))
        });
        faults.into_iter().next().unwrap_or_else(|| why.to_string())
    })
}

/// The members of a JSON object in their order.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Returns the known name, or the error with the nearest one.
fn known(flag: &str, given: &str) -> Result<&'static str, ImportError> {
    names().find(|name| *name == given).ok_or_else(|| {
        let given_shown = foreign::excerpt(given);
        let all: Vec<&str> = names().collect();
        ImportError::Options(match nearest(given, names()) {
            Some(near) => format!("{flag}: DX has no {given_shown}; did you mean {near}?"),
            None => format!("{flag}: DX has no {given_shown}; give one of {}", all.join(", ")),
        })
    })
}

fn missing(what: &str, near: Option<&str>, given: &[String]) -> ImportError {
    let shown: Vec<String> = given.iter().map(|name| foreign::excerpt(name)).collect();
    ImportError::Header(match near {
        Some(near) => format!("{what}; the nearest is {}", foreign::excerpt(near)),
        None => format!("{what}; the columns are {}", shortened(&shown)),
    })
}

fn shortened(names: &[String]) -> String {
    let more = names.len().saturating_sub(MOST_NAMED);
    let named = names[..names.len() - more].join(", ");
    match more {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// The format of a name of a file by its ending.
#[must_use]
pub fn format_of(name: &str) -> Option<Format> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    match ending.as_str() {
        "csv" | "tsv" => Some(Format::Csv),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        _ => None,
    }
}
