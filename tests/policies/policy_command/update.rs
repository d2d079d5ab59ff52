//! `policy test --update`: only the expectations change, in one step.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{START, test, with_cases};
use pipefold_tests::killing::KILL_AT;
use pipefold_tests::{Mounted, skipped};

/// Three cases: the second one has the right answer.
fn cases() -> [String; 3] {
    [
        format!("{{ {START}\t, \"name\":\"a\"  }}  \r"),
        format!(r#"{{"name":"b","expect":{{"verdict":"report"}},{START}}}"#),
        format!(r#"{{"name":"c","expect" : {{ "verdict":"hold" }},{START}}}"#),
    ]
}

#[test]
fn all_but_the_expectations_stays_as_it_is() {
    let before = cases();
    let (ci, path) = with_cases(&format!("\n{}", before.join("\n \n")));
    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let output = test(&ci, &["--update"]).run();
    output.assert_code(0);
    insta::assert_snapshot!("updated", output.stdout());
    let report = r#"{"jobs":[],"run":{"pipeline_name":"build","pipeline_source":"Jenkins","reference_id":"1","started_at":"2025-01-31T00:00:00Z","status":"running"},"verdict":"report"}"#;
    let after = [
        before[0].replace("\"a\"", &format!("\"a\", \"expect\": {report}")),
        before[1].clone(),
        before[2].replace(r#"{ "verdict":"hold" }"#, report),
    ];
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("\n{}", after.join("\n \n")));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(ci.workspace()).unwrap().count(), 1);
    let output = test(&ci, &[]).run();
    output.assert_code(0);
    assert_eq!(output.stdout(), "3 cases passed, 0 failed\n");
}

#[test]
fn a_link_stays_a_link() {
    let (ci, path) = with_cases(&cases().join("\n"));
    let real = ci.directory().join("real.jsonl");
    fs::rename(&path, &real).unwrap();
    symlink(&real, &path).unwrap();
    test(&ci, &["--update"]).run().assert_code(0);
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("running"));
}

#[test]
fn what_cannot_be_written_stays() {
    let (ci, path) = with_cases(&cases().join("\n"));
    let before = fs::read(&path).unwrap();
    fs::set_permissions(ci.workspace(), PermissionsExt::from_mode(0o555)).unwrap();
    let output = test(&ci, &["--update"]).unprivileged().run();
    fs::set_permissions(ci.workspace(), PermissionsExt::from_mode(0o755)).unwrap();
    output.assert_code(1);
    assert!(output.stderr().contains("cases.jsonl is as it was"), "{output}");
    assert_eq!(fs::read(&path).unwrap(), before);
    let output = ci.pipefold(["policy", "test", "../redact.wasm", "/dev/stdin", "--update"]);
    output.stdin(before).run().assert_code(1);
}

#[test]
fn a_full_disk_loses_no_case() {
    let (ci, _) = with_cases("");
    let volume = match Mounted::tmpfs(ci.directory().join("volume"), 64) {
        Ok(volume) => volume,
        Err(why) => {
            return skipped(
                "a_full_disk_loses_no_case",
                &format!("no file system can be mounted here ({why})"),
            );
        }
    };
    let path = volume.path().join("cases.jsonl");
    // More than half of the room.
    let before = format!("{{{START}}}\n").repeat(40_000 / START.len());
    fs::write(&path, &before).unwrap();
    let run = |more: &[&str]| {
        let command = ci.pipefold(["policy", "test", "../redact.wasm"]).args([&path]);
        command.args(more.iter().copied()).run()
    };
    let output = run(&["--update"]);
    output.assert_code(1);
    assert!(output.stderr().contains("No space left"), "{output}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert_eq!(fs::read_dir(volume.path()).unwrap().count(), 1);
}

#[test]
fn a_killed_update_leaves_the_old_file_or_the_new_one() {
    // More than is written at a time.
    let old = format!("{{{START}}}\n").repeat(500);
    let (ci, path) = with_cases(&old);
    test(&ci, &["--update"]).run().assert_code(0);
    let new = fs::read_to_string(&path).unwrap();
    assert_ne!(new, old);
    let mut left = Vec::new();
    for kill_at in 1.. {
        fs::write(&path, &old).unwrap();
        let output = test(&ci, &["--update"]).env(KILL_AT, kill_at.to_string()).run();
        let now = fs::read_to_string(&path).unwrap();
        assert!(
            now == old || now == new,
            "{} bytes of {} or {}",
            now.len(),
            old.len(),
            new.len()
        );
        if output.signal.is_none() {
            output.assert_code(0);
            break;
        }
        left.push(now == new);
    }
    // Before each part, the sync and the new name; and behind that.
    assert!(left.len() >= 5 && left.ends_with(&[false, true]), "{left:?}");
}
