//! Files of runs and jobs, row by row to DX: what DX then has, what is refused, and an import that goes on after its end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use dx_standin::{Endpoint, Mode, RetryAfter, Times};
use pipefold_tests::killing::KILL_AT;
use pipefold_tests::{Ci, Pipefold, eventually};
use rustix::process::Signal;

const HEADER: &str = "pipeline_name,pipeline_source,reference_id,started_at,finished_at,status,step\n";

/// Writes a file into the workspace.
fn file(ci: &Ci, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = ci.workspace().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn text(ci: &Ci, name: &str) -> Option<String> {
    fs::read_to_string(ci.workspace().join(name)).ok()
}

/// An import of a file of the workspace, as fast as DX takes it.
fn import(ci: &Ci, name: &str, flags: &[&str]) -> Pipefold {
    ci.pipefold(["import", name, "--rate", "10000"])
        .args(flags.iter().copied())
}

fn run_row(number: usize) -> String {
    format!("web,ci,run-{number},2025-01-01T12:00:00Z,2025-01-01T12:05:00Z,success,\n")
}

#[test]
fn rows_are_runs_and_jobs_under_the_names_of_dx() {
    let ci = Ci::new();
    let rows = "\u{feff}Job,reference_id,started_at,finished_at,status,step,sha,repository\r\n\
                web,r1,1735732800,1735733100250,SUCCESS,,abc,getdx/web\r\n\
                web,r1,2025-01-01 12:00:00 UTC,2025-01-01T12:01:00Z,passed,\"unit, \"\"a\"\"\",,\r\n\
                web,r2,2025-01-01T12:00:00+01:00,,running,,,\r\n";
    file(&ci, "h.csv", rows);
    let flags = [
        "--set",
        "pipeline_source=Jenkins",
        "--column",
        "pipeline_name=Job",
        "--column",
        "commit_sha=sha",
        "--status",
        "passed=success",
        "--json",
    ];
    let output = import(&ci, "h.csv", &flags).run();
    output.assert_code(0);
    let said = output.json();
    for (name, value) in [("rows", 3), ("runs", 2), ("jobs", 1), ("refused", 0)] {
        assert_eq!(said[name], value, "{said}");
    }
    assert_eq!(said["finished"], true);
    let record = ci.record_of("r1");
    assert_eq!(
        (record.pipeline_name.as_str(), record.pipeline_source.as_str()),
        ("web", "Jenkins")
    );
    assert_eq!(record.started_at, "2025-01-01T12:00:00Z");
    assert_eq!(record.finished_at.as_deref(), Some("2025-01-01T12:05:00.25Z"));
    assert_eq!(
        (record.status.as_str(), record.get("commit_sha")),
        ("success", Some("abc"))
    );
    assert_eq!(ci.record_of("r2").status, "running");
    let job = ci.dx.jobs("r1").remove(0);
    assert_eq!((job.name.as_str(), job.status.as_str()), ("unit, \"a\"", "success"));
    assert_eq!(job.finished_at.as_deref(), Some("2025-01-01T12:01:00Z"));
    assert_eq!(ci.dx.jobs_refused(), 0);
    assert!(text(&ci, "h.csv.import").is_none() && text(&ci, "h.csv.refused.csv").is_none());
}

#[test]
fn json_lines_may_come_from_a_pipe_with_jobs_under_the_names_of_dx() {
    let ci = Ci::new();
    let rows = r#"{"pipeline_name":"web","pipeline_source":"ci","reference_id":"r","started_at":1735733100,"pr_number":7,"repository":"o/r","extra":{"a":[1]}}

{"pipeline_source":"ci","run_reference_id":"r","reference_id":"j/1","name":"j","status":"failure"}
{"pipeline_source":"ci","run_reference_id":"r","reference_id":"j/2","name":"j","status":"success","finished_at":"1735733200000"}
"#;
    let piped = |flags: &[&str]| import(&ci, "-", flags).stdin(rows);
    let without = piped(&["--format", "jsonl"]).run();
    without.assert_code(2);
    assert!(without.stderr().contains("--refused"), "{without}");
    let output = piped(&["--format", "jsonl", "--refused", "bad"]).run();
    output.assert_code(0);
    assert!(output.stderr().contains("not imported: extra"), "{output}");
    assert_eq!(ci.record_of("r").pr_number, Some(7));
    let mut jobs = ci.dx.jobs("r");
    jobs.sort_unstable_by_key(|job| job.reference_id.clone());
    assert_eq!(jobs.len(), 2, "{jobs:?}");
    assert_eq!(
        (jobs[0].reference_id.as_str(), jobs[0].started_at.as_deref()),
        ("j/1", None)
    );
    assert_eq!(
        (jobs[1].started_at.as_deref(), jobs[1].finished_at.as_deref()),
        (None, Some("2025-01-01T12:06:40Z"))
    );
}

#[test]
fn what_is_refused_can_be_corrected_and_imported() {
    let ci = Ci::new();
    let rows = [
        HEADER.as_bytes().to_vec(),
        run_row(1).into_bytes(),
        b"web,ci,bad-time,yesterday,,success,\n".to_vec(),
        b"web,ci,short\n".to_vec(),
        b"web,ci,\xff,2025-01-01T12:00:00Z,,success,\n".to_vec(),
        b"web,ci,no-run,2025-01-01T12:00:00Z,,success,test\n".to_vec(),
        b"web,ci,\"nul\0\",2025-01-01T12:00:00Z,,success,\n".to_vec(),
        run_row(2).into_bytes(),
        b"web,ci,\"torn,2025-01-01T12:00:00Z,,success,\n".to_vec(),
        run_row(3).into_bytes(),
    ];
    file(&ci, "h.csv", rows.concat());
    let dry = import(&ci, "h.csv", &["--dry-run"]).run();
    dry.assert_code(0);
    assert!(dry.stderr().contains("line 3 is refused: started_at: "), "{dry}");
    assert!(
        dry.stderr()
            .contains("9 rows: 3 runs and 1 job would be sent, 5 refused"),
        "{dry}"
    );
    assert!(ci.dx.requests().is_empty() && text(&ci, "h.csv.refused.csv").is_none());

    let output = import(&ci, "h.csv", &[]).run();
    output.assert_code(0);
    assert!(
        output.stderr().contains("3 runs and 0 jobs accepted by DX, 6 refused"),
        "{output}"
    );
    assert_eq!(ci.dx.records().len(), 3);
    let path = ci.workspace().join("h.csv.refused.csv");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
    let mut reasons: Vec<&str> = refused.lines().collect();
    assert_eq!(reasons.remove(0), format!("{},refused", HEADER.trim_end()));
    assert_eq!(reasons.len(), 6, "{refused}");
    for (begin, why) in [
        ("web,ci,bad-time,yesterday,,success,,", "started_at"),
        ("web,ci,short,,,,,", "3 cells"),
        ("web,ci,\u{fffd},", "not UTF-8"),
        ("web,ci,no-run,", "pipeline_run_not_found"),
        ("web,ci,nul\0,", "reference_id"),
        ("\"web,ci,\"\"torn,", "quote is not closed"),
    ] {
        assert!(
            reasons.iter().any(|row| row.starts_with(begin) && row.contains(why)),
            "{begin}: {refused}"
        );
    }
    // Not overwritten by another import.
    let again = import(&ci, "h.csv", &[]).run();
    again.assert_code(1);
    assert!(again.stderr().contains("earlier import"), "{again}");

    let corrected = refused.replace("yesterday", "2025-01-01");
    file(&ci, "again.csv", corrected.as_bytes());
    import(&ci, "again.csv", &["--strict"]).run().assert_code(1);
    assert_eq!(ci.record_of("bad-time").status, "success");
    let rest = text(&ci, "again.csv.refused.csv").unwrap();
    assert_eq!(rest.lines().next().unwrap().matches("refused").count(), 1, "{rest}");
}

#[test]
fn wrong_names_and_flags_send_nothing() {
    let ci = Ci::new();
    file(&ci, "h.csv", "pipeline_nam,pipeline_source,reference_id,started_at\n");
    file(&ci, "h.txt", "");
    for (arguments, code, why) in [
        (
            &["h.csv"] as &[&str],
            2,
            "no column is pipeline_name: name one by --column pipeline_name=COLUMN",
        ),
        (&["h.csv"], 2, "the nearest is pipeline_nam"),
        (
            &["h.csv", "--column", "pipeline_name=nam"],
            2,
            "there is no such column",
        ),
        (&["h.csv", "--set", "pipline_name=x"], 2, "did you mean pipeline_name?"),
        (&["h.csv", "--set", "x"], 2, "give one of DX's names"),
        (&["h.csv", "--status", "a=b"], 2, "the status is one of success"),
        (&["h.csv", "--delimiter", "ab"], 2, "one ASCII character"),
        (&["h.csv", "--concurrency", "0"], 2, "from 1 to 64"),
        (&["h.txt"], 2, "give --format"),
        (&["none.csv"], 1, "cannot read none.csv"),
        (&["."], 1, "is a directory"),
    ] {
        let output = ci.pipefold(["import"]).args(arguments.iter().copied()).run();
        output.assert_code(code);
        assert!(output.stderr().contains(why), "{arguments:?}: {output}");
    }
    let output = ci.pipefold(["import", "h.csv"]).env_remove("DX_API_TOKEN").run();
    output.assert_code(1);
    assert!(output.stderr().contains("DX_API_TOKEN"), "{output}");
    assert!(ci.dx.requests().is_empty());
}

/// Twelve rows of runs and jobs, of which two are refused.
fn mixed(ci: &Ci) {
    let mut rows = HEADER.to_owned();
    for number in 0..4 {
        rows += &run_row(number);
        rows += &format!("web,ci,run-{number},2025-01-01T12:00:00Z,,success,test\n");
        if number % 2 == 0 {
            rows += "web,ci,bad,yesterday,,success,\n";
        }
    }
    rows += &run_row(4);
    rows += &run_row(5);
    file(ci, "h.csv", rows);
}

#[test]
fn a_killed_import_loses_nothing_and_repeats_what_was_under_way() {
    let mut kill_at = 1;
    loop {
        let ci = Ci::new();
        mixed(&ci);
        let flags = ["--concurrency", "2"];
        let killed = import(&ci, "h.csv", &flags).env(KILL_AT, kill_at.to_string()).run();
        let died = killed.signal == Some(9);
        if died {
            import(&ci, "h.csv", &flags).run().assert_code(0);
        } else {
            killed.assert_code(0);
        }
        assert_eq!(ci.dx.records().len(), 6, "{kill_at}");
        let jobs: usize = ci.dx.all_jobs().values().map(Vec::len).sum();
        assert_eq!(jobs, 4, "{kill_at}");
        let sent = ci.dx.upserts().len() + ci.dx.job_upserts().len();
        assert!(sent <= 10 + 2, "{kill_at}: {sent} requests");
        let refused = text(&ci, "h.csv.refused.csv").unwrap();
        assert_eq!(refused.lines().count(), 3, "{kill_at}: {refused}");
        assert!(text(&ci, "h.csv.import").is_none(), "{kill_at}");
        if !died {
            // Each row is sent, answered and noted.
            assert!(kill_at > 30, "too few places to die at: {kill_at}");
            return;
        }
        kill_at += 4;
    }
}

#[test]
fn an_import_stops_when_dx_is_down_and_goes_on_later() {
    let ci = Ci::new();
    let rows: String = (0..20).map(run_row).collect();
    file(&ci, "h.csv", HEADER.to_owned() + &rows);
    ci.dx.misbehave_for("run-7", Mode::InternalError, Times::Always);
    let flags = ["--timeout", "1s", "--concurrency", "4"];
    let output = import(&ci, "h.csv", &flags).run();
    // The others were answered: this row fails, and not DX. Or nothing was answered for a second.
    if output.code == Some(1) {
        assert!(
            output.stderr().contains("the same command goes on from there"),
            "{output}"
        );
        assert!(text(&ci, "h.csv.import").is_some());
    }
    ci.dx.set_mode(Mode::Normal);
    if output.code == Some(1) {
        let changed = import(&ci, "h.csv", &["--set", "email=a@b.c"]).run();
        changed.assert_code(1);
        assert!(changed.stderr().contains("begun with other flags"), "{changed}");
        let other: String = (1..20).map(run_row).collect();
        file(&ci, "h.csv", HEADER.to_owned() + &other);
        let changed = import(&ci, "h.csv", &flags).run();
        changed.assert_code(1);
        assert!(changed.stderr().contains("the file was changed"), "{changed}");
        file(&ci, "h.csv", HEADER.to_owned() + &rows);
        import(&ci, "h.csv", &flags).run().assert_code(0);
    }
    let upserts = ci.dx.upserts().len();
    assert_eq!((ci.dx.records().len(), upserts), (20, 20), "each once");
}

#[test]
fn a_wrong_token_or_address_ends_the_import_at_once() {
    let ci = Ci::new();
    mixed(&ci);
    for mode in [
        Mode::NotOk {
            code: "invalid_auth".into(),
            status: 401,
        },
        Mode::NotOk {
            code: "token_expired".into(),
            status: 401,
        },
        Mode::Redirect {
            status: 302,
            to: "https://example.org/".into(),
        },
    ] {
        ci.dx.set_mode(mode);
        let before = ci.dx.requests().len();
        let output = import(&ci, "h.csv", &["--concurrency", "1"]).run();
        output.assert_code(1);
        assert!(output.stderr().contains("stopped before the end"), "{output}");
        assert!(ci.dx.requests().len() - before <= 1);
    }
    ci.dx.set_mode(Mode::Normal);
    import(&ci, "h.csv", &[]).run().assert_code(0);
    assert_eq!(ci.dx.records().len(), 6);
}

#[test]
fn a_pause_that_dx_asks_for_is_kept_and_the_rate_too() {
    let ci = Ci::new();
    let rows: String = (0..12).map(run_row).collect();
    file(&ci, "h.csv", HEADER.to_owned() + &rows);
    let retry_after = RetryAfter::Seconds(1);
    ci.dx.misbehave(Mode::TooManyRequests { retry_after }, Times::Next(1));
    let output = ci
        .pipefold(["import", "h.csv", "--rate", "10", "--concurrency", "1"])
        .run();
    output.assert_code(0);
    let requests = ci.dx.run_requests();
    assert_eq!((requests.len(), ci.dx.records().len()), (13, 12));
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1));
    // A token a tenth of a second, and one at the begin.
    assert!(requests[12].at - requests[2].at >= Duration::from_millis(900));
}

