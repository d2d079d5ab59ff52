//! Hostile text in the log lines of policies and the names of their components.

use std::fs;

use pipefold_tests::Ci;
use serde_json::json;

use crate::Shown::{No, Perhaps, Yes};
use crate::module::Module;
use crate::{Shown, TEXT, assert_output, check, command, lines};

/// The text as a string of WebAssembly's text format.
fn quoted(text: &str) -> String {
    let bytes: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    format!("\"{bytes}\"")
}

/// A policy that does this in each hook; the text is at 4096.
fn policy(body: &str, imports: &str) -> Vec<u8> {
    let module = Module {
        pipeline_start: body.into(),
        step: body.into(),
        pipeline_finish: body.into(),
        more: format!("(data (i32.const 4096) {})", quoted(TEXT)),
        imports: imports.into(),
        ..Module::default()
    };
    module.policy()
}

fn discards() -> Vec<u8> {
    let length = TEXT.len();
    policy(
        &format!(
            "(i32.store8 (i32.const 1032) (i32.const 2)) (i32.store (i32.const 1040) (i32.const 4096))
            (i32.store (i32.const 1044) (i32.const {length})) (i32.const 1024)"
        ),
        "",
    )
}

/// As many violations as a policy may name; the text is the message of each, and its beginning the field, which may have 64 bytes.
fn refuses() -> Vec<u8> {
    let length = TEXT.len();
    policy(
        &format!(
            "(local $i i32) (local $at i32) (local.set $at (i32.const 2048))
            (loop
                (i32.store offset=4 (local.get $at) (i32.const 4096)) (i32.store offset=8 (local.get $at) (i32.const 60))
                (i32.store offset=12 (local.get $at) (i32.const 4096)) (i32.store offset=16 (local.get $at) (i32.const {length}))
                (local.set $at (i32.add (local.get $at) (i32.const 20)))
                (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 101))))
            (i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1032) (i32.const 2048))
            (i32.store (i32.const 1036) (i32.const 101)) (i32.const 1024)"
        ),
        "",
    )
}

fn logs_and_crashes() -> Vec<u8> {
    let log = format!(
        "(call $log (i32.const 2) (i32.const 4096) (i32.const {})) unreachable",
        TEXT.len()
    );
    policy(
        &log,
        r#"(import "pipefold:ci/log@0.2.0" "write" (func $log (param i32 i32 i32)))"#,
    )
}

/// An empty component with the text in its list of producers: one field, one tool, its name and version.
fn produced() -> Vec<u8> {
    fn number(number: usize) -> Vec<u8> {
        match number {
            0..0x80 => vec![number as u8],
            _ => vec![0x80 | (number & 0x7f) as u8, (number >> 7) as u8],
        }
    }
    let text = |text: &str| [number(text.len()), text.as_bytes().to_vec()].concat();
    let one = || vec![1];
    let content = [
        text("producers"),
        one(),
        text("processed-by"),
        one(),
        text(&lines()),
        text(&lines()),
    ]
    .concat();
    [b"\0asm\x0d\0\x01\0\0".to_vec(), number(content.len()), content].concat()
}

/// A component that imports another by an address, which may have any characters.
fn imports() -> Vec<u8> {
    let name = quoted(&format!("url=<https://{TEXT}>"));
    wat::parse_str(format!("(component (import {name} (component)))")).unwrap()
}

