//! The command without a flag in a CI system: jobs of one run meet in one record, a re-run has its own.

use std::process::Command;

use pipefold_tests::{Ci, Pipefold, SpoolContent, binary, skipped};

/// The variables that GitHub sets in a job of this attempt.
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

/// Runs git in the machine's workspace; none if there is no git, or it failed.
fn git(ci: &Ci, words: &[&str]) -> Option<String> {
    let identity = ["-c", "user.name=ci", "-c", "user.email=ci@example.com"];
    let mut command = Command::new("git");
    command
        .args(identity)
        .args(words)
        .current_dir(ci.workspace())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", ci.directory().join("home"))
        .env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// The variables that Jenkins sets in the build of a pull request, run in this directory.
fn in_jenkins(ci: &Ci, built: &str, directory: &str) -> serde_json::Value {
    let command = ci
        .pipefold(["start", "--dry-run", "--json"])
        .cwd(ci.workspace().join(directory));
    let command = [
        ("BRANCH_NAME", "PR-7"),
        ("BUILD_NUMBER", "3"),
        ("CHANGE_BRANCH", "feature/one"),
        ("CHANGE_ID", "7"),
        ("CHANGE_TARGET", "main"),
        ("GIT_BRANCH", "PR-7"),
        ("GIT_COMMIT", built),
        ("GIT_URL", "https://github.com/org/app.git"),
        ("JENKINS_URL", "https://ci.example.com/"),
        ("JOB_NAME", "team/app/PR-7"),
        ("WORKSPACE", ci.workspace().to_str().unwrap()),
    ]
    .into_iter()
    .fold(command, |command, (name, value)| command.env(name, value));
    command.run().json()["body"].clone()
}

/// The Git plugin checks the head out, merges the target into it, and checks the product out: what git writes down of that decides.
#[test]
fn the_head_of_a_pull_request_is_taken_not_jenkins_merge() {
    let ci = Ci::new();
    if git(&ci, &["--version"]).is_none() {
        return skipped(
            "the_head_of_a_pull_request_is_taken_not_jenkins_merge",
            "there is no git here",
        );
    }
    let done = |words: &[&str]| git(&ci, words).unwrap();
    let commit = || done(&["rev-parse", "HEAD"]);
    done(&["init", "--initial-branch", "main"]);
    done(&["commit", "--allow-empty", "-m", "base"]);
    let base = commit();
    done(&["commit", "--allow-empty", "-m", "target"]);
    let target = commit();
    done(&["checkout", "-f", &base]);
    done(&["commit", "--allow-empty", "-m", "head"]);
    let head = commit();
    // A merge that its author pushed is a head like any other.
    done(&["merge", "-m", "pushed", &target]);
    let pushed = commit();
    std::fs::remove_file(ci.workspace().join(".git/logs/HEAD")).unwrap();
    std::fs::create_dir(ci.workspace().join("deep")).unwrap();

    done(&["checkout", "-f", &head]);
    assert_eq!(in_jenkins(&ci, &head, ".")["commit_sha"], head.as_str());
    done(&["merge", "--ff", "--no-edit", &target]);
    let merge = commit();
    assert!(![&head, &target].contains(&&merge));
    done(&["checkout", "-f", &merge]);
    for directory in [".", "deep", ".."] {
        let body = in_jenkins(&ci, &merge, directory);
        assert_eq!(body["commit_sha"], head.as_str(), "{directory}: {body:#}");
    }
    done(&["checkout", "-f", &pushed]);
    assert_eq!(in_jenkins(&ci, &pushed, ".")["commit_sha"], pushed.as_str());
    // One that was never here is not known.
    assert_eq!(
        in_jenkins(&ci, &"a".repeat(40), ".")["commit_sha"],
        serde_json::Value::Null
    );
}
