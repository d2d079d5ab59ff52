//! The built-in policy through the command: the recipes of `docs/rules.md`, the same rules in every command, and faults of rules.

mod commands;
mod faults;
mod recipes;
mod secrets;

use pipefold_tests::{Ci, Pipefold, workspace_root};
use std::fs;

/// A key of a hash.
const KEY: &str = "vT8mQ2zLw4Rk9sXn";

/// HMAC-SHA256 with [`KEY`], by openssl: `printf %s mona | openssl dgst -sha256 -hmac vT8mQ2zLw4Rk9sXn | cut -c1-32`.
const HASH_OF_MONA: &str = "dd211a968c73e6093322bc458ebedcf5";
/// Of `mona@example.com`.
const HASH_OF_ADDRESS: &str = "1eee5956414f1dab2bd98ce0b614e997";

/// A machine whose operator's file has these lines.
fn machine(toml: &str) -> Ci {
    let ci = Ci::new();
    ci.operator(toml);
    fs::write(ci.directory().join("hash.key"), format!("{KEY}\n")).unwrap();
    fs::write(ci.directory().join("users.csv"), "from,to\nmona,m.lisa\n").unwrap();
    ci
}

/// A machine with these rules.
fn with_rules(rules: &str) -> Ci {
    machine(&policy(rules))
}

fn policy(rules: &str) -> String {
    format!("[[policy]]\nuse = \"rules\"\nrules = [\n{rules}\n]\n")
}

/// The fields of a run as a flag each.
const FIELDS: [&str; 12] = [
    "--repository",
    "getdx/mono",
    "--commit-sha",
    "abcdef1",
    "--head-branch",
    "main",
    "--email",
    "mona@example.com",
    "--github-username",
    "Mona",
    "--attribute",
    "queue=large",
];

/// The policy under a heading of the document.
fn recipe(heading: &str) -> String {
    let recipes = recipes();
    let found = recipes.into_iter().find(|(name, _)| name == heading);
    found.unwrap_or_else(|| panic!("no recipe {heading:?}")).1
}

/// The headings of the recipes and their blocks of TOML.
fn recipes() -> Vec<(String, String)> {
    let document = fs::read_to_string(workspace_root().join("docs/rules.md")).unwrap();
    let part = document
        .split("\n## ")
        .find(|part| part.starts_with("Recipes"))
        .unwrap();
    part.split("\n### ")
        .skip(1)
        .map(|recipe| {
            let heading = recipe.lines().next().unwrap().to_owned();
            let block = recipe.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
            (heading, block.to_owned())
        })
        .collect()
}

/// Reports a run with a step in one process.
fn exec(ci: &Ci, run: &str, fields: &[&str]) -> Pipefold {
    let arguments = [&["exec"], fields, &["--", "true"]].concat();
    ci.report_run(run, arguments)
}
