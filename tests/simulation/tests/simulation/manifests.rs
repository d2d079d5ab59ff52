//! The files of `examples/fleet` follow the schemas of their formats and call existing commands and flags.

use std::process::Command;

use pipefold_tests::{binary, skipped, workspace_root};

/// The exit code of a script that cannot run on this machine.
const CANNOT: i32 = 77;

/// The arguments behind `args:` and `command:` in a file, which are written as JSON.
fn commands(file: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(workspace_root().join("examples/fleet").join(file)).unwrap();
    let lines = text.lines().map(str::trim);
    let lists = lines.filter_map(|line| line.strip_prefix("args: ").or(line.strip_prefix("command: ")));
    let commands: Vec<Vec<String>> = lists.map(|list| serde_json::from_str(list).unwrap()).collect();
    // Those of a shell are not the command's.
    commands.into_iter().filter(|command| command[0] != "sh").collect()
}

#[test]
fn every_flag_in_the_manifests_is_one_of_the_commands() {
    let files = [
        ("compose.yaml", 3),
        ("kubernetes/queue.yaml", 1),
        ("kubernetes/forwarders.yaml", 1),
        ("kubernetes/gateways.yaml", 1),
    ];
    for (file, number) in files {
        let commands = commands(file);
        assert_eq!(commands.len(), number, "{file}");
        for arguments in commands {
            // Everything before it is read, and refused if it is not known.
            let output = Command::new(binary("pipefold"))
                .args(&arguments)
                .arg("--help")
                .output()
                .unwrap();
            assert!(output.status.success(), "{file}: {arguments:?}: {output:?}");
        }
    }
}

#[test]
fn a_flag_that_is_not_known_would_be_seen() {
    let mut command = Command::new(binary("pipefold"));
    let output = command
        .args(["forward", "--rate", "5", "--no-such-flag", "--help"])
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn compose_file_and_manifests_follow_their_schemas() {
    let script = workspace_root().join("tests/simulation/tests/simulation/run.sh");
    let output = Command::new(script).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(CANNOT) {
        let why = stderr.lines().find_map(|line| line.strip_prefix("skipped: "));
        return skipped(
            "compose_file_and_manifests_follow_their_schemas",
            why.unwrap_or(&stderr),
        );
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{stdout}{stderr}", output.status);
}
