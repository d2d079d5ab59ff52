//! Any bytes as a component. What is no component is refused; what loads is asked, and is held to its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipefold_fuzz::{contract, guests, history::event, printable, seeds, written};
use pipefold_sandbox::{Chain, HookError, Limits, Policy, Question, Role, Sandbox, Verdict, inspect::inspect};
use std::{fs, path::Path, path::PathBuf, sync::LazyLock, time::Duration};
use tempfile::TempDir;

/// Guests that loop are common among mutated ones.
const HOOK: Duration = Duration::from_millis(20);

struct Scene {
    sandbox: Sandbox,
    file: PathBuf,
    _directory: TempDir,
}

static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let directory = written::directory();
    let limits = Limits {
        hook: HOOK,
        chain: 2 * HOOK,
        ..Limits::default()
    };
    Scene {
        sandbox: Sandbox::new(limits).unwrap(),
        file: directory.path().join("component.wasm"),
        _directory: directory,
    }
});

fuzz_target!(init: seeds::write("component", components()), |bytes: &[u8]| {
    let Scene { sandbox, file, .. } = &*SCENE;
    fs::write(file, bytes).unwrap();
    let inspected = inspect(file, sandbox.limits().component_size);
    let fit = inspected.ok().map(|inspection| inspection.fit());
    // Only as one of the two, as compiling is what takes long here.
    if fit.as_ref().is_none_or(|fit| fit.role == Role::Plugin) {
        match sandbox.compile_here("guest", bytes) {
            Ok(plugin) => {
                assert!(fit.is_none_or(|fit| fit.loads));
                check(&plugin.step(&event()));
                check(&plugin.pipeline_finish(&[event()]));
                match plugin.merge(&[event()]) {
                    Ok(run) => contract::check_run(&run, "r/1"),
                    Err(error) => printable::check(&error),
                }
            }
            Err(error) => printable::check(&error),
        }
    } else {
        let limits = sandbox.limits().clone();
        match sandbox.policy_compiled_here(&Policy { limits, ..Policy::new("guest") }, bytes) {
            Ok(link) => {
                assert!(fit.is_none_or(|fit| fit.loads));
                let chain = Chain::new(vec![link], sandbox.default_plugin().unwrap()).unwrap();
                check(&chain.ask(&Question::Step(&event())));
                check(&chain.ask(&Question::PipelineFinish(&[event()])));
            }
            Err(error) => printable::check(&error),
        }
    }
});

/// Such a guest may fail in every way, but what it gets through is as it must be.
fn check(answer: &Result<Verdict, HookError>) {
    match answer {
        Err(error) if !error.is_refusal() => printable::check(error),
        answer => contract::check(answer, "r/1"),
    }
}

/// The default component, and a small one of each kind.
fn components() -> Vec<(&'static str, Vec<u8>)> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/sandbox/component/default.wasm");
    let hold = "(i32.store8 (i32.const 1032) (i32.const 1)) (i32.const 1024)";
    let table = "(table 3 funcref) (elem (i32.const 1) func $f) (func $f)
        (func (export \"t\") (call_indirect (i32.const 1)))";
    let pass_on = "(call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
    let log = r#"(import "pipefold:ci/log@0.2.0" "write" (func $log (param i32 i32 i32)))"#;
    let text = |text: &str| wat::parse_str(text).unwrap();
    vec![
        ("default", fs::read(default).unwrap()),
        ("plugin", guests::guest(hold, "")),
        (
            "plugin-of-all-sections",
            guests::guest(hold, r#"(data (i32.const 2048) "text")"#),
        ),
        ("plugin-that-loops", guests::guest("(loop (br 0)) unreachable", "")),
        (
            "plugin-that-grows",
            guests::guest("(loop (drop (memory.grow (i32.const 1))) (br 0)) unreachable", ""),
        ),
        ("policy", guests::policy(pass_on, "", "")),
        ("policy-with-table", guests::policy(pass_on, "", table)),
        ("policy-with-host", guests::policy(pass_on, log, "")),
        (
            "nested",
            text("(component (component (core module $m (func)) (core instance (instantiate $m))))"),
        ),
        (
            "instances",
            text(
                "(component (core module $m (memory 1) (table 1 funcref)) (core instance (instantiate $m)) (core instance (instantiate $m)))",
            ),
        ),
        ("module", text("(module)")),
    ]
}
