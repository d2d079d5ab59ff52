//! Persons, repositories and commits of runs: each decision by itself.

use crate::support::{at, git, history, mapping, now, stage};
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
        // The pipeline's own document says `changes`.
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
    // The same repository once more: pipelines that come together, and a commit that is a pull request's too.
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
