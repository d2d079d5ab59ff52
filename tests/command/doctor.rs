//! `doctor` in the environments it is asked in: what people read, and what `--json` holds.

use std::fs;

use pipefold_tests::{Ci, Mode, Output, Pipefold};
use serde_json::Value;

/// A branch was pushed to a repository on GitHub.
const GITHUB_PUSH: &[(&str, &str)] = &[
    ("CI", "true"),
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_ACTOR", "panda"),
    ("GITHUB_EVENT_NAME", "push"),
    ("GITHUB_HEAD_REF", ""),
    ("GITHUB_JOB", "test"),
    ("GITHUB_REF", "refs/heads/main"),
    ("GITHUB_REF_NAME", "main"),
    ("GITHUB_REF_TYPE", "branch"),
    ("GITHUB_REPOSITORY", "getdx/some_repo"),
    ("GITHUB_RUN_ATTEMPT", "1"),
    ("GITHUB_RUN_ID", "8123456789"),
    ("GITHUB_RUN_NUMBER", "77"),
    ("GITHUB_SERVER_URL", "https://github.com"),
    ("GITHUB_SHA", "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"),
    ("GITHUB_TRIGGERING_ACTOR", "panda"),
    ("GITHUB_WORKFLOW", "CI"),
];

/// A merge request on GitLab.
const GITLAB: &[(&str, &str)] = &[
    ("CI", "true"),
    ("GITLAB_CI", "true"),
    ("CI_COMMIT_REF_NAME", "feature/bamboo"),
    ("CI_COMMIT_SHA", "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"),
    ("CI_JOB_ID", "4711"),
    ("CI_JOB_NAME", "unit tests"),
    ("CI_JOB_STAGE", "test"),
    ("CI_MERGE_REQUEST_IID", "7"),
    ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "feature/bamboo"),
    ("CI_PIPELINE_ID", "123456"),
    ("CI_PIPELINE_SOURCE", "merge_request_event"),
    (
        "CI_PIPELINE_URL",
        "https://gitlab.example.com/group/sub/repo/-/pipelines/123456",
    ),
    ("CI_PROJECT_PATH", "group/sub/repo"),
    ("CI_PROJECT_URL", "https://gitlab.example.com/group/sub/repo"),
    (
        "CI_REPOSITORY_URL",
        "https://gitlab-ci-token:s3cret@gitlab.example.com/group/sub/repo.git",
    ),
    ("CI_SERVER_URL", "https://gitlab.example.com"),
    ("GITLAB_USER_EMAIL", "panda@example.com"),
    ("GITLAB_USER_LOGIN", "panda"),
];

/// A branch of a multibranch project on Jenkins.
const JENKINS: &[(&str, &str)] = &[
    ("BRANCH_NAME", "main"),
    ("BUILD_NUMBER", "42"),
    ("BUILD_TAG", "jenkins-team-some_repo-main-42"),
    (
        "BUILD_URL",
        "https://ci.example.com/job/team/job/some_repo/job/main/42/",
    ),
    ("GIT_BRANCH", "origin/main"),
    ("GIT_COMMIT", "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"),
    ("GIT_URL", "https://user:s3cret@github.com/getdx/some_repo.git"),
    ("JENKINS_URL", "https://ci.example.com/"),
    ("JOB_NAME", "team/some_repo/main"),
    ("STAGE_NAME", "Test"),
];

fn doctor(ci: &Ci, variables: &[(&str, &str)], more: &[&str]) -> Pipefold {
    let command = ci.pipefold(["doctor"]).args(more.iter().copied());
    variables
        .iter()
        .fold(command, |command, (name, value)| command.env(name, *value))
}

/// The text for people, without the parts that differ from one machine to the next.
fn page(ci: &Ci, output: &Output) -> String {
    output.assert_code(0);
    assert_eq!(output.stderr(), "");
    let stdout = output.stdout();
    assert!(
        !stdout.contains("s3cret") && !stdout.contains(ci.dx.token()),
        "{output}"
    );
    let (above, checks) = stdout.split_once("Checks\n").unwrap_or_else(|| panic!("{output}"));
    for line in checks
        .lines()
        .chain(above.lines().filter(|line| !line.starts_with("    \"")))
    {
        assert!(line.chars().count() <= 80, "{line}\n{output}");
        assert!(!line.contains('\u{1b}') && !line.ends_with(' '), "{line:?}");
    }
    let mut page = String::new();
    for line in ci.neutral(above).lines() {
        match line.find("\"started_at\": ") {
            Some(at) => page.push_str(&format!("{}\"started_at\": [now],", &line[..at])),
            None => page.push_str(line),
        }
        page.push('\n');
    }
    page.trim_end().to_owned()
}

