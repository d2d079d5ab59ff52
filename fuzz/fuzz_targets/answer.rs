//! Any bytes as the memory from which a guest's answer is lifted. The first byte chooses what is asked, the others are the answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipefold_fuzz::{contract, guests, history::event, seeds};
use pipefold_sandbox::{HookError, Limits, Plugin, Sandbox};
use std::{sync::LazyLock, time::Duration};

/// Where the guest puts the answer.
const AT: usize = 1024;
/// Bytes of an answer: the fixed part with every text that it could name takes a few hundred. Twice as many fit into the page of memory
/// that the notification lies in.
const MOST: usize = 8 << 10;

/// A plugin that answers whatever it is asked with the bytes in the source_url of the notification, or of the first one; four bits a byte,
/// as a text has to be UTF-8. It is compiled once.
static ECHO: LazyLock<Plugin> = LazyLock::new(|| {
    let component = guests::component(&echo(), "plugin");
    // Nothing here is about time, and a busy machine may take long.
    let limits = Limits {
        hook: Duration::from_secs(20),
        chain: Duration::from_secs(20),
        ..Limits::default()
    };
    Sandbox::new(limits)
        .and_then(|sandbox| sandbox.compile_here("echo", &component))
        .unwrap()
});

fn echo() -> String {
    let hooks = "pipefold:ci/hooks@0.2.0";
    // By the canonical ABI a notification has the address of its source_url at 116 and its length at 120.
    let body = format!(
        "(local $text i32) (local $end i32) (local $to i32)
        (local.set $text (i32.load offset=116 (local.get 0)))
        (local.set $end (i32.add (local.get $text) (i32.load offset=120 (local.get 0))))
        (local.set $to (i32.const {AT}))
        (block (loop
            (br_if 1 (i32.ge_u (local.get $text) (local.get $end)))
            (i32.store8 (local.get $to) (i32.or
                (i32.shl (i32.and (i32.load8_u (local.get $text)) (i32.const 15)) (i32.const 4))
                (i32.and (i32.load8_u offset=1 (local.get $text)) (i32.const 15))))
            (local.set $text (i32.add (local.get $text) (i32.const 2)))
            (local.set $to (i32.add (local.get $to) (i32.const 1)))
            (br 0)))
        (i32.const {AT})"
    );
    format!(
        r#"(module
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $new i32) (result i32) (local $at i32)
                (local.set $at (i32.and
                    (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get $align))))
                (global.set $free (i32.add (local.get $at) (local.get $new)))
                (local.get $at))
            (func (export "{hooks}#pipeline-start") (param i32) (result i32) {body})
            (func (export "{hooks}#step") (param i32) (result i32) {body})
            (func (export "{hooks}#pipeline-finish") (param i32 i32) (result i32) {body})
            (func (export "pipefold:ci/merging@0.2.0#merge") (param i32 i32) (result i32) {body}))"#
    )
}

fuzz_target!(init: seeds::write("answer", answers()), |bytes: &[u8]| {
    let Some((question, answer)) = bytes.split_first() else { return };
    let mut text = String::with_capacity(2 * answer.len());
    for byte in answer.iter().take(MOST) {
        // Letters whose low four bits are the digits: `@` is 0.
        text.extend([char::from(0x40 | byte >> 4), char::from(0x40 | byte & 15)]);
    }
    let mut asked = event();
    asked.source_url = Some(text);
    match question % 4 {
        0 => contract::check(&ECHO.step(&asked), "r/1"),
        1 => contract::check(&ECHO.pipeline_start(&asked), "r/1"),
        2 => contract::check(&ECHO.pipeline_finish(&[asked]), "r/1"),
        _ => match ECHO.merge(&[asked]) {
            Ok(run) => contract::check_run(&run, "r/1"),
            Err(error) => {
                assert!(!matches!(error, HookError::Trap { .. }));
                contract::check_error(&error);
            }
        },
    }
});

/// Honest answers of each kind, by the offsets of the canonical ABI for `result<verdict, list<violation>>`; `merge` has no verdict around
/// its run.
fn answers() -> Vec<(&'static str, Vec<u8>)> {
    let texts: [(usize, &str); 4] = [(0, "build"), (8, "Tekton"), (16, "r/1"), (24, "2025-01-01T12:05:00Z")];
    let options: [(usize, &str); 8] = [
        (32, "2025-01-01T12:06:00Z"),
        (48, "getdx/some_repo"),
        (60, "f00"),
        (88, "https://ci/1"),
        (100, "main"),
        (112, "a@b.c"),
        (124, "octo"),
        (136, "fox"),
    ];
    let run = |question: u8, at: usize, all: bool| {
        let mut answer = Answer::new(question);
        for (offset, text) in texts {
            answer.text(at + offset, text);
        }
        for (offset, text) in options.into_iter().filter(|_| all) {
            answer.byte(at + offset, 1);
            answer.text(at + offset + 4, text);
        }
        if all {
            answer.byte(at + 44, 4);
            answer.byte(at + 72, 1);
            answer.byte(at + 80, 7);
        }
        answer.bytes
    };
    let mut hold = Answer::new(0);
    hold.byte(8, 1);
    let mut discard = Answer::new(1);
    discard.byte(8, 2);
    discard.text(16, "not on a Friday");
    let refusal = |question| {
        let mut refusal = Answer::new(question);
        refusal.byte(0, 1);
        // Two violations, which lie behind the answer itself.
        refusal.number(8, AT + 192);
        refusal.number(12, 2);
        for at in [192, 212] {
            refusal.byte(at, 1);
            refusal.text(at + 4, "email");
            refusal.text(at + 12, "is none");
        }
        refusal.bytes
    };
    vec![
        ("report", run(0, 16, false)),
        ("report-all", run(2, 16, true)),
        ("hold", hold.bytes),
        ("discard", discard.bytes),
        ("refusal", refusal(0)),
        ("merged", run(3, 8, false)),
        ("merged-all", run(3, 8, true)),
        ("not-merged", refusal(3)),
    ]
}

/// An answer in the making: the byte that chooses the question, 256 bytes, and the texts.
struct Answer {
    bytes: Vec<u8>,
}

impl Answer {
    fn new(question: u8) -> Self {
        let mut bytes = vec![0; 257];
        bytes[0] = question;
        Self { bytes }
    }

    fn byte(&mut self, offset: usize, value: u8) {
        self.bytes[1 + offset] = value;
    }

    fn number(&mut self, offset: usize, value: usize) {
        let value = u32::try_from(value).unwrap();
        self.bytes[1 + offset..5 + offset].copy_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, offset: usize, text: &str) {
        self.number(offset, AT + self.bytes.len() - 1);
        self.number(offset + 4, text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }
}
