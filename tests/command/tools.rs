//! The commands for looking around: `status`, `doctor`, `component inspect`.

use pipefold_tests::{Ci, Mode, RUN, workspace_root};
use serde_json::Value;

#[test]
fn status_makes_no_spool_and_reports_that_there_is_none() {
    let ci = Ci::new();
    for json in [&["status"][..], &["status", "--json"]] {
        let output = ci.pipefold(json.iter().copied()).run();
        output.assert_code(0);
        assert!(output.stderr().contains("there is no spool at"), "{output}");
        assert!(!ci.spool().exists());
    }
    // Nor does it change one.
    ci.report(["step", "--step", "s", "--status", "success"])
        .run()
        .assert_code(0);
    let before = Ci::files(&ci.spool());
    ci.pipefold(["status"]).run().assert_code(0);
    assert_eq!(Ci::files(&ci.spool()), before);
}

#[test]
fn status_lists_waiting_runs_with_reasons() {
    let ci = Ci::new();
    ci.budgets(200, 300, 200);
    ci.report_run("done", ["exec", "--", "true"]).run().assert_code(0);
    ci.dx.set_mode(Mode::RefuseConnections);
    ci.report_run("waits", ["exec", "--", "true"]).run().assert_code(0);
    let output = ci.pipefold(["status", "--json"]).run();
    output.assert_code(0);
    let status = output.json();
    assert_eq!(status["spool"], ci.spool().display().to_string());
    let runs = status["runs"].as_array().unwrap();
    let run = |id: &str| {
        runs.iter()
            .find(|run| run["reference_id"] == id)
            .unwrap_or_else(|| panic!("{id}: {status:#}"))
    };
    assert_eq!(run("waits")["state"], "waiting", "{status:#}");
    assert!(
        run("waits")["why"].as_str().unwrap().contains("connection refused"),
        "{status:#}"
    );
    assert_eq!(run("done")["state"], "delivered", "{status:#}");
    assert_eq!(
        (&status["run_count"], &status["waiting_count"]),
        (&Value::from(2), &Value::from(1))
    );

    let people = ci.pipefold(["status"]).run();
    people.assert_code(0);
    assert!(
        people.stdout().contains("waits") && people.stdout().contains("connection refused"),
        "{people}"
    );

    ci.dx.set_mode(Mode::Normal);
    ci.pipefold(["flush"]).run().assert_code(0);
    let status = ci.pipefold(["status", "--json"]).run().json();
    assert_eq!(status["waiting_count"], 0, "{status:#}");
}

#[test]
fn status_lists_refused_runs() {
    let ci = Ci::new();
    ci.dx.set_mode(Mode::NotOk {
        code: "invalid_timestamp".into(),
        status: 422,
    });
    ci.exec(["true"]).run().assert_code(0);
    let status = ci.pipefold(["status", "--json"]).run().json();
    assert!(
        status["rejected"].to_string().contains("invalid_timestamp"),
        "{status:#}"
    );
    assert_eq!(status["waiting_count"], 0, "{status:#}");
}

#[test]
fn status_of_nothing_is_nothing() {
    let ci = Ci::new();
    let output = ci.pipefold(["status", "--json"]).run();
    output.assert_code(0);
    assert_eq!(output.json()["run_count"], 0, "{output}");
}

#[test]
fn every_answer_in_json_is_one_line() {
    let ci = Ci::new();
    let commands: [&[&str]; 6] = [
        &["start"],
        &["step", "--step", "s"],
        &["step", "--step", "s", "--now"],
        &["finish", "--status", "success"],
        &["start", "--dry-run"],
        &["doctor"],
    ];
    let about_the_run = commands.map(|command| ci.report(command).args(["--json"]));
    let about_all = ["flush", "status"].map(|command| ci.pipefold([command, "--json"]));
    for command in about_the_run.into_iter().chain(about_all) {
        let output = command.run();
        output.assert_code(0);
        assert!(!output.json().is_null(), "{output}");
        assert!(
            output.stdout.ends_with(b"\n") && output.stdout().lines().count() == 1,
            "{output}"
        );
    }
}

