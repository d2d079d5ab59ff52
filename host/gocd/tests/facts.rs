//! Persons, repositories and commits of runs: each decision by itself.

use crate::support::{at, git, history, mapping, now, stage};
use pipefold::config::Environment;
use pipefold::detect::{Field, detect};
use pipefold_gocd::documents::*;
use pipefold_gocd::mapping::*;

#[test]
fn the_person_is_who_set_the_attempt_going() {
    let person = |approved_by: &str, committer: &str| {
        let mut history = history(&[stage("build", 1, "Passed", (1, 10), approved_by)]);
        let pipeline = history.pipeline.as_mut().unwrap();
        pipeline.materials = vec![git("git@github.com:o/n.git", None, &"ab".repeat(20), committer)];
        let mut mapping = mapping();
        mapping.users.extend([("Jez".to_owned(), "jez@example.com".to_owned())]);
        let start = mapping.map(&history, now()).attempts.remove(0).start;
        start.email.or(start.github_username)
    };
    for (approved_by, committer, expected) in [
        ("changes", "Ann <ann@example.com>", Some("ann@example.com")),
        ("changes", "Octo <1+octo@users.noreply.github.com>", Some("octo")),
        ("changes", "ann", None),
        // The pipeline's own document has `changes`.
        ("", "Ann <ann@example.com>", Some("ann@example.com")),
        ("timer", "Ann <ann@example.com>", None),
        ("CruiseTimer", "Ann <ann@example.com>", None),
        ("anonymous", "Ann <ann@example.com>", None),
        ("bob", "Ann <ann@example.com>", None),
        ("bob@example.com", "Ann <ann@example.com>", Some("bob@example.com")),
        ("jez", "Ann <ann@example.com>", Some("jez@example.com")),
        // GoCD finds its users without regard to case.
        ("JEZ", "Ann <ann@example.com>", Some("jez@example.com")),
    ] {
        assert_eq!(
            person(approved_by, committer).as_deref(),
            expected,
            "{approved_by} {committer}"
        );
    }
    let rerun = [
        stage("build", 1, "Failed", (1, 10), ""),
        stage("build", 2, "Passed", (2, 10), ""),
    ];
    let attempts = mapping().map(&history(&rerun), now()).attempts;
    assert!(
        attempts.iter().all(|attempt| attempt.start.email.is_none()),
        "the pipeline's document is about the re-run"
    );
}

#[test]
fn repository_and_commit_are_those_of_a_git_material() {
    let facts = |materials: Vec<Material>, pattern: Option<&str>| {
        let mut history = history(&[stage("build", 1, "Passed", (1, 10), "changes")]);
        history.pipeline.as_mut().unwrap().materials = materials;
        let mapping = Mapping {
            material: pattern.map(Pattern::new),
            ..mapping()
        };
        let mut mapped = mapping.map(&history, now());
        let start = mapped.attempts.remove(0).start;
        let kinds: Vec<&str> = mapped.warnings.iter().map(Warning::kind).collect();
        (
            start.repository,
            start.commit_sha.map(|sha| sha.len()),
            start.head_branch,
            start.pr_number,
            kinds,
        )
    };
    let text = |text: &str| Some(text.to_owned());
    let sha = "AB".repeat(20);
    let one = git("https://github.com/o/n", Some("refs/heads/x"), &sha, "a");
    let two = git(
        "https://github.com/o/lib",
        Some("refs/pull/12/head"),
        &"ab".repeat(32),
        "a",
    );
    // The same repository again: pipelines that fan in, and a commit that is a pull request's too.
    let twin = git("git@github.com:o/n.git", Some("refs/pull/7/head"), &sha, "a");
    let other = git(
        "git@github.com:o/n.git",
        Some("refs/pull/8/head"),
        &"cd".repeat(20),
        "a",
    );
    let odd = git("https://github.com/o/odd", None, &"ab".repeat(29), "a");
    let local = git("/srv/git/o/n", Some("main"), &sha, "a");
    let dependency = Material {
        kind: MaterialKind::Dependency {
            pipeline: "up".into(),
            stage: "s".into(),
        },
        ..one.clone()
    };
    for (materials, pattern, expected) in [
        (
            vec![one.clone()],
            None,
            (text("o/n"), Some(40), text("x"), None, vec![]),
        ),
        (
            vec![dependency.clone(), local.clone(), two.clone()],
            None,
            (text("o/lib"), Some(64), None, Some(12), vec![]),
        ),
        (
            vec![one.clone(), two.clone()],
            None,
            (text("o/n"), Some(40), text("x"), None, vec!["several materials"]),
        ),
        (
            vec![one.clone(), one.clone()],
            None,
            (text("o/n"), Some(40), text("x"), None, vec![]),
        ),
        (
            vec![one.clone(), other.clone(), twin.clone()],
            None,
            (text("o/n"), Some(40), text("x"), Some(7), vec![]),
        ),
        (
            vec![twin.clone(), one.clone()],
            None,
            (text("o/n"), Some(40), None, Some(7), vec![]),
        ),
        (
            vec![one.clone(), two.clone()],
            Some("*/lib"),
            (text("o/lib"), Some(64), None, Some(12), vec![]),
        ),
        (
            vec![one.clone()],
            Some("o/x"),
            (None, None, None, None, vec!["no repository"]),
        ),
        (
            vec![odd],
            None,
            (text("o/odd"), None, None, None, vec!["revision that is no commit"]),
        ),
        (
            vec![git("https://github.com/o/n", Some("refs/pull/9/merge"), &sha, "a")],
            None,
            (text("o/n"), None, None, Some(9), vec!["trial merge"]),
        ),
        (vec![local], None, (None, None, None, None, vec!["no repository"])),
        (vec![dependency], None, (None, None, None, None, vec![])),
    ] {
        assert_eq!(facts(materials.clone(), pattern), expected, "{materials:?} {pattern:?}");
    }
}

