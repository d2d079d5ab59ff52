//! The same rules in every command that has something to judge.

use super::{FIELDS, HASH_OF_ADDRESS, HASH_OF_MONA, KEY, exec, machine, policy, with_rules};
use pipefold_tests::{Ci, Collector, Mode, SpoolContent, Standin, eventually};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// Rules with each kind of input.
const RULES: &str = r#"  { drop = "source_url" },
  { hash = "email", key = "hash.key" },
  { map = "github_username", file = "users.csv" },
  { map = "gitlab_username", values = { "Mona" = "m.lisa", "gone" = "" } },
  { rename = "pipeline_name", regex = "^mono/(.+)$", to = "$1" },
  { only = "step", glob = "t*" },"#;

/// The fields as DX gets them of [`FIELDS`].
fn assert_applied(record: &pipefold_tests::Record) {
    assert_eq!(record.get("email"), Some(HASH_OF_ADDRESS), "{record:?}");
    assert_eq!(record.get("github_username"), Some("m.lisa"), "{record:?}");
}

#[test]
fn what_was_recorded_is_sent_through_the_rules_later() {
    let ci = with_rules(RULES);
    ci.dx.set_mode(Mode::RefuseConnections);
    exec(&ci, "r", &FIELDS).run().assert_code(0);
    assert!(SpoolContent::read(&ci.spool()).waiting().count() > 0);
    ci.dx.set_mode(Mode::Normal);
    ci.pipefold(["flush", "--timeout", "20s"]).run().assert_code(0);
    assert_applied(&ci.record_of("r"));

    // Under other rules, another key or another map it stays.
    let other_key = |ci: &Ci| fs::write(ci.directory().join("hash.key"), "another key of some length").unwrap();
    let other_map = |ci: &Ci| fs::write(ci.directory().join("users.csv"), "mona,other\n").unwrap();
    let other_rules = |ci: &Ci| {
        ci.operator(&policy("{ drop = \"email\" }"));
    };
    let none = |ci: &Ci| {
        ci.operator("");
    };
    let changes: [&dyn Fn(&Ci); 4] = [&other_key, &other_map, &other_rules, &none];
    for (number, change) in changes.iter().enumerate() {
        let ci = with_rules(RULES);
        ci.dx.set_mode(Mode::RefuseConnections);
        exec(&ci, "r", &FIELDS).run().assert_code(0);
        ci.dx.set_mode(Mode::Normal);
        change(&ci);
        let flushed = ci.pipefold(["flush", "--timeout", "20s"]).run();
        assert!(ci.dx.records().is_empty(), "{number}: {flushed}");
    }
}

#[test]
fn the_hash_is_the_same_in_every_process_and_program_and_differs_by_key() {
    let ci = with_rules(RULES);
    exec(&ci, "one", &FIELDS).run().assert_code(0);
    exec(&ci, "two", &["--email", " MONA@example.com "])
        .run()
        .assert_code(0);
    let hashes = ["one", "two"].map(|run| ci.record_of(run).get("email").unwrap().to_owned());
    assert_eq!(hashes, [HASH_OF_ADDRESS, HASH_OF_ADDRESS]);
    let openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", KEY])
        .stdin(address())
        .output()
        .unwrap();
    let printed = String::from_utf8(openssl.stdout).unwrap();
    assert!(printed.contains(HASH_OF_ADDRESS), "{printed}");
    let script = "import hmac, sys; print(hmac.new(open(sys.argv[1], 'rb').read().rstrip(b'\\r\\n'), \
                  sys.argv[2].strip().lower().encode(), 'sha256').hexdigest()[:32])";
    let python = Command::new("python3")
        .args(["-c", script])
        .arg(ci.directory().join("hash.key"))
        .arg("Mona")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(python.stdout).unwrap().trim(), HASH_OF_MONA);

    fs::write(ci.directory().join("hash.key"), "another key of some length").unwrap();
    exec(&ci, "three", &FIELDS).run().assert_code(0);
    let other = ci.record_of("three").get("email").unwrap().to_owned();
    assert!(other.len() == 32 && other != HASH_OF_ADDRESS, "{other}");
}

/// A file with the address, as the input of a program.
fn address() -> fs::File {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"mona@example.com").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    file
}

#[test]
fn an_import_goes_through_the_rules() {
    let ci = with_rules(RULES);
    let rows = "pipeline_name,pipeline_source,reference_id,started_at,status,email,github_username,step\n\
                mono/web,ci,r,2025-01-01T12:00:00Z,success,mona@example.com,mona,\n\
                mono/web,ci,r,2025-01-01T12:00:00Z,success,mona@example.com,mona,lint\n\
                mono/web,ci,r,2025-01-01T12:00:00Z,success,mona@example.com,mona,test\n";
    fs::write(ci.workspace().join("h.csv"), rows).unwrap();
    let output = ci.pipefold(["import", "h.csv", "--rate", "1000", "--json"]).run();
    output.assert_code(0);
    let record = ci.record_of("r");
    assert_applied(&record);
    assert_eq!(record.pipeline_name, "web");
    let jobs: Vec<String> = ci.dx.jobs("r").into_iter().map(|job| job.name).collect();
    assert_eq!(jobs, ["test"], "{output}");
}