/// Every command behind a policy whose name is the text; `inspected` is true if its component has the text in a place that is shown.
fn behind(component: &[u8], inspected: Shown) {
    let ci = Ci::new();
    let file = ci.directory().join("guest.wasm");
    fs::write(&file, component).unwrap();
    ci.operator(&format!(
        "[[policy]]\nfile = {file:?}\nname = '''{TEXT}'''\ngrants = [\"log\"]\n"
    ));
    let rows = [
        ("exec -- true", Yes),
        ("exec --strict -vv -- true", Yes),
        ("start --dry-run", Yes),
        ("start --dry-run --json", Yes),
        ("doctor", Yes),
        ("doctor --json", Yes),
        ("start", Yes),
        ("step --step a --now", Yes),
        ("step --step a -- true", Perhaps),
        ("finish", Yes),
        ("finish --json --strict", Yes),
        ("status", Yes),
        ("status --json", Yes),
        ("flush", Perhaps),
        ("flush --json -vvv", Perhaps),
        ("flush --rejudge -v", Perhaps),
        ("component inspect @", inspected),
        ("component inspect --json @", inspected),
        ("component compile @", Perhaps),
        ("policy explain", Perhaps),
        ("policy explain --json", Perhaps),
        ("policy explain -v FIELDS", Perhaps),
        ("policy test @ cases.jsonl", Perhaps),
        ("policy test @ cases.jsonl --json", Perhaps),
        ("policy test @ cases.jsonl -v", Perhaps),
        ("policy test ../operator.toml cases.jsonl -v", Perhaps),
    ];
    let text = json!(TEXT);
    let cases = format!(
        r#"{{"name":{text},"hook":"start","notification":{{"email":{text},"attributes":{{"a":{text}}}}},"expect":{{"verdict":"discard","reason":{text}}}}}"#
    );
    fs::write(ci.workspace().join("cases.jsonl"), cases).unwrap();
    check(&ci, file.to_str().unwrap(), &rows);
    let asked = json!({ "pipeline_name": "a", "pipeline_source": "b", "reference_id": "c", "started_at": "2025-01-01T12:05:00Z" });
    for (hook, question) in [
        ("start", asked.to_string()),
        ("step", asked.to_string()),
        ("finish", json!([asked]).to_string()),
    ] {
        let output = ci.pipefold(["hook", hook]).stdin(question).run();
        assert_output(hook, &output, Yes);
    }
}

#[test]
fn a_reason_for_a_discard() {
    behind(&discards(), No);
}

#[test]
fn a_refusal() {
    behind(&refuses(), No);
}

#[test]
fn a_refusal_is_cut() {
    let ci = Ci::new();
    let file = ci.directory().join("guest.wasm");
    fs::write(&file, refuses()).unwrap();
    for line in [
        "start --policy=@",
        "flush -v --policy=@",
        "status --policy=@",
        "doctor --policy=@",
        "exec --policy=@ -- true",
    ] {
        let output = command(&ci, line, file.to_str().unwrap()).run();
        let longest = output.stderr().lines().map(str::len).max().unwrap_or_default();
        assert!(longest < 1_000 && output.stdout().len() < 10_000, "{output}");
    }
}

#[test]
fn a_line_of_a_log_and_a_crash() {
    behind(&logs_and_crashes(), No);
}

#[test]
fn producers() {
    behind(&produced(), Yes);
}

#[test]
fn names_of_imports() {
    behind(&imports(), Yes);
}

#[test]
fn a_file_that_is_no_component() {
    behind(lines().as_bytes(), Perhaps);
}

#[test]
fn cases_and_projects() {
    let ci = Ci::new();
    let file = ci.directory().join("guest.wasm");
    fs::write(&file, discards()).unwrap();
    let text = json!(lines());
    for case in [
        format!(r#"{{"hook":{text}}}"#),
        format!(r#"{{{text}:1}}"#),
        format!(r#"{{"hook":"start","notification":{{{text}:1}}}}"#),
        format!(r#"{{"hook":"start","notification":{{"pr_number":{text}}}}}"#),
        format!(r#"{{"hook":"start","notification":{{}},"expect":{{"verdict":"report","run":{{{text}:1}}}}}}"#),
        format!(r#"{{"hook":"start","notification":{{}},"expect":{{"verdict":"hold",{text}:1}}}}"#),
        format!(r#"{{"name":{text},"hook":"start","notification":{{}},"expect":{{"failure":{text}}}}}"#),
        lines(),
    ] {
        fs::write(ci.workspace().join("cases.jsonl"), &case).unwrap();
        fs::write(ci.workspace().join("event.json"), &case).unwrap();
        let rows = [
            ("policy test @ cases.jsonl", Perhaps),
            ("policy test @ cases.jsonl --json", Perhaps),
            ("policy explain @ --from event.json", Perhaps),
        ];
        check(&ci, file.to_str().unwrap(), &rows);
    }
    for given in [TEXT.to_owned(), lines()] {
        let rows = [
            ("policy new rules @", Yes),
            ("policy new rules dir --name=@", Yes),
            ("policy test @ cases.jsonl", Perhaps),
            ("policy test a.wasm @", Yes),
            ("policy explain @.toml", Yes),
            ("policy explain --from=@", Perhaps),
        ];
        check(&ci, &given, &rows);
    }
    // The directory's name is shown where the project is written.
    check(
        &ci,
        TEXT,
        &[
            ("policy new rules @ --name ours", Yes),
            ("policy new rules @ --name ours --json", Yes),
        ],
    );
}
