//! The recipes of the document: each takes at most five lines, and does what its heading says in one process, in several, and in a history.

use super::{FIELDS, HASH_OF_ADDRESS, HASH_OF_MONA, exec, machine, recipe, recipes};
use pipefold_tests::{Ci, Record};

const HEADINGS: [&str; 10] = [
    "Drop e-mail addresses",
    "Hash persons",
    "Map user names by a file",
    "Rename pipelines",
    "Skip bots and their branches",
    "Strip the prefix of a monorepo",
    "Set the repository",
    "Keep some steps",
    "Add an attribute",
    "Require a commit",
];

#[test]
fn the_document_has_the_ten_in_five_lines_each() {
    let recipes = recipes();
    let headings: Vec<&str> = recipes.iter().map(|(heading, _)| heading.as_str()).collect();
    assert_eq!(headings, HEADINGS);
    for (heading, block) in &recipes {
        assert!(block.lines().count() <= 5, "{heading}:\n{block}");
        assert!(
            block.starts_with("[[policy]]\nuse = \"rules\"\n"),
            "{heading}:\n{block}"
        );
    }
}

/// Reports a run as `exec` does, and another by a start, a step, an urgent step and a finish in processes of their own. Returns the machine with
/// DX's records of both.
fn reported(heading: &str, name: &str, fields: &[&str]) -> (Ci, [Option<Record>; 2]) {
    let ci = machine(&recipe(heading));
    let report = |run: &str, arguments: &[&str]| {
        let required = [
            "--pipeline-name",
            name,
            "--pipeline-source",
            "tests",
            "--reference-id",
            run,
        ];
        let (command, rest) = arguments.split_first().unwrap();
        let all = [&[*command][..], &required, fields, rest].concat();
        let output = ci.pipefold(all).run();
        output.assert_code(0);
        assert!(!output.stderr().contains("warning"), "{output}");
    };
    report("one", &["exec", "--", "true"]);
    report("many", &["start"]);
    report("many", &["step", "--step", "build", "--status", "success"]);
    report("many", &["step", "--step", "lint", "--now", "--status", "success"]);
    report("many", &["finish", "--status", "success"]);
    let mut records = ci.dx.records();
    let both = ["one", "many"].map(|run| records.remove(run));
    for record in both.iter().flatten() {
        assert_eq!(record.status, "success", "{heading}: {record:?}");
    }
    (ci, both)
}

/// As [`reported`], of runs that reach DX.
fn records(heading: &str, name: &str, fields: &[&str]) -> (Ci, [Record; 2]) {
    let (ci, both) = reported(heading, name, fields);
    (
        ci,
        both.map(|record| record.unwrap_or_else(|| panic!("{heading}: not sent"))),
    )
}

/// Checks that no request has the text.
fn assert_never_sent(ci: &Ci, text: &str) {
    for request in ci.dx.requests() {
        let body = String::from_utf8_lossy(&request.body).to_lowercase();
        assert!(!body.contains(text), "{body}");
    }
}

#[test]
fn drop_email() {
    let (ci, both) = records("Drop e-mail addresses", "web", &FIELDS);
    for record in both {
        assert_eq!(record.get("email"), None);
        assert_eq!(record.get("github_username"), Some("Mona"));
        assert_eq!(record.get("commit_sha"), Some("abcdef1"));
    }
    assert_never_sent(&ci, "mona@example");
}

#[test]
fn hash_persons() {
    let (ci, both) = records("Hash persons", "web", &FIELDS);
    for record in both {
        assert_eq!(record.get("email"), Some(HASH_OF_ADDRESS));
        assert_eq!(record.get("github_username"), Some(HASH_OF_MONA));
    }
    assert_never_sent(&ci, "mona");
}

#[test]
fn map_users() {
    let (_ci, both) = records("Map user names by a file", "web", &FIELDS);
    for record in both {
        assert_eq!(record.get("github_username"), Some("m.lisa"));
    }
    let (ci, both) = records("Map user names by a file", "web", &["--github-username", "stranger"]);
    for record in both {
        assert_eq!(record.get("github_username"), None);
    }
    assert_never_sent(&ci, "stranger");
}

#[test]
fn rename_pipelines() {
    for (given, name) in [("nightly-web", "web (nightly)"), ("web", "web")] {
        let (_ci, both) = records("Rename pipelines", given, &FIELDS);
        for record in both {
            assert_eq!(record.pipeline_name, name);
        }
    }
}

#[test]
fn skip_bots_and_branches() {
    let heading = "Skip bots and their branches";
    for fields in [
        ["--head-branch", "renovate/all"],
        ["--head-branch", "dependabot/cargo/a"],
        ["--github-username", "dependabot[bot]"],
    ] {
        let (ci, both) = reported(heading, "web", &fields);
        assert_eq!(both, [None, None], "{fields:?}");
        assert!(ci.dx.requests().is_empty(), "{fields:?}");
        // Nothing waits either.
        let waiting = pipefold_tests::SpoolContent::read(&ci.spool()).waiting().count();
        assert_eq!(waiting, 0, "{fields:?}");
    }
    records(heading, "web", &FIELDS);
}

#[test]
fn strip_a_prefix() {
    for (given, name) in [("mono/web", "web"), ("web/mono/", "web/mono/")] {
        let (_ci, both) = records("Strip the prefix of a monorepo", given, &FIELDS);
        for record in both {
            assert_eq!(record.pipeline_name, name);
        }
    }
}

#[test]
fn set_the_repository() {
    for fields in [&FIELDS[..], &[]] {
        let (_ci, both) = records("Set the repository", "web", fields);
        for record in both {
            assert_eq!(record.get("repository"), Some("getdx/some_repo"));
        }
    }
}

#[test]
fn keep_some_steps() {
    let (ci, _) = records("Keep some steps", "web", &FIELDS);
    let jobs: Vec<String> = ci.dx.jobs("many").into_iter().map(|job| job.name).collect();
    assert_eq!(jobs, ["build"]);
    assert_never_sent(&ci, "lint");
}

#[test]
fn add_an_attribute() {
    let ci = machine(&recipe("Add an attribute"));
    let event = serde_json::json!({
        "pipeline_name": "web", "pipeline_source": "tests", "reference_id": "1", "started_at": "2025-01-01T12:05:00Z",
        "attributes": { "queue": "large" },
    });
    for (hook, question) in [("start", event.clone()), ("finish", serde_json::json!([event]))] {
        let output = ci.pipefold(["hook", hook]).stdin(question.to_string()).run();
        output.assert_code(0);
        let attributes = output.json()["run"]["attributes"].clone();
        assert_eq!(
            attributes,
            serde_json::json!({ "queue": "large", "team": "payments" }),
            "{output}"
        );
    }
}

#[test]
fn require_a_commit() {
    let heading = "Require a commit";
    records(heading, "web", &FIELDS);
    let (ci, both) = reported(heading, "web", &["--head-branch", "main"]);
    assert_eq!(both, [None, None]);
    assert!(ci.dx.requests().is_empty());
    // A commit that a later command names is early enough.
    let ci = machine(&recipe(heading));
    ci.report(["start"]).run().assert_code(0);
    assert!(ci.dx.requests().is_empty());
    ci.report([
        "finish",
        "--status",
        "success",
        "--repository",
        "a/b",
        "--commit-sha",
        "abcdef1",
    ])
    .run()
    .assert_code(0);
    assert_eq!(ci.record().get("commit_sha"), Some("abcdef1"));
    let again = exec(&ci, "other", &FIELDS).run();
    again.assert_code(0);
    assert!(ci.dx.records().contains_key("other"), "{again}");
}