/// The checks, one a line. Their breaking into lines depends on the length of this machine's paths.
fn checks(ci: &Ci, output: &Output) -> String {
    let answer = output.json();
    let mut lines = Vec::new();
    for check in answer["checks"].as_array().unwrap() {
        let text = |key: &str| ci.neutral(check[key].as_str().unwrap_or_default());
        let mut line = format!("{}: {}", text("what"), text("found"));
        for (key, before) in [("from", " < "), ("fix", " > ")] {
            if check[key].is_string() {
                line += &format!("{before}{}", text(key));
            }
        }
        for (start, end) in [(" after ", " ms"), ("(digest ", ")")] {
            if let Some((head, tail)) = line.split_once(start)
                && let Some((_, rest)) = tail.split_once(end)
            {
                line = format!("{head}{start}[…]{end}{rest}");
            }
        }
        lines.push(line);
    }
    lines.push(format!("to fix: {}", answer["to_fix"]));
    lines.join("\n")
}

fn snapshot(name: &str, ci: &Ci, variables: &[(&str, &str)], more: &[&str]) {
    let people = doctor(ci, variables, more).run();
    let machine = doctor(ci, variables, more).args(["--json"]).run();
    let both = format!("{}\n\nChecks\n{}", page(ci, &people), checks(ci, &machine));
    insta::assert_snapshot!(name, both);
    let to_fix = machine.json()["to_fix"].as_u64().unwrap();
    let last = people.stdout().lines().last().unwrap().to_owned();
    let expected = match to_fix {
        0 => "all is well".to_owned(),
        1 => "1 thing to fix".to_owned(),
        _ => format!("{to_fix} things to fix"),
    };
    assert_eq!(last, expected);
    let strict = doctor(ci, variables, more).args(["--strict"]).run();
    assert_ne!(strict.code == Some(0), to_fix > 0, "{strict}");
}

#[test]
fn a_push_on_github() {
    snapshot("github_push", &Ci::new(), GITHUB_PUSH, &[]);
}

