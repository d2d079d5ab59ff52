//! `pipefold` inside `pipefold exec`: it joins the run without flags and without the token.

use std::time::Duration;

use pipefold_tests::{Ci, RUN};

/// The number of runs in the spool.
fn runs(ci: &Ci) -> usize {
    let count = |name| std::fs::read_dir(ci.spool().join(name)).map_or(0, Iterator::count);
    count("runs") + count("done")
}

#[test]
fn a_step_joins_the_run_by_its_environment_alone() {
    let ci = Ci::new();
    let script = "test -z \"${DX_API_TOKEN+x}\" || exit 90; pipefold step --step compile --status success";
    let output = ci.exec_script(script).run();
    output.assert_code(0);
    assert!(
        output
            .stderr()
            .lines()
            .all(|line| line.starts_with("pipefold: success")),
        "{output}"
    );
    assert_eq!(runs(&ci), 1);
    let records = Ci::files(&ci.spool().join("done"));
    let compile = records
        .iter()
        .filter(|(_, content)| String::from_utf8_lossy(content).contains("compile"));
    assert_eq!(compile.count(), 1, "the step is recorded: {records:?}");
    assert_eq!(ci.record().upserts, ci.dx.run_requests().len());
}

#[test]
fn an_urgent_step_is_delivered_by_the_outer_exec_while_it_runs() {
    let ci = Ci::new();
    let script =
        "pipefold step --step deploy --status success --now --head-branch main; until [ -e go ]; do sleep 0.02; done";
    let running = ci.exec_script(script).spawn();
    let told = ci.dx.wait_until(Duration::from_secs(20), |dx| {
        dx.records()
            .get(RUN)
            .is_some_and(|record| record.get("head_branch") == Some("main"))
    });
    std::fs::write(ci.workspace().join("go"), "").unwrap();
    running.wait().assert_code(0);
    assert!(told, "DX heard of the step only at the end");
    assert_eq!(ci.record().status, "success");
}

#[test]
fn a_step_within_exec_reaches_dx_with_the_end_of_the_run() {
    let ci = Ci::new();
    ci.exec_script("pipefold step --step checkout --repository getdx/some_repo --commit-sha 4f2e9c1 -- true")
        .run()
        .assert_code(0);
    let record = ci.record();
    assert_eq!(
        (record.get("repository"), record.get("commit_sha")),
        (Some("getdx/some_repo"), Some("4f2e9c1"))
    );
}

#[test]
fn an_exec_within_is_a_step_of_the_run() {
    let ci = Ci::new();
    ci.exec_script("pipefold exec -- sh -c 'exit 4'; test $? -eq 4 && exit 0")
        .run()
        .assert_code(0);
    assert_eq!(ci.dx.records().len(), 1, "{:?}", ci.dx.records());
    assert_eq!(ci.record().status, "success");
    assert_eq!(runs(&ci), 1);
}

#[test]
fn an_exec_within_does_not_end_the_run() {
    let ci = Ci::new();
    let script = "pipefold exec -- true; touch ended; until [ -e go ]; do sleep 0.02; done; exit 3";
    let running = ci.exec_script(script).spawn();
    let ended = ci.workspace().join("ended");
    pipefold_tests::eventually("the inner one ends", || ended.exists());
    // The start is delivered beside the command: by now, or soon.
    assert!(
        ci.dx
            .wait_until(Duration::from_secs(20), |dx| dx.records().contains_key(RUN))
    );
    assert_eq!(
        (ci.record().status.as_str(), ci.record().finished_at),
        ("running", None)
    );
    std::fs::write(ci.workspace().join("go"), "").unwrap();
    running.wait().assert_code(3);
    assert_eq!(ci.record().status, "failure");
}

#[test]
fn another_run_within_is_its_own_and_the_outer_exec_delivers_it() {
    let ci = Ci::new();
    let output = ci
        .exec_script("pipefold exec --reference-id other -- sh -c 'exit 4' || exit 0")
        .run();
    output.assert_code(0);
    assert_eq!(ci.record().status, "success", "{output}");
    assert_eq!(ci.record_of("other").status, "failure", "{output}");
}

#[test]
fn three_levels_pass_the_exit_code_up() {
    let ci = Ci::new();
    ci.exec_script("pipefold exec -- pipefold step --step inner -- sh -c 'exit 42'")
        .run()
        .assert_code(42);
    assert_eq!(ci.record().status, "failure");
    assert_eq!(ci.dx.records().len(), 1);
}

#[test]
fn the_run_is_the_outer_ones_also_from_another_directory() {
    let ci = Ci::new();
    // A relative spool would be another one after `cd`.
    let output = ci
        .exec_script("mkdir sub && cd sub && pipefold step --step s --status success --source-url https://ci.example/1")
        .env("PIPEFOLD_SPOOL", "relative-spool")
        .run();
    output.assert_code(0);
    assert!(ci.workspace().join("relative-spool/runs").is_dir(), "{output}");
    assert!(!ci.workspace().join("sub/relative-spool").exists());
    assert_eq!(ci.record().get("source_url"), Some("https://ci.example/1"));
}

#[test]
fn the_commands_own_variables_are_left_alone() {
    let ci = Ci::new();
    let output = ci
        .exec([
            "sh",
            "-c",
            "echo \"$MINE $HOME $PIPEFOLD_REFERENCE_ID $PIPEFOLD_PIPELINE_NAME\"",
        ])
        .env("MINE", "x y")
        .run();
    let home = ci.directory().join("home").display().to_string();
    assert_eq!(output.stdout(), format!("x y {home} {RUN} build\n"));
}
