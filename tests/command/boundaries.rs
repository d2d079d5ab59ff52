//! Invariants of the sources: the use of the token, of other crates and of other modules.

use std::fs;
use std::path::Path;

use crate::sources::{files_with, in_tests, sources};

#[test]
fn only_the_dx_module_knows_the_url_and_the_answers_of_dx() {
    for path in files_with(&[
        "api/pipelineRuns",
        "\"invalid_auth\"",
        "\"not_authed\"",
        "\"invalid_json\"",
    ]) {
        assert!(
            path.starts_with("host/reporter/src/dx"),
            "{} knows DX's URL or answers",
            path.display()
        );
    }
}

#[test]
fn unsafe_code_only_loads_compiled_code_handles_signals_and_is_called_by_c() {
    let mut with_unsafe = files_with(&[
        "unsafe {",
        "unsafe fn",
        "unsafe impl",
        "unsafe extern",
        "unsafe(link_section",
    ]);
    with_unsafe.sort();
    let expected = [
        "host/c/src/abi.rs",
        "host/cli/src/child/sys.rs",
        "host/sandbox/src/compiled.rs",
    ];
    assert_eq!(with_unsafe, expected.map(Path::new));
}

#[test]
fn what_commands_write_is_made_safe_to_show() {
    // All else goes through `say`, `print_lines` and `print_json`.
    let writers = files_with(&["io::stdout()", "io::stderr()", "println!", "print!("]);
    let allowed = [
        "host/cli/src/commands/component.rs", // The compiling child's answer to its parent.
        "host/cli/src/commands/mod.rs",
        "host/cli/src/terminal/mod.rs",
        "host/cli/src/terminal/progress.rs",
    ];
    let in_builds = ["host/sandbox/build", "host/c/build.rs"];
    let writers = writers.iter();
    for path in writers.filter(|path| !in_builds.iter().any(|build| path.starts_with(build))) {
        assert!(
            allowed.iter().any(|it| path == Path::new(it)),
            "{} writes by itself",
            path.display()
        );
    }
    // The manual's pages and completions have no word of others; of `doctor`, which has colours, each part and line is made safe by itself.
    let raw = files_with(&["print_raw("]);
    let allowed = ["doctor/mod.rs", "mod.rs"].map(|file| Path::new("host/cli/src/commands").join(file));
    for path in &raw {
        assert!(allowed.contains(path), "{} prints what may be unsafe", path.display());
    }
}

#[test]
fn imports_run_one_way() {
    // Each crate, and the crates of the project that it may use.
    let allowed: [(&str, &[&str]); 7] = [
        ("plugin", &[]),
        ("host/sandbox", &[]),
        ("host/reporter", &["pipefold-sandbox", "dx-standin"]),
        ("host/gocd", &["pipefold", "pipefold-sandbox", "dx-standin"]),
        ("host/fleet", &["pipefold", "pipefold-sandbox", "dx-standin"]),
        ("host/c", &["pipefold", "pipefold-sandbox", "dx-standin"]),
        (
            "host/collector",
            &["pipefold-gocd", "pipefold", "pipefold-sandbox", "dx-standin"],
        ),
    ];
    let ours = [
        "pipefold-plugin",
        "pipefold-sandbox",
        "pipefold",
        "pipefold-gocd",
        "pipefold-collector",
        "pipefold-fleet",
        "pipefold-cli",
        "dx-standin",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (crate_folder, may_use) in allowed {
        let manifest = fs::read_to_string(root.join(crate_folder).join("Cargo.toml")).unwrap();
        let used = manifest
            .lines()
            .filter_map(|line| line.split_once(".workspace").map(|(name, _)| name.trim()));
        for name in used.filter(|name| ours.contains(name)) {
            assert!(may_use.contains(&name), "{crate_folder} uses {name}");
        }
    }
}

/// The modules that `text` names behind `crate::`, outside comments and tests.
fn modules_named(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join(" ");
    let first_word = |text: &str| {
        text.trim_start()
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .map(str::to_owned)
    };
    let mut names = Vec::new();
    for after in code.split("crate::").skip(1) {
        let Some(list) = after.strip_prefix('{') else {
            names.extend(first_word(after));
            continue;
        };
        let (mut depth, mut begin) = (0, 0);
        for (at, c) in list.char_indices() {
            if depth == 0 && matches!(c, ',' | '}') {
                names.extend(first_word(&list[begin..at]));
                begin = at + 1;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn modules_of_the_reporter_use_only_those_below_them() {
    // Lowest first.
    let order = [
        "kill_points",
        "clock",
        "source",
        "prometheus",
        "glob",
        "pace",
        "steps",
        "http",
        "token",
        "dx",
        "detect",
        "config",
        "rule_inputs",
        "spool",
        "policy_source",
        "watch",
        "loaded",
        "judge",
        "store",
        "deliver",
        "receipt",
        "forms",
        "complete",
        "overview",
        "reporter",
        "builder",
        "import",
    ];
    let height = |name: &str| order.iter().position(|module| *module == name);
    let root = Path::new("host/reporter/src");
    let mut checked = 0;
    for (path, text) in sources() {
        let Ok(below) = path.strip_prefix(root) else { continue };
        let module = below.iter().next().unwrap().to_string_lossy().replace(".rs", "");
        if module == "lib" || in_tests(&path) {
            continue;
        }
        let own = height(&module).unwrap_or_else(|| panic!("{module} is not in the order"));
        for name in modules_named(&text) {
            checked += 1;
            let other = height(&name).unwrap_or_else(|| panic!("{} uses crate::{name}", path.display()));
            assert!(other <= own, "{} uses {name}, which is above it", path.display());
        }
    }
    assert!(checked > 100, "{checked}");
}
