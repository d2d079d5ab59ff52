//! The table `[gocd]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{ConfigError, Environment, File, Flags, InJob, Settings, SettingsInput, Trust, server_id_problem};
use crate::detect::Field;

fn parse(text: &str, trust: Trust) -> Result<File, ConfigError> {
    File::parse(Path::new("/etc/pipefold.toml"), text, trust)
}

fn refused(text: &str) -> String {
    parse(text, Trust::Operator).unwrap_err().to_string()
}

/// A server that lacks nothing, and then one more line.
fn server(line: &str) -> String {
    format!("[[gocd.server]]\nname = 'a'\nurl = 'https://ci.example.com'\n{line}")
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [gocd]
        in_job = "facts"
        server_id = "ci"
        users = { admin = "admin@example.com" }
        [[gocd.server]]
        name = "main"
        url = "https://ci.example.com/go"
        server_id = "ci"
        user = "reader"
        password_file = "password"
        access_token_file = "/run/secrets/gocd"
        ca_file = "ca.pem"
        insecure_http = true
        pipelines = ["web-*", "api"]
        since = "90d"
        dialect = "new"
        reruns = "latest"
        quiet_for = "2d"
        late_stages = "extend"
        final_stages = { web = "deploy" }
        restarted = { web = "ci-2" }
        material = "getdx/*"
        users = { jez = "jez@example.com" }
        pages_url = "https://gocd.example.com/go"
        enrich = true
        state = "state"
        every = "5m"
        [[gocd.server]]
        name = "other"
        url = "https://other.example.com"
    "#;
    let gocd = parse(text, Trust::Operator).unwrap().operator.gocd;
    assert_eq!(gocd.in_job, Some(InJob::Facts));
    assert_eq!(gocd.server_id.unwrap().value, "ci");
    assert_eq!(gocd.users["admin"], "admin@example.com");
    let server = &gocd.servers[0];
    assert_eq!(server.name, "main");
    assert_eq!(server.url.as_ref().unwrap().value, "https://ci.example.com/go");
    assert_eq!(server.server_id.as_ref().unwrap().value, "ci");
    assert_eq!(server.user.as_deref(), Some("reader"));
    assert_eq!(server.password_file, Some(PathBuf::from("/etc/password")));
    assert_eq!(server.access_token_file, Some(PathBuf::from("/run/secrets/gocd")));
    assert_eq!(server.ca_file, Some(PathBuf::from("/etc/ca.pem")));
    assert_eq!((server.insecure_http, server.enrich), (Some(true), Some(true)));
    assert_eq!(server.pipelines, ["web-*", "api"]);
    assert_eq!(server.since.as_ref().unwrap().value, "90d");
    assert_eq!(
        (server.dialect, server.reruns, server.late_stages),
        (Some("new"), Some("latest"), Some("extend"))
    );
    assert_eq!(server.quiet_for, Some(Duration::from_hours(48)));
    assert_eq!(server.final_stages["web"], "deploy");
    assert_eq!(server.restarted["web"], "ci-2");
    assert_eq!(server.material.as_deref(), Some("getdx/*"));
    assert_eq!(server.users["jez"], "jez@example.com");
    assert_eq!(server.pages_url.as_ref().unwrap().value, "https://gocd.example.com/go");
    assert_eq!(server.state, Some(PathBuf::from("/etc/state")));
    assert_eq!(server.every, Some(Duration::from_secs(300)));
    assert_eq!(gocd.servers[1].name, "other");
}

#[test]
fn a_workspace_file_has_no_such_table() {
    for text in [
        "[gocd]\nin_job = 'facts'",
        "[[gocd.server]]\nurl = 'https://evil.example'",
        "gocd = 1",
    ] {
        let error = parse(text, Trust::Workspace).unwrap_err().to_string();
        assert!(error.contains("`gocd` may not be set in a workspace file"), "{error}");
    }
}