#[test]
fn the_newest_revisions_are_not_taken_for_those_of_another_run() {
    let sha = |was_newest, scheduled| {
        let mut history = history(&[stage("build", 1, "Passed", (1, 10), "changes")]);
        history.revisions = Revisions::LatestKnown { was_newest };
        history.pipeline.as_mut().unwrap().scheduled = Some(scheduled);
        let mapped = mapping().map(&history, now());
        let start = mapped.attempts[0].start.clone();
        assert_eq!(start.commit_sha.is_some(), start.email.is_some());
        assert_eq!(
            start.commit_sha.is_none(),
            mapped.warnings.contains(&Warning::OtherRevision)
        );
        assert_eq!(
            (start.repository.as_deref(), start.head_branch.as_deref()),
            (Some("o/n"), Some("main"))
        );
        start.commit_sha.is_some()
    };
    assert!(sha(true, at(1, 9)));
    assert!(!sha(false, at(1, 9)));
    // Checked in at seven.
    assert!(!sha(true, at(1, 6)));
    // Run again from its first stage, it is no longer known when it was scheduled at first.
    let mut again = history(&[
        stage("build", 1, "Passed", (1, 10), "changes"),
        stage("build", 2, "Passed", (2, 10), "changes"),
    ]);
    again.revisions = Revisions::LatestKnown { was_newest: true };
    let mapped = mapping().map(&again, now());
    assert_eq!(mapped.attempts[0].start.commit_sha, None);
    assert!(mapped.warnings.contains(&Warning::OtherRevision));
}

