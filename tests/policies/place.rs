//! A machine with policies, and where a secret must not be.

use std::fs;
use std::path::{Path, PathBuf};

use crate::module::Module;
use pipefold_tests::{Ci, SpoolContent};

/// The offsets of a notification's options, by `wit/types.wit`: a notification has 208 bytes.
pub const PIPELINE_NAME: usize = 0;
/// As [`PIPELINE_NAME`].
pub const EMAIL: usize = 136;
/// As [`PIPELINE_NAME`].
pub const HEAD_BRANCH: usize = 124;

/// An address that the policies of these tests take out.
pub const SECRET: &str = "secret-address@example.com";

/// The body of a hook that passes a start on.
const NEXT_START: &str = "(call $next_start (local.get 0) (i32.const 1024)) (i32.const 1024)";
/// The body of a hook that passes a step on.
const NEXT_STEP: &str = "(call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
/// The body of a hook that passes a history on.
const NEXT_FINISH: &str = "(call $next_finish (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024)";

/// A policy that does `start` to a start or a step, `history` to a history, and passes it on.
fn passing(one: &str, history: &str) -> Module {
    Module {
        pipeline_start: format!("{one} {NEXT_START}"),
        step: format!("{one} {NEXT_STEP}"),
        pipeline_finish: format!("{history} {NEXT_FINISH}"),
        ..Module::default()
    }
}

/// A policy that takes a field out in all three hooks.
pub fn redact(field: usize) -> Vec<u8> {
    redacting(field).policy()
}

/// The module of such a policy.
pub fn redacting(field: usize) -> Module {
    let one = format!("(i32.store8 offset={field} (local.get 0) (i32.const 0))");
    let all = format!(
        "(local $i i32) (block $done (loop $next
            (br_if $done (i32.ge_u (local.get $i) (local.get 1)))
            (i32.store8 offset={field} (i32.add (local.get 0) (i32.mul (local.get $i) (i32.const 208))) (i32.const 0))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next)))"
    );
    passing(&one, &all)
}

/// A policy that traps in all three hooks.
pub fn trap() -> Vec<u8> {
    passing("unreachable", "unreachable").policy()
}

/// A policy that discards each start, and passes the rest on.
pub fn discard_starts() -> Vec<u8> {
    let reason = r#"(data (i32.const 2048) "not this branch")"#;
    let discard = "(i32.store8 (i32.const 1024) (i32.const 0)) (i32.store8 (i32.const 1032) (i32.const 2))
        (i32.store (i32.const 1040) (i32.const 2048)) (i32.store (i32.const 1044) (i32.const 15)) (i32.const 1024)";
    Module {
        pipeline_start: discard.into(),
        more: reason.into(),
        ..passing("", "")
    }
    .policy()
}

/// Texts of the policies that rename steps.
const STEP_TEXTS: &str = r#"(data (i32.const 2048) "style") (data (i32.const 2064) "dropped")"#;

/// A policy that names the step `lint` otherwise, alone and in a history, and discards each whose name is as long as `tricky`.
pub fn renaming_steps() -> Vec<u8> {
    let step = format!(
        "(if (i32.eq (i32.load offset=180 (local.get 0)) (i32.const 6)) (then
            (i32.store8 (i32.const 1024) (i32.const 0)) (i32.store8 (i32.const 1032) (i32.const 2))
            (i32.store (i32.const 1040) (i32.const 2064)) (i32.store (i32.const 1044) (i32.const 7))
            (return (i32.const 1024))))
        (if (i32.eq (i32.load offset=180 (local.get 0)) (i32.const 4)) (then
            (i32.store offset=176 (local.get 0) (i32.const 2048)) (i32.store offset=180 (local.get 0) (i32.const 5))))
        {NEXT_STEP}"
    );
    let history = "(local $i i32) (local $at i32) (block $done (loop $next
            (br_if $done (i32.ge_u (local.get $i) (local.get 1)))
            (local.set $at (i32.add (local.get 0) (i32.mul (local.get $i) (i32.const 208))))
            (if (i32.and (i32.load8_u offset=172 (local.get $at)) (i32.eq (i32.load offset=180 (local.get $at)) (i32.const 4))) (then
                (i32.store offset=176 (local.get $at) (i32.const 2048)) (i32.store offset=180 (local.get $at) (i32.const 5))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next)))";
    Module {
        step,
        more: STEP_TEXTS.into(),
        ..passing("", history)
    }
    .policy()
}

/// The same policy, which passes each step on as it is and changes the job in the report.
pub fn renaming_steps_in_reports() -> Vec<u8> {
    // The job's names are at 0 and 8 of a record that the list at 1200 leads to.
    let next = NEXT_STEP.trim_end_matches("(i32.const 1024)");
    let step = format!(
        "(local $job i32) {next}
        (if (i32.eq (i32.load8_u (i32.const 1032)) (i32.const 0)) (then
            (local.set $job (i32.load (i32.const 1200)))
            (if (i32.eq (i32.load offset=12 (local.get $job)) (i32.const 6)) (then (i32.store (i32.const 1204) (i32.const 0))))
            (if (i32.eq (i32.load offset=12 (local.get $job)) (i32.const 4)) (then
                (i32.store (local.get $job) (i32.const 2048)) (i32.store offset=4 (local.get $job) (i32.const 5))
                (i32.store offset=8 (local.get $job) (i32.const 2048)) (i32.store offset=12 (local.get $job) (i32.const 5))))))
        (i32.const 1024)"
    );
    Module {
        step,
        more: STEP_TEXTS.into(),
        ..passing("", "")
    }
    .policy()
}

/// A policy that holds each finish, and passes the rest on.
pub fn hold_finishes() -> Vec<u8> {
    Module {
        pipeline_finish: crate::module::HOLD.into(),
        ..passing("", "")
    }
    .policy()
}

/// A policy that lets the rules see each finish, and then holds it.
pub fn hold_seen_finishes() -> Vec<u8> {
    let next = NEXT_FINISH.trim_end_matches("(i32.const 1024)");
    Module {
        pipeline_finish: format!("{next} {}", crate::module::HOLD),
        ..passing("", "")
    }
    .policy()
}

/// Writes a component beside the spool.
pub fn write(ci: &Ci, name: &str, component: &[u8]) -> PathBuf {
    let path = ci.directory().join(name);
    fs::write(&path, component).unwrap();
    path
}

/// The arguments that put a policy in front.
pub fn under(policy: &Path) -> [String; 2] {
    ["--policy".into(), policy.display().to_string()]
}

/// Asserts that neither DX nor anything that waits to be sent has the text.
pub fn assert_nowhere(ci: &Ci, secret: &str) {
    for request in ci.dx.requests() {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!body.contains(secret), "DX got {body}");
    }
    for record in SpoolContent::read(&ci.spool()).waiting() {
        let verdict = record.json["verdict"].to_string();
        assert!(!verdict.contains(secret), "to be sent: {verdict}");
    }
}
