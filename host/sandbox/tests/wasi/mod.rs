//! The system interface: no access without a grant, none outside a granted directory, and no waiting.

pub mod components;

use components::{guest, links_and_opens, opens};
use pipefold_sandbox::{
    Access, Chain, Directory, Grants, HookError, Limits, Notification, Policy, Question, Sandbox, Verdict, Wasi,
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A guest's answer to a refusal, `(call $digit CODE)`: WASI's number of an error code as a digit.
const NO_ENTRY: &str = "D";
const NOT_PERMITTED: &str = "O";
const READ_ONLY_FILES: [&str; 2] = ["O", "Q"];

/// Reads up to 100 bytes of the opened file and answers with them.
const READ: &str = "(i64.const 100) (i64.const 0) (i32.const 2032) (call $read)
    (if (i32.load8_u (i32.const 2032)) (then (return (call $digit (i32.load8_u (i32.const 2036))))))
    (call $say (i32.load (i32.const 2036)) (i32.load (i32.const 2040)))";
/// Writes the path's own name into the opened file and answers 1.
const WRITE: &str = "(i32.const 4000) (i32.const 3) (i64.const 0) (i32.const 2032) (call $write)
    (if (i32.load8_u (i32.const 2032)) (then (return (call $digit (i32.load8_u (i32.const 2040))))))
    (call $digit (i32.const 1))";

fn ask(component: &[u8], wasi: Wasi) -> Result<String, HookError> {
    let sandbox = Sandbox::new(Limits {
        chain: Duration::from_millis(600),
        ..Limits::default()
    })
    .unwrap();
    let policy = Policy {
        grants: Grants {
            wasi: Some(wasi),
            ..Grants::default()
        },
        ..Policy::new("guest")
    };
    let link = sandbox.policy_compiled_here(&policy, component).unwrap();
    let chain = Chain::new(vec![link], sandbox.default_plugin().unwrap()).unwrap();
    let event = Notification {
        pipeline_name: Some("build".into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some("r/1".into()),
        started_at: Some("2025-01-01T12:05:00Z".into()),
        step: Some("compile".into()),
        ..Notification::default()
    };
    match chain.ask(&Question::Step(&event))? {
        Verdict::Discard(reason) => Ok(reason),
        other => panic!("no discard: {other:?}"),
    }
}

fn said(component: &[u8], wasi: Wasi) -> String {
    ask(component, wasi).unwrap()
}

fn directory(path: &Path, access: Access) -> Wasi {
    Wasi {
        directory: Some(Directory::open(path, access).unwrap()),
        ..Wasi::default()
    }
}

/// A directory with a file, beside a secret.
fn place() -> (TempDir, std::path::PathBuf) {
    let above = tempfile::tempdir().unwrap();
    fs::write(above.path().join("secret"), "s3cret").unwrap();
    let inside = above.path().join("granted");
    fs::create_dir_all(inside.join("sub")).unwrap();
    fs::write(inside.join("teams.csv"), "ada,compilers").unwrap();
    (above, inside)
}

const COUNTS: &str = r#"(import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
    (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))
    (import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $directories (param i32)))"#;

#[test]
fn no_environment_no_arguments_no_files() {
    for list in ["$environment", "$arguments", "$directories"] {
        let counts = guest(
            &format!("(call {list} (i32.const 2000)) (call $digit (i32.load (i32.const 2004)))"),
            COUNTS,
            "",
        );
        assert_eq!(said(&counts, Wasi::default()), "0", "{list}");
    }
}

#[test]
fn no_network() {
    let socket = guest(
        "(call $socket (i32.const 0) (i32.const 2000))
         (if (i32.load8_u (i32.const 2000)) (then (return (call $digit (i32.load8_u (i32.const 2004))))))
         unreachable",
        r#"(import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $socket (param i32 i32)))"#,
        "",
    );
    // access-denied is 1, not-supported 2.
    assert!(["1", "2"].contains(&said(&socket, Wasi::default()).as_str()));
}

const CLOCKS: &str = r#"(import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $wait (param i64) (result i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#;

fn running() -> Wasi {
    Wasi {
        clock: true,
        ..Wasi::default()
    }
}

