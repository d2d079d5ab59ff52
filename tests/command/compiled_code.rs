//! The default component's code: in the executable as packages have it, and in the cache where a build of one's own has none.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use pipefold_tests::{Ci, Pipefold, SpoolContent, built};

/// A command as cargo builds it, with no code in it.
fn without_code(ci: &Ci, run: &str) -> Pipefold {
    ci.report_run(run, ["exec", "--", "true"].map(str::to_owned))
        .replaced_by(built("pipefold"))
        .timeout(Duration::from_secs(120))
}

fn with_code(ci: &Ci, run: &str) -> Pipefold {
    ci.report_run(run, ["exec", "--", "true"].map(str::to_owned))
}

/// The entries of the cache in the test's home.
fn entries(ci: &Ci) -> Vec<PathBuf> {
    let cache = ci.directory().join("home/.cache/pipefold");
    let names = fs::read_dir(cache).into_iter().flatten();
    names
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
        .collect()
}

#[test]
fn with_code_in_it_the_command_needs_no_home_and_writes_nothing_there() {
    let ci = Ci::new();
    let output = with_code(&ci, "run-1").run();
    assert!(output.stderr().contains("delivered"), "{output}");
    assert!(!ci.directory().join("home/.cache").exists());
    let output = with_code(&ci, "run-2")
        .env_remove("HOME")
        .env("TMPDIR", "/proc/nonexistent")
        .run();
    assert!(output.stderr().contains("delivered"), "{output}");
    assert_eq!(ci.record_of("run-2").status, "success");
}

#[test]
fn without_code_in_it_the_first_command_compiles_for_all() {
    let ci = Ci::new();
    ci.budgets(1000, 60_000, 1000);
    let output = without_code(&ci, "run-1").run();
    assert!(output.stderr().contains("delivered"), "{output}");
    let [entry] = entries(&ci).try_into().unwrap();
    let time = entry.metadata().unwrap().modified().unwrap();
    let output = without_code(&ci, "run-2").run();
    assert!(output.stderr().contains("delivered"), "{output}");
    assert_eq!(entries(&ci), std::slice::from_ref(&entry));
    assert_eq!(entry.metadata().unwrap().modified().unwrap(), time);
}

#[test]
fn without_code_and_cache_it_is_compiled_in_memory_without_a_word() {
    let ci = Ci::new();
    ci.budgets(1000, 60_000, 1000);
    let output = without_code(&ci, "run-1")
        .env("PIPEFOLD_POLICY_CACHE", "/dev/null/cache")
        .run();
    assert!(output.stderr().contains("delivered"), "{output}");
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    let output = without_code(&ci, "run-2")
        .env_remove("HOME")
        .env("TMPDIR", "/proc/nonexistent")
        .run();
    assert!(output.stderr().contains("delivered"), "{output}");
}

#[test]
fn a_build_waits_for_no_compiler_and_its_run_for_the_next_delivery() {
    let ci = Ci::new();
    // Less than a compiler needs to start.
    ci.budgets(1, 1, 1);
    without_code(&ci, "run-1").run().assert_code(0);
    assert!(ci.dx.requests().is_empty());
    assert!(SpoolContent::read(&ci.spool()).waiting().count() > 0);
    let flush = ci.pipefold(["flush"]).run();
    flush.assert_code(0);
    assert_eq!(ci.record_of("run-1").status, "success");
}

#[test]
fn the_components_of_pipefold_are_compiled_ahead_on_request() {
    let ci = Ci::new();
    let output = ci
        .pipefold(["component", "compile"])
        .replaced_by(built("pipefold"))
        .timeout(Duration::from_secs(120))
        .run();
    output.assert_code(0);
    assert!(
        output.stdout().starts_with("the default component, sha256:"),
        "{output}"
    );
    for name in ["policy", "sources"] {
        let line = format!("\nthe built-in {name}, sha256:");
        assert!(output.stdout().contains(&line), "{output}");
    }
    assert_eq!(entries(&ci).len(), 3);
    let again = ci
        .pipefold(["component", "compile", "--json"])
        .replaced_by(built("pipefold"))
        .run()
        .json();
    let found = [&again, &again["policy"], &again["sources"]].map(|of| &of["compiled"]);
    assert_eq!(found, [&serde_json::json!(false); 3], "{again:#}");
}

#[test]
fn embed_names_what_it_wrote_and_what_it_cannot_use() {
    let ci = Ci::new();
    let made = ci.directory().join("made");
    let arguments = [
        "component".into(),
        "embed".into(),
        built("pipefold").into_os_string(),
        made.clone().into(),
    ];
    let output = ci.pipefold(arguments).timeout(Duration::from_secs(120)).run();
    output.assert_code(0);
    let (path, arch) = (made.display(), std::env::consts::ARCH);
    assert!(output.stdout().starts_with(&format!("{path}: ")), "{output}");
    assert!(
        output.stdout().contains(&format!(" bytes of code for {arch}-")),
        "{output}"
    );
    // The same as the tests' own command was made from the same build.
    assert!(fs::read(&made).unwrap() == fs::read(pipefold_tests::binary("pipefold")).unwrap());

    let output = ci.pipefold(["component", "embed", "/bin/sh", "out"]).run();
    output.assert_code(1);
    assert_eq!(
        output.stderr(),
        "pipefold: /bin/sh: not an executable with pipefold in it: it has 0 places for compiled code, and needs one for each of its components\n"
    );
}
