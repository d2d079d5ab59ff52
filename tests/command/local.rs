//! Outside CI: nothing is reported unless the user asks for it, and then with data from git. And names made by templates.

use std::fs;
use std::process::Command;

use pipefold_tests::{Ci, Output, Pipefold, Record, binary, skipped};

const ID: &str = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d";
/// The message of a command that reports nothing.
const SAID: &str = "pipefold: not reporting: no CI system detected. Use --local, or set --pipeline-name, --pipeline-source and \
                    --reference-id\n";

/// A machine whose workspace is a git repository, as git lays it out.
fn checkout() -> Ci {
    let ci = Ci::new();
    let git = ci.workspace().join(".git");
    fs::create_dir_all(git.join("refs/heads/feature")).unwrap();
    fs::write(git.join("HEAD"), "ref: refs/heads/feature/x\n").unwrap();
    fs::write(git.join("refs/heads/feature/x"), format!("{ID}\n")).unwrap();
    let config = "[remote \"origin\"]\n\turl = https://user:s3cret@github.com/getdx/some_repo.git\n[user]\n\temail = me@getdx.com\n";
    fs::write(git.join("config"), config).unwrap();
    ci
}

fn local(ci: &Ci, words: &[&str]) -> Pipefold {
    ci.pipefold(words).env("HOSTNAME", "laptop")
}

/// A command with `pipefold` in reach.
fn script(ci: &Ci, words: &[&str], script: &str) -> Pipefold {
    let directory = binary("pipefold").parent().unwrap().display().to_string();
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap());
    local(ci, words).args(["--", "sh", "-c", script]).env("PATH", path)
}

fn the_only_record(ci: &Ci) -> Record {
    let records = ci.dx.records();
    assert_eq!(records.len(), 1, "{:?}", records.keys());
    records.into_values().next().unwrap()
}

/// Checks that nothing was sent, and nothing was written.
fn untouched(ci: &Ci, output: &Output) {
    assert!(ci.dx.requests().is_empty(), "{output}");
    assert!(!ci.spool().exists(), "{output}");
}

#[test]
fn a_build_on_a_developers_machine_is_not_reported() {
    let ci = checkout();
    let output = ci.pipefold(["exec", "--", "sh", "-c", "echo out; exit 3"]).run();
    output.assert_code(3);
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("out\n", SAID));
    untouched(&ci, &output);
    for words in [
        &["start"] as &[&str],
        &["step", "--step", "s"],
        &["step", "--step", "s", "--", "true"],
        &["finish", "--status", "failure"],
        &["start", "--repository", "a/b", "--head-branch", "main"],
        &["start", "--strict"],
        &["exec", "--strict", "--", "true"],
    ] {
        let output = ci.pipefold(words).run();
        output.assert_code(0);
        assert_eq!(output.stderr(), SAID, "{words:?}");
        untouched(&ci, &output);
    }
}

#[test]
fn a_workspace_file_does_not_decide_that_it_is() {
    let ci = checkout();
    let toml = "pipeline_name = 'build'\npipeline_source = 'x'\nreference_id = '1'\n[templates]\npipeline_name = '{repository}'\n";
    fs::write(ci.workspace().join("pipefold.toml"), toml).unwrap();
    let output = ci.pipefold(["exec", "--", "true"]).run();
    output.assert_code(0);
    assert_eq!(output.stderr(), SAID);
    untouched(&ci, &output);
}

#[test]
fn the_advice_is_shown_once_and_not_where_it_is_known() {
    let ci = checkout();
    let nested = "pipefold step --step a -- true; pipefold exec -- pipefold start; exit 3";
    let output = script(&ci, &["exec"], nested).run();
    output.assert_code(3);
    assert_eq!(output.stderr(), SAID);
    for quiet in [
        ci.pipefold(["exec", "--", "true"]).env("PIPEFOLD_LOCAL", "false"),
        ci.pipefold(["exec", "-q", "--", "true"]),
    ] {
        let output = quiet.run();
        output.assert_code(0);
        assert_eq!(output.stderr(), "");
        untouched(&ci, &output);
    }
}

