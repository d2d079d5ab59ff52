//! Policies from files: pinned, and compiled in a process that can be stopped.

use crate::place::{FORWARD, Place};
use crate::{guests, worker};
use pipefold_sandbox::{ChildCompiler, Compiler, ComponentFile, Deadline, LoadError, Policy, Verdict};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
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
    let expected = "policy p: FOLDER/policy.wasm: its sha256 is ";
    assert!(place.error(&wrong, &Compiler::Here).starts_with(expected));

    let right = place.load_here(&place.policy()).sha256;
    assert!(!place.load_here(&pinned(&right)).compiled);
    assert!(!place.load_here(&pinned(&right.to_uppercase())).compiled);
    // The cache has the entry, which does not help a wrong pin.
    assert_eq!(
        place.error(&wrong, &Compiler::Here),
        format!(
            "policy p: FOLDER/policy.wasm: its sha256 is {right}, and {} is pinned; if the change is meant, pin the new digest",
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
        format!("policy p: larger than {} bytes, the limit for a component", size - 1)
    );
    assert!(load(size).is_ok());
    // A file without an end, and a pipe without a writer.
    let endless = PathBuf::from("/dev/zero").into();
    assert_eq!(
        place.error(&endless, &Compiler::Here),
        "policy p: cannot read /dev/zero: it is not a regular file"
    );
    let absent = place.path("absent.wasm").into();
    assert_eq!(
        place.error(&absent, &Compiler::Here),
        "policy p: cannot read FOLDER/absent.wasm: No such file or directory (os error 2)"
    );
}

#[test]
fn missing_grants_are_found_before_compiling() {
    let place = Place::new();
    let log = r#"(import "pipefold:ci/log@0.2.0" "write" (func $log (param i32 i32 i32)))"#;
    let file = place.write("policy.wasm", &guests::policy(FORWARD, log, ""));
    let nobody = Compiler::Child(program("/nowhere/compiler", &[]));
    let error = place.error(&file, &nobody);
    assert!(
        error.contains("pipefold:ci/log@0.2.0, which is not granted; grant `log`"),
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
    // Without a cache too; and a refusal has the same message as of a compilation in this process.
    let loaded = place.sandbox.policy(&Policy::new("p"), &file, None, &compiler).unwrap();
    assert!(matches!(place.step(loaded), Verdict::Report(_)));
    let broken = place.write("broken.wasm", b"\0asm\x0d\0\x01\0\x01");
    let error = place.error(&broken, &compiler);
    assert!(error.starts_with("policy p: it does not load: "), "{error}");
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
        "policy p: compiling it needs more than 16 MiB of memory, its limit"
    );
    assert!(place.load(&file, &with(2 << 30)).unwrap().compiled);
}

#[test]
fn compiling_time_violated() {
    let noted = tempfile::tempdir().unwrap();
    let pid = noted.path().join("pid");
    let note_pid = format!("echo $$ > {}; exec sleep 100", pid.display());
    // The second one leaves a child behind, which keeps the pipes open.
    for script in [note_pid.as_str(), "sleep 100 & sleep 100"] {
        let place = Place::new();
        let began = Instant::now();
        let compiler = Compiler::Child(ChildCompiler {
            time: Duration::from_millis(500),
            ..shell(script)
        });
        assert_eq!(
            place.error(&place.policy(), &compiler),
            "policy p: compiling it was stopped after 0.5 s, its time limit"
        );
        assert!(began.elapsed() < Duration::from_secs(20), "it was waited for");
        assert_eq!(place.entries(), [""; 0].map(PathBuf::from));
    }
    let pid = fs::read_to_string(pid).unwrap();
    let name = Path::new("/proc").join(pid.trim()).join("comm");
    assert!(
        !fs::read_to_string(name).is_ok_and(|name| name.trim() == "sleep"),
        "it was not killed"
    );
}

/// A compiler that runs `script`, and never answers.
fn shell(script: &str) -> ChildCompiler {
    program("/bin/sh", &["-c", &format!("PATH=/usr/bin:/bin; {script}")])
}