#[test]
fn a_signal_ends_it_cleanly() {
    let ci = Ci::new();
    let rows: String = (0..200).map(run_row).collect();
    file(&ci, "h.csv", HEADER.to_owned() + &rows);
    let running = ci.pipefold(["import", "h.csv", "--rate", "20"]).spawn();
    eventually("rows are sent", || ci.dx.requests().len() > 3);
    running.signal(Signal::INT);
    let output = running.wait();
    output.assert_code(1);
    assert!(
        output
            .stderr()
            .contains("stopped before the end; the same command goes on from there"),
        "{output}"
    );
    let before = ci.dx.upserts().len();
    assert!(before < 200);
    let rest = import(&ci, "h.csv", &["--json"]).run();
    rest.assert_code(0);
    assert_eq!(
        (rest.json()["rows"].as_u64(), rest.json()["runs"].as_u64()),
        (Some(200), Some(200))
    );
    assert_eq!(rest.json()["before"], before, "{rest}");
    assert_eq!(ci.dx.upserts().len(), 200, "each once");
}

#[test]
fn an_incident_does_not_refuse_the_whole_file() {
    let ci = Ci::new();
    let rows: String = (0..150).map(run_row).collect();
    file(&ci, "h.csv", HEADER.to_owned() + &rows);
    let code = "incident".to_owned();
    ci.dx.set_mode(Mode::NotOk { code, status: 400 });
    let output = import(&ci, "h.csv", &["--concurrency", "1"]).run();
    output.assert_code(1);
    assert!(
        output
            .stderr()
            .contains("after 100 refused runs in a row: DX refused it"),
        "{output}"
    );
    ci.dx.set_mode(Mode::Normal);
    import(&ci, "h.csv", &[]).run().assert_code(0);
    assert_eq!(ci.dx.records().len(), 50);
    let refused = text(&ci, "h.csv.refused.csv").unwrap();
    assert_eq!(refused.lines().count(), 101);
}