#[test]
fn local_reports_data_from_git() {
    for by_variable in [false, true] {
        let ci = checkout();
        let command = match by_variable {
            false => local(&ci, &["exec", "--local", "--", "sh", "-c", "exit 3"]),
            true => local(&ci, &["exec", "--", "sh", "-c", "exit 3"]).env("PIPEFOLD_LOCAL", "true"),
        };
        let output = command.cwd(ci.workspace()).run();
        output.assert_code(3);
        let record = the_only_record(&ci);
        assert_eq!(
            (record.pipeline_name.as_str(), record.status.as_str()),
            ("getdx/some_repo", "failure")
        );
        let expected = [
            ("pipeline_source", "local"),
            ("repository", "getdx/some_repo"),
            ("commit_sha", ID),
            ("head_branch", "feature/x"),
            ("email", "me@getdx.com"),
        ];
        let sent = ci.dx.requests().last().unwrap().json();
        for (field, value) in expected {
            assert_eq!(sent[field], value, "{field}: {sent:#}");
        }
        let id = sent["reference_id"].as_str().unwrap();
        assert!(id.starts_with("local/laptop/getdx/some_repo/"), "{id}");
        let seen = format!("{output}{sent}");
        assert!(!seen.contains("s3cret"), "{seen}");
        for (path, content) in Ci::files(&ci.spool()) {
            assert!(
                !String::from_utf8_lossy(&content).contains("s3cret"),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn flags_beat_data_from_git() {
    let ci = checkout();
    let words = [
        "exec",
        "--local",
        "--pipeline-name",
        "mine",
        "--email",
        "you@getdx.com",
        "--",
        "true",
    ];
    local(&ci, &words).run().assert_code(0);
    let record = the_only_record(&ci);
    assert_eq!(
        (record.pipeline_name.as_str(), record.get("email")),
        ("mine", Some("you@getdx.com"))
    );
    assert_eq!(record.get("commit_sha"), Some(ID));
}

#[test]
fn without_git_a_local_run_has_the_directorys_name() {
    let ci = Ci::new();
    local(&ci, &["exec", "--local", "--", "true"]).run().assert_code(0);
    let record = the_only_record(&ci);
    assert_eq!(
        (record.pipeline_name.as_str(), record.get("repository")),
        ("workspace", None)
    );
}

#[test]
fn two_local_runs_are_two_records_and_their_steps_join_them() {
    let ci = checkout();
    for _ in 0..2 {
        let output = script(
            &ci,
            &["exec", "--local"],
            "pipefold step --step a -- true; pipefold exec -- true",
        )
        .run();
        output.assert_code(0);
    }
    assert_eq!(ci.dx.records().len(), 2, "{:?}", ci.dx.records().keys());
}

#[test]
fn single_commands_get_advice_about_a_common_run() {
    let ci = checkout();
    let output = local(&ci, &["start", "--local"]).run();
    output.assert_code(0);
    let stderr = output.stderr();
    let id = stderr.trim_end().rsplit_once("--reference-id ").unwrap().1;
    assert_eq!(
        stderr,
        format!("pipefold: this run is {id}; give the next command about it --reference-id {id}\n")
    );
    let output = local(&ci, &["finish", "--local", "--status", "success", "--reference-id", id]).run();
    output.assert_code(0);
    assert_eq!(output.stderr(), "");
    assert_eq!(ci.record_of(id).status, "success");
    assert_eq!(ci.dx.records().len(), 1);
}

#[test]
fn a_dry_run_outside_ci_runs_nothing() {
    let ci = checkout();
    for words in [&["exec", "--dry-run"] as &[&str], &["step", "--step", "a", "--dry-run"]] {
        let output = ci.pipefold(words).args(["--", "touch", "ran"]).run();
        output.assert_code(0);
        assert!(!ci.workspace().join("ran").exists(), "{output}");
        assert_eq!(output.stderr(), SAID);
    }
    let output = local(&ci, &["exec", "--local", "--dry-run", "--json", "--", "touch", "ran"]).run();
    assert_eq!(output.json()["body"]["head_branch"], "feature/x");
    assert!(!ci.workspace().join("ran").exists(), "{output}");
}

#[test]
fn an_unknown_ci_system_is_asked_for_the_missing_fields() {
    let ci = checkout();
    let output = ci
        .pipefold(["exec", "--", "sh", "-c", "exit 3"])
        .env("CI", "true")
        .run();
    output.assert_code(3);
    let said = "no known CI system detected; set --pipeline-name, --pipeline-source and --reference-id (or PIPEFOLD_* variables)\n";
    assert_eq!(
        output.stderr(),
        format!("pipefold: warning: the run is not reported: {said}")
    );
    untouched(&ci, &output);
    // With a part of them, each that is missing is named.
    let output = ci
        .pipefold(["start", "--pipeline-name", "build"])
        .env("CI", "true")
        .run();
    insta::assert_snapshot!("unknown_ci_system", ci.neutral(&output.stderr()));
    for ci_is in ["false", ""] {
        let output = ci.pipefold(["start"]).env("CI", ci_is).run();
        assert_eq!(output.stderr(), SAID);
    }
}

#[test]
fn a_wrong_value_of_local_is_named() {
    let ci = checkout();
    let output = ci
        .pipefold(["exec", "--", "sh", "-c", "exit 3"])
        .env("PIPEFOLD_LOCAL", "perhaps")
        .run();
    output.assert_code(3);
    assert_eq!(
        output.stderr(),
        "pipefold: warning: the run is not reported: PIPEFOLD_LOCAL: this has to be true or false\n"
    );
}

/// The layout of `.git` is git's to change: what it makes itself is read too.
#[test]
fn what_git_itself_makes_is_read() {
    let ci = Ci::new();
    let home = ci.directory().join("home");
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command
            .args(words)
            .current_dir(ci.workspace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command.output().ok().filter(|output| output.status.success())
    };
    if git(&["--version"]).is_none() {
        return skipped("what_git_itself_makes_is_read", "there is no git here");
    }
    let told = |words: &[&str]| String::from_utf8(git(words).unwrap().stdout).unwrap().trim().to_owned();
    told(&["config", "--global", "user.email", "me@getdx.com"]);
    told(&["config", "--global", "user.name", "Me"]);
    told(&["init", "--initial-branch", "main"]);
    told(&["remote", "add", "upstream", "git@gitlab.com:group/sub/repo.git"]);
    told(&["commit", "--allow-empty", "-m", "one"]);
    let body = |directory: &str| {
        let output = local(&ci, &["start", "--local", "--dry-run", "--json"])
            .cwd(ci.workspace().join(directory))
            .run();
        output.json()["body"].clone()
    };
    let check = |directory: &str, branch: Option<&str>| {
        let body = body(directory);
        let head = told(&["-C", directory, "rev-parse", "HEAD"]);
        assert_eq!(
            (body["commit_sha"].as_str(), body["head_branch"].as_str()),
            (Some(head.as_str()), branch),
            "{body:#}"
        );
        assert_eq!(
            (&body["repository"], &body["email"]),
            (&"group/sub/repo".into(), &"me@getdx.com".into()),
            "{body:#}"
        );
    };
    check(".", Some("main"));
    told(&["pack-refs", "--all"]);
    check(".", Some("main"));
    told(&["worktree", "add", "-b", "topic/y", "tree"]);
    told(&["-C", "tree", "commit", "--allow-empty", "-m", "two"]);
    check("tree", Some("topic/y"));
    told(&["checkout", "--detach"]);
    check(".", None);
}

#[test]
fn a_template_names_the_run_for_all_that_runs_within_it() {
    let ci = checkout();
    let template = "{{nightly}} {repository}";
    let output = script(
        &ci,
        &["exec", "--local"],
        "env | grep PIPELINE_NAME; pipefold step --step a -- true; pipefold start",
    )
    .env("PIPEFOLD_PIPELINE_NAME_TEMPLATE", template)
    .env("PIPEFOLD_REFERENCE_ID_TEMPLATE", "mine/{run}/{attempt}")
    .run();
    output.assert_code(0);
    assert!(
        output
            .stdout()
            .contains("PIPEFOLD_PIPELINE_NAME={nightly} getdx/some_repo\n"),
        "{output}"
    );
    assert_eq!(the_only_record(&ci).pipeline_name, "{nightly} getdx/some_repo");
    let id = ci.dx.records().into_keys().next().unwrap();
    assert!(id.starts_with("mine/") && id.ends_with("/1"), "{id}");
}

#[test]
fn a_template_that_cannot_be_used_is_warned_of_and_the_run_is_reported() {
    let ci = checkout();
    fs::write(
        ci.workspace().join("pipefold.toml"),
        "[templates]\npipeline_name = '{workflow} of {repository}'\n",
    )
    .unwrap();
    let output = local(&ci, &["exec", "--local", "--strict", "--", "true"]).run();
    output.assert_code(0);
    insta::assert_snapshot!(ci.neutral(output.stderr().lines().next().unwrap()), @"pipefold: error: templates.pipeline_name in [dir]/workspace/pipefold.toml: {workflow} has no value here, so the template is not used and pipeline_name is taken from git's remote; only a CI system gives {workflow}");
    assert_eq!(the_only_record(&ci).pipeline_name, "getdx/some_repo");

    fs::write(
        ci.workspace().join("pipefold.toml"),
        "[templates]\nreference_id = '{sha}'\n",
    )
    .unwrap();
    let output = local(&ci, &["exec", "--local", "--strict", "--", "true"]).run();
    output.assert_code(2);
    insta::assert_snapshot!(ci.neutral(&output.stderr()), @"pipefold: error: the run is not reported: [dir]/workspace/pipefold.toml:2: `templates.reference_id`: without {run} every run would have the same reference_id, and DX would make one record of them all; put {run} into it, and {attempt} too, or {reference_id}, which is the id that would be used without the template");
}