#[test]
fn clocks_stand_unless_they_are_granted() {
    let year_2020 = guest(
        "(call $wall (i32.const 2000)) (call $digit (i64.gt_u (i64.load (i32.const 2000)) (i64.const 1577836800)))",
        CLOCKS,
        "",
    );
    assert_eq!(said(&year_2020, Wasi::default()), "0");
    assert_eq!(said(&year_2020, running()), "1");
    let moves = guest(
        "(local $i i32) (local $began i64) (local.set $began (call $now))
         (loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))
         (call $digit (i64.ne (call $now) (local.get $began)))",
        CLOCKS,
        "",
    );
    assert_eq!(said(&moves, Wasi::default()), "0");
    assert_eq!(said(&moves, running()), "1");
}

#[test]
fn an_hour_is_not_waited_for() {
    let sleeps = guest(
        "(local $began i64) (local.set $began (call $now))
         (call $block (call $wait (i64.const 3600000000000)))
         (call $digit (i64.ge_u (i64.sub (call $now) (local.get $began)) (i64.const 3600000000000)))",
        CLOCKS,
        "",
    );
    assert_eq!(said(&sleeps, Wasi::default()), "1");
    assert_eq!(said(&sleeps, running()), "1");
}

#[test]
fn timers_are_limited_in_number() {
    let hoards = guest(
        "(loop (drop (call $wait (i64.const 1))) (br 0)) unreachable",
        CLOCKS,
        "",
    );
    assert_eq!(
        ask(&hoards, Wasi::default()).unwrap_err().to_string(),
        "policy guest: step reached the limit of 1000 resource handles"
    );
}

#[test]
fn random_bytes_are_the_same_unless_they_are_granted() {
    // Sixteen bytes as letters from a to p, two a byte, so that they are text.
    let draws = guest(
        "(local $i i32) (local $from i32) (call $random (i64.const 16) (i32.const 2000)) (local.set $from (i32.load (i32.const 2000)))
         (loop
            (i32.store8 (i32.add (i32.const 5000) (i32.mul (local.get $i) (i32.const 2)))
                (i32.add (i32.const 97) (i32.shr_u (i32.load8_u (i32.add (local.get $from) (local.get $i))) (i32.const 4))))
            (i32.store8 (i32.add (i32.const 5001) (i32.mul (local.get $i) (i32.const 2)))
                (i32.add (i32.const 97) (i32.and (i32.load8_u (i32.add (local.get $from) (local.get $i))) (i32.const 15))))
            (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 16))))
         (call $say (i32.const 5000) (i32.const 32))",
        r#"(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))"#,
        "",
    );
    assert_eq!(said(&draws, Wasi::default()), said(&draws, Wasi::default()));
    let granted = || Wasi {
        random: true,
        ..Wasi::default()
    };
    assert_ne!(said(&draws, granted()), said(&draws, granted()));
}

#[test]
fn random_bytes_are_limited_in_number() {
    let draws = |count: u32| {
        guest(
            &format!("(call $random (i64.const {count}) (i32.const 2000)) (call $digit (i32.const 1))"),
            r#"(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))"#,
            "",
        )
    };
    assert_eq!(said(&draws(64 << 10), Wasi::default()), "1");
    let error = ask(&draws((64 << 10) + 1), Wasi::default()).unwrap_err().to_string();
    assert!(error.contains("65537"), "{error}");
}

#[test]
fn a_policy_that_ends_itself_has_crashed() {
    let exits = guest(
        "(call $exit (i32.const 0)) unreachable",
        r#"(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))"#,
        "",
    );
    assert_eq!(
        ask(&exits, Wasi::default()).unwrap_err().to_string(),
        "policy guest: step crashed: it ended itself instead of answering"
    );
}

#[test]
fn a_granted_directory_can_be_read() {
    let (_above, inside) = place();
    symlink("teams.csv", inside.join("link")).unwrap();
    for path in ["teams.csv", "./sub/../teams.csv", "link"] {
        let read = opens(path, 0, 1, READ);
        assert_eq!(
            said(&read, directory(&inside, Access::ReadOnly)),
            "ada,compilers",
            "{path}"
        );
    }
    let missing = opens("none", 0, 1, READ);
    assert_eq!(said(&missing, directory(&inside, Access::ReadOnly)), NO_ENTRY);
}

