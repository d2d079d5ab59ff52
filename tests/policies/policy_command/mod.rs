//! `policy new`, `policy test` and `policy explain`.

mod explain;
mod new;
mod test;
mod update;

use std::fs;
use std::path::PathBuf;

use crate::place::{EMAIL, redact, write};
use pipefold_tests::{Ci, Pipefold};

/// A run's start as a part of a case.
const START: &str = r#""hook":"start","notification":{"pipeline_name":"build","pipeline_source":"Jenkins","reference_id":"1","started_at":"2025-01-31","email":"mona@example.com"}"#;

/// A machine with a policy that takes e-mail addresses out, and with cases for it.
fn with_cases(cases: &str) -> (Ci, PathBuf) {
    let ci = Ci::new();
    write(&ci, "redact.wasm", &redact(EMAIL));
    let path = ci.workspace().join("cases.jsonl");
    fs::write(&path, cases).unwrap();
    (ci, path)
}

/// `policy test` of that policy by those cases.
fn test(ci: &Ci, more: &[&str]) -> Pipefold {
    ci.pipefold(["policy", "test", "../redact.wasm", "cases.jsonl"])
        .args(more.iter().copied())
}
