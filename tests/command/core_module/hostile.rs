//! Hosts that make mistakes, and input that is none: an answer or a trap, and never a wrong later answer.

use super::{HOOKS, Host, natively};
use pipefold_core::{Hook, MAX_INPUT};
use proptest::prelude::*;
use std::cell::RefCell;

const STEP: &[u8] = br#"{"pipeline_name":"a","pipeline_source":"b","reference_id":"c","step":"d"}"#;

/// Checks that an instance is as good as a new one.
fn assert_sound(host: &mut Host) {
    assert_eq!(host.ask(Hook::Step, STEP), (0, r#"{"verdict":"hold"}"#.into()));
}

fn error(message: &str) -> (u32, String) {
    (1, format!(r#"{{"error":"{message}"}}"#))
}

thread_local! {
    static REUSED: RefCell<Host> = RefCell::new(Host::new());
}

/// JSON of a history with some of its bytes changed.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let json = r#"[{"pipeline_name":"a","pr_number":-1.5e3,"attributes":{"k":"\u00e9"},"urgent":true},{"step":null,"step":[{}]}]"#;
    let byte = prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]":,\u0"#.to_vec())];
    prop::collection::vec((0..json.len(), byte), 0..4).prop_map(move |changes| {
        let mut bytes = json.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(input in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), changed()]) {
        REUSED.with_borrow_mut(|host| {
            for (hook, _) in HOOKS {
                prop_assert_eq!(host.ask(hook, &input), natively(hook, &input));
            }
            assert_sound(host);
            Ok(())
        })?;
    }
}

#[test]
fn any_length_gets_an_answer() {
    let mut host = Host::new();
    let most = MAX_INPUT as u32;
    for length in [most + 1, i32::MAX as u32, i32::MIN as u32, u32::MAX] {
        assert_eq!(host.input(length), 0);
        assert_eq!(
            host.hook(Hook::Start),
            error("input has more than 64 MiB, more than any valid history")
        );
        assert_sound(&mut host);
    }
    let message = "input is not the JSON object of one notification: EOF while parsing a value at line 1 column 0";
    assert_ne!(host.input(0), 0);
    assert_eq!(host.hook(Hook::Start), error(message));
    // Unwritten memory has nothing of an input before it.
    host.ask(Hook::Start, &[b' '; 1000]);
    let place = host.input(1000) as usize;
    assert_eq!(host.memory.data(&host.store)[place..][..1000], [0; 1000]);
    assert_eq!(host.hook(Hook::Step).0, 1);
    assert_sound(&mut host);
}

#[test]
fn calls_in_any_order_get_an_answer() {
    let mut host = Host::new();
    let nothing =
        error("input is not the JSON object of one notification: EOF while parsing a value at line 1 column 0");
    assert_eq!(host.hook(Hook::Step), nothing);
    assert_sound(&mut host);
    // An input is asked about once.
    assert_eq!(host.hook(Hook::Step), nothing);
    // Its output is gone with the next input, not with a second look.
    assert_eq!(host.output(), host.output());
    host.input(1);
    assert_eq!((host.output(), host.get("output_length").unwrap()), (String::new(), 0));
    assert_sound(&mut host);
}

#[test]
fn memory_stays_the_same_however_often_an_instance_is_used() {
    let mut host = Host::new();
    let history = format!("[{}{{}}]", "{\"step\":\"a\"},".repeat(2000)).into_bytes();
    let round = |host: &mut Host| {
        host.ask(Hook::Merge, &history);
        host.ask(Hook::Start, b"{\"email\":\"\xff\"}");
        host.input(100_000);
        host.input(3);
        assert_sound(host);
    };
    // The allocator has its pieces of all sizes after some rounds.
    (0..50).for_each(|_| round(&mut host));
    let size = host.memory_size();
    for _ in 0..500 {
        round(&mut host);
    }
    assert_eq!(host.memory_size(), size);
}

#[test]
fn the_largest_inputs_fit() {
    let filled = |begin: &str, repeated: &str, end: &str| {
        let count = (MAX_INPUT - begin.len() - end.len()) / repeated.len();
        [begin, &repeated.repeat(count), end].concat().into_bytes()
    };
    let distinct: String = (0..5_000_000).map(|number| format!("\"{number:x}\":\"\",")).collect();
    let fields = all_fields(99_999);
    // Escapes make the reader copy a text, and its buffer grows by doubling.
    let buffered = format!("\\n{}\\n{}", "x".repeat(40 << 20), "x".repeat(15 << 20));
    let attributes = r#""a":"","#.repeat(3) + r#""b":"""#;
    let much = format!(
        r#"[{{"email":"{buffered}"}}{}]"#,
        format!(r#",{{"attributes":{{{attributes}}}}}"#).repeat(79_999)
    );
    let mut host = Host::new();
    for (hook, input) in [
        (Hook::Start, filled("{\"email\":\"", "x", "\"}")),
        (Hook::Start, filled("{\"email\":\"", "\\u0001", "\"}")),
        (
            Hook::Start,
            filled("{\"urgent\":\"", "\u{1}", "\"}")
                .iter()
                .map(|byte| byte.max(&b' '))
                .copied()
                .collect(),
        ),
        (Hook::Start, filled("{\"", "\u{200b}", "\":1}")),
        (Hook::Start, filled("{\"attributes\":{", "\"a\":\"\",", "\"b\":\"\"}}")),
        (
            Hook::Start,
            format!("{{\"attributes\":{{{distinct}\"z\":\"\"}}}}").into_bytes(),
        ),
        (Hook::Start, filled("", "[", "")),
        (Hook::Finish, filled("[", "{},", "{}]")),
        (Hook::Finish, filled("[{\"x\":[", "0,", "0]}]")),
        (Hook::Finish, fields),
        (Hook::Finish, much.into_bytes()),
        (Hook::Merge, largest_output()),
    ] {
        assert!(input.len() <= MAX_INPUT && input.len() > 20 << 20);
        let answer = host.ask(hook, &input);
        assert!(matches!(answer.0, 0..=2));
        assert_sound(&mut host);
    }
    assert!(host.memory_size() <= 400 << 20, "{}", host.memory_size());
}

/// The JSON of as many notifications, each with all texts.
fn all_fields(count: usize) -> Vec<u8> {
    let texts = "pipeline_name pipeline_source reference_id started_at finished_at status repository commit_sha source_url head_branch email \
                 github_username gitlab_username step step_id";
    let one: Vec<_> = texts
        .split_ascii_whitespace()
        .map(|field| format!("\"{field}\":\"aaaaaaaaa\""))
        .collect();
    let one = format!("{{{}}}", one.join(","));
    let fits = count.min((MAX_INPUT - 2) / (one.len() + 1));
    format!("[{}]", vec![one; fits].join(",")).into_bytes()
}

/// A history of the most bytes that the rules allow, of the characters that take most in the answer.
fn largest_output() -> Vec<u8> {
    let tags = "\\udb40\\udc41".repeat(190);
    let one = |number: usize| {
        format!(
            r#"{{"pipeline_name":"a","pipeline_source":"b","reference_id":"c","started_at":"2025-01-01","step":"s{tags}{number}"}}"#
        )
    };
    let all: Vec<_> = (0..10_000).map(one).collect();
    format!("[{}]", all.join(",")).into_bytes()
}

#[test]
fn an_instance_that_trapped_traps_again() {
    let mut host = Host::new();
    host.write(STEP);
    host.store.set_fuel(500).unwrap();
    assert!(host.get("step").is_err());
    host.store.set_fuel(u64::MAX).unwrap();
    for export in ["step", "output", "output_length", "finish"] {
        assert!(host.get(export).is_err(), "{export}");
    }
    // The next instance knows nothing of it.
    assert_sound(&mut Host::new());
}
