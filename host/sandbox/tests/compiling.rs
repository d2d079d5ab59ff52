//! Policies from files: read as they are pinned, and compiled in a process that can be stopped.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod guests;
mod place;
mod worker;

use pipefold_sandbox::{ChildCompiler, Compiler, ComponentFile, Policy, Verdict};
use place::{FORWARD, Place};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

#[test]
fn a_pin_is_compared_before_anything_is_parsed() {
    let place = Place::new();
    let pinned = |digest: &str| -> ComponentFile {
        format!("{}@sha256:{digest}", place.path("policy.wasm").display())
            .parse()
            .unwrap()
    };
    let wrong = pinned(&"0".repeat(64));
    place.write("policy.wasm", b"no component at all");
    let expected = "plugin p: FOLDER/policy.wasm: its sha256 is ";
    assert!(place.error(&wrong, &Compiler::Here).starts_with(expected));

    let right = place.load_here(&place.policy()).sha256;
    assert!(!place.load_here(&pinned(&right)).compiled);
    assert!(!place.load_here(&pinned(&right.to_uppercase())).compiled);
    // The entry of the cache is there, and is of no help to the wrong pin.
    assert_eq!(
        place.error(&wrong, &Compiler::Here),
        format!(
            "plugin p: FOLDER/policy.wasm: its sha256 is {right}, and {} is pinned; if the change is meant, pin the new digest",
            "0".repeat(64)
        )
    );
    let bare = place.sandbox.policy(&Policy::new("p"), &wrong, None, &Compiler::Here);
    assert!(bare.is_err_and(|error| error.to_string().contains("is pinned")));
}

#[test]
fn a_file_is_read_up_to_its_limit() {
    let place = Place::new();
    let file = place.policy();
    let size = place.path("policy.wasm").metadata().unwrap().len();
    let load = |limit| {
        let mut policy = Policy::new("p");
        policy.limits.component_size = limit;
        place
            .sandbox
            .policy(&policy, &file, Some(&place.cache()), &Compiler::Here)
    };
    let error = load(size - 1).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("plugin p: larger than {} bytes, the limit for a component", size - 1)
    );
    assert!(load(size).is_ok());
    // What has no end, and what has no beginning.
    let endless = PathBuf::from("/dev/zero").into();
    assert_eq!(
        place.error(&endless, &Compiler::Here),
        "plugin p: cannot read /dev/zero: it is no regular file"
    );
    let absent = place.path("absent.wasm").into();
    assert_eq!(
        place.error(&absent, &Compiler::Here),
        "plugin p: cannot read FOLDER/absent.wasm: No such file or directory (os error 2)"
    );
}

#[test]
fn what_is_not_granted_is_found_before_it_is_compiled() {
    let place = Place::new();
    let log = r#"(import "pipefold:ci/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
    let file = place.write("policy.wasm", &guests::policy(FORWARD, log, ""));
    let nobody = Compiler::Child(program("/nowhere/compiler", &[]));
    let error = place.error(&file, &nobody);
    assert!(
        error.contains("pipefold:ci/log@0.1.0, which is not granted; grant `log`"),
        "{error}"
    );
}

fn program(program: &str, arguments: &[&str]) -> ChildCompiler {
    ChildCompiler::new(program, arguments)
}

#[test]
fn a_child_compiles_what_this_process_runs() {
    let place = Place::new();
    let file = place.policy();
    let compiler = Compiler::Child(worker::compiler());
    let loaded = place.load(&file, &compiler).unwrap();
    assert_eq!((loaded.compiled, loaded.notes.len()), (true, 0));
    assert!(matches!(place.step(loaded), Verdict::Report(_)));
    assert!(!place.load(&file, &compiler).unwrap().compiled);
    // The same without a cache; and what it refuses is told as if it had been compiled here.
    let loaded = place.sandbox.policy(&Policy::new("p"), &file, None, &compiler).unwrap();
    assert!(matches!(place.step(loaded), Verdict::Report(_)));
    let broken = place.write("broken.wasm", b"\0asm\x0d\0\x01\0\x01");
    let error = place.error(&broken, &compiler);
    assert!(error.starts_with("plugin p: it does not load: "), "{error}");
    assert_eq!(error, place.error(&broken, &Compiler::Here));
}

