//! The command in a job of GoCD: as in any CI system, or with the facts alone where a reader follows the server.

use pipefold_tests::{Ci, Pipefold, SpoolContent, binary, workspace_root};

const ID: &str = "gocd/gocd.example.com/web/7";
const COMMIT: &str = "0d5f3e6f9b8c7a6d5e4f3c2b1a0998877665544a";

/// The variables that an agent sets in a job of the stage `test`.
fn in_gocd(command: Pipefold) -> Pipefold {
    [
        ("GO_SERVER_URL", "https://gocd.example.com:8154/go"),
        ("GO_PIPELINE_NAME", "web"),
        ("GO_PIPELINE_COUNTER", "7"),
        ("GO_PIPELINE_LABEL", "1.0.7"),
        ("GO_STAGE_NAME", "test"),
        ("GO_STAGE_COUNTER", "1"),
        ("GO_JOB_NAME", "unit"),
        ("GO_TRIGGER_USER", "jez@example.com"),
        ("GO_REVISION", COMMIT),
        ("GO_MATERIAL_URL", "https://git.example.com/getdx/web.git"),
        ("GO_MATERIAL_BRANCH", "main"),
    ]
    .into_iter()
    .fold(command, |command, (name, value)| command.env(name, value))
}

/// A machine whose jobs report facts alone.
fn with_facts() -> Ci {
    let ci = Ci::new();
    ci.operator("[gocd]\nin_job = 'facts'\n");
    ci
}

#[test]
fn a_job_reports_its_run_under_the_name_that_a_reader_gives_it() {
    let ci = Ci::new();
    in_gocd(ci.pipefold(["exec", "--", "true"])).run().assert_code(0);
    let record = ci.record_of(ID);
    assert_eq!(
        (record.status.as_str(), record.get("commit_sha")),
        ("success", Some(COMMIT))
    );
    assert_eq!(record.get("email"), Some("jez@example.com"));
}

#[test]
fn the_configured_name_of_the_server_counts() {
    let ci = Ci::new();
    ci.operator("[gocd]\nserver_id = 'of-the-file'\n");
    in_gocd(ci.pipefold(["start"])).run().assert_code(0);
    let by_variable = in_gocd(ci.pipefold(["start"])).env("PIPEFOLD_GOCD_SERVER_ID", "of-the-variable");
    by_variable.run().assert_code(0);
    let ids: Vec<String> = ci.dx.records().into_keys().collect();
    assert_eq!(ids, ["gocd/of-the-file/web/7", "gocd/of-the-variable/web/7"]);
}

#[test]
fn the_operator_s_addresses_of_gocd_users_count_in_jobs() {
    let ci = Ci::new();
    ci.operator("[gocd]\nusers = { Jez = 'jez@example.com', 'jez@corp.example' = 'j@example.com' }\n");
    for (user, email) in [("jez", "jez@example.com"), ("jez@corp.example", "j@example.com")] {
        in_gocd(ci.pipefold(["start"]))
            .env("GO_TRIGGER_USER", user)
            .env("GO_PIPELINE_NAME", user)
            .run()
            .assert_code(0);
        let records = ci.dx.records();
        let record = records.values().find(|record| record.pipeline_name == user).unwrap();
        assert_eq!(record.get("email"), Some(email), "{user}");
    }
}

#[test]
fn with_facts_alone_no_command_reports_a_status() {
    for arguments in [
        &["start"] as &[&str],
        &["step", "--step", "lint", "--status", "failure"],
        &["step", "--step", "lint", "--", "true"],
        &["finish", "--status", "failure", "--source-url", "https://x.example"],
        &["finish"],
        &["exec", "--", "true"],
    ] {
        let ci = with_facts();
        in_gocd(ci.pipefold(arguments.iter().copied())).run().assert_code(0);
        let record = ci.record_of(ID);
        assert_eq!(record.status, "unknown", "{arguments:?}");
        assert_eq!(record.finished_at, None, "{arguments:?}");
        assert_eq!(
            (record.pipeline_name.as_str(), record.pipeline_source.as_str()),
            ("web", "GoCD")
        );
        let others: Vec<(&str, &str)> = record
            .others
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let facts = [
            ("commit_sha", COMMIT),
            ("head_branch", "main"),
            ("repository", "getdx/web"),
        ];
        assert_eq!(others, facts, "{arguments:?}");
        for request in ci.dx.requests() {
            assert!(
                request.json().get("status").is_none(),
                "{arguments:?}: {}",
                request.json()
            );
        }
    }
}

#[test]
fn with_facts_alone_the_command_s_own_code_is_passed_on() {
    let ci = with_facts();
    let output = in_gocd(ci.pipefold(["exec", "--", "sh", "-c", "exit 3"])).run();
    output.assert_code(3);
    assert_eq!(ci.record_of(ID).status, "unknown");
    let kept = SpoolContent::read(&ci.spool());
    assert!(
        kept.records.iter().all(|record| record.hook() == "step"),
        "no start, no finish"
    );
}

#[test]
fn a_variable_says_the_same_and_means_nothing_outside_gocd() {
    let ci = Ci::new();
    let facts = |command: Pipefold| command.env("PIPEFOLD_GOCD_IN_JOB", "facts");
    facts(in_gocd(ci.pipefold(["exec", "--", "true"]))).run().assert_code(0);
    assert_eq!(ci.record_of(ID).status, "unknown");
    facts(ci.exec(["true"])).run().assert_code(0);
    assert_eq!(ci.record().status, "success");
}

#[test]
fn a_pull_request_cannot_choose() {
    let ci = Ci::new();
    std::fs::write(ci.workspace().join("pipefold.toml"), "[gocd]\nin_job = 'facts'\n").unwrap();
    let output = in_gocd(ci.pipefold(["exec", "--strict", "--", "true"])).run();
    output.assert_code(2);
    assert!(
        output.stderr().contains("`gocd` may not be set in a workspace file"),
        "{output}"
    );
}

#[test]
fn a_rehearsal_shows_the_facts() {
    let ci = with_facts();
    let output = in_gocd(ci.pipefold(["exec", "--dry-run", "--json", "--", "true"])).run();
    output.assert_code(0);
    let request: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let body = request["body"].as_object().unwrap();
    assert!(
        !body.contains_key("status") && !body.contains_key("finished_at"),
        "{body:?}"
    );
    assert_eq!(
        (&body["reference_id"], &body["commit_sha"]),
        (&ID.into(), &COMMIT.into())
    );
}

#[test]
fn the_example_s_job_tells_the_facts() {
    let ci = Ci::new();
    let file = std::fs::read_to_string(workspace_root().join("examples/gocd/facts.gocd.yaml")).unwrap();
    assert!(file.contains("PIPEFOLD_GOCD_IN_JOB: facts\n"));
    let script = file.split("- |\n").nth(1).unwrap().split("- exec").next().unwrap();
    let binary = binary("pipefold");
    let path = format!(
        "{}:{}",
        binary.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let command = in_gocd(ci.program("/bin/sh").args(["-c", script]))
        .env("PATH", path)
        .env("PIPEFOLD_GOCD_IN_JOB", "facts");
    let output = command.run();
    output.assert_code(0);
    let record = ci.record_of(ID);
    assert_eq!(
        (record.status.as_str(), record.get("commit_sha")),
        ("unknown", Some(COMMIT)),
        "{output}"
    );
}
