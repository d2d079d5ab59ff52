//! `policy new`: the projects, and what it refuses.

use std::fs;
use std::os::unix::fs::symlink;

use pipefold_tests::Ci;
use serde_json::Value;

#[test]
fn a_project_is_written_once() {
    let ci = Ci::new();
    for language in ["rust", "python", "javascript", "rules"] {
        let output = ci.pipefold(["policy", "new", language, "ours", "--json"]).run();
        output.assert_code(0);
        assert!(output.stderr.is_empty(), "{output}");
        let answer = output.json();
        let dir = ci.workspace().join("ours");
        let files = answer["files"].as_array().unwrap();
        for file in files {
            let text = fs::read_to_string(dir.join(file.as_str().unwrap())).unwrap();
            assert!(!text.is_empty() && text.ends_with('\n'), "{file}");
        }
        assert_eq!(files.len(), Ci::files(&dir).len(), "{answer:#}");
        assert_eq!(answer["name"], "ours");
        let last = answer["next"]
            .as_array()
            .unwrap()
            .last()
            .and_then(Value::as_str)
            .unwrap();
        assert!(last.starts_with("pipefold policy test "), "{answer:#}");

        let before = Ci::files(&dir);
        let again = ci.pipefold(["policy", "new", language, "ours"]).run();
        again.assert_code(2);
        assert!(again.stderr().contains("ours is not empty: it has "), "{again}");
        assert_eq!(Ci::files(&dir), before);
        fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn the_name_is_in_the_project() {
    let ci = Ci::new();
    let output = ci
        .pipefold(["policy", "new", "rust", "a/b/Our Policy", "--name", "redact-2"])
        .run();
    output.assert_code(0);
    assert!(output.stdout().contains("cargo run -p component"), "{output}");
    let dir = ci.workspace().join("a/b/Our Policy");
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"redact-2\""), "{manifest}");
    let readme = fs::read_to_string(dir.join("README.md")).unwrap();
    assert!(readme.contains("pipefold policy test redact-2.wasm"), "{readme}");
}

#[test]
fn a_directory_with_version_control_alone_is_free() {
    let ci = Ci::new();
    let dir = ci.workspace().join("ours");
    fs::create_dir_all(dir.join(".git")).unwrap();
    ci.pipefold(["policy", "new", "rules", "ours"]).run().assert_code(0);
    assert!(dir.join("pipefold-policy.toml").is_file());
}

#[test]
fn wrong_names_and_places_are_refused() {
    let ci = Ci::new();
    fs::write(ci.workspace().join("file"), "mine").unwrap();
    symlink("nowhere", ci.workspace().join("dangling")).unwrap();
    let mut shown = String::new();
    for arguments in [
        "ours --name Ours",
        "ours --name ../ours",
        "ours --name component",
        "ours --name=",
        "Ours",
        "..",
        "file --name ours",
        "/proc/ours/x",
        "dangling",
    ] {
        let words = ["policy", "new", "python"].into_iter().chain(arguments.split(' '));
        let output = ci.pipefold(words).run();
        assert_ne!(output.code, Some(0), "{arguments}: {output}");
        shown += &format!("{arguments}: code {}: {}", output.code.unwrap(), output.stderr());
    }
    insta::assert_snapshot!("wrong_projects", ci.neutral(&shown));
    let left: Vec<_> = fs::read_dir(ci.workspace())
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    ci.pipefold(["policy", "new", "cobol", "ours"]).run().assert_code(2);
}

#[test]
fn a_project_of_rules_passes_its_own_cases() {
    let ci = Ci::new();
    ci.pipefold(["policy", "new", "rules", "ours"]).run().assert_code(0);
    let test = || {
        ci.pipefold(["policy", "test", "ours/pipefold-policy.toml", "ours/tests/cases.jsonl"])
            .run()
    };
    let output = test();
    output.assert_code(0);
    assert_eq!(output.stdout(), "6 cases passed, 0 failed\n");

    let settings = ci.workspace().join("ours/pipefold-policy.toml");
    let right = fs::read_to_string(&settings).unwrap();
    fs::write(
        &settings,
        right.replace("{ drop = \"email\" }", "{ drop = \"head_branch\" }"),
    )
    .unwrap();
    let output = test();
    output.assert_code(1);
    insta::assert_snapshot!("another_rule", output.stdout());
    fs::write(&settings, right.replace("drop", "dorp")).unwrap();
    let output = test();
    output.assert_code(2);
    insta::assert_snapshot!("wrong_rule", ci.neutral(&output.stderr()));
}

/// The text of each project is what a user reads and commits.
#[test]
fn the_projects() {
    let ci = Ci::new();
    let mut shown = String::new();
    for language in ["rust", "python", "javascript", "rules"] {
        ci.pipefold(["policy", "new", language, language, "--name", "ours"])
            .run()
            .assert_code(0);
        for file in [".gitlab-ci.yml", ".github/workflows/policy.yml"] {
            let text = fs::read_to_string(ci.workspace().join(language).join(file)).unwrap();
            shown += &format!("== {language}/{file}\n{text}");
        }
    }
    insta::assert_snapshot!("ci_files", shown.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}
