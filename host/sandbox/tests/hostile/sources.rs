//! Sources that each do one bad thing: a delivery is not translated, and the next one is.

use crate::hostile::{
    image::*,
    isolated::{from_here, hostile},
    module::{HONEST_REALLOC, source},
};
use pipefold_sandbox::{Delivery, Header, Limits, Sandbox, Setting, Source, SourceSpec, TranslateError, Translation};
use std::time::{Duration, Instant};

/// The time beyond its limit that a call may take on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

fn delivery(body: &str) -> Delivery {
    Delivery {
        headers: vec![Header {
            name: "x-github-event".into(),
            value: "workflow_run".into(),
        }],
        body: body.into(),
        received_at: "2025-01-01T12:05:00Z".into(),
        settings: vec![Setting {
            name: "use".into(),
            value: "nothing".into(),
        }],
    }
}

/// The default limits, with a longer time for a busy machine.
fn patient() -> Limits {
    Limits {
        hook: Duration::from_secs(20),
        ..Limits::of_sources()
    }
}

/// The default limits, with a shorter time, so that the tests end soon.
fn short() -> Limits {
    Limits {
        hook: Duration::from_millis(250),
        ..Limits::of_sources()
    }
}

fn in_words(answer: Result<Translation, TranslateError>) -> String {
    match answer {
        Ok(translation) => format!("{translation:?}"),
        Err(TranslateError::Refused(reason)) => format!("refused: {reason}"),
        Err(error) => {
            let message = error.to_string();
            assert!(message.chars().count() < 160, "{message}");
            message
        }
    }
}

