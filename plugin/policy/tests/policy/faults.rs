//! Faults of rules, as an operator reads them.

use crate::support::read;

/// The faults as `key: message`.
fn faults(rules: &str) -> Vec<String> {
    let problems = read(rules, &[("key.1", "0123456789abcdef")]).err().unwrap_or_default();
    problems
        .into_iter()
        .map(|problem| format!("{}: {}", problem.key, problem.message))
        .collect()
}

#[test]
fn each_fault_has_its_key_and_its_cure() {
    for (rules, fault) in [
        (
            "{",
            "rules: this is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            "{}",
            "rules: this has to be a list of rules, such as [{ drop = \"email\" }]",
        ),
        (
            "[]",
            "rules: there is no rule in it; write one such as { drop = \"email\" }",
        ),
        (
            r#"["drop"]"#,
            "rules[1]: a rule is a table such as { drop = \"email\" }",
        ),
        (
            r#"[{"dorp": "email"}]"#,
            "rules[1].dorp: unknown verb; did you mean `drop`?",
        ),
        (
            r#"[{"to": "email"}]"#,
            "rules[1]: a rule needs one of the verbs drop, keep, hash, map, rename, set, default, require, discard, only",
        ),
        (
            r#"[{"drop": "email", "keep": "email"}]"#,
            "rules[1]: it has the verbs `drop` and `keep`; write a rule for each",
        ),
        (
            r#"[{"drop": "emial"}]"#,
            "rules[1].drop: there is no field \"emial\"; did you mean `email`?",
        ),
        (
            r#"[{"drop": "colour"}]"#,
            "rules[1].drop: there is no field \"colour\"; there are the names of DX's arguments, such as `email`, and `attributes.NAME`",
        ),
        (
            r#"[{"drop": ["email", 7]}]"#,
            "rules[1].drop: this has to be text in quotes, or a list of texts, none of them empty",
        ),
        (
            r#"[{"drop": []}]"#,
            "rules[1].drop: this has to be text in quotes, or a list of texts, none of them empty",
        ),
        (
            r#"[{"drop": "pipeline_name"}]"#,
            "rules[1].drop: `pipeline_name` is required of every run, and cannot be dropped",
        ),
        (
            r#"[{"drop": "step"}]"#,
            "rules[1].drop: a step is left out by { discard = \"step\", glob = \"*\" }; the field itself cannot be dropped",
        ),
        (
            r#"[{"drop": "status"}]"#,
            "rules[1].drop: `status` is not a policy's to read or change",
        ),
        (
            r#"[{"drop": "attributes"}]"#,
            "rules[1].drop: write `attributes.NAME`, or `attributes.*` for all",
        ),
        (
            r#"[{"drop": "attributes.Team"}]"#,
            "rules[1].drop: an attribute's key has 1 to 64 characters of a-z, 0-9, `.`, `_` and `-`, not \"Team\"",
        ),
        (
            r#"[{"drop": "email", "to": "x"}]"#,
            "rules[1].to: unknown key; `drop` has no other key",
        ),
        (
            r#"[{"keep": ["commit_sha"]}]"#,
            "rules[1].keep: a commit and a pull request need their `repository`; keep it too",
        ),
        (
            r#"[{"hash": "email"}]"#,
            "rules[1]: `hash` needs `key`, the path of a file with the key, such as `openssl rand -hex 32` writes",
        ),
        (
            r#"[{"hash": "email", "keys": "hash.key", "key": "k"}]"#,
            "rules[1].keys: unknown key; did you mean `key`?",
        ),
        (
            r#"[{"hash": "reference_id", "key": "hash.key"}]"#,
            "rules[1].hash: `reference_id` says which run it is, and is not a policy's to change",
        ),
        (
            r#"[{"map": "github_username"}]"#,
            "rules[1]: `map` needs `file`, the path of a file with rows `from,to`, or `values = { from = \"to\" }`",
        ),
        (
            r#"[{"map": "github_username", "values": {"a": "b"}}]"#,
            "rules[1].values: a host writes the values into the settings `values.1.TEXT`, and {} here",
        ),
        (
            r#"[{"map": "email", "file": "a.csv", "else": "maybe"}]"#,
            "rules[1].else: this has to be \"drop\" or \"keep\"",
        ),
        (
            r#"[{"map": "pipeline_name", "file": "a.csv", "else": "drop"}]"#,
            "rules[1].else: `pipeline_name` cannot be dropped",
        ),
        (
            r#"[{"map": "pr_number", "file": "a.csv"}]"#,
            "rules[1].map: `pr_number` is a number; `map` changes texts",
        ),
        (
            r#"[{"rename": "pipeline_name", "to": "x"}]"#,
            "rules[1]: `rename` needs `is`, `glob` or `regex`, which say what it matches",
        ),
        (r#"[{"rename": "pipeline_name", "is": "x"}]"#, "rules[1]: it needs `to`"),
        (
            r#"[{"rename": "pipeline_name", "is": "x", "glob": "y", "to": "z"}]"#,
            "rules[1]: `rename` takes one of `is`, `glob` and `regex`; write a rule for each",
        ),
        (
            r#"[{"rename": "pipeline_name", "glob": "x", "to": "*"}]"#,
            "rules[1].to: it has 1 `*`, and the glob has 0",
        ),
        (
            r#"[{"rename": "pipeline_name", "regex": "x", "to": "$1"}]"#,
            "rules[1].to: the regex has no group `1`; the first pair of parentheses is `$1`",
        ),
        (
            r#"[{"rename": "pipeline_name", "glob": "x*", "to": " "}]"#,
            "rules[1].to: `pipeline_name` cannot be empty",
        ),
        (
            r#"[{"rename": "attributes.*", "glob": "x*", "to": "y"}]"#,
            "rules[1].rename: `rename` takes one attribute: write `attributes.NAME`",
        ),
        (
            r#"[{"rename": "pipeline_name", "regex": "(", "to": "x"}]"#,
            "rules[1].regex: \"(\" is no regular expression here: found open group without closing ')'",
        ),
        (
            r#"[{"set": "email", "to": 7}]"#,
            "rules[1].to: this has to be text in quotes",
        ),
        (
            r#"[{"set": "email", "to": ""}]"#,
            "rules[1].to: it is empty; to remove the field, write { drop = \"email\" }",
        ),
        (
            r#"[{"set": "email", "to": "a\nb"}]"#,
            "rules[1].to: it has control characters",
        ),
        (
            r#"[{"set": ["email", "repository"], "to": "x"}]"#,
            "rules[1].set: `set` takes one field; write a rule for each",
        ),
        (
            r#"[{"set": "step", "to": "x"}]"#,
            "rules[1].set: `step` cannot be set: it makes a notification of a run one of a step; `rename` changes a step's name",
        ),
        (
            r#"[{"require": "step"}]"#,
            "rules[1].require: `step` is absent where a notification is about the whole run",
        ),
        (
            r#"[{"discard": "head_branch", "globs": "x"}]"#,
            "rules[1].globs: unknown key; did you mean `glob`?|\
             rules[1]: `discard` needs `is`, `glob` or `regex`, which say what it matches",
        ),
        (
            r#"[{"only": "attributes.*", "is": "x"}]"#,
            "rules[1].only: `only` takes one attribute: write `attributes.NAME`",
        ),
    ] {
        assert_eq!(faults(rules).join("|"), fault, "{rules}");
    }
}

#[test]
fn all_faults_are_found_at_once() {
    let found = faults(r#"[{"drop": "emial"}, {"set": "email", "to": "x"}, {"dorp": "email"}]"#);
    assert_eq!(
        found,
        [
            "rules[1].drop: there is no field \"emial\"; did you mean `email`?",
            "rules[3].dorp: unknown verb; did you mean `drop`?"
        ]
    );
}

#[test]
fn a_key_is_long_enough() {
    let rules = r#"[{"drop": "email"}, {"hash": "github_username", "key": "k"}]"#;
    assert!(read(rules, &[("key.2", "0123456789abcdef")]).is_ok());
    let missing = read(rules, &[]).err().unwrap();
    assert_eq!(
        missing[0].message,
        "the setting `key.2` with the key's bytes is missing"
    );
    let short = read(rules, &[("key.2", "0123456789abcde")]).err().unwrap();
    assert_eq!(short[0].key, "rules[2].key");
    assert_eq!(
        short[0].message,
        "the key is too short; it has to have 16 bytes or more"
    );
}

#[test]
fn rules_are_bounded() {
    let list = |rule: &str, count: usize| format!("[{}]", vec![rule; count].join(","));
    assert_eq!(faults(&list(r#"{"drop": "email"}"#, 64)), [""; 0]);
    assert_eq!(
        faults(&list(r#"{"drop": "email"}"#, 65)),
        ["rules: there are 65 rules; 64 are allowed"]
    );
    let regexes = |count| {
        let list = vec![r#""x""#; count].join(",");
        format!(r#"[{{"discard": "head_branch", "regex": [{list}]}}]"#)
    };
    assert_eq!(faults(&regexes(64)), [""; 0]);
    assert_eq!(faults(&regexes(65)), ["rules: there are 65 regexes; 64 are allowed"]);
    let set = |count: usize| {
        let rules: Vec<String> = (0..count)
            .map(|n| format!(r#"{{"set": "attributes.k{n}", "to": "x"}}"#))
            .collect();
        format!("[{}]", rules.join(","))
    };
    assert_eq!(faults(&set(32)), [""; 0]);
    assert_eq!(
        faults(&set(33)),
        ["rules: they set 33 attributes; a run has at most 32"]
    );
    let long = format!(r#"[{{"set": "attributes.a", "to": "{}"}}]"#, "x".repeat(1025));
    assert_eq!(
        faults(&long),
        ["rules[1].to: it has 1025 bytes; `attributes.a` has at most 1024"]
    );
    let large = format!("[{}]", " ".repeat(70_000));
    assert_eq!(faults(&large), ["rules: they have 70002 bytes; 65536 are allowed"]);
    assert_eq!(
        pipefold_policy::Policy::read(crate::support::Table(Default::default()))
            .err()
            .unwrap()[0]
            .message,
        "there are no rules; write `rules = [{ drop = \"email\" }]`"
    );
}

#[test]
fn usual_expressions_fit() {
    for regex in [
        r"^(feature|bugfix|hotfix)/[A-Z]{2,10}-[0-9]{1,6}(-[a-z0-9]+)*$",
        r"^[a-z]{1,63}(-[a-z0-9]{1,63})*$",
        r"\b[0-9a-f]{40}\b",
        r"(?i)^(dependabot|renovate|snyk|greenkeeper|pre-commit-ci)\[bot\]$",
    ] {
        let rules = serde_json::json!([{"discard": "head_branch", "regex": regex}]).to_string();
        assert_eq!(faults(&rules), [""; 0], "{regex}");
    }
    let huge = faults(r#"[{"discard": "head_branch", "regex": "(a{100}){1000}"}]"#);
    assert!(huge[0].starts_with("rules[1].regex: "), "{huge:?}");
}
