//! The checks of every recipe.

use std::io::Write;
use std::process::{Command, Stdio};

use pipefold_tests::{Mode, Output, skipped};

use super::{Machines, Outcome, Recipe, Script, Secrets};

/// Returns true if this machine lacks a program of the recipe's own image; the test then counts as skipped.
pub fn cannot_run(recipe: &Recipe) -> bool {
    let is_there = |command: &&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|directory| directory.join(command).is_file())
    };
    let missing = recipe.needs.filter(|command| !is_there(command));
    if let Some(command) = missing {
        let test = std::thread::current();
        skipped(test.name().unwrap_or_default(), &format!("{command} is not installed"));
    }
    missing.is_some()
}

/// Checks that two jobs that begin and a run that ends give one record.
pub fn ends(recipe: &Recipe, outcome: Outcome) {
    if cannot_run(recipe) {
        return;
    }
    let machines = Machines::new();
    let secrets = Secrets::of(&machines.ci);
    for job in recipe.jobs {
        let output = machines.run(&(recipe.start)(&secrets), job);
        output.assert_code(0);
        assert_eq!(output.stderr(), "", "{output}");
        let record = machines.record();
        assert_eq!(
            (record.status.as_str(), &record.finished_at),
            ("running", &None),
            "{record:?}"
        );
    }
    let started_at = machines.record().started_at;
    for script in (recipe.end)(&secrets, outcome) {
        let output = machines.run(&script, recipe.jobs[1]);
        output.assert_code(0);
        assert_eq!(output.stderr(), "", "{output}");
    }
    let record = machines.record();
    assert_eq!(record.status, outcome.status(), "{record:?}");
    assert_eq!(record.pipeline_source, recipe.source, "{record:?}");
    assert_eq!(record.started_at, started_at);
    let repository = record.get("repository").unwrap_or_default();
    assert!(repository.ends_with("some_repo"), "{record:?}");
    assert!(record.finished_at.is_some(), "{record:?}");
}

/// A run that is cancelled is reported as that, where anything runs then.
pub fn cancelled(recipe: &Recipe) {
    if recipe.tells_of_cancelling {
        ends(recipe, Outcome::Cancelled);
    } else {
        assert!((recipe.end)(&Secrets::NONE, Outcome::Cancelled).is_empty());
    }
}

/// A fork's pull request.
pub fn without_secrets(recipe: &Recipe) {
    if cannot_run(recipe) {
        return;
    }
    let machines = Machines::new();
    for script in all(recipe, &Secrets::NONE) {
        for output in [
            machines.run(&script, recipe.jobs[0]),
            machines.run_without_pipefold(&script, recipe.jobs[0]),
        ] {
            output.assert_code(0);
            assert_quiet(&output);
        }
    }
    assert!(machines.ci.dx.requests().is_empty());
}

fn assert_quiet(output: &Output) {
    assert_eq!(output.stderr(), "", "{output}");
    // A resource of Concourse has to answer something.
    assert!(
        output.stdout.is_empty() || output.json()["version"].is_object(),
        "{output}"
    );
}

/// A machine that lacks `pipefold`, or has one that does not work there.
pub fn without_the_command(recipe: &Recipe) {
    if cannot_run(recipe) {
        return;
    }
    let machines = Machines::new();
    let secrets = Secrets::of(&machines.ci);
    let output = machines.run_without_pipefold(&(recipe.start)(&secrets), recipe.jobs[0]);
    output.assert_code(0);
    let said = output.stderr();
    assert!(said.contains("pipefold") && said.lines().count() == 1, "{output}");
    for script in all(recipe, &secrets) {
        for run in [Machines::run_without_pipefold, Machines::run_with_a_broken_pipefold] {
            run(&machines, &script, recipe.jobs[0]).assert_code(0);
        }
    }
}

/// A DX that is down when the run begins.
pub fn without_dx(recipe: &Recipe) {
    if cannot_run(recipe) {
        return;
    }
    let machines = Machines::new();
    let secrets = Secrets::of(&machines.ci);
    machines.ci.dx.set_mode(Mode::RefuseConnections);
    let output = machines.run(&(recipe.start)(&secrets), recipe.jobs[0]);
    output.assert_code(0);
    assert!(output.stderr().contains("not delivered: "), "{output}");
    let token = machines.ci.dx.token();
    assert!(
        !output.stderr().contains(token) && !output.stdout().contains(token),
        "{output}"
    );
}

/// Checks that every script parses.
pub fn syntax(recipe: &Recipe) {
    for script in all(recipe, &Secrets::NONE) {
        let (succeeded, said) = feed(Command::new("sh").arg("-n"), &script.text).expect("there is a shell");
        assert!(succeeded, "{said}\n{}", script.text);
    }
}

/// Checks that shellcheck finds nothing in any script. Returns false if it is not installed.
pub fn shellcheck(recipe: &Recipe) -> bool {
    all(recipe, &Secrets::NONE).iter().all(|script| {
        let said = feed(Command::new("shellcheck").args(["--shell=sh", "-"]), &script.text);
        said.map(|(succeeded, said)| assert!(succeeded, "{said}")).is_some()
    })
}

/// Every script of a recipe, whenever it runs.
fn all(recipe: &Recipe, secrets: &Secrets) -> Vec<Script> {
    let ends = [Outcome::Success, Outcome::Failure, Outcome::Cancelled].map(|outcome| (recipe.end)(secrets, outcome));
    [(recipe.start)(secrets)]
        .into_iter()
        .chain(ends.into_iter().flatten())
        .collect()
}

/// Runs a command with this on stdin and returns its success and its output. None if there is no such command.
fn feed(command: &mut Command, stdin: &str) -> Option<(bool, String)> {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().ok()?;
    child.stdin.take()?.write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