#[test]
fn nothing_outside_a_granted_directory_can_be_opened() {
    let (above, inside) = place();
    let secret = above.path().join("secret");
    symlink("../secret", inside.join("up")).unwrap();
    symlink(&secret, inside.join("absolute")).unwrap();
    symlink("..", inside.join("sub/out")).unwrap();
    symlink("out/out", inside.join("sub/further")).unwrap();
    let secret = secret.to_str().unwrap();
    for access in [Access::ReadOnly, Access::ReadWrite] {
        for path in [
            "../secret",
            "sub/../../secret",
            "..",
            "/etc/passwd",
            secret,
            "up",
            "absolute",
            "sub/further/secret",
            "/",
        ] {
            // To read; to create; to truncate and write.
            for (open_flags, flags) in [(0, 1), (1, 3), (8, 2)] {
                let answer = said(&opens(path, open_flags, flags, READ), directory(&inside, access));
                assert!(answer.len() == 1 && answer != "1", "{path}: {answer}");
            }
        }
    }
    assert_eq!(fs::read_to_string(secret).unwrap(), "s3cret");
    let outside = opens("up", 0, 1, READ);
    assert_eq!(said(&outside, directory(&inside, Access::ReadOnly)), NOT_PERMITTED);
}

#[test]
fn a_directory_to_read_is_not_written() {
    let (_above, inside) = place();
    for (path, open_flags) in [("teams.csv", 0), ("teams.csv", 8), ("new", 1)] {
        let write = opens(path, open_flags, 2, WRITE);
        let answer = said(&write, directory(&inside, Access::ReadOnly));
        assert!(READ_ONLY_FILES.contains(&answer.as_str()), "{path}: {answer}");
    }
    assert_eq!(fs::read_to_string(inside.join("teams.csv")).unwrap(), "ada,compilers");
    assert!(!inside.join("new").exists());
}

#[test]
fn a_directory_to_write_is_written() {
    let (_above, inside) = place();
    assert_eq!(
        said(&opens("new", 1, 2, WRITE), directory(&inside, Access::ReadWrite)),
        "1"
    );
    assert_eq!(fs::read_to_string(inside.join("new")).unwrap(), "new");
}

#[test]
fn a_link_that_it_makes_itself_leads_nowhere() {
    let (_above, inside) = place();
    for target in ["../secret", "/etc/passwd", ".."] {
        let path = format!("link{}", target.len());
        let follows = links_and_opens(target, &path, 0, 1, READ);
        let answer = said(&follows, directory(&inside, Access::ReadWrite));
        assert_eq!(answer, NOT_PERMITTED, "{target}");
    }
    let follows = links_and_opens("teams.csv", "its-own", 0, 1, READ);
    assert_eq!(said(&follows, directory(&inside, Access::ReadWrite)), "ada,compilers");
}

#[test]
fn a_pipe_without_a_writer_blocks_no_caller() {
    let (_above, inside) = place();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        inside.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let began = Instant::now();
    let error = ask(&opens("pipe", 0, 1, READ), directory(&inside, Access::ReadOnly)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "policy guest: step was stopped, as the chain of plugins had taken 600 ms, its time limit"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn only_directories_are_granted() {
    let (above, inside) = place();
    let refused = |path: &Path| Directory::open(path, Access::ReadOnly).unwrap_err().to_string();
    let missing = refused(&inside.join("none"));
    assert!(
        missing.ends_with("none cannot be opened: No such file or directory (os error 2)"),
        "{missing}"
    );
    let file = refused(&above.path().join("secret"));
    assert!(
        file.ends_with("secret cannot be opened: Not a directory (os error 20)"),
        "{file}"
    );
}

#[test]
fn a_directory_that_replaces_a_granted_one_is_not_granted() {
    let (above, inside) = place();
    let granted = directory(&inside, Access::ReadOnly);
    fs::rename(&inside, above.path().join("moved")).unwrap();
    fs::create_dir(&inside).unwrap();
    fs::write(inside.join("teams.csv"), "other").unwrap();
    assert_eq!(said(&opens("teams.csv", 0, 1, READ), granted), "ada,compilers");
}
