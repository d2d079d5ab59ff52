//! `examples/fleet` in containers and in Kubernetes, as far as it goes without an engine and an orchestrator: what their files say is run, as
//! processes in namespaces, and runs that are reported to gateways come to DX. The programs beside this file say how.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Command, Output};

use pipefold_tests::{binary, nats, skipped, workspace_root};

/// The end of a script that cannot run on this machine.
const CANNOT: i32 = 77;

/// Runs one of the programs. `None`, said on behalf of a test, where that cannot be.
fn run(test: &str, program: &str) -> Option<Output> {
    // Looked for here, where tests that want one at the same time wait for each other.
    let server = match nats::server() {
        Ok(server) => server,
        Err(why) => {
            skipped(test, &why);
            return None;
        }
    };
    let output = Command::new(workspace_root().join("tests/simulation/tests/containers/run.sh"))
        .arg(program)
        .arg(binary("pipefold"))
        .env("PIPEFOLD_NATS_SERVER", server)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(CANNOT) {
        let why = told.lines().find_map(|line| line.strip_prefix("skipped: "));
        skipped(test, why.unwrap_or(&told));
        return None;
    }
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{program}: {:?}\n{said}{told}", output.status);
    Some(output)
}

#[test]
fn what_compose_yaml_starts_brings_runs_to_dx() {
    let test = "what_compose_yaml_starts_brings_runs_to_dx";
    if let Some(output) = run(test, "follow_compose.py") {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.ends_with("DX has 4 runs\n"), "{said}");
    }
}

#[test]
fn what_the_manifests_start_brings_runs_to_dx() {
    let test = "what_the_manifests_start_brings_runs_to_dx";
    if let Some(output) = run(test, "follow_kubernetes.py") {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.ends_with("DX has 4 runs\n"), "{said}");
    }
}

#[test]
fn the_manifests_are_what_the_orchestrator_takes() {
    run("the_manifests_are_what_the_orchestrator_takes", "validate.py");
}
