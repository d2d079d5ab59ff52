//! Environments that read like real ones, ten a system, and the whole record that each has to give.
//!
//! A file begins with what all its cases share. Then, under a `[title]` each: variables that differ (`NAME=` takes one away), after `=>` the
//! fields that differ (`field:` takes one away). `event:` is the content of the file that GITHUB_EVENT_PATH points to, and `warning:` a part of
//! the one warning there is.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use pipefold::config::Environment;
use pipefold::detect::{Detected, detect};

/// One case, laid over what all cases share.
#[derive(Clone, Default)]
struct Case {
    title: String,
    variables: BTreeMap<String, String>,
    expected: BTreeMap<String, String>,
    event: Option<String>,
    warning: Option<String>,
}

impl Case {
    fn line(&mut self, line: &str, is_expected: &mut bool) {
        if line == "=>" {
            *is_expected = true;
            return;
        }
        let (name, value) = line
            .split_once(if *is_expected { ':' } else { '=' })
            .unwrap_or_else(|| {
                line.split_once(':')
                    .unwrap_or_else(|| panic!("{}: {line}: not understood", self.title))
            });
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        match (name.as_str(), *is_expected) {
            ("warning", true) => self.warning = Some(value),
            (_, true) => drop(self.expected.insert(name, value)),
            (_, false) => drop(self.variables.insert(name, value)),
        }
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
        let case = cases.last_mut().unwrap_or(&mut shared);
        match line.strip_prefix("event:") {
            Some(event) => case.event = Some(event.trim().to_owned()),
            None => case.line(line, &mut is_expected),
        }
    }
    cases
}

fn detected(case: &Case) -> Detected {
    let read = |path: &Path| match (&case.event, path.to_str()) {
        (Some(event), Some("/event.json")) => Ok(event.clone().into_bytes()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    detect(&Environment::from_pairs(case.variables.clone()), &read)
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

systems!(github, gitlab, jenkins, circleci, buildkite, azure, others);

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
        (include_str!("azure.txt"), "push", "job of a matrix", "stage run again"),
    ] {
        assert_eq!(id(text, one), id(text, other));
        assert_ne!(id(text, one), id(text, again));
    }
}

/// The variables of a file's cases.
pub(crate) fn variables(text: &str) -> Vec<BTreeMap<String, String>> {
    parse(text).into_iter().map(|case| case.variables).collect()
}
