//! Jenkins.

use crate::rules::folded;
use crate::support::{Sample, notifications, reason, translated};

/// In this build: `JENKINS_URL=https://ci.example.com/jenkins/ JOB_NAME=team/app/feature%2Fone BRANCH_NAME=feature/one BUILD_NUMBER=15
/// BUILD_URL=https://ci.example.com/jenkins/job/team/job/app/job/feature%252Fone/15/ GIT_URL=https://github.com/org/app.git GIT_BRANCH=feature/one
/// GIT_COMMIT=cbd7f8…`.
const COMPLETED: &str = r#"{
    "name": "feature%2Fone", "display_name": "feature/one", "url": "job/team/job/app/job/feature%252Fone/",
    "build": {
        "full_url": "https://ci.example.com/jenkins/job/team/job/app/job/feature%252Fone/15/",
        "number": 15, "queue_id": 301, "timestamp": 1767344588250, "duration": 176250, "phase": "COMPLETED", "status": "UNSTABLE",
        "url": "job/team/job/app/job/feature%252Fone/15/",
        "scm": {"url": "https://user:s3cret@github.com/org/app.git", "branch": "feature/one", "commit": "cbd7f8a27e5c3b1d4f6089a7b6c5d4e3f2a10987",
            "changes": [], "culprits": ["panda"]},
        "log": "", "notes": "", "artifacts": {}
    }
}"#;

#[test]
fn a_build_is_that_of_its_stages() {
    Sample {
        system: "jenkins",
        headers: &[],
        body: COMPLETED,
        expected: &[&[
            ("pipeline_name", "team/app"),
            ("pipeline_source", "Jenkins"),
            (
                "reference_id",
                "jenkins/ci.example.com/jenkins/team/app/feature%2Fone/15",
            ),
            ("started_at", "2026-01-02T09:00:12Z"),
            ("finished_at", "2026-01-02T09:03:08.250Z"),
            ("status", "failure"),
            ("repository", "org/app"),
            ("commit_sha", "cbd7f8a27e5c3b1d4f6089a7b6c5d4e3f2a10987"),
            (
                "source_url",
                "https://ci.example.com/jenkins/job/team/job/app/job/feature%252Fone/15/",
            ),
            ("head_branch", "feature/one"),
        ]],
        names: &["/build/full_url", "/build/number"],
    }
    .check();
}

/// The value of a field.
fn value(body: &str, name: &str) -> Option<String> {
    let run = &notifications("jenkins", &[], body)[0];
    run.iter().find(|field| field.0 == name).map(|field| field.1.clone())
}

/// The sample with another job, and the branch that it checked out.
fn of(job: &str, built: &str) -> String {
    COMPLETED
        .replace("job/team/job/app/job/feature%252Fone", job)
        .replace("\"branch\": \"feature/one\"", &format!("\"branch\": \"{built}\""))
}

#[test]
fn jobs_and_their_branches() {
    for (job, built, pipeline, scope, branch) in [
        (
            "job/team/job/app/job/main",
            "main",
            "team/app",
            "team/app/main",
            Some("main"),
        ),
        // A folder with a job that is called as a branch.
        (
            "job/team/job/main",
            "origin/main",
            "team/main",
            "team/main",
            Some("main"),
        ),
        ("job/app", "main", "app", "app", Some("main")),
        ("job/my%20app", "origin/main", "my app", "my app", Some("main")),
        // By its name alone, where nothing was checked out yet.
        ("job/app/job/a%252Fb", "", "app", "app/a%2Fb", Some("a/b")),
        ("job/app/view/tags/job/v1", "v1", "app", "app/v1", Some("v1")),
        // A cell of a matrix.
        ("job/app/arch=arm,os=linux", "origin/main", "app", "app", Some("main")),
        ("job/team/job/arch=arm", "origin/main", "team", "team", Some("main")),
        ("job/app", "detached", "app", "app", None),
    ] {
        let body = of(job, built);
        assert_eq!(value(&body, "pipeline_name").unwrap(), pipeline, "{job}");
        let reference = format!("jenkins/ci.example.com/jenkins/{scope}/15");
        assert_eq!(value(&body, "reference_id").unwrap(), reference, "{job}");
        assert_eq!(value(&body, "head_branch").as_deref(), branch, "{job}");
    }
}