#[test]
fn a_pull_request_on_github() {
    let ci = Ci::new();
    let event = ci.directory().join("event.json");
    let head = r#"{"ref":"feature/bamboo","sha":"aaaa60b01f91b314f59955a4e4d4e80d8edf11d0"}"#;
    fs::write(&event, format!(r#"{{"pull_request":{{"number":7,"head":{head}}}}}"#)).unwrap();
    let mut variables = GITHUB_PUSH.to_vec();
    variables.extend([
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_HEAD_REF", "feature/bamboo"),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_REF_NAME", "7/merge"),
        ("GITHUB_RUN_ATTEMPT", "2"),
    ]);
    let path = event.display().to_string();
    variables.push(("GITHUB_EVENT_PATH", &path));
    snapshot("github_pull_request", &ci, &variables, &[]);
    fs::remove_file(&event).unwrap();
    snapshot("github_pull_request_without_its_event", &ci, &variables, &[]);
}

#[test]
fn a_fork_on_github_has_no_secret() {
    let ci = Ci::new();
    let output = doctor(&ci, GITHUB_PUSH, &["--json"]).env_remove("DX_API_TOKEN").run();
    let checks = checks(&ci, &output);
    assert!(checks.contains("token: none > set the secret DX_API_TOKEN"), "{checks}");
    assert_eq!(output.json()["to_fix"], 1, "{checks}");
}

#[test]
fn a_merge_request_on_gitlab() {
    snapshot("gitlab", &Ci::new(), GITLAB, &[]);
}

#[test]
fn a_branch_on_jenkins() {
    snapshot("jenkins", &Ci::new(), JENKINS, &[]);
}

#[test]
fn nowhere_at_all() {
    snapshot("nowhere", &Ci::new(), &[], &[]);
}

#[test]
fn templates_and_files() {
    let ci = Ci::new();
    let with = |name: &'static str, id: &'static str| {
        let templates = [
            ("PIPEFOLD_PIPELINE_NAME_TEMPLATE", name),
            ("PIPEFOLD_REFERENCE_ID_TEMPLATE", id),
        ];
        [GITHUB_PUSH, &templates].concat()
    };
    let used = with("{repository}: {workflow}", "{repository}/{run}/{attempt}");
    snapshot("templates", &ci, &used, &["--head-branch", "said"]);
    snapshot("templates_not_used", &ci, &with("{pr} {workflow}", "{run}/{job}"), &[]);

    let toml = "email = 'team@getdx.com'\n[templates]\npipeline_name = '{workflow}'\n";
    fs::write(ci.workspace().join("pipefold.toml"), toml).unwrap();
    let output = doctor(&ci, &used, &["--json"]).run();
    let answer = output.json();
    let beaten = &answer["templates"][1];
    assert_eq!(beaten["why"], "PIPEFOLD_PIPELINE_NAME_TEMPLATE comes first", "{beaten}");
    assert_eq!(
        ci.neutral(beaten["from"].as_str().unwrap()),
        "templates.pipeline_name in [dir]/workspace/pipefold.toml"
    );
    let checks = checks(&ci, &output);
    let file = "file: [dir]/workspace/pipefold.toml < of the workspace: run fields, attributes and templates only";
    assert!(checks.contains(file), "{checks}");
    let people = doctor(&ci, &used, &[]).run();
    page(&ci, &people);
    assert!(
        people
            .stdout()
            .contains("\n                   not used: PIPEFOLD_PIPELINE_NAME_TEMPLATE comes first\n"),
        "{people}"
    );
}

#[test]
fn fields_that_are_wrong() {
    let ci = Ci::new();
    let variables = [
        ("CI", "true"),
        ("PIPEFOLD_PR_NUMBER", "seven"),
        ("PIPEFOLD_STARTED_AT", "yesterday"),
        ("PIPEFOLD_EMIAL", "x"),
    ];
    snapshot("wrong_fields", &ci, &variables, &[]);
}

#[test]
fn settings_that_cannot_be_used() {
    let ci = Ci::new();
    ci.operator("dx_url = 'https://dx.example'\nspol = 'x'\n");
    let output = doctor(&ci, GITHUB_PUSH, &["--json"]).run();
    insta::assert_snapshot!("broken_file", checks(&ci, &output));
    let people = doctor(&ci, GITHUB_PUSH, &[]).run();
    page(&ci, &people);
    assert!(people.stdout().starts_with("Checks\n  bad  settings"), "{people}");
    doctor(&ci, GITHUB_PUSH, &["--strict"]).run().assert_code(2);
}

#[test]
fn a_dx_a_token_and_a_spool_that_cannot_be_used() {
    let ci = Ci::new();
    ci.dx.set_mode(Mode::RefuseConnections);
    let file = ci.directory().join("file");
    fs::write(&file, "").unwrap();
    let command = doctor(&ci, GITHUB_PUSH, &["--json"])
        .env("PIPEFOLD_SPOOL", &file)
        .env("DX_API_TOKEN", "two words");
    insta::assert_snapshot!("broken_world", checks(&ci, &command.run()));
}

#[test]
fn waiting_runs_are_listed_with_their_reason() {
    let ci = Ci::new();
    ci.budgets(200, 300, 200);
    ci.dx.set_mode(Mode::RefuseConnections);
    ci.exec(["true"]).run().assert_code(0);
    ci.dx.set_mode(Mode::Normal);
    let output = doctor(&ci, GITHUB_PUSH, &["--json"]).run();
    let checks = checks(&ci, &output);
    assert!(checks.contains("1 kept, 1 waiting"), "{checks}");
    assert!(
        checks.contains("> run `pipefold flush` once this is mended: "),
        "{checks}"
    );
}

#[test]
fn the_object_has_every_field_and_the_request() {
    let ci = Ci::new();
    let answer = doctor(&ci, GITHUB_PUSH, &["--json"]).run().json();
    assert_eq!(answer["system"], "GitHub Actions");
    let fields = answer["fields"].as_array().unwrap();
    let names: Vec<&str> = fields.iter().filter_map(|field| field["name"].as_str()).collect();
    assert_eq!((names.len(), names[0], names[14]), (15, "pipeline_name", "step"));
    let branch = fields.iter().find(|field| field["name"] == "head_branch").unwrap();
    assert_eq!(branch["value"], "main", "{branch}");
    let email = fields.iter().find(|field| field["name"] == "email").unwrap();
    assert_eq!((&email["value"], &email["from"]), (&Value::Null, &Value::Null));
    assert_eq!(answer["request"]["body"]["pipeline_name"], "CI");
    assert_eq!(answer["request"]["headers"]["Authorization"], "Bearer ***");
    assert!(ci.dx.upserts().is_empty(), "no run is reported");
}

#[test]
fn hostile_values_are_shown_harmless() {
    let ci = Ci::new();
    let long = "x".repeat(3000);
    let output = doctor(
        &ci,
        &[],
        &["--pipeline-name", "a\u{1b}[31m##vso[x]\u{202e}", "--repository", &long],
    )
    .run();
    output.assert_code(0);
    let stdout = output.stdout();
    assert!(
        !stdout.contains(['\u{1b}', '\u{202e}']) && !stdout.contains("##vso"),
        "{output}"
    );
    let above = stdout.split_once("Checks\n").unwrap().0;
    assert!(above.lines().all(|line| line.chars().count() <= 80), "{output}");
}

#[test]
fn colours_are_for_those_who_want_them() {
    let ci = Ci::new();
    let output = doctor(&ci, GITHUB_PUSH, &[]).env("CLICOLOR_FORCE", "1").run();
    assert!(output.stdout().contains("\u{1b}[32mok \u{1b}[0m"), "{output}");
    let plain = doctor(&ci, GITHUB_PUSH, &[]).run().stdout();
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let strip = |text: &str| {
        text.replace("\u{1b}[32m", "")
            .replace("\u{1b}[31m", "")
            .replace("\u{1b}[0m", "")
    };
    let lines = |text: &str| {
        text.lines()
            .filter(|line| !line.contains(" ms") && !line.contains("started_at"))
            .count()
    };
    assert_eq!(lines(&strip(&output.stdout())), lines(&plain));
}