/// Repository, commit, branch, pull request and person, as the reader has them and as a job of the same run does.
fn both(url: &str, branch: &str, person: &str) -> [Vec<Option<String>>; 2] {
    let commit = "ab".repeat(20);
    let mut history = history(&[stage("build", 1, "Passed", (1, 10), person)]);
    history.pipeline.as_mut().unwrap().materials = vec![git(url, Some(branch), &commit, "a")];
    let start = mapping().map(&history, now()).attempts.remove(0).start;
    let read = vec![
        start.repository,
        start.commit_sha,
        start.head_branch,
        start.pr_number.map(|number| number.to_string()),
        start.email,
        start.github_username,
        start.gitlab_username,
    ];
    let variables = [
        ("GO_SERVER_URL", "https://ci.example.com/go"),
        ("GO_PIPELINE_NAME", "p"),
        ("GO_PIPELINE_COUNTER", "7"),
        ("GO_REVISION", commit.as_str()),
        ("GO_MATERIAL_URL", url),
        ("GO_MATERIAL_BRANCH", branch),
        ("GO_TRIGGER_USER", person),
    ];
    let environment = Environment::from_pairs(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut fields = detect(&environment, &|_| Err(std::io::ErrorKind::NotFound.into())).fields;
    let _ = fields.leave_out_orphans();
    let detected = [
        Field::Repository,
        Field::CommitSha,
        Field::HeadBranch,
        Field::PrNumber,
        Field::Email,
        Field::GithubUsername,
        Field::GitlabUsername,
    ];
    let detected = detected.map(|field| fields.value(field).map(str::to_owned));
    [read, detected.to_vec()]
}

#[test]
fn a_repository_has_one_name_in_a_job_and_in_the_feeds() {
    for (url, name) in [
        ("git@github.com:oogabooga/zinger.git", Some("oogabooga/zinger")),
        ("ssh://git@host:22/o/n.git", Some("o/n")),
        (
            "git://go-saas-worker.2.project/o/go_saas_trigger",
            Some("o/go_saas_trigger"),
        ),
        ("https://u:******@host/o/n.git/", Some("o/n")),
        ("https://******@host/o/n", Some("o/n")),
        ("URL: https://github.com/gocd/gocd", Some("gocd/gocd")),
        ("https://gitlab.com/group/sub/name.git", Some("group/sub/name")),
        ("https://bitbucket.example.com/scm/KEY/name.git", Some("KEY/name")),
        ("https://bitbucket.org/workspace/name.git", Some("name")),
        (
            "https://dev.azure.com/org/My%20Project/_git/name",
            Some("My Project/name"),
        ),
        ("https://studios-scm.example.com/saas", Some("saas")),
        ("git@ssh.dev.azure.com:v3/org/project/name", Some("project/name")),
        ("https://org.visualstudio.com/_git/name", Some("name/name")),
        (
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/name",
            Some("name"),
        ),
        ("/srv/git/o/n.git", None),
        ("../o/n", None),
        ("C:\\git\\o\\n", None),
        ("file:///srv/git/o/n", None),
        ("foo/bar", None),
        ("https://host/", None),
        ("https:///o/n", None),
        ("https://user:pass/word@host/o/n", None),
        ("https://host/o/%00n", None),
        ("https://host/o/%ff", None),
    ] {
        let [read, detected] = both(url, "main", "timer");
        assert_eq!(read[0].as_deref(), name, "{url}");
        assert_eq!(read[..2], detected[..2], "{url}");
    }
}

#[test]
fn a_branch_or_pull_request_is_one_in_a_job_and_in_the_feeds() {
    for (branch, expected) in [
        ("master", [Some("master"), None]),
        ("refs/heads/one:refs/remotes/origin/one", [Some("one"), None]),
        ("+refs/pull/12/head:refs/remotes/origin/pr-12", [None, Some("12")]),
        ("refs/pull/12/merge", [None, Some("12")]),
        ("refs/merge-requests/7/head", [None, Some("7")]),
        ("refs/tags/v1", [None, None]),
        ("refs/heads/*:refs/remotes/origin/*", [None, None]),
    ] {
        let [read, detected] = both("https://github.com/o/n", branch, "timer");
        assert_eq!([read[2].as_deref(), read[3].as_deref()], expected, "{branch}");
        assert_eq!(read, detected, "{branch}");
        assert_eq!(read[1].is_none(), branch.ends_with("/merge"), "{branch}");
    }
}

#[test]
fn a_person_is_one_in_a_job_and_in_the_feeds() {
    let (email, github, gitlab) = (0, 1, 2);
    for (person, expected) in [
        (
            "Birgitta B <bboeckel@example.com>",
            Some((email, "bboeckel@example.com")),
        ),
        ("a@b.example", Some((email, "a@b.example"))),
        (
            "Octo <12345+octocat@users.noreply.github.com>",
            Some((github, "octocat")),
        ),
        ("octocat@users.noreply.github.com", Some((github, "octocat"))),
        ("123-ann@users.noreply.gitlab.com", Some((gitlab, "ann"))),
        ("donotreply@example.com", None),
        ("GitHub <noreply@github.com>", None),
        ("x@users.noreply.git.example.com", None),
        ("VGarg", None),
        ("Sachin & JJ", None),
        ("A <a>", None),
        ("a b@c", None),
        ("changes", None),
        ("timer", None),
        ("anonymous", None),
    ] {
        let [read, detected] = both("https://github.com/o/n", "main", person);
        let mut wanted = [None; 3];
        if let Some((field, value)) = expected {
            wanted[field] = Some(value);
        }
        let found: Vec<Option<&str>> = read[4..].iter().map(Option::as_deref).collect();
        assert_eq!(found, wanted, "{person}");
        assert_eq!(read[4..], detected[4..], "{person}");
    }
}