/// The result of the guest for a delivery, after which another source must answer in the same sandbox.
fn translated(limits: Limits, component: &[u8]) -> String {
    let sandbox = Sandbox::new(Limits::default()).unwrap();
    let spec = SourceSpec {
        limits,
        ..SourceSpec::new("guest")
    };
    let guest = sandbox.source_compiled_here(&spec, component).unwrap();
    let ignored = Image::ignored(b"no run").data();
    let other = sandbox.source_compiled_here(&SourceSpec::new("other"), &source(HONEST_REALLOC, IGNORED, &ignored));
    let other = other.unwrap();
    from_here();
    let began = Instant::now();
    let told = in_words(guest.translate(&delivery("{}")));
    let took = began.elapsed();
    assert!(took <= spec.limits.hook + SLACK, "took {took:?}");
    assert_eq!(in_words(other.translate(&delivery("{}"))), r#"Ignored("no run")"#);
    told
}

fn body(translate: &str, more: &str) -> String {
    translated(patient(), &source(HONEST_REALLOC, translate, more))
}

fn image(image: &Image) -> String {
    body("(i32.const 1024)", &image.data())
}

/// As [`image`], with zeros from 128 KiB on.
fn image_with_zeros(image: &Image) -> String {
    body("(drop (memory.grow (i32.const 8))) (i32.const 1024)", &image.data())
}

/// A source that ignores every delivery but one of three bytes, for which it does something else.
fn ignoring_but(bad: &str) -> Vec<u8> {
    let ignored = Image::ignored(b"no run").data();
    let translate = format!("(if (i32.eq (local.get 3) (i32.const 3)) (then {bad})) (i32.const 1024)");
    let more = format!("{ignored} (func $deep (call $deep) (call $deep))");
    source(HONEST_REALLOC, &translate, &more)
}

/// The results of calls of one source: each bad one between two good ones.
fn recovers() -> String {
    let sandbox = Sandbox::new(Limits::default()).unwrap();
    let mut told = Vec::new();
    for bad in [
        "unreachable",
        "(loop (br 0))",
        "(call $deep)",
        "(drop (memory.grow (i32.const 60000))) unreachable",
    ] {
        let spec = SourceSpec {
            limits: short(),
            ..SourceSpec::new("guest")
        };
        let source: Source = sandbox.source_compiled_here(&spec, &ignoring_but(bad)).unwrap();
        let good = || in_words(source.translate(&delivery("{}")));
        assert_eq!(good(), r#"Ignored("no run")"#);
        told.push(in_words(source.translate(&delivery("bad"))));
        assert_eq!(good(), r#"Ignored("no run")"#);
    }
    told.join("\n")
}

const ENDLESS: &str = "(loop (br 0)) unreachable";
const IGNORED: &str = "(i32.const 1024)";

/// Ignores, after it has grown its memory to this number of MiB and touched each page.
fn grown_to(mebibytes: u32) -> String {
    let translate = format!(
        "(local $at i32)
        (if (i32.eq (memory.grow (i32.const {})) (i32.const -1)) (then unreachable))
        (loop
            (i32.store8 offset=131072 (local.get $at) (i32.const 1))
            (local.set $at (i32.add (local.get $at) (i32.const 4096)))
            (br_if 0 (i32.lt_u (local.get $at) (i32.const {}))))
        (i32.const 1024)",
        mebibytes * 16 - 2,
        (mebibytes << 20) - 131_072
    );
    body(&translate, &Image::ignored(b"no run").data())
}

hostile! {
    a_translation; image(&Image::translation(1).option(OF_REFERENCE_ID, b"r/1"))
        => format!("Notifications([{:?}])", pipefold_sandbox::Notification { reference_id: Some("r/1".into()), ..Default::default() });
    an_ignored_delivery; image(&Image::ignored("kein Lauf – ✓".as_bytes())) => "Ignored(\"kein Lauf – ✓\")";
    a_refused_delivery; image(&Image::refused(b"no id")) => "refused: no id";
    one_source_between_good_calls; recovers() => "\
        source guest: translate crashed: wasm trap: wasm `unreachable` instruction executed\n\
        source guest: translate was stopped after 250 ms, its time limit\n\
        source guest: translate reached the stack limit of 512 KiB\n\
        source guest: translate reached the memory limit of 64 MiB";

    an_endless_loop; translated(short(), &source(HONEST_REALLOC, ENDLESS, ""))
        => "source guest: translate was stopped after 250 ms, its time limit";
    an_endless_loop_in_realloc; translated(short(), &source(ENDLESS, IGNORED, ""))
        => "source guest: translate was stopped after 250 ms, its time limit";
    an_endless_loop_in_a_start_function; translated(short(), &source(HONEST_REALLOC, IGNORED, "(func $f (loop (br 0))) (start $f)"))
        => "source guest: translate was stopped after 250 ms, its time limit";
    an_endless_loop_after_the_answer; translated(short(), &source(HONEST_REALLOC, IGNORED,
        r#"(func (export "cabi_post_pipefold:ci/translating@0.2.0#translate") (param i32) (loop (br 0)))"#))
        => "source guest: translate was stopped after 250 ms, its time limit";
    a_trap; body("unreachable", "") => "source guest: translate crashed: wasm trap: wasm `unreachable` instruction executed";
    a_trap_in_realloc; translated(patient(), &source("unreachable", IGNORED, ""))
        => "source guest: translate crashed: wasm trap: wasm `unreachable` instruction executed";
    endless_recursion; body("(call $f) (i32.const 1024)", "(func $f (call $f) (call $f))")
        => "source guest: translate reached the stack limit of 512 KiB";
    all_of_its_memory granted 64 << 20; grown_to(64) => "Ignored(\"no run\")";
    more_than_its_memory; grown_to(65) => "source guest: translate reached the memory limit of 64 MiB";
    memory_without_end granted 64 << 20; body("(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable", "")
        => "source guest: translate reached the memory limit of 64 MiB";
    a_realloc_past_the_end; translated(patient(), &source("(i32.const -8)", IGNORED, ""))
        => "source guest: translate gave a bad answer: realloc return: beyond end of memory";

    an_answer_past_the_end; body("(i32.const -8)", "") => "source guest: translate gave a bad answer: pointer out of bounds of memory";
    an_unaligned_answer; body("(i32.const 1025)", "") => "source guest: translate gave a bad answer: return pointer not aligned";
    a_result_that_does_not_exist; image(&Image::empty().byte(0, 2)) => "source guest: translate gave a bad answer: invalid expected discriminant";
    a_translation_that_does_not_exist; image(&Image::empty().byte(TRANSLATION, 2)) => "source guest: translate gave a bad answer: unexpected discriminant: 2";
    a_text_that_is_no_utf8; image(&Image::ignored(b"\xff")) => "source guest: translate gave a bad answer: invalid utf-8 sequence of 1 bytes from index 0";
    a_text_past_the_end; image(&Image::translation(1).byte(OF_REFERENCE_ID, 1).pointer(OF_REFERENCE_ID + 4, 0xffff_fff0, 100))
        => "source guest: translate gave a bad answer: string pointer/length out of bounds of memory";
    a_truth_value_of_2; image(&Image::translation(1).byte(OF_ALLOWED_TO_FAIL, 2))
        => format!("Notifications([{:?}])", pipefold_sandbox::Notification { allowed_to_fail: true, ..Default::default() });
    no_notification; image(&Image::translation(0)) => "source guest: translate gave a bad answer: its translation has no notification, and is not `ignored`";
    as_many_notifications_as_are_allowed; made_up(1_000) => "1000 notifications";
    more_notifications_than_are_allowed; made_up(1_001) => "source guest: translate gave a bad answer: its translation has 1001 notifications; 1000 are allowed";
    a_million_notifications granted 64 << 20; made_up(200_000) => "source guest: translate reached the limit of 32 MiB that may be handed to the host in one call";
    more_notifications_than_memory; image(&Image::translation(1 << 31)) => "source guest: translate gave a bad answer: list pointer/length out of bounds of memory";
    a_text_of_60_kb; image_with_zeros(&Image::translation(1).byte(OF_REFERENCE_ID, 1).pointer(OF_REFERENCE_ID + 4, 0x2_0000, 65_537))
        => "source guest: translate gave a bad answer: a notification has a text of 65537 bytes; 65536 are allowed";
    an_attribute_of_60_kb; image_with_zeros(&Image::translation(1).pointer(OF_ATTRIBUTES, 1024 + 240, 1).pointer(248, 0x2_0000, 65_537))
        => "source guest: translate gave a bad answer: a notification has a text of 65537 bytes; 65536 are allowed";
    many_attributes; image_with_zeros(&Image::translation(1).pointer(OF_ATTRIBUTES, 0x2_0000, 257))
        => "source guest: translate gave a bad answer: a notification has 257 attributes; 256 are allowed";
    no_reason_to_refuse; image(&Image::refused(b" ")) => "source guest: translate gave a bad answer: it refuses the delivery without a reason";
    a_long_reason_to_refuse; image(&Image::refused(&[b'x'; 1025])) => "source guest: translate gave a bad answer: its reason to refuse a delivery has 1025 bytes; 1024 are allowed";
    a_reason_to_refuse_that_forges_a_line; image(&Image::refused(b"ok\nHTTP/1.1 200")) => "source guest: translate gave a bad answer: its reason to refuse a delivery has control characters";
    a_long_reason_to_ignore; image(&Image::ignored(&[b'x'; 1025])) => "source guest: translate gave a bad answer: its reason to ignore a delivery has 1025 bytes; 1024 are allowed";
    a_reason_to_ignore_that_clears_the_screen; image(&Image::ignored(b"\x1b[2J")) => "source guest: translate gave a bad answer: its reason to ignore a delivery has control characters";
}

/// The result for this number of empty notifications over fresh memory.
fn made_up(count: u32) -> String {
    let pages = count * 208 / 65536 + 1;
    let told = body(
        &format!("(drop (memory.grow (i32.const {pages}))) (i32.const 1024)"),
        &Image::translation(count).pointer(TRANSLATED, 131_072, count).data(),
    );
    match told.strip_prefix("Notifications(") {
        Some(notifications) => format!("{} notifications", notifications.matches("Notification {").count()),
        None => told,
    }
}
