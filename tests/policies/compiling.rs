//! A policy that is not compiled yet holds up no build, and lets nothing through.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::module::Module;
use crate::place::{EMAIL, SECRET, assert_nowhere, redacting, under, write};
use pipefold_tests::{Ci, SpoolContent, eventually};

/// Functions of a policy that takes seconds to compile, and what they have in them.
const FUNCTIONS: usize = 250;
const STATEMENTS: usize = 250;

/// A redacting policy with so much code that compiling it takes longer than a build here.
fn slow_policy(ci: &Ci) -> PathBuf {
    let statement = |n: usize| {
        format!(
            "(if (i32.lt_u (local.get $a) (i32.const {n}))
                (then (local.set $b (i32.add (i32.mul (local.get $a) (i32.const {n})) (local.get $c))))
                (else (local.set $c (i32.xor (local.get $b) (local.get $a)))))"
        )
    };
    let body: String = (1..STATEMENTS).map(statement).collect();
    let more: String = (0..FUNCTIONS)
        .map(|n| {
            format!(
                r#"(func (export "f{n}") (param $a i32) (result i32) (local $b i32) (local $c i32) {body}
                    (i32.add (local.get $b) (i32.add (local.get $c) (i32.const {n}))))"#
            )
        })
        .collect();
    let policy = Module {
        more,
        ..redacting(EMAIL)
    };
    write(ci, "slow.wasm", &policy.policy())
}

/// Returns true if this process is a compiler of pipefold's.
fn is_compiler(process: u32) -> bool {
    let words = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).contains("compile-worker")
}

/// Compilers that these processes started.
fn compilers_of(parents: &[u32]) -> Vec<u32> {
    let parent_of = |process: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name in parentheses may hold anything; state and parent follow it.
        let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
        behind.split(' ').nth(1).and_then(|parent| parent.parse().ok())
    };
    let names = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .filter(|process| parent_of(*process).is_some_and(|parent| parents.contains(&parent)) && is_compiler(*process))
        .collect()
}

fn exec(ci: &Ci, run: &str, policy: &Path, script: &str) -> pipefold_tests::Pipefold {
    let [flag, file] = under(policy);
    let mut arguments = vec!["exec".to_owned(), "--email".into(), SECRET.into(), flag, file];
    arguments.extend(["--", "sh", "-c", script].map(str::to_owned));
    ci.report_run(run, arguments)
        .env("XDG_CACHE_HOME", ci.directory().join("cache"))
}

#[test]
fn the_command_starts_at_once_and_the_run_waits_with_advice() {
    let ci = Ci::new();
    // A quarter of what a fast machine needs to compile it.
    ci.budgets(300, 300, 300);
    let policy = slow_policy(&ci);
    let script = r#"find "$XDG_CACHE_HOME" -name '*.cwasm' | wc -l; exit 3"#;
    let output = exec(&ci, "run-1", &policy, script).run();
    output.assert_code(3);
    assert_eq!(
        output.stdout().trim(),
        "0",
        "the command waited for the compiler: {output}"
    );
    let advice = format!("run `pipefold component compile {}`", policy.display());
    assert!(output.stderr().contains(&advice), "{output}");
    assert!(ci.dx.requests().is_empty());

    // By the advice in the message.
    ci.pipefold(["component", "compile", policy.to_str().unwrap()])
        .env("XDG_CACHE_HOME", ci.directory().join("cache"))
        .run()
        .assert_code(0);
    ci.budgets(1000, 5000, 1000);
    let second = exec(&ci, "run-2", &policy, "exit 3").run();
    assert!(second.stderr().contains("delivered"), "{second}");
    assert_eq!(ci.record_of("run-2").status, "failure");
    assert_nowhere(&ci, SECRET);
}

#[test]
fn four_builds_at_once_share_one_compilation_and_are_all_delivered() {
    let ci = Ci::new();
    ci.budgets(1000, 45_000, 2000);
    let policy = slow_policy(&ci);
    let builds: Vec<_> = (0..4)
        .map(|n| {
            exec(&ci, &format!("run-{n}"), &policy, "exit 3")
                .timeout(Duration::from_secs(120))
                .spawn()
        })
        .collect();
    let ids: Vec<u32> = builds.iter().map(pipefold_tests::Running::id).collect();
    let mut most = 0;
    for mut build in builds {
        while !build.has_ended() {
            most = most.max(compilers_of(&ids).len());
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = build.wait();
        output.assert_code(3);
        assert!(output.stderr().contains("delivered"), "{output}");
    }
    assert_eq!(most, 1, "one of them compiles");
    assert_nowhere(&ci, SECRET);
    assert_eq!(SpoolContent::read(&ci.spool()).waiting().count(), 0);
}

#[test]
fn no_signal_leaves_a_compiler_behind() {
    use rustix::process::Signal;
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let ci = Ci::new();
        ci.budgets(300, 2000, 300);
        let policy = slow_policy(&ci);
        let build = exec(&ci, "run-1", &policy, "exec sleep 5").spawn();
        let mut compilers = Vec::new();
        eventually("the compiler runs", || {
            compilers = compilers_of(&[build.id()]);
            !compilers.is_empty()
        });
        let killed = Instant::now();
        build.signal(signal);
        eventually("the compiler is gone", || !is_compiler(compilers[0]));
        assert!(
            killed.elapsed() < Duration::from_secs(3),
            "{signal:?}: after {:?}",
            killed.elapsed()
        );
        drop(build.wait());
    }
}