#[test]
fn runs_of_gocd_go_through_the_rules() {
    let ci = with_rules("{ set = \"repository\", to = \"getdx/some_repo\" }, { only = \"step\", is = \"none\" },");
    let shape = gocd_standin::Shape {
        pipelines: 2,
        runs: 2..=3,
        long_runs: 0,
        ..gocd_standin::Shape::default()
    };
    let gocd = gocd_standin::GocdStandin::start(
        gocd_standin::History::generate(1, &shape),
        gocd_standin::Generation::New,
    );
    ci.pipefold(["gocd", "sync", "--server", &gocd.url()])
        .run()
        .assert_code(0);
    let records = ci.dx.records();
    assert!(!records.is_empty());
    for (run, record) in records {
        assert_eq!(record.get("repository"), Some("getdx/some_repo"), "{run}");
        assert!(ci.dx.jobs(&run).is_empty(), "{run}");
    }
}

/// A collector under rules that forwards to a DX.
struct Serving {
    dx: Standin,
    ci: Ci,
    collector: Collector,
}

impl Serving {
    fn under(rules: &str) -> Self {
        let (dx, ci) = (Standin::start(), with_rules(rules));
        let token = ci.directory().join("token");
        fs::write(&token, dx.token()).unwrap();
        let arguments = [
            "--config".to_owned(),
            ci.operator_file().display().to_string(),
            "--forward-to".into(),
            dx.url(),
            "--token-file".into(),
            token.display().to_string(),
            "-vv".into(),
        ];
        let collector = Collector::start_with(&ci.directory().join("data"), &arguments);
        Self { dx, ci, collector }
    }

    fn report(&self, run: &str, more: Value) {
        let mut all = json!({
            "pipeline_name": "mono/web", "pipeline_source": "tests", "reference_id": run, "started_at": "2025-01-01T12:05:00Z",
            "email": "mona@example.com", "github_username": "mona",
        });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.collector.client().upsert(&all).unwrap();
        assert_eq!(answer.status, 200, "{run}");
    }

    fn run(&self, run: &str) -> Option<Value> {
        let answer = self.collector.client().get(&format!("/api/runs/{run}"));
        (answer.status == 200).then(|| answer.json()["run"].clone())
    }
}

fn ended(more: &Value) -> Value {
    let mut all = json!({ "status": "success", "finished_at": "2025-01-01T12:10:00Z" });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

#[test]
fn a_collector_keeps_and_forwards_what_the_rules_leave() {
    let place = Serving::under(RULES);
    place.report("r", ended(&json!({})));
    for (id, name) in [("1", "lint"), ("2", "test")] {
        let job = json!({
            "pipeline_source": "tests", "run_reference_id": "r", "reference_id": id, "name": name, "status": "success",
        });
        place.collector.client().upsert_job(&job).unwrap();
    }
    eventually("DX has the run and its job", || place.dx.jobs("r").len() == 1);
    let record = place.dx.records().remove("r").unwrap();
    assert_applied(&record);
    assert_eq!(record.pipeline_name, "web");
    assert_eq!(place.dx.jobs("r")[0].name, "test");
    let kept = place.run("r").unwrap().to_string();
    assert!(
        kept.contains(HASH_OF_ADDRESS) && !kept.contains("mona@example.com"),
        "{kept}"
    );
    for (path, content) in Ci::files(&place.ci.directory().join("data")) {
        for secret in ["mona@example.com", KEY] {
            let is_there = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{}: {secret}", path.display());
        }
    }
}

#[test]
fn a_collector_holds_a_run_without_what_is_required() {
    let place = Serving::under(r#"{ require = "commit_sha" }, { only = "head_branch", is = "main" },"#);
    let commit = json!({ "repository": "a/b", "commit_sha": "abcdef1" });
    let main = json!({ "repository": "a/b", "commit_sha": "abcdef1", "head_branch": "main" });
    // It is stored, and nothing of it is sent.
    place.report("late", json!({ "status": "running" }));
    place.report("never", json!({ "status": "running" }));
    place.report("half", commit);
    place.report(
        "other",
        ended(&json!({ "repository": "a/b", "commit_sha": "abcdef1", "head_branch": "x" })),
    );
    place.report("never", ended(&json!({})));
    place.report("late", ended(&main));
    place.report("whole", ended(&main));
    eventually("DX has what is complete", || place.dx.records().len() == 2);
    let records = place.dx.records();
    assert_eq!(records.keys().collect::<Vec<_>>(), ["late", "whole"]);
    assert_eq!(records["late"].status, "success");
    assert!(
        place
            .run("never")
            .is_some_and(|run| run["record"]["status"] == "running")
    );
    assert!(place.run("half").is_some());
    assert!(place.run("other").is_none());
}

#[test]
fn an_operator_names_rules_and_components_in_one_line() {
    let component = crate::place::redact(crate::place::HEAD_BRANCH);
    let ci = machine(&format!(
        "{}\n[[policy]]\nfile = \"branches.wasm\"\n",
        policy("{ drop = \"email\" }")
    ));
    fs::write(ci.directory().join("branches.wasm"), component).unwrap();
    ci.pipefold(["component", "compile"])
        .args([ci.directory().join("branches.wasm")])
        .run()
        .assert_code(0);
    exec(&ci, "r", &FIELDS).run().assert_code(0);
    ci.pipefold(["flush", "--timeout", "20s"]).run().assert_code(0);
    let record = ci.record_of("r");
    assert_eq!((record.get("email"), record.get("head_branch")), (None, None));
    assert_eq!(record.get("github_username"), Some("Mona"));
}

#[test]
fn nothing_is_compiled_for_rules() {
    let ci = with_rules(RULES);
    exec(&ci, "r", &FIELDS).run().assert_code(0);
    assert_applied(&ci.record_of("r"));
    // No cache was made: the code is in the program.
    let compiled = Ci::files(ci.directory())
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "cwasm"));
    assert_eq!(compiled.count(), 0);
}
