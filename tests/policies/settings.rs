//! Policies and the operator's file by variables.

use crate::place::{EMAIL, HEAD_BRANCH, SECRET, redact, write};
use pipefold_tests::Ci;

#[test]
fn policies_named_by_variable_file_and_flag_all_apply() {
    let ci = Ci::new();
    let emails = write(&ci, "e,mails.wasm", &redact(EMAIL));
    let branches = write(&ci, "branches.wasm", &redact(HEAD_BRANCH));
    let field = ["start", "--email", SECRET, "--head-branch", "hidden-branch"];
    let flag = ["--policy", branches.to_str().unwrap()];
    let all: Vec<&str> = field.into_iter().chain(flag).collect();
    let output = ci
        .report(all)
        .env("PIPEFOLD_POLICY", format!("{}\n", emails.display()))
        .run();
    output.assert_code(0);
    let body = String::from_utf8_lossy(&ci.dx.requests()[0].body).into_owned();
    assert!(!body.contains(SECRET) && !body.contains("hidden-branch"), "{body}");

    // Two by the variable, with a comma between them.
    let second = write(&ci, "again.wasm", &redact(EMAIL));
    ci.report_run("run-2", field)
        .env(
            "PIPEFOLD_POLICY",
            format!("{}, {}", branches.display(), second.display()),
        )
        .run()
        .assert_code(0);
    let body = String::from_utf8_lossy(&ci.dx.requests()[1].body).into_owned();
    assert!(!body.contains(SECRET) && !body.contains("hidden-branch"), "{body}");
}

#[test]
fn a_variable_that_names_no_usable_policy_lets_nothing_through() {
    use std::os::unix::ffi::OsStringExt;
    let ci = Ci::new();
    let not_text = std::ffi::OsString::from_vec(b"\xff.wasm".to_vec());
    for value in [not_text, "absent.wasm".into(), "a.wasm@sha256:12".into()] {
        let output = ci
            .report(["exec", "--email", SECRET, "--", "sh", "-c", "exit 3"])
            .env("PIPEFOLD_POLICY", value)
            .run();
        output.assert_code(3);
        assert!(output.stderr().contains("pipefold: "), "{output}");
    }
    ci.pipefold(["flush"]).run().assert_code(0);
    assert!(ci.dx.requests().is_empty());
}

#[test]
fn the_file_of_settings_can_be_named_by_a_variable() {
    let ci = Ci::new();
    let policy = write(&ci, "redact.wasm", &redact(EMAIL));
    let file = ci.directory().join("named.toml");
    std::fs::write(&file, format!("[[policy]]\nfile = {policy:?}\n")).unwrap();
    let arguments = [
        "start",
        "--pipeline-name",
        "build",
        "--pipeline-source",
        "tests",
        "--reference-id",
        "run-1",
        "--email",
        SECRET,
    ];
    ci.program(pipefold_tests::binary("pipefold"))
        .args(arguments)
        .env("PIPEFOLD_CONFIG", file)
        .run()
        .assert_code(0);
    let body = String::from_utf8_lossy(&ci.dx.requests()[0].body).into_owned();
    assert!(!body.contains(SECRET), "{body}");
}
