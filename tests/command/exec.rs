//! `pipefold exec`: the command's exit code, and the record that DX ends up with.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use pipefold_tests::{Ci, Mode, PIPELINE, RUN, SOURCE};

#[test]
fn the_exit_code_is_the_commands_own() {
    for code in [0, 1, 2, 3, 127, 255] {
        let ci = Ci::new();
        ci.exec(["sh", "-c", &format!("exit {code}")]).run().assert_code(code);
        let expected = if code == 0 { "success" } else { "failure" };
        assert_eq!(ci.record().status, expected, "exit code {code}");
    }
}

#[test]
fn a_command_killed_by_a_signal_gives_128_and_its_number() {
    for (signal, number) in [("KILL", 9), ("SEGV", 11), ("TERM", 15)] {
        let ci = Ci::new();
        ci.exec(["sh", "-c", &format!("kill -{signal} $$")])
            .run()
            .assert_code(128 + number);
        // No signal came to pipefold: the command broke down by itself.
        assert_eq!(ci.record().status, "failure", "SIG{signal}");
    }
}

#[test]
fn a_command_that_does_not_exist_gives_127_and_one_that_may_not_run_126() {
    let ci = Ci::new();
    let output = ci.exec(["no-such-command-anywhere"]).run();
    output.assert_code(127);
    insta::assert_snapshot!("no_such_command", ci.neutral(&output.stderr()));
    assert_eq!(ci.record().status, "failure");

    let ci = Ci::new();
    let script = ci.workspace().join("build.sh");
    std::fs::write(&script, "#!/bin/sh\nexit 0\n").unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o644)).unwrap();
    let output = ci.exec([script.as_os_str()]).run();
    output.assert_code(126);
    insta::assert_snapshot!("not_executable", ci.neutral(&output.stderr()));
    assert_eq!(ci.record().status, "failure");

    let ci = Ci::new();
    ci.exec([ci.workspace().as_os_str()]).run().assert_code(126);
}

#[test]
fn without_a_command_it_is_a_wrong_command_line_and_nothing_is_sent() {
    let ci = Ci::new();
    for line in [
        &["exec"] as &[&str],
        &["exec", "--"],
        &["exec", "true"],
        &["frobnicate"],
        &["exec", "--frob", "--", "true"],
    ] {
        let output = ci.report(line).run();
        output.assert_code(2);
        assert!(output.stdout.is_empty(), "{output}");
        assert!(output.stderr().to_lowercase().contains("usage"), "{output}");
    }
    assert!(ci.report(["exec"]).run().stderr().contains("after `--`"));
    assert!(ci.dx.requests().is_empty());
}

#[test]
fn the_record_has_every_field_and_the_time_of_the_command() {
    let ci = Ci::new();
    let before = now();
    let fields = [
        ("repository", "getdx/some_repo"),
        ("commit_sha", "4f2e9c1"),
        ("pr_number", "42"),
        ("source_url", "https://ci.example/runs/1?a=b&c=d"),
        ("head_branch", "feature/größer"),
        ("email", "john@getdx.com"),
        ("github_username", "johndoe"),
        ("gitlab_username", "john.doe"),
    ];
    let flags = fields
        .iter()
        .flat_map(|(name, value)| [format!("--{}", name.replace('_', "-")), (*value).to_owned()]);
    let arguments = ["exec".to_owned()]
        .into_iter()
        .chain(flags)
        .chain(["--", "sleep", "0.3"].map(str::to_owned));
    ci.report(arguments).run().assert_code(0);

    let record = ci.record();
    assert_eq!(record.pipeline_name, PIPELINE);
    assert_eq!(record.pipeline_source, SOURCE);
    assert_eq!(record.reference_id, RUN);
    assert_eq!(record.status, "success");
    for (name, value) in fields {
        match name {
            "pr_number" => assert_eq!(record.pr_number, Some(42)),
            _ => assert_eq!(record.get(name), Some(value), "{name}"),
        }
    }
    let finished_at = record.finished_at.clone().unwrap();
    assert!(before <= record.started_at, "{before} {record:?}");
    assert!(finished_at[..before.len()] <= *now(), "{record:?}");
    let seconds = seconds_of(&finished_at) - seconds_of(&record.started_at);
    // A midnight in between makes it negative; then there is nothing to compare. Both times are cut to milliseconds.
    assert!(
        seconds < 0.0 || (0.29..20.0).contains(&seconds),
        "{seconds} s: {record:?}"
    );
}

#[test]
fn given_times_win_over_the_clock() {
    let ci = Ci::new();
    let times = [
        "--started-at",
        "2025-01-01T12:05:00",
        "--finished-at",
        "2025-01-01T13:10:00+01:00",
    ];
    ci.report(["exec"].into_iter().chain(times).chain(["--", "true"]))
        .run()
        .assert_code(0);
    let record = ci.record();
    assert_eq!(record.started_at, "2025-01-01T12:05:00Z");
    assert_eq!(record.finished_at.as_deref(), Some("2025-01-01T12:10:00Z"));
}

#[test]
fn a_short_command_costs_one_request() {
    // On a busy machine even `true` may take so long that DX hears of its start first; not every time.
    let single = (0..50).any(|_| {
        let ci = Ci::new();
        ci.exec(["true"]).run().assert_code(0);
        let upserts = ci.dx.upserts();
        assert_eq!(upserts.last().unwrap()["status"], "success", "{upserts:?}");
        upserts.len() == 1
    });
    assert!(single, "the start of a short command is always sent by itself");
}

