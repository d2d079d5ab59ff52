//! The scripts of one system's recipe, and their places in a run.

use std::collections::BTreeMap;

use pipefold_tests::Ci;
use serde_json::Value;

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
    Cancelled,
}

impl Outcome {
    /// DX's name of the status.
    pub fn status(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
        }
    }

    /// The first, the second or the third: the system's own words for them.
    pub fn of<T>(self, words: [T; 3]) -> T {
        let [success, failure, cancelled] = words;
        match self {
            Self::Success => success,
            Self::Failure => failure,
            Self::Cancelled => cancelled,
        }
    }
}

/// The two secrets that a user sets.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// `DX_API_URL` and `DX_API_TOKEN`; none in a fork's pull request.
    pub values: Option<[String; 2]>,
}

impl Secrets {
    /// A fork's pull request.
    pub const NONE: Self = Self { values: None };

    /// The variables of the machine's DX.
    pub fn of(ci: &Ci) -> Self {
        Self {
            values: Some([ci.dx.url(), ci.dx.token().to_owned()]),
        }
    }

    /// As most systems hand them on: as variables of the job, which are not there at all without them.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let names = ["DX_API_URL", "DX_API_TOKEN"].map(str::to_owned);
        self.values
            .iter()
            .flat_map(|values| names.clone().into_iter().zip(values.clone()))
            .collect()
    }

    /// The address and the token; in a fork's pull request this instead of each.
    pub fn or<'a>(&'a self, absent: [&'a str; 2]) -> [&'a str; 2] {
        self.values.as_ref().map_or(absent, |[url, token]| [url, token])
    }
}

/// A piece of shell out of a recipe, and the variables that the recipe itself gives it.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub text: String,
    pub environment: BTreeMap<String, String>,
    pub stdin: String,
}

impl Script {
    /// The script at this place of a document.
    ///
    /// # Panics
    /// If there is none.
    pub fn at(document: &Value, pointer: &str) -> Self {
        let text = document.pointer(pointer).and_then(Value::as_str);
        let text = text.unwrap_or_else(|| panic!("no script at {pointer} of {document:#}"));
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds these variables.
    pub fn with_all<K: Into<String>, V: Into<String>>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.environment.extend(variables);
        self
    }
}

/// The scripts of a system.
pub struct Recipe {
    /// The pipeline's source in the record.
    pub source: &'static str,
    /// The variables that the system sets in two jobs of one run, without the recipe's doing.
    pub jobs: [&'static [(&'static str, &'static str)]; 2],
    /// The scripts at the start of a job.
    pub start: fn(&Secrets) -> Script,
    /// The scripts at the end of the last job, in order.
    pub end: fn(&Secrets, Outcome) -> Vec<Script>,
    /// True if anything runs when a run is cancelled.
    pub tells_of_cancelling: bool,
    /// A command that the recipe's own image brings along.
    pub needs: Option<&'static str>,
}