#[test]
fn pull_requests() {
    for (job, built, number) in [
        ("job/app/view/change-requests/job/PR-7", "PR-7", "7"),
        ("job/app/view/job/job/PR-7", "PR-7", "7"),
        ("job/app/job/MR-8", "MR-8", "8"),
        ("job/app-pr", "origin/pr/9/merge", "9"),
    ] {
        let body = of(job, built);
        assert_eq!(value(&body, "pr_number").unwrap(), number);
        // It may be a merge that only the workspace has.
        assert_eq!(
            (value(&body, "commit_sha"), value(&body, "head_branch")),
            (None, None),
            "{job}"
        );
    }
    let parameters = r#""parameters": {"ghprbPullId": "7", "ghprbActualCommit": "3f05f9476621e555ac9754444ce6eb4377dacba0",
        "ghprbSourceBranch": "feature/two", "ghprbPullLink": "https://github.com/org/other/pull/7"}, "log""#;
    let body = of("job/app-pr", "detached").replace("\"log\"", parameters);
    for (name, expected) in [
        ("pr_number", "7"),
        ("commit_sha", "3f05f9476621e555ac9754444ce6eb4377dacba0"),
        ("head_branch", "feature/two"),
        ("repository", "org/other"),
    ] {
        assert_eq!(value(&body, name).unwrap(), expected);
    }
}

#[test]
fn results_and_phases() {
    for (result, status) in [
        ("SUCCESS", Some("success")),
        ("FAILURE", Some("failure")),
        ("ABORTED", Some("cancelled")),
        ("NOT_BUILT", Some("cancelled")),
        ("x", None),
    ] {
        assert_eq!(
            value(&COMPLETED.replace("UNSTABLE", result), "status").as_deref(),
            status,
            "{result}"
        );
    }
    let started = COMPLETED
        .replace("COMPLETED", "STARTED")
        .replace("\"duration\": 176250", "\"duration\": 0");
    assert_eq!(value(&started, "status").unwrap(), "running");
    assert_eq!(value(&started, "started_at").unwrap(), "2026-01-02T09:03:08.250Z");
    assert_eq!(value(&started, "finished_at"), None);
    assert_eq!(
        value(&COMPLETED.replace("COMPLETED", "FINALIZED"), "status").unwrap(),
        "failure"
    );
    for (phase, why) in [
        ("QUEUED", "the build was queued; STARTED has its start"),
        ("NONE", "the phase NONE is neither the start nor the end of a build"),
    ] {
        assert_eq!(reason("jenkins", &[], &COMPLETED.replace("COMPLETED", phase)), why);
    }
}

#[test]
fn times_of_old_versions_and_missing_ones() {
    // The start, in each phase.
    let old = COMPLETED.replace("1767344588250", "\"2026-01-02T09:00:12.0+00:00\"");
    for name in ["started_at", "finished_at"] {
        assert_eq!(value(&old, name), value(COMPLETED, name));
    }
    let started = old.replace("COMPLETED", "STARTED");
    assert_eq!(value(&started, "started_at"), value(COMPLETED, "started_at"));
    // The start of the event STARTED is earlier, and counts.
    let alone = COMPLETED.replace("\"duration\": 176250, ", "");
    assert_eq!(value(&alone, "started_at"), value(&alone, "finished_at"));
    let fault = translated("jenkins", &[], &COMPLETED.replace("1767344588250", "0")).unwrap_err();
    assert_eq!(fault, "build.timestamp is missing or of another type");
    let fault = translated("jenkins", &[], &COMPLETED.replace("\"full_url\"", "\"x\"")).unwrap_err();
    assert_eq!(
        fault,
        "build.full_url (which Jenkins leaves out until its own URL is set in its configuration) is missing or of another type"
    );
    assert_eq!(reason("jenkins", &[], "{}"), "it is about no build");
}

#[test]
fn phases_in_any_order_are_one_record() {
    let started = COMPLETED
        .replace("COMPLETED", "STARTED")
        .replace("1767344588250", "1767344412000");
    let finalized = COMPLETED
        .replace("COMPLETED", "FINALIZED")
        .replace("1767344588250", "1767344590000");
    let expected = ["team/app Failure 2026-01-02T09:00:12Z 2026-01-02T09:03:10Z"];
    assert_eq!(folded("jenkins", &[&started, COMPLETED, &finalized]), expected);
    let without = COMPLETED.replace("\"duration\": 176250, ", "");
    let expected = ["team/app Failure 2026-01-02T09:00:12Z 2026-01-02T09:03:08.25Z"];
    assert_eq!(folded("jenkins", &[&started, &without]), expected);
}
