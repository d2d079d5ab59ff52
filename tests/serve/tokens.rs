//! `pipefold token`, and what a collector makes of it.

use pipefold_tests::http::Client;
use pipefold_tests::{Collector, binary};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};

fn token(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("pipefold"));
    command.arg("token").args(arguments).arg("--data-dir").arg(dir);
    command.output().unwrap()
}

/// Returns stdout and stderr.
fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_directory_without_a_collector_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let typo = dir.path().join("typo");
    for arguments in [&["list"][..], &["revoke", "t"]] {
        let output = token(&typo, arguments);
        let (_, stderr) = texts(&output);
        assert!(
            !output.status.success() && stderr.contains("typo: name its directory by --data-dir"),
            "{stderr}"
        );
    }
    assert!(!typo.exists());
    // A token may be made before the first start.
    let (secret, said) = texts(&token(&typo, &["add", "t"]));
    assert!(
        secret.starts_with("pft_") && said.contains("typo, which now refuses requests without one"),
        "{said}"
    );
    let (_, said) = texts(&token(&typo, &["add", "u"]));
    assert!(!said.contains("the first token"), "{said}");
}

#[test]
fn the_first_token_closes_a_collector_and_the_last_does_not_open_it() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(dir.path());
    let run = json!({
        "pipeline_name": "p", "pipeline_source": "tests", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z",
    });
    let status = || Client::new(collector.address).upsert(&run).unwrap().status;
    assert_eq!(status(), 200);
    assert!(token(dir.path(), &["add", "t"]).status.success());
    assert_eq!(status(), 401);
    let (_, said) = texts(&token(dir.path(), &["revoke", "t"]));
    assert!(said.contains("stays closed until its next start"), "{said}");
    assert_eq!(status(), 401);
    let (shown, said) = texts(&token(dir.path(), &["list"]));
    assert!(shown.is_empty() && said.contains("there is no token in"), "{said}");
}

#[test]
fn both_rights_and_several_patterns_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let given = [
        "add",
        "t",
        "--read",
        "--write",
        "--pipelines",
        "web-*,api-*",
        "--pipelines",
        "docs",
    ];
    assert!(token(dir.path(), &given).status.success());
    let (shown, _) = texts(&token(dir.path(), &["list"]));
    assert!(
        shown.contains("may report and read runs of web-*, api-*, docs"),
        "{shown}"
    );
}
