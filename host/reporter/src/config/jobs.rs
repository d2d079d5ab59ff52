//! The jobs of a run that are sent: which of them, and how many at the most.

use std::str::FromStr;

use super::{ConfigError, Environment, Flags, variables};

/// The most jobs of a run that can be asked for: a run has at most 10,000 notifications, so it has no more jobs.
pub const MOST_JOBS: u64 = 10_000;

/// The default of [`JobSelection::most`]: more than most builds have, and few enough for the time that a finish may take.
const DEFAULT_MOST_JOBS: usize = 100;

/// The jobs of a run that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobSelection {
    /// The jobs to choose from.
    pub which: JobChoice,
    /// The most jobs of one run.
    pub most: usize,
}

impl Default for JobSelection {
    fn default() -> Self {
        Self {
            which: JobChoice::All,
            most: DEFAULT_MOST_JOBS,
        }
    }
}

/// The jobs to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobChoice {
    /// Every job.
    #[default]
    All,
    /// Jobs that failed.
    Failed,
    /// No job: runs alone are sent.
    None,
}

impl JobChoice {
    /// The words for the choices.
    pub const WORDS: [&'static str; 3] = ["all", "failed", "none"];
}

impl FromStr for JobChoice {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word.trim() {
            "all" => Ok(Self::All),
            "failed" => Ok(Self::Failed),
            "none" => Ok(Self::None),
            _ => Err("this has to be all, failed or none".to_owned()),
        }
    }
}

/// Reads the number of [`JobSelection::most`].
///
/// # Errors
/// The fault and advice, as the end of a message that begins with the setting's name.
pub fn parse_most_jobs(text: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok().and_then(most_jobs);
    number.ok_or_else(|| format!("this has to be a whole number from 0 to {MOST_JOBS}"))
}

/// The number, unless it is too large.
pub(super) fn most_jobs(number: u64) -> Option<usize> {
    usize::try_from(number).ok().filter(|_| number <= MOST_JOBS)
}

/// The keys of an operator's file. `None` is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobKeys {
    /// Sets [`JobSelection::which`].
    pub which: Option<JobChoice>,
    /// Sets [`JobSelection::most`].
    pub most: Option<usize>,
}

/// The selection by flags, variables and the operator's file.
pub(super) fn jobs(environment: &Environment, flags: &Flags, file: JobKeys) -> Result<JobSelection, ConfigError> {
    let default = JobSelection::default();
    let which = variable(environment, variables::JOBS, str::parse)?;
    let most = variable(environment, variables::MOST_JOBS, parse_most_jobs)?;
    Ok(JobSelection {
        which: flags.jobs.or(which).or(file.which).unwrap_or(default.which),
        most: flags.most_jobs.or(most).or(file.most).unwrap_or(default.most),
    })
}

fn variable<T>(
    environment: &Environment,
    name: &'static str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    let value = environment.get(name).filter(|text| !text.trim().is_empty());
    let value = value.map(read).transpose();
    value.map_err(|problem| ConfigError::Variable { name, problem })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::config::{File, Trust};
    use std::path::Path;

    fn file(text: &str, trust: Trust) -> Result<JobKeys, String> {
        let file = File::parse(Path::new("/etc/pipefold.toml"), text, trust);
        file.map(|file| file.operator.jobs).map_err(|error| error.to_string())
    }

    #[test]
    fn a_flag_beats_the_variable_and_both_beat_the_file() {
        let keys = file("jobs = \"failed\"\nmost_jobs = 5\n", Trust::Operator).unwrap();
        let of = |flags: &Flags, variables: &[(&str, &str)], keys| {
            jobs(&Environment::from_pairs(variables.iter().copied()), flags, keys).unwrap()
        };
        let selection = |which, most| JobSelection { which, most };
        let none = Flags::default();
        assert_eq!(of(&none, &[], JobKeys::default()), selection(JobChoice::All, 100));
        assert_eq!(of(&none, &[], keys), selection(JobChoice::Failed, 5));
        let both = [(variables::JOBS, "none"), (variables::MOST_JOBS, "0")];
        assert_eq!(of(&none, &both, keys), selection(JobChoice::None, 0));
        let blank = [(variables::JOBS, " "), (variables::MOST_JOBS, " ")];
        assert_eq!(of(&none, &blank, keys), selection(JobChoice::Failed, 5));
        let flags = Flags {
            jobs: Some(JobChoice::All),
            most_jobs: Some(10_000),
            ..Flags::default()
        };
        assert_eq!(of(&flags, &both, keys), selection(JobChoice::All, 10_000));
    }

    #[test]
    fn other_values_are_refused_by_name() {
        let variable = |name, value| {
            let environment = Environment::from_pairs([(name, value)]);
            let refused = jobs(&environment, &Flags::default(), JobKeys::default());
            refused.unwrap_err().to_string()
        };
        let workspace = |text| file(text, Trust::Workspace).unwrap_err();
        let operator = |text| file(text, Trust::Operator).unwrap_err();
        let messages = [
            variable(variables::JOBS, "some"),
            variable(variables::MOST_JOBS, "many"),
            variable(variables::MOST_JOBS, "10001"),
            variable(variables::MOST_JOBS, "-1"),
            operator("jobs = \"some\""),
            operator("most_jobs = 10001"),
            operator("most_jobs = \"5\""),
            workspace("jobs = \"none\""),
            workspace("most_jobs = 0"),
        ];
        insta::assert_snapshot!(messages.join("\n"), @r#"
        PIPEFOLD_JOBS: this has to be all, failed or none
        PIPEFOLD_MOST_JOBS: this has to be a whole number from 0 to 10000
        PIPEFOLD_MOST_JOBS: this has to be a whole number from 0 to 10000
        PIPEFOLD_MOST_JOBS: this has to be a whole number from 0 to 10000
        /etc/pipefold.toml:1: `jobs`: this has to be "all" or "failed" or "none"
        /etc/pipefold.toml:1: `most_jobs`: this has to be a whole number from 0 to 10000
        /etc/pipefold.toml:1: `most_jobs`: this has to be a whole number, and is text
        /etc/pipefold.toml:1: `jobs` may not be set in a workspace file, which anyone who can open a pull request can write; set it by --jobs, or by the variable PIPEFOLD_JOBS, or in /etc/pipefold.toml or the file that --config names
        /etc/pipefold.toml:1: `most_jobs` may not be set in a workspace file, which anyone who can open a pull request can write; set it by --most-jobs, or by the variable PIPEFOLD_MOST_JOBS, or in /etc/pipefold.toml or the file that --config names
        "#);
    }
}
