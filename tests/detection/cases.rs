//! Environments that read like real ones, ten a system or more, and the whole record that each has to give.
//!
//! A file begins with what all its cases share. Then, under a `[title]` each: variables that differ (`NAME=` takes one away), after `=>` the
//! fields that differ (`field:` takes one away). `warning:` is a part of the one warning there is. What else a job has:
//!
//! - `event:` the content of the file that GITHUB_EVENT_PATH points to;
//! - `property:` a line of the file that TEAMCITY_BUILD_PROPERTIES_FILE points to;
//! - `git:` a checkout in the directory that the command runs in: `remote URL`, `head COMMIT`, and `log OLD NEW what git did`.
//!
//! A comment names the page that decides.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use pipefold::config::Environment;
use pipefold::detect::{Detected, detect, detect_in};

/// One case, laid over what all cases share.
#[derive(Clone, Default)]
struct Case {
    title: String,
    variables: BTreeMap<String, String>,
    expected: BTreeMap<String, String>,
    event: Option<String>,
    properties: String,
    git: Vec<String>,
    warning: Option<String>,
}

impl Case {
    fn line(&mut self, line: &str, is_expected: &mut bool) {
        if line == "=>" {
            *is_expected = true;
            return;
        }
        let more = line.split_once(": ").filter(|_| !*is_expected);
        match more {
            Some(("event", event)) => self.event = Some(event.trim().to_owned()),
            Some(("property", property)) => self.properties += &format!("{property}\n"),
            Some(("git", words)) => self.git.push(words.to_owned()),
            _ => self.value(line, *is_expected),
        }
    }

    fn value(&mut self, line: &str, is_expected: bool) {
        let parts = line.split_once(if is_expected { ':' } else { '=' });
        let (name, value) = parts.unwrap_or_else(|| panic!("{}: {line}: not understood", self.title));
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        match (name.as_str(), is_expected) {
            ("warning", true) => self.warning = Some(value),
            (_, true) => drop(self.expected.insert(name, value)),
            (_, false) => drop(self.variables.insert(name, value)),
        }
    }

    /// The checkout, as git lays it out.
    fn checkout(&self) -> Option<tempfile::TempDir> {
        if self.git.is_empty() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let git = directory.path().join(".git");
        fs::create_dir_all(git.join("logs")).unwrap();
        let mut log = String::new();
        for line in &self.git {
            match line.split_once(' ').unwrap() {
                ("remote", url) => {
                    fs::write(git.join("config"), format!("[remote \"origin\"]\nurl = {url}\n")).unwrap();
                }
                ("head", commit) => fs::write(git.join("HEAD"), format!("{commit}\n")).unwrap(),
                ("log", entry) => {
                    let [old, new, what] = entry.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
                    log += &format!("{old} {new} ci <ci@example.com> 1767225600 +0000\t{what}\n");
                }
                _ => panic!("[{}] {line}", self.title),
            }
        }
        fs::write(git.join("logs/HEAD"), log).unwrap();
        Some(directory)
    }
}

fn parse(text: &str) -> Vec<Case> {
    let (mut shared, mut cases, mut is_expected) = (Case::default(), Vec::<Case>::new(), false);
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix('[') {
            let title = title.trim_end_matches(']').to_owned();
            cases.push(Case {
                title,
                ..shared.clone()
            });
            is_expected = false;
            continue;
        }
        cases.last_mut().unwrap_or(&mut shared).line(line, &mut is_expected);
    }
    cases
}

fn detected(case: &Case) -> Detected {
    let read = |path: &Path| match (&case.event, path.to_str()) {
        (Some(event), Some("/event.json")) => Ok(event.clone().into_bytes()),
        (_, Some("/properties")) => Ok(case.properties.clone().into_bytes()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let environment = Environment::from_pairs(case.variables.clone());
    match case.checkout() {
        Some(directory) => detect_in(directory.path(), &environment, &read),
        None => detect(&environment, &read),
    }
}

fn check(text: &str) {
    let cases = parse(text);
    assert!(cases.len() >= 10, "{} cases", cases.len());
    for case in &cases {
        let found = detected(case);
        let fields = found.fields.iter();
        let ours: BTreeMap<_, _> = fields
            .map(|(field, sourced)| (field.name(), sourced.value.as_str()))
            .collect();
        let expected = case.expected.iter().filter(|(_, value)| !value.is_empty());
        let expected: BTreeMap<_, _> = expected.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(ours, expected, "[{}]", case.title);
        let warnings = found.warnings.join("\n");
        let expected = case.warning.as_deref().unwrap_or_default();
        assert_eq!(
            found.warnings.len(),
            usize::from(!expected.is_empty()),
            "[{}] {warnings}",
            case.title
        );
        assert!(warnings.contains(expected), "[{}] {warnings}", case.title);
        // No case's secret gets anywhere.
        let all = format!("{found:?}");
        assert!(!all.contains("s3cret"), "[{}] {all}", case.title);
    }
}

/// The id of the case of this title.
fn id(text: &str, title: &str) -> String {
    let cases = parse(text);
    let case = cases.iter().find(|case| case.title == title).unwrap();
    detected(case)
        .fields
        .value(pipefold::detect::Field::ReferenceId)
        .unwrap()
        .to_owned()
}

macro_rules! systems {
    ($($system:ident),*) => {$(
        #[test]
        fn $system() {
            check(include_str!(concat!(stringify!($system), ".txt")));
        }
    )*};
}

systems!(
    github, gitlab, jenkins, circleci, buildkite, azure, bitbucket, codebuild, teamcity, others
);

#[test]
fn the_big_systems_have_a_hundred_cases() {
    let files = [
        include_str!("github.txt"),
        include_str!("gitlab.txt"),
        include_str!("jenkins.txt"),
        include_str!("circleci.txt"),
        include_str!("buildkite.txt"),
        include_str!("azure.txt"),
    ];
    let cases: usize = files.iter().map(|text| parse(text).len()).sum();
    assert!(cases >= 100, "{cases}");
}

#[test]
fn jobs_of_a_run_meet_and_a_re_run_is_apart() {
    for (text, one, other, again) in [
        (include_str!("github.txt"), "push", "job of a matrix", "re-run"),
        (
            include_str!("gitlab.txt"),
            "push",
            "job of a matrix",
            "new pipeline for the same commit",
        ),
        (
            include_str!("jenkins.txt"),
            "push, multibranch",
            "parallel stage",
            "rebuild",
        ),
        (include_str!("circleci.txt"), "push", "parallel container", "re-run"),
        (include_str!("buildkite.txt"), "push", "parallel job", "rebuild"),
        (include_str!("azure.txt"), "push", "job of a matrix", "run again"),
        (include_str!("bitbucket.txt"), "push", "step run again", "new pipeline"),
        (
            include_str!("codebuild.txt"),
            "push",
            "by its ARN alone",
            "retried build",
        ),
    ] {
        assert_eq!(id(text, one), id(text, other));
        assert_ne!(id(text, one), id(text, again));
    }
}

/// The variables of a file's cases.
pub(crate) fn variables(text: &str) -> Vec<BTreeMap<String, String>> {
    parse(text).into_iter().map(|case| case.variables).collect()
}
