//! The command without a flag in a CI system: jobs of one run meet in one record, a re-run has its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use pipefold_tests::{Ci, Pipefold, SpoolContent, binary};

/// What GitHub sets in a job of this attempt.
fn in_github(command: Pipefold, job: &str, attempt: &str) -> Pipefold {
    [
        ("CI", "true"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_ACTOR", "octocat"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_JOB", job),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_REPOSITORY", "octo-org/octo-repo"),
        ("GITHUB_RUN_ATTEMPT", attempt),
        ("GITHUB_RUN_ID", "1658821493"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_SHA", "ffac537e6cbbf934b08745a378932722df287a53"),
        ("GITHUB_WORKFLOW", "CI"),
    ]
    .into_iter()
    .fold(command, |command, (name, value)| command.env(name, value))
}

/// A job on a runner of its own: nothing is shared but DX.
fn job(ci: &Ci, job: &str, attempt: &str, script: &str) -> Option<i32> {
    let command = ci.pipefold(["exec", "--", "sh", "-c", script]);
    let spool = ci.directory().join(format!("spool-{job}-{attempt}"));
    let output = in_github(command, job, attempt).env("PIPEFOLD_SPOOL", spool).run();
    assert!(!output.stderr().contains("left out"), "{output}");
    output.code
}

#[test]
fn jobs_of_a_run_meet_and_a_green_re_run_is_green() {
    let ci = Ci::new();
    assert_eq!(job(&ci, "build", "1", "true"), Some(0));
    assert_eq!(job(&ci, "test", "1", "exit 3"), Some(3));
    assert_eq!(job(&ci, "test", "2", "true"), Some(0));
    let records = ci.dx.records();
    let run = "github/github.com/octo-org/octo-repo/1658821493";
    let ids: Vec<String> = records.keys().cloned().collect();
    assert_eq!(ids, [format!("{run}/1"), format!("{run}/2")]);
    assert_eq!(ci.record_of(&ids[0]).status, "failure");
    let again = ci.record_of(&ids[1]).to_json();
    for (name, value) in [
        ("status", "success"),
        ("pipeline_name", "CI"),
        ("pipeline_source", "GitHub Actions"),
        ("repository", "octo-org/octo-repo"),
        ("commit_sha", "ffac537e6cbbf934b08745a378932722df287a53"),
        ("head_branch", "main"),
        ("github_username", "octocat"),
    ] {
        assert_eq!(again[name], value, "{name}");
    }
}

#[test]
fn an_exec_within_is_a_step_named_after_its_command_not_after_the_job() {
    let ci = Ci::new();
    let pipefold = binary("pipefold");
    let inner = format!("{} exec -- sh -c true", pipefold.display());
    let command = ci.pipefold(["exec", "--", "sh", "-c", &inner]);
    in_github(command, "build", "1").run().assert_code(0);
    let content = SpoolContent::read(&ci.spool());
    let steps: Vec<(&str, &str)> = content
        .records
        .iter()
        .filter(|record| !record.field("step").is_empty())
        .map(|record| (record.hook(), record.field("step")))
        .collect();
    assert_eq!(steps, [("step", "sh")]);
}