#[test]
fn of_a_long_command_dx_hears_while_it_runs() {
    let ci = Ci::new();
    let go = ci.workspace().join("go");
    let running = ci.exec(["sh", "-c", "until [ -e go ]; do sleep 0.02; done"]).spawn();
    assert!(
        ci.dx
            .wait_until(Duration::from_secs(30), |dx| dx.records().contains_key(RUN))
    );
    let record = ci.record();
    assert_eq!((record.status.as_str(), &record.finished_at), ("running", &None));
    std::fs::write(go, "").unwrap();
    running.wait().assert_code(0);
    assert_eq!(ci.record().status, "success");
    assert_eq!(ci.record().started_at, record.started_at);
}

#[test]
fn nothing_is_left_in_the_spool_that_waits() {
    let ci = Ci::new();
    ci.exec(["true"]).run().assert_code(0);
    let sent = ci.dx.requests().len();
    ci.pipefold(["flush"]).run().assert_code(0);
    assert_eq!(ci.dx.requests().len(), sent, "a flush had nothing to do");
}

#[test]
fn it_works_with_little_address_space() {
    let ci = Ci::new();
    let output = ci.exec(["sh", "-c", "exit 3"]).address_space(4_000_000).run();
    output.assert_code(3);
    assert_eq!(ci.record().status, "failure");
}

#[test]
fn without_the_rules_the_build_goes_on_and_is_judged_later() {
    let ci = Ci::new();
    // The default component needs more.
    ci.operator("[limits]\nmemory = \"64 KiB\"\n");
    let output = ci.exec(["sh", "-c", "exit 3"]).run();
    output.assert_code(3);
    insta::assert_snapshot!("rules_not_loaded", ci.neutral(&output.stderr()));
    assert!(ci.dx.requests().is_empty(), "nothing is sent that was not judged");
    ci.operator("");
    ci.pipefold(["flush"]).run().assert_code(0);
    assert_eq!(ci.record().status, "failure");
}

#[test]
fn a_run_may_have_any_name() {
    for name in [
        "../../../etc/run",
        "/",
        ".",
        "a b\u{1f680}",
        "--dry-run",
        &"x".repeat(4096),
    ] {
        let ci = Ci::new();
        let id = format!("--reference-id={name}");
        let fields = ["exec", "--pipeline-name", "p", "--pipeline-source", "s", &id];
        ci.pipefold(fields.into_iter().chain(["--", "true"]))
            .run()
            .assert_code(0);
        assert_eq!(ci.record_of(name).status, "success");
        let runs = std::fs::read_dir(ci.spool().join("done")).unwrap();
        let names: Vec<_> = runs
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(
            names.len() == 1 && names[0].bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{names:?}"
        );
    }
}

#[test]
fn what_the_command_leaves_in_the_background_does_not_hold_it_up() {
    let ci = Ci::new();
    let output = ci.exec(["sh", "-c", "sleep 60 >/dev/null 2>&1 & exit 4"]).run();
    output.assert_code(4).assert_within(Duration::from_secs(30));
    assert_eq!(ci.record().status, "failure");
}

#[test]
fn strict_failures_never_replace_the_commands_exit_code() {
    let ci = Ci::new();
    ci.budgets(200, 400, 300);
    ci.dx.set_mode(Mode::RefuseConnections);
    ci.report(["exec", "--strict", "--", "sh", "-c", "exit 3"])
        .run()
        .assert_code(3);
    ci.report(["exec", "--strict", "--", "true"]).run().assert_code(1);
    ci.report(["start", "--strict"]).run().assert_code(1);
    ci.report(["finish", "--strict"]).run().assert_code(1);
    ci.report(["finish"]).run().assert_code(0);
}

#[test]
fn the_helps_example_of_a_build_in_parts_gets_its_status_right() {
    for (make, code, status) in [("exit 2", 1, "failure"), ("exit 0", 0, "success")] {
        let ci = Ci::new();
        let make_file = ci.directory().join("make");
        std::fs::write(&make_file, format!("#!/bin/sh\n{make}\n")).unwrap();
        std::fs::set_permissions(&make_file, PermissionsExt::from_mode(0o755)).unwrap();
        let help = ci.pipefold(["--help"]).run().stdout();
        let (_, example) = help.split_once("Where a build is more than one command:\n").unwrap();
        let example: Vec<&str> = example.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(example.len(), 3, "{example:?}");
        let binary = pipefold_tests::binary("pipefold");
        let path = [ci.directory(), binary.parent().unwrap()].map(|directory| directory.display().to_string());
        let output = ci
            .program("/bin/sh")
            .args(["-c", &example.join("\n")])
            .env("PATH", format!("{}:{}", path.join(":"), std::env::var("PATH").unwrap()))
            .env("PIPEFOLD_PIPELINE_NAME", PIPELINE)
            .env("PIPEFOLD_PIPELINE_SOURCE", SOURCE)
            .env("PIPEFOLD_REFERENCE_ID", RUN)
            .run();
        output.assert_code(code);
        assert_eq!(ci.record().status, status, "{output}");
    }
}

/// The time now in the form of the stand-in's records, to a whole second below.
fn now() -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%S"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The seconds since midnight of a time in RFC 3339.
fn seconds_of(time: &str) -> f64 {
    let clock = time.split_once('T').unwrap().1.trim_end_matches('Z');
    clock
        .split(':')
        .fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}
