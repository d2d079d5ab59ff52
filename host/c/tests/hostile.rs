//! A policy that fails in many ways.

use crate::module::Module;
use crate::support::Driver;
use serde_json::{Value, json};
use std::fs;

/// Names of pipelines at whose start the policy fails, and what the receipt says. With signals, a fault of the first four would be one.
pub const FAULTS: [(&str, &str); 5] = [
    ("segv", "out of bounds memory access"),
    ("fpe__", "integer divide by zero"),
    ("stack_", "stack limit of 512 KiB"),
    ("ill_____", "unreachable"),
    ("loop___", "50 ms"),
];

/// Writes the policy beside the test's spool, and returns its table in a configuration.
pub fn write(driver: &Driver) -> Value {
    let path = driver.directory.path().join("hostile.wasm");
    // The length of the pipeline's name decides.
    let start = "(local $length i32)
        (local.set $length (i32.load offset=8 (local.get 0)))
        (if (i32.eq (local.get $length) (i32.const 4)) (then (drop (i32.load (i32.const -8)))))
        (if (i32.eq (local.get $length) (i32.const 5)) (then
            (if (i32.eq (i32.load8_u (i32.load offset=4 (local.get 0))) (i32.const 102)) (then
                (drop (i32.div_u (i32.const 1) (i32.sub (local.get $length) (i32.const 5))))))))
        (if (i32.eq (local.get $length) (i32.const 6)) (then (call $deep)))
        (if (i32.eq (local.get $length) (i32.const 7)) (then (loop $always (br $always))))
        (if (i32.eq (local.get $length) (i32.const 8)) (then unreachable))
        (call $next_start (local.get 0) (i32.const 1024)) (i32.const 1024)";
    let module = Module {
        pipeline_start: start.into(),
        step: "(call $next (local.get 0) (i32.const 1024)) (i32.const 1024)".into(),
        pipeline_finish: "(call $next_finish (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024)".into(),
        more: "(func $deep (call $deep) (call $deep))".into(),
        ..Module::default()
    };
    fs::write(&path, module.policy()).unwrap();
    json!({ "file": path, "limits": { "hook": "50ms" } })
}

/// The start of a run of a pipeline with this name.
pub fn start(name: &str) -> String {
    format!(r#"start {{"pipeline_name":"{name}","pipeline_source":"my-ci","reference_id":"{name}"}}"#)
}