#[test]
fn compiling_memory_obeyed_and_violated() {
    let place = Place::new();
    let data = format!("(data \"{}\")", "a".repeat(8 << 20));
    let file = place.write("policy.wasm", &guests::policy(FORWARD, "", &data));
    let with = |memory| {
        Compiler::Child(ChildCompiler {
            memory,
            ..worker::compiler()
        })
    };
    assert_eq!(
        place.error(&file, &with(16 << 20)),
        "plugin p: compiling it needs more than 16 MiB of memory, its limit"
    );
    assert!(place.load(&file, &with(2 << 30)).unwrap().compiled);
}

#[test]
fn compiling_time_violated() {
    let place = Place::new();
    let file = place.policy();
    let pid = place.path("pid");
    let note_pid = format!("echo $$ > {}; exec sleep 100", pid.display());
    // The second leaves a child of its own behind, which keeps the pipes open.
    for script in [note_pid.as_str(), "sleep 100 & sleep 100"] {
        let began = Instant::now();
        let compiler = Compiler::Child(ChildCompiler {
            time: Duration::from_millis(500),
            ..program("/bin/sh", &["-c", &format!("PATH=/usr/bin:/bin; {script}")])
        });
        assert_eq!(
            place.error(&file, &compiler),
            "plugin p: compiling it was stopped after 0.5 s, its time limit"
        );
        assert!(began.elapsed() < Duration::from_secs(20), "it was waited for");
    }
    let pid = fs::read_to_string(pid).unwrap();
    let name = Path::new("/proc").join(pid.trim()).join("comm");
    assert!(
        !fs::read_to_string(name).is_ok_and(|name| name.trim() == "sleep"),
        "it was not killed"
    );
    assert_eq!(place.entries(), [""; 0].map(PathBuf::from));
}

#[test]
fn a_program_that_is_no_compiler_is_told() {
    let place = Place::new();
    let file = place.policy();
    let error = |compiler: ChildCompiler| place.error(&file, &Compiler::Child(compiler));
    let answers = |program: &str, reason: &str| {
        format!(
            "plugin p: {program} does not answer as a compiler of this version of pipefold: {reason}; it must call `compile_worker`"
        )
    };
    assert_eq!(
        error(program("/bin/cat", &[])),
        answers("/bin/cat", "its first line is another")
    );
    assert_eq!(
        error(program("/bin/true", &[])),
        answers("/bin/true", "failed to fill whole buffer")
    );
    assert_eq!(
        error(program("/bin/sh", &["-c", "echo no memory left on board >&2; exit 3"])),
        "plugin p: the compiler ended early, with exit status: 3; it said: no memory left on board"
    );
    assert_eq!(
        error(program("/nowhere/compiler", &[])),
        "plugin p: cannot start /nowhere/compiler to compile it: No such file or directory (os error 2)"
    );
    let zeros = "0".repeat(64);
    let short = format!("echo pipefold-compiled-1 code 5 {zeros}; printf abc");
    assert_eq!(
        error(program("/bin/sh", &["-c", &short])),
        answers("/bin/sh", "it is cut short or damaged")
    );
    let long = format!("echo pipefold-compiled-1 code 2 {zeros}; printf abc");
    assert_eq!(
        error(program("/bin/sh", &["-c", &long])),
        answers("/bin/sh", "it is longer than it says")
    );
    let damaged = format!("echo pipefold-compiled-1 code 3 {zeros}; printf abc");
    assert_eq!(
        error(program("/bin/sh", &["-c", &damaged])),
        answers("/bin/sh", "it is cut short or damaged")
    );
    let huge = format!("echo pipefold-compiled-1 code 99999999999 {zeros}; printf abc");
    assert_eq!(
        error(program("/bin/sh", &["-c", &huge])),
        "plugin p: its compiled code is larger than 512 MiB, the limit"
    );
    assert_eq!(fs::read_dir(place.path("cache")).unwrap().count(), 1, "only the lock");
}

#[test]
fn a_compiling_child_gets_an_empty_environment() {
    let place = Place::new();
    let seen = place.path("environment");
    let script = format!("exec /usr/bin/env > {}", seen.display());
    place.error(&place.policy(), &Compiler::Child(program("/bin/sh", &["-c", &script])));
    // What the shell itself sets.
    let own = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
    let foreign: Vec<String> = fs::read_to_string(seen)
        .unwrap()
        .lines()
        .filter(|line| !own.iter().any(|own| line.starts_with(own)))
        .map(str::to_owned)
        .collect();
    assert!(
        std::env::var_os("PATH").is_some(),
        "there is nothing that could have been passed on"
    );
    assert_eq!(foreign, [""; 0]);
}
