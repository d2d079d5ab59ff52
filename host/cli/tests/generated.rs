//! The completions and the manual pages of the built program.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Output, Stdio};

fn pipefold(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipefold"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str]) -> Output {
    pipefold(arguments).output().unwrap()
}

fn text(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns true if the text offers `--token`, which exists only to be refused.
fn offers_token(text: &str) -> bool {
    let text = text.replace("\\-", "-");
    text.match_indices("--token")
        .any(|(at, found)| !text[at + found.len()..].starts_with('-'))
        || text
            .match_indices("-l token")
            .any(|(at, found)| !text[at + found.len()..].starts_with('-'))
}

#[test]
fn completions_have_every_command_without_the_token_and_the_worker() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&["completions", shell]);
        for word in [
            "exec",
            "start",
            "step",
            "finish",
            "flush",
            "status",
            "hook",
            "doctor",
            "inspect",
            "serve",
            "revoke",
            "gocd",
            "access-token-file",
            "head-branch",
            "token-file",
            "local",
            "attribute",
            "most-jobs",
        ] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
        assert!(!offers_token(&script), "{shell} offers --token");
        // The compiler process, which the command starts itself. Some shells write its name with other characters between.
        assert!(!script.contains("worker"), "{shell} offers the worker");
    }
}

#[test]
fn bash_accepts_its_completions() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("pipefold");
    std::fs::write(&script, text(&["completions", "bash"])).unwrap();
    let check = r#"set -e; . "$1"; COMP_WORDS=(pipefold fi); COMP_CWORD=1; _pipefold pipefold fi pipefold; echo "${COMPREPLY[*]}""#;
    let bash = Command::new("bash")
        .args(["-c", check, "bash"])
        .arg(&script)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), "finish", "{bash:?}");
}

#[test]
fn one_manual_page_a_command() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    assert_eq!(text(&["man", "--out", pages.to_str().unwrap()]), "");
    let mut names: Vec<_> = std::fs::read_dir(&pages)
        .unwrap()
        .map(|page| page.unwrap().file_name())
        .collect();
    names.sort();
    let expected = [
        "pipefold-completions.1",
        "pipefold-component-compile.1",
        "pipefold-component-embed.1",
        "pipefold-component-inspect.1",
        "pipefold-component.1",
        "pipefold-doctor.1",
        "pipefold-exec.1",
        "pipefold-finish.1",
        "pipefold-flush.1",
        "pipefold-forward-rejected-drop.1",
        "pipefold-forward-rejected-list.1",
        "pipefold-forward-rejected-retry.1",
        "pipefold-forward-rejected.1",
        "pipefold-forward.1",
        "pipefold-gocd-sync.1",
        "pipefold-gocd-watch.1",
        "pipefold-gocd.1",
        "pipefold-hook.1",
        "pipefold-import.1",
        "pipefold-man.1",
        "pipefold-policy-explain.1",
        "pipefold-policy-new.1",
        "pipefold-policy-test.1",
        "pipefold-policy-verify.1",
        "pipefold-policy.1",
        "pipefold-queue-check.1",
        "pipefold-queue-init.1",
        "pipefold-queue.1",
        "pipefold-serve.1",
        "pipefold-source-list.1",
        "pipefold-source-test.1",
        "pipefold-source.1",
        "pipefold-start.1",
        "pipefold-status.1",
        "pipefold-step.1",
        "pipefold-token-add.1",
        "pipefold-token-list.1",
        "pipefold-token-revoke.1",
        "pipefold-token.1",
        "pipefold.1",
    ];
    assert_eq!(names, expected);
    for name in names {
        let page = std::fs::read_to_string(pages.join(&name)).unwrap();
        assert!(page.contains(".SH NAME") && !offers_token(&page), "{name:?}");
    }
    assert!(text(&["man"]).contains("pipefold\\-exec(1)"));
}

#[test]
fn a_directory_that_cannot_be_created_is_named() {
    let output = output(&["man", "--out", "/dev/null/man1"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        message.starts_with("pipefold: cannot make the directory \"/dev/null/man1\": "),
        "{message}"
    );
}

#[test]
fn a_reader_that_closes_early_is_no_error() {
    let mut child = pipefold(&["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for arguments in [
        &["exec"] as &[&str],
        &["no-such-command"],
        &["start", "--token", "x"],
        &["gocd", "sync", "--password", "x"],
        &[],
    ] {
        assert_eq!(output(arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(output(&["--help"]).status.code(), Some(0));
    let version = format!("pipefold {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&["-V"]).trim(), version);
    let build = text(&["--version"]);
    let [first, commit, features] = build.lines().collect::<Vec<_>>()[..] else {
        panic!("{build}")
    };
    assert_eq!(first, version);
    assert!(
        commit.strip_prefix("commit: ").is_some_and(|commit| !commit.is_empty()),
        "{build}"
    );
    assert!(features.starts_with("features: collector gocd "), "{build}");
    assert_eq!(features.contains(" fleet"), cfg!(feature = "fleet"), "{build}");
}
