//! Carrying waiting records to another machine.

use std::path::Path;

use pipefold_tests::{Ci, Mode, Output, SpoolContent};

/// A machine whose DX cannot be reached, with a run of start, step and finish, an unfinished one, and one of another name.
fn cut_off() -> Ci {
    let ci = Ci::new();
    ci.budgets(20, 20, 20);
    ci.dx.set_mode(Mode::RefuseConnections);
    ci.report(["start", "--started-at", "2025-01-01T11:00:00Z"])
        .run()
        .assert_code(0);
    ci.report(["step", "--step", "s", "--status", "success", "--email", "a@example.com"])
        .run()
        .assert_code(0);
    ci.report(["finish", "--status", "success"]).run().assert_code(0);
    ci.report_run("unfinished", ["start"]).run().assert_code(0);
    ci.report_run("ünïcode / other", ["finish", "--status", "failure"])
        .run()
        .assert_code(0);
    ci
}

fn export(there: &Ci, file: &Path) -> Output {
    there
        .pipefold(["flush".as_ref(), "--export".as_ref(), file.as_os_str()])
        .run()
}

/// Imports on this machine, and delivers to the DX of the other one.
fn import(here: &Ci, there: &Ci, file: &Path) -> Output {
    here.pipefold(["flush", "--timeout", "20s", "--import"])
        .args([file])
        .env("DX_API_URL", there.dx.url())
        .env("DX_API_TOKEN", there.dx.token())
        .run()
}

#[test]
fn an_export_is_delivered_where_it_is_imported() {
    let there = cut_off();
    let file = there.directory().join("runs.json");
    let export = export(&there, &file);
    export.assert_code(0);
    assert_eq!(
        SpoolContent::read(&there.spool()).waiting().count(),
        5,
        "it is still there too"
    );
    let exported = std::fs::read_to_string(&file).unwrap();
    assert!(!exported.contains(there.dx.token()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "as the spool");

    // The same DX, another machine.
    there.dx.set_mode(Mode::Normal);
    let here = Ci::new();
    let import = import(&here, &there, &file);
    import.assert_code(0);
    let record = there.record();
    assert_eq!(
        (record.status.as_str(), record.get("email")),
        ("success", Some("a@example.com"))
    );
    assert_eq!(record.started_at, "2025-01-01T11:00:00Z");
    assert!(record.finished_at.is_some());
    assert_eq!(record.upserts, 1);
    assert_eq!(there.record_of("unfinished").status, "running");
    assert_eq!(there.record_of("ünïcode / other").status, "failure");
    let content = SpoolContent::read(&here.spool());
    content.assert_sound(&"imported");
    assert_eq!(content.waiting().count(), 0, "{content:?}");

    // Where it came from it may be delivered as well: nothing changes.
    let before = there.record();
    there.pipefold(["flush", "--timeout", "20s"]).run().assert_code(0);
    let after = there.record();
    assert_eq!((before.status, before.finished_at), (after.status, after.finished_at));
}

#[test]
fn importing_twice_is_importing_once() {
    let there = cut_off();
    let file = there.directory().join("runs.json");
    export(&there, &file).assert_code(0);
    there.dx.set_mode(Mode::Normal);
    let here = Ci::new();
    for _ in 0..2 {
        import(&here, &there, &file).assert_code(0);
    }
    assert_eq!(SpoolContent::read(&here.spool()).records.len(), 5);
    assert_eq!(there.dx.upserts().len(), 3, "one for each run");
}

#[test]
fn a_torn_export_gives_what_is_whole_and_names_the_rest() {
    let there = cut_off();
    let file = there.directory().join("runs.json");
    export(&there, &file).assert_code(0);
    let mut lines: Vec<Vec<u8>> = std::fs::read(&file)
        .unwrap()
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    lines[1].truncate(40);
    lines[1].push(b'\n');
    lines.push(b"\xff\xfe\n".to_vec());
    std::fs::write(&file, lines.concat()).unwrap();
    there.dx.set_mode(Mode::Normal);
    let here = Ci::new();
    let import = import(&here, &there, &file);
    assert!(
        import.stderr().contains("line 2") && import.stderr().contains("line 6"),
        "{import}"
    );
    let content = SpoolContent::read(&here.spool());
    content.assert_sound(&"imported");
    assert_eq!(content.records.len(), 4);
    assert_eq!(content.waiting().count(), 0);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ci = Ci::new();
    let output = ci.pipefold(["flush", "--strict", "--import", "/no/such/file"]).run();
    assert_ne!(output.code, Some(0), "{output}");
    insta::assert_snapshot!("import_of_no_file", ci.neutral(&output.stderr()));
}
