//! Faults of rules are found with their line, by `doctor` and by every command; a build goes on, and nothing is sent.

use super::{FIELDS, exec, machine, policy};
use pipefold_tests::{Ci, SpoolContent};
use std::fmt::Write as _;

/// Operator's files with a fault.
const FAULTS: [(&str, &str); 17] = [
    ("verb", "{ dorp = \"email\" }"),
    ("field", "{ drop = [\"repository\", \"emial\"] }"),
    (
        "second rule",
        "{ drop = \"email\" },\n{ only = \"head_branch\", regex = \"(\" }",
    ),
    ("two faults", "{ drop = \"emial\" },\n{ require = \"step\" }"),
    ("many faults", "{ drop = \"a\" },\n{ drop = \"b\" },\n{ drop = \"c\" }"),
    ("type", "{ set = \"email\", to = 7 }"),
    ("no table", "\"drop email\""),
    ("absent key", "{ hash = \"email\", key = \"none.key\" }"),
    (
        "short key",
        "{ drop = \"email\" },\n{ hash = \"email\", key = \"short.key\" }",
    ),
    ("absent map", "{ map = \"email\", file = \"none.csv\" }"),
    ("bad map", "{\n map = \"email\", file = \"bad.csv\" }"),
    ("values", "{ map = \"email\", values = { a = 1 } }"),
    ("no rules", ""),
    ("no rules at all", "USE"),
    ("rules alone", "[[policy]]\nrules = []\n"),
    ("other use", "[[policy]]\nuse = \"rule\"\nrules = []\n"),
    (
        "grants",
        "[[policy]]\nuse = \"rules\"\ngrants = [\"log\"]\nrules = [{ drop = \"email\" }]\n",
    ),
];

fn faulty(text: &str) -> Ci {
    let ci = machine(&match text {
        "USE" => "[[policy]]\nuse = \"rules\"\n".to_owned(),
        whole if whole.starts_with("[[policy]]") => whole.to_owned(),
        rules => policy(rules),
    });
    std::fs::write(ci.directory().join("short.key"), "0123456789").unwrap();
    std::fs::write(ci.directory().join("bad.csv"), "from,to\nmona\n").unwrap();
    ci
}

#[test]
fn a_build_goes_on_and_nothing_is_sent() {
    let mut told = String::new();
    for (name, text) in FAULTS {
        let ci = faulty(text);
        let output = exec(&ci, "r", &FIELDS).run();
        output.assert_code(0);
        assert!(ci.dx.requests().is_empty(), "{name}: {output}");
        let stderr = ci.neutral(&output.stderr());
        let first = stderr.lines().next().unwrap();
        // Every one names the line in the file.
        assert!(first.contains("[dir]/operator.toml:"), "{name}: {first}");
        writeln!(told, "{name}: {first}").unwrap();
    }
    insta::assert_snapshot!("faults", told);
}

#[test]
fn doctor_finds_them() {
    for (name, text) in FAULTS {
        let output = faulty(text).report(["doctor"]).run();
        let all = output.stdout() + &output.stderr();
        let all: String = all.split_whitespace().collect();
        assert!(all.contains("operator.toml:"), "{name}: {output}");
    }
}

#[test]
fn a_mended_rule_applies_to_what_was_kept() {
    let ci = machine(&policy("{ drop = \"emial\" }"));
    exec(&ci, "r", &FIELDS).run().assert_code(0);
    assert!(SpoolContent::read(&ci.spool()).waiting().count() > 0);
    ci.operator(&policy("{ drop = \"email\" }"));
    let flushed = ci.pipefold(["flush", "--timeout", "20s"]).run();
    assert!(ci.dx.records().is_empty(), "{flushed}");
    ci.pipefold(["flush", "--rejudge", "--timeout", "20s"])
        .run()
        .assert_code(0);
    let record = ci.record_of("r");
    assert_eq!((record.get("email"), record.status.as_str()), (None, "success"));
}

#[test]
fn an_open_policy_with_a_fault_is_passed_over() {
    let ci = machine(&policy("{ drop = \"emial\" }").replace("use", "failure = \"open\"\nuse"));
    exec(&ci, "r", &FIELDS).run().assert_code(0);
    assert_eq!(ci.record_of("r").get("email"), Some("mona@example.com"));
}
