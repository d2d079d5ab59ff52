//! Grants of a policy: imports, log lines, settings.

use super::*;

const LOG: &str = r#"(import "pipefold:ci/log@0.2.0" "write" (func $log (param i32 i32 i32)))"#;
const CONFIG: &str = r#"(import "pipefold:ci/config@0.2.0" "get" (func $get (param i32 i32 i32)))"#;

#[test]
fn imports_without_a_grant_are_refused() {
    let sandbox = sandbox();
    let refused = |imports: &str| {
        let component = policy(FORWARD, imports, "");
        sandbox
            .policy_compiled_here(&named("nosy"), &component)
            .err()
            .unwrap()
            .to_string()
    };
    assert_eq!(
        refused(LOG),
        "policy nosy: it imports pipefold:ci/log@0.2.0, which is not granted; grant `log` to allow it"
    );
    assert_eq!(
        refused(CONFIG),
        "policy nosy: it imports pipefold:ci/config@0.2.0, which is not granted; grant `config` to allow it"
    );
    let wasi = wat::parse_str(
        r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "get-environment" (func)))))"#,
    )
    .unwrap();
    assert_eq!(
        sandbox
            .policy_compiled_here(&named("nosy"), &wasi)
            .err()
            .unwrap()
            .to_string(),
        "policy nosy: it imports wasi:cli/environment@0.2.0, which is not granted; grant `wasi` to allow it, which has no environment, no arguments, no input and no output"
    );
}

#[test]
fn a_flood_of_log_lines_ends_after_fifty_in_all_calls_together() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let lines = Arc::clone(&lines);
        Arc::new(move |plugin: &str, level: LogLevel, line: &str| {
            lines.lock().unwrap().push((plugin.to_owned(), level, line.len()));
        })
    };
    let flood = policy(
        "(local $i i32) (loop (call $log (i32.const 1) (i32.const 4096) (i32.const 5000)) (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))) \
         (call $next (local.get 0) (i32.const 1024)) (i32.const 1024)",
        LOG,
        "",
    );
    let sandbox = sandbox();
    let granted = Policy {
        grants: Grants {
            log: Some(sink),
            ..Grants::default()
        },
        ..named("chatty")
    };
    let chain = Chain::new(
        vec![link(&sandbox, &granted, &flood)],
        sandbox.default_plugin().unwrap(),
    )
    .unwrap();
    for _ in 0..3 {
        reported(ask(&chain));
    }
    let lines = lines.lock().unwrap();
    // A second may pass between two calls, and then one more line is allowed.
    assert!((51..=55).contains(&lines.len()), "{}", lines.len());
    assert_eq!(lines.iter().filter(|line| line.1 == LogLevel::Warn).count(), 1);
    // Zeros, each of which is shown as `\u{0}`.
    assert_eq!(lines[0], ("chatty".into(), LogLevel::Info, 1023));
    assert_eq!(lines[50].1, LogLevel::Warn);
}

#[test]
fn a_policy_sees_its_own_settings_only() {
    // Reads the key "k": if it has a value, the verdict is a discard with it as the reason.
    let asks = policy(
        "(i32.store8 (i32.const 3000) (i32.const 107)) (call $get (i32.const 3000) (i32.const 1) (i32.const 3008)) \
         (if (i32.load8_u (i32.const 3008)) (then (i32.store8 (i32.const 1032) (i32.const 2)) \
            (i32.store (i32.const 1040) (i32.load (i32.const 3012))) (i32.store (i32.const 1044) (i32.load (i32.const 3016)))) \
            (else (i32.store8 (i32.const 1032) (i32.const 1)))) (i32.const 1024)",
        CONFIG,
        "",
    );
    let sandbox = sandbox();
    let with = |table: BTreeMap<String, String>| {
        let policy = Policy {
            grants: Grants {
                config: Some(Arc::new(table)),
                ..Grants::default()
            },
            ..named("asks")
        };
        ask(&Chain::new(vec![link(&sandbox, &policy, &asks)], sandbox.default_plugin().unwrap()).unwrap()).unwrap()
    };
    assert_eq!(
        with([("k".into(), "value".into())].into()),
        Verdict::Discard("value".into())
    );
    assert_eq!(with([("other".into(), "value".into())].into()), Verdict::Hold);
}