#[test]
fn a_server_without_jobs_gets_the_runs() {
    let ci = Ci::new();
    mixed(&ci);
    ci.dx
        .misbehave_at(Endpoint::Jobs, Mode::lacking()[1].clone(), Times::Always);
    let output = import(&ci, "h.csv", &[]).run();
    output.assert_code(0);
    assert!(output.stderr().contains("4 about jobs left out"), "{output}");
    assert_eq!(ci.dx.records().len(), 6);
}

#[test]
fn memory_does_not_grow_with_the_file() {
    let ci = Ci::new();
    // Columns that are not imported make the file long.
    let peak = |rows: usize| {
        let notes = "note ".repeat(1000);
        let mut content = format!("{},Notes\n", HEADER.trim_end());
        for number in 0..rows {
            content += run_row(number).trim_end();
            content += ",\"";
            content += &notes;
            content += "\"\n";
        }
        file(&ci, "h.csv", content);
        let running = import(&ci, "h.csv", &["--dry-run"]).spawn();
        let status = PathBuf::from(format!("/proc/{}/status", running.id()));
        let mut peak = 0;
        let mut running = running;
        while !running.has_ended() {
            let now = fs::read_to_string(&status).unwrap_or_default();
            let line = now.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
            peak = peak.max(kib.unwrap_or_default());
            std::thread::sleep(Duration::from_millis(5));
        }
        running.wait().assert_code(0);
        peak
    };
    let (small, large) = (peak(1000), peak(20_000));
    assert!(
        large < small + 24 * 1024,
        "{small} KiB with 5 MB, {large} KiB with 100 MB"
    );
}