#[test]
fn a_failure_is_remembered_until_something_changes() {
    let place = Place::new();
    let file = place.policy();
    let slow = |milliseconds| {
        Compiler::Child(ChildCompiler {
            time: Duration::from_millis(milliseconds),
            ..shell("exec sleep 100")
        })
    };
    let first = "policy p: compiling it was stopped after 0.3 s, its time limit";
    assert_eq!(place.error(&file, &slow(300)), first);
    let again = "policy p: not compiled, as that failed before: compiling it was stopped after 0.3 s, its time limit; \
        to try it again, run `pipefold component compile FOLDER/policy.wasm`";
    assert_eq!(place.error(&file, &slow(300)), again);
    assert_eq!(place.error(&file, &slow(200)), again);
    let asked = place
        .sandbox
        .policy_if_compiled(&Policy::new("p"), &file, &place.cache(), &slow(300));
    assert!(asked.is_err_and(|error| error.to_string().contains("failed before")));
    // A wider bound, another component and an operator's command try it again.
    let wider = "policy p: compiling it was stopped after 0.4 s, its time limit";
    assert_eq!(place.error(&file, &slow(400)), wider);
    let other = place.write("other.wasm", &guests::policy("unreachable", "", ""));
    assert_eq!(place.error(&other, &slow(300)), first);
    let precompiled = |compiler| place.sandbox.precompile(&file, &place.cache(), &compiler);
    let tried = precompiled(slow(300)).unwrap_err().to_string();
    assert!(
        tried.ends_with("compiling it was stopped after 0.3 s, its time limit"),
        "{tried}"
    );
    assert!(precompiled(Compiler::Here).unwrap().compiled);
    assert!(!place.load(&file, &slow(300)).unwrap().compiled);
    let left = fs::read_dir(place.path("cache"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let failures = left.filter(|path| path.extension().is_some_and(|extension| extension == "failed"));
    assert_eq!(failures.count(), 1, "the other component's");
}

#[test]
fn a_remembered_failure_that_is_damaged_or_anothers_is_none() {
    let place = Place::new();
    let file = place.policy();
    let refuses = Compiler::Child(shell(&format!(
        "echo pipefold-compiled-1 memory 0 {}",
        blake3::hash(b"")
    )));
    let failure = || {
        let files = fs::read_dir(place.path("cache"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|extension| extension == "failed"))
            .collect::<Vec<_>>()
    };
    let first = place.error(&file, &refuses);
    assert!(
        first.ends_with("compiling it needs more than 2048 MiB of memory, its limit"),
        "{first}"
    );
    let name = failure().remove(0);
    let whole = fs::read(&name).unwrap();
    for at in [0, 64, 65, 90, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&name, damaged).unwrap();
        assert_eq!(place.error(&file, &refuses), first, "byte {at}");
    }
    // Under the name of another component.
    let other = place.write("other.wasm", &guests::policy("unreachable", "", ""));
    assert_eq!(place.error(&other, &refuses), first);
    let others = failure().into_iter().find(|path| *path != name).unwrap();
    fs::copy(&name, &others).unwrap();
    assert_eq!(place.error(&other, &refuses), first);
    // Not a regular file.
    fs::remove_file(&name).unwrap();
    fs::create_dir(&name).unwrap();
    assert_eq!(place.error(&file, &refuses), first);
}

#[test]
fn a_killed_compilation_is_not_recorded_as_failed() {
    let place = Place::new();
    let file = place.policy();
    for signal in ["KILL", "TERM", "INT", "HUP"] {
        let stopped = Compiler::Child(shell(&format!("kill -{signal} $$")));
        let error = place.error(&file, &stopped);
        assert!(error.contains("ended early, with signal"), "{error}");
    }
    let crashed = Compiler::Child(shell("kill -SEGV $$"));
    assert!(place.error(&file, &crashed).contains("ended early, with signal: 11"));
    let again = place.error(&file, &Compiler::Child(worker::compiler()));
    assert!(
        again.contains("failed before: the compiler ended early, with signal: 11"),
        "{again}"
    );
}

#[test]
fn a_deadline_ends_the_wait_and_is_no_failure() {
    let place = Place::new();
    let file = place.policy();
    let cache = place.cache();
    let by = |compiler: ChildCompiler, deadline: &Deadline| {
        let policy = Policy::new("p");
        let loaded = place
            .sandbox
            .policy_by(&policy, &file, Some(&cache), &Compiler::Child(compiler), deadline);
        loaded.map(|loaded| loaded.compiled)
    };
    let unfinished = |result: Result<bool, LoadError>| {
        let error = result.unwrap_err();
        assert!(error.is_unfinished(), "{error}");
        let text = error
            .to_string()
            .replace(&place.folder.path().display().to_string(), "FOLDER");
        assert_eq!(
            text,
            "policy p: still compiling; to have it ready ahead of builds, run `pipefold component compile FOLDER/policy.wasm`"
        );
    };
    let endless = || shell("exec sleep 100");
    let soon = || Instant::now() + Duration::from_millis(200);
    let asked = || {
        place
            .sandbox
            .policy_if_compiled(&Policy::new("p"), &file, &cache, &Compiler::Child(endless()))
    };
    let began = Instant::now();
    assert!(asked().unwrap().is_none());
    unfinished(by(endless(), &Deadline::at(Instant::now())));
    unfinished(by(endless(), &Deadline::at(soon())));
    // The deadline is moved during the wait, of a compiling thread and of one that waits for that.
    let (first, second) = (Deadline::never(), Deadline::never());
    thread::scope(|scope| {
        let compiles = scope.spawn(|| by(endless(), &first));
        let waits = scope.spawn(|| by(endless(), &second));
        // Neither may end by itself in this time.
        thread::sleep(Duration::from_millis(200));
        assert!(!compiles.is_finished() && !waits.is_finished());
        // One waits for the other's lock, and then compiles.
        first.set(Instant::now());
        unfinished(compiles.join().unwrap());
        second.set(soon());
        unfinished(waits.join().unwrap());
    });
    assert!(began.elapsed() < Duration::from_secs(20), "it was waited for");
    assert!(asked().unwrap().is_none());
    assert!(by(worker::compiler(), &Deadline::never()).unwrap());
    assert!(asked().unwrap().is_some_and(|loaded| !loaded.compiled));
    assert!(!by(endless(), &Deadline::at(Instant::now())).unwrap());
}

#[test]
fn a_waiting_process_takes_over_from_one_that_gave_up() {
    let place = Place::new();
    let file = place.policy();
    let by = |compiler: ChildCompiler, deadline: &Deadline| {
        let policy = Policy::new("p");
        let cache = place.cache();
        let compiler = Compiler::Child(compiler);
        let loaded = place
            .sandbox
            .policy_by(&policy, &file, Some(&cache), &compiler, deadline);
        loaded.map(|loaded| loaded.compiled)
    };
    let gives_up = Deadline::never();
    thread::scope(|scope| {
        let first = scope.spawn(|| by(shell("exec sleep 100"), &gives_up));
        // The first must have the lock before the others ask for it.
        thread::sleep(Duration::from_millis(200));
        let others: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| by(worker::compiler(), &Deadline::never())))
            .collect();
        // None of them may end in this time.
        thread::sleep(Duration::from_millis(200));
        assert!(others.iter().all(|other| !other.is_finished()));
        gives_up.set(Instant::now());
        assert!(first.join().unwrap().unwrap_err().is_unfinished());
        let compiled = others.into_iter().map(|other| other.join().unwrap().unwrap());
        assert_eq!(compiled.filter(|compiled| *compiled).count(), 1);
    });
}