#[test]
fn each_fault_names_its_line_and_what_would_be_right() {
    for (text, line, told) in [
        (
            "[gocd]\nin_job = 'none'".into(),
            2,
            "this has to be \"run\" or \"facts\"",
        ),
        ("[gocd]\nserver = 3".into(), 2, "a list of tables ([[gocd.server]])"),
        ("[gocd]\nservers = []".into(), 2, "did you mean `server`?"),
        ("[gocd]\nserver_id = 'a b'".into(), 2, "such as ci.example.com"),
        (
            "[[gocd.server]]\nurl = 'https://a'".into(),
            1,
            "a server needs a key `name`",
        ),
        ("[[gocd.server]]\nname = 'a'".into(), 1, "a server needs a key `url`"),
        (server("reruns = 'both'"), 4, "\"attempts\" or \"latest\" or \"merge\""),
        (server("pipeline = 'a'"), 4, "did you mean `pipelines`?"),
        (server("every = '1w'"), 4, "\"1w\" is not an age"),
        (server("final_stages = { a = 1 }"), 4, "text in quotes"),
        (server(&server("")), 4, "there are two servers named \"a\""),
    ] {
        let error = refused(&text);
        assert!(error.starts_with(&format!("/etc/pipefold.toml:{line}: ")), "{error}");
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_shown() {
    for key in ["password", "access_token", "token"] {
        let error = refused(&server(&format!("{key} = 's3cret'")));
        assert!(
            error.contains("a secret never stands in a file") && !error.contains("s3cret"),
            "{error}"
        );
    }
}

#[test]
fn what_names_a_server() {
    for good in ["ci.example.com", "ci", "[::1]", "a/b"] {
        assert_eq!(server_id_problem(good), None, "{good}");
    }
    for bad in ["", " ", "a b", "a\n", "u@h", "https://h", "/a", "a/", &"x".repeat(256)] {
        assert!(server_id_problem(bad).is_some(), "{bad:?}");
    }
}

/// What a job in GoCD is told, with these variables besides its own.
fn in_job(file: &str, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let root = tempfile::tempdir().unwrap();
    let etc = root.path().join("operator.toml");
    std::fs::write(&etc, file).unwrap();
    let job = [
        ("GO_SERVER_URL", "https://127.0.0.1:8154/go"),
        ("GO_PIPELINE_NAME", "web"),
        ("GO_PIPELINE_COUNTER", "7"),
    ];
    Settings::load(SettingsInput {
        environment: &Environment::from_pairs(job.into_iter().chain(variables.iter().copied())),
        flags: &Flags::default(),
        cwd: root.path(),
        config: None,
        etc: &etc,
    })
}

#[test]
fn a_job_takes_the_server_s_name_from_the_variable_then_the_file_then_the_address() {
    let file = "[gocd]\nserver_id = 'file'\nin_job = 'facts'";
    for (file, variables, id, told) in [
        ("", &[] as &[_], "gocd/127.0.0.1/web/7", InJob::Run),
        (file, &[], "gocd/file/web/7", InJob::Facts),
        (
            file,
            &[("PIPEFOLD_GOCD_SERVER_ID", "variable"), ("PIPEFOLD_GOCD_IN_JOB", "run")],
            "gocd/variable/web/7",
            InJob::Run,
        ),
    ] {
        let settings = in_job(file, variables).unwrap();
        assert_eq!(settings.fields.value(Field::ReferenceId), Some(id));
        assert_eq!((settings.in_job, settings.warnings), (told, vec![]));
    }
}

#[test]
fn a_variable_that_cannot_be_used_is_told() {
    let settings = in_job("", &[("PIPEFOLD_GOCD_SERVER_ID", "https://x")]).unwrap();
    assert_eq!(settings.fields.value(Field::ReferenceId), Some("gocd/127.0.0.1/web/7"));
    assert!(
        settings.warnings[0].starts_with("PIPEFOLD_GOCD_SERVER_ID: a server's id has"),
        "{:?}",
        settings.warnings
    );
    let error = in_job("", &[("PIPEFOLD_GOCD_IN_JOB", "nothing")])
        .unwrap_err()
        .to_string();
    assert_eq!(error, "PIPEFOLD_GOCD_IN_JOB: this has to be run or facts");
}
