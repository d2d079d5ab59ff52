//! Environments that others captured, with their own interpretation of them (`ci-env` of the captured data).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pipefold::config::Environment;
use pipefold::detect::{Field, Fields, detect, read_file};
use pipefold_tests::{fixtures, skipped};
use serde_json::Value;

/// The value of a field in a captured environment, and the value that is detected.
type Difference = (String, Field, Option<String>, Option<String>);

/// Our differences, with reasons. Each line has to be needed: one that explains nothing fails the test, too.
const DELIBERATE: [(&str, &[Field], &str); 7] = [
    ("CodeShip", ALL, "the service has ended"),
    ("Wercker", ALL, "the service has ended"),
    ("JetBrainsSpace", ALL, "the service has ended"),
    (
        "NoGitRevision",
        &[Field::Repository],
        "they say nothing of git unless they know all; a repository without its commit is true all the same",
    ),
    (
        "appveyor 7",
        &[Field::Repository, Field::CommitSha, Field::HeadBranch],
        "they know only repositories on GitHub; ours need no provider",
    ),
    (
        "appveyor 11, appveyor 12",
        &[Field::Email],
        "the commit's author did not start the build of a pull request",
    ),
    (
        "drone 1",
        &[Field::Email],
        "the commit's author did not start the build of a pull request",
    ),
];

const ALL: &[Field] = &[
    Field::PipelineSource,
    Field::Repository,
    Field::CommitSha,
    Field::HeadBranch,
    Field::SourceUrl,
];

/// The fields of an environment, after the user's settings for the run.
fn fields(pairs: &[(String, String)], directory: &Path) -> Fields {
    let environment = Environment::from_pairs(pairs.iter().cloned());
    let read = |path: &Path| -> io::Result<Vec<u8>> { read_file(&directory.join(path)) };
    let detected = detect(&environment, &read);
    let mut fields = Fields::resolve(&[&Fields::from_variables(&environment), &detected.fields]);
    let _ = fields.leave_out_orphans();
    fields
}

/// The name of the repository at an address, by the simplest rule there is: its path.
fn path_of(address: &str) -> String {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap().1,
        None => address.split_once(':').map_or(address, |(_, path)| path),
    };
    path.trim_end_matches('/').trim_end_matches(".git").to_owned()
}

/// Compares, and collects what differs.
fn compare(name: &str, fields: &Fields, expected: &[(Field, Option<String>)]) -> Vec<Difference> {
    let differs = |(field, expected): &(Field, Option<String>)| {
        let ours = fields.value(*field).map(str::to_owned);
        (ours != *expected).then(|| (name.to_owned(), *field, expected.clone(), ours))
    };
    expected.iter().filter_map(differs).collect()
}

/// Fails if a difference has no reason, or a reason no difference.
fn explain(differences: &[Difference], names: &[String]) {
    let explains = |reason: &(&str, &[Field], &str), (name, field, ..): &Difference| {
        reason.0.split(", ").any(|case| case == name) && reason.1.contains(field)
    };
    let unexplained: Vec<_> = differences
        .iter()
        .filter(|difference| !DELIBERATE.iter().any(|reason| explains(reason, difference)))
        .collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    for reason in &DELIBERATE {
        let is_ours = reason.0.split(", ").all(|case| names.iter().any(|name| name == case));
        let is_needed = differences.iter().any(|difference| explains(reason, difference));
        assert!(!is_ours || is_needed, "{}: no longer differs", reason.0);
    }
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn cucumber_s() {
    let Some(directory) = fixtures("ci-env/cucumber/testdata/src") else {
        return skipped("detection::cucumber_s", "no captured environments");
    };
    let (mut differences, mut names) = (Vec::new(), Vec::new());
    for path in files(&directory, "txt") {
        let text = fs::read_to_string(&path).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let pairs: Vec<_> = pairs.map(|(name, value)| (name.into(), value.into())).collect();
        let expected: Value = serde_json::from_slice(&fs::read(path.with_extension("txt.json")).unwrap()).unwrap();
        let string = |value: &Value| value.as_str().map(str::to_owned);
        let source = match expected["name"].as_str().unwrap() {
            "GitLab" => "GitLab CI",
            "CodeFresh" => "Codefresh",
            name => name,
        };
        let git = &expected["git"];
        // They run in a directory beside that of the data.
        let fields = fields(&pairs, &directory.join(".."));
        differences.extend(compare(
            &stem(&path),
            &fields,
            &[
                (Field::PipelineSource, Some(source.into())),
                (Field::SourceUrl, string(&expected["url"])),
                (Field::Repository, git["remote"].as_str().map(path_of)),
                (Field::CommitSha, string(&git["revision"])),
                (Field::HeadBranch, string(&git["branch"])),
            ],
        ));
        names.push(stem(&path));
    }
    assert!(names.len() >= 20, "{names:?}");
    explain(&differences, &names);
}

#[test]
fn datadog_s() {
    let Some(directory) = fixtures("ci-env/spec") else {
        return skipped("detection::datadog_s", "no captured environments");
    };
    let (mut differences, mut names) = (Vec::new(), Vec::new());
    for path in files(&directory, "json") {
        let cases: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for (index, case) in cases.as_array().unwrap().iter().enumerate() {
            let name = format!("{} {index}", stem(&path));
            let (environment, tags) = (case[0].as_object().unwrap(), &case[1]);
            let pairs: Vec<_> = environment
                .iter()
                .map(|(name, value)| own(name, value.as_str().unwrap()))
                .collect();
            let tag = |name: &str| tags[name].as_str().map(str::to_owned);
            let mut expected = vec![
                (Field::SourceUrl, tag("ci.pipeline.url")),
                (Field::Repository, tag("git.repository_url").map(|url| path_of(&url))),
                (Field::HeadBranch, tag("git.branch")),
                (Field::Email, tag("git.commit.author.email")),
                (Field::PrNumber, tag("pr.number")),
            ];
            let sha = tag("git.commit.head.sha").or_else(|| tag("git.commit.sha"));
            // DX takes a commit only with its repository.
            expected.push((Field::CommitSha, sha.filter(|_| tags["git.repository_url"].is_string())));
            expected.retain(|(field, _)| *field != Field::PrNumber || tags["git.repository_url"].is_string());
            if let Some(pipeline) = tag("ci.pipeline.name") {
                expected.push((Field::PipelineName, Some(pipeline)));
            }
            differences.extend(compare(&name, &fields(&pairs, &directory), &expected));
            names.push(name);
        }
    }
    assert!(names.len() >= 70, "{}", names.len());
    explain(&differences, &names);
}

/// The expected fields of a run in the capture's names, as fields of ours.
fn own(name: &str, value: &str) -> (String, String) {
    let ours = match name {
        "DD_GIT_BRANCH" => Field::HeadBranch,
        "DD_GIT_COMMIT_SHA" => Field::CommitSha,
        "DD_GIT_REPOSITORY_URL" => return (Field::Repository.variable().into(), path_of(value)),
        "DD_GIT_COMMIT_AUTHOR_EMAIL" => Field::Email,
        _ => return (name.into(), value.into()),
    };
    (ours.variable().into(), value.into())
}