#[test]
fn an_answer_in_json_has_the_outcome() {
    let ci = Ci::new();
    ci.budgets(200, 300, 200);
    let answer = |command: &[&str]| ci.report(command).args(["--json"]).run().json();
    let good = answer(&["start"]);
    assert_eq!(
        (&good["reference_id"], &good["on_disk"], &good["delivered"]),
        (&RUN.into(), &true.into(), &true.into()),
        "{good}"
    );
    ci.dx.set_mode(Mode::RefuseConnections);
    let bad = answer(&["finish", "--status", "success"]);
    assert_eq!(
        (&bad["on_disk"], &bad["delivered"]),
        (&true.into(), &false.into()),
        "{bad}"
    );
    assert!(bad["why"].as_str().unwrap().contains("connection refused"), "{bad}");
}

#[test]
fn doctor_finds_all_well() {
    let ci = Ci::new();
    let output = ci.report(["doctor", "--strict"]).run();
    output.assert_code(0);
    let stdout = output.stdout();
    for expected in [
        RUN,
        "--reference-id",
        &ci.dx.url(),
        "DX_API_URL",
        "PIPEFOLD_SPOOL",
        "all is well",
    ] {
        assert!(stdout.contains(expected), "{expected} is not told: {output}");
    }
    assert!(ci.dx.upserts().is_empty(), "no run is reported");
    assert!(
        ci.dx.requests().iter().all(|request| request.authorization.is_none()),
        "the token is not needed to look"
    );
}

#[test]
fn doctor_names_what_is_wrong_and_what_to_do() {
    let ci = Ci::new();
    ci.dx.set_mode(Mode::RefuseConnections);
    let output = ci.pipefold(["doctor", "--json"]).env_remove("DX_API_TOKEN").run();
    output.assert_code(0);
    let findings = output.json();
    let fix = |what: &str| {
        let finding = findings["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["what"] == what);
        finding
            .and_then(|finding| finding["fix"].as_str())
            .unwrap_or_else(|| panic!("{what}: {findings:#}"))
            .to_owned()
    };
    assert!(fix("token").contains("DX_API_TOKEN"));
    assert!(fix("DX").contains("connection refused"));
    assert!(fix("record").contains("--pipeline-name"));
    ci.pipefold(["doctor", "--strict"]).run().assert_code(1);
}

#[test]
fn the_default_component_imports_nothing() {
    let ci = Ci::new();
    let file = workspace_root().join("host/sandbox/component/default.wasm");
    let inspect = |more: &[&str]| {
        ci.pipefold(["component", "inspect"])
            .args([file.as_os_str()])
            .args(more)
            .run()
    };
    let output = inspect(&["--json"]);
    output.assert_code(0);
    let found = output.json();
    assert_eq!(found["imports"], Value::Array(Vec::new()), "{found:#}");
    let exports: Vec<&str> = found["exports"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|export| export["name"].as_str())
        .collect();
    for interface in ["pipefold:ci/hooks@", "pipefold:ci/merging@"] {
        assert!(
            exports.iter().any(|name| name.starts_with(interface)),
            "{interface} is not exported: {exports:?}"
        );
    }
    assert_eq!(found["size"], file.metadata().unwrap().len());
    let people = inspect(&[]);
    people.assert_code(0);
    assert!(people.stdout().contains("imports   none"), "{people}");
    assert!(people.stdout().contains(found["sha256"].as_str().unwrap()), "{people}");
}

#[test]
fn a_file_that_is_no_component_is_named() {
    let ci = Ci::new();
    let mut said = String::new();
    let files: [(&str, &[u8]); 4] = [
        ("empty.wasm", b""),
        ("module.wasm", b"\0asm\x01\0\0\0"),
        ("text.wasm", b"(component)"),
        ("cut.wasm", b"\0asm\x0d\0\x01\0\x01"),
    ];
    for (name, content) in files {
        std::fs::write(ci.workspace().join(name), content).unwrap();
        let output = ci.pipefold(["component", "inspect", name]).run();
        output.assert_code(1);
        said += &output.stderr();
    }
    said += &ci.pipefold(["component", "inspect", "absent.wasm"]).run().stderr();
    insta::assert_snapshot!("no_components", said);
}