#[test]
fn a_program_that_is_no_compiler_is_reported() {
    let place = Place::new();
    let file = place.policy();
    let error = |compiler: ChildCompiler| place.error(&file, &Compiler::Child(compiler));
    let answers = |program: &str, reason: &str| {
        format!(
            "policy p: {program} does not answer as a compiler of this version of pipefold: {reason}; it must call `compile_worker`"
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
        "policy p: the compiler ended early, with exit status: 3; stderr: no memory left on board"
    );
    assert_eq!(
        error(program("/nowhere/compiler", &[])),
        "policy p: cannot start /nowhere/compiler to compile it: No such file or directory (os error 2)"
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
        answers("/bin/sh", "it is longer than announced")
    );
    let damaged = format!("echo pipefold-compiled-1 code 3 {zeros}; printf abc");
    assert_eq!(
        error(program("/bin/sh", &["-c", &damaged])),
        answers("/bin/sh", "it is cut short or damaged")
    );
    let huge = format!("echo pipefold-compiled-1 code 99999999999 {zeros}; printf abc");
    assert_eq!(
        error(program("/bin/sh", &["-c", &huge])),
        "policy p: its compiled code is larger than 512 MiB, the limit"
    );
    let left = fs::read_dir(place.path("cache")).unwrap().count();
    assert_eq!(left, 2, "the lock, and that the code is too large");
}

#[test]
fn a_compiling_child_gets_an_empty_environment() {
    let place = Place::new();
    let seen = place.path("environment");
    let script = format!("exec /usr/bin/env > {}", seen.display());
    place.error(&place.policy(), &Compiler::Child(program("/bin/sh", &["-c", &script])));
    // Variables that the shell itself sets.
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
