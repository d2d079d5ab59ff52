//! Hostile text from flags, variables, files, policies, DX, queues and feeds: no output of any command has it in a form that a terminal, a CI
//! system or a reader would follow.
//!
//! Tables of command lines: `@` is the hostile text, `FIELDS` a flag with it for each text field of a run.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod collector;
mod files;
mod given;
#[allow(dead_code, reason = "the sandbox's own tests have more guests")]
#[path = "../../host/sandbox/tests/guests/mod.rs"]
mod guests;
#[allow(dead_code, reason = "the sandbox's own tests bend more of a guest")]
#[path = "../../host/sandbox/tests/hostile/module.rs"]
mod module;
mod policies;
mod servers;

use pipefold_tests::{Ci, Output, Pipefold};
use serde_json::Value;

/// A part of each hostile text, by which a test sees whether it was shown.
const MARK: &str = "nasty";

/// Hostile text that the rules accept in a field: it has no control characters.
const TEXT: &str = "::error::nasty ##vso[task.setvariable variable=PATH]a ##[error]b ##teamcity[c] \u{202e}d\u{2066}e\u{200b}f\u{200d}g\
                    \u{feff}h\u{ad}i\u{e0041}\u{e007f}j\u{2028}::error::k\u{2029}##vso[l]";

/// Hostile text from files, variables and servers: lines, and sequences that a terminal obeys.
fn lines() -> String {
    format!(
        "{TEXT}\x1b[2J\r\n::error::nasty\n ::warning::m\n##vso[n]\n--- o\n+++ p\u{9b}2J\t\x1b]0;q\x07\u{85}::error::r"
    )
}

/// The way in which a command shows the text, or only something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
    /// One or the other.
    Perhaps,
}

/// Checks that nothing in an output is obeyed by a terminal or a CI system, or misleads a reader.
fn assert_safe(what: &str, output: &str) {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}')
    };
    for line in output.split('\n') {
        assert!(!line.contains(hidden), "{what}: hidden characters in {line:?}");
        // Azure Pipelines, GitHub Actions' older form and TeamCity look anywhere in a line, GitHub Actions behind blanks.
        let obeyed = line.contains("##") || line.trim_start().starts_with("::");
        let buildkite = ["--- ", "+++ ", "~~~ ", "^^^ "].iter().any(|it| line.starts_with(it));
        assert!(!obeyed && !buildkite, "{what}: a CI system obeys {line:?}");
    }
}

/// The same for the output of a command, in lines that a person can read.
fn assert_output(what: &str, output: &Output, shown: Shown) {
    let (stdout, stderr) = (output.stdout(), output.stderr());
    let all = format!("{stdout}\n{stderr}");
    assert_safe(what, &all);
    assert!(
        shown == Shown::Perhaps || all.contains(MARK) == (shown == Shown::Yes),
        "{what}: {shown:?}, but {output}"
    );
    // The longest lines: those of `-vvv` about a delivery.
    let fits = |line: &str| line.chars().count() <= 4_000;
    assert!(stderr.lines().all(fits), "{what}: {output}");
    assert!(!stderr.contains("panicked"), "{what}: {output}");
}

/// Flags for every text field of a run.
fn fields(text: &str) -> Vec<String> {
    let names = "pipeline-name pipeline-source reference-id repository commit-sha source-url head-branch email github-username gitlab-username";
    names.split(' ').map(|name| format!("--{name}={text}")).collect()
}

/// A command line of a table; what reports a run is given its name, unless it gives all `FIELDS`.
fn command(ci: &Ci, line: &str, text: &str) -> Pipefold {
    let reports = ["start", "step", "finish", "exec", "doctor"];
    let mut words = Vec::new();
    for word in line.split(' ') {
        match word {
            "FIELDS" => words.extend(fields(text)),
            word => words.push(word.replace('@', text)),
        }
    }
    match line.split(' ').next().is_some_and(|name| reports.contains(&name)) && !line.contains("FIELDS") {
        true => ci.report(words),
        false => ci.pipefold(words),
    }
}

/// Runs a table.
fn check(ci: &Ci, text: &str, rows: &[(&str, Shown)]) {
    for (line, shown) in rows {
        assert_output(line, &command(ci, line, text).run(), *shown);
    }
}

/// Checks that a JSON text holds the hostile text as it was given: to a parser nothing is changed.
fn assert_holds(what: &str, shown: &str) {
    fn holds(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains(TEXT),
            Value::Array(values) => values.iter().any(holds),
            Value::Object(values) => values.values().any(holds),
            _ => false,
        }
    }
    let value = serde_json::from_str(shown).unwrap_or_else(|why| panic!("{what}: {why}: {shown}"));
    assert!(holds(&value), "{what}: {value:#}");
}
