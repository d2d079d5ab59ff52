//! Runs that are read from a GoCD server, reported and remembered.

use gocd_standin::{Access, Fault, Generation, Times};
use pipefold_tests::Ci;
use serde_json::{Value, json};

use super::{gocd, names, pipelines, summary, sync};

#[test]
fn a_first_sync_reports_everything_and_a_second_nothing() {
    let (ci, gocd) = (Ci::new(), gocd(1, 3, Generation::Old));
    let first = sync(&ci, &gocd, &["--json"]).run();
    first.assert_code(0);
    let told = summary(&first);
    assert_eq!(
        (&told["pipelines"], &told["failed"], &told["waiting"]),
        (&json!(3), &json!(0), &json!(0)),
        "{told}"
    );
    assert_eq!(
        (&told["server_id"], &told["dialect"]),
        (&json!("127.0.0.1"), &json!("old"))
    );
    let runs = names(&ci);
    assert!(
        !runs.is_empty() && runs.iter().all(|name| name.starts_with("gocd/127.0.0.1/")),
        "{runs:?}"
    );
    assert_eq!(told["attempts"].as_u64(), Some(runs.len() as u64), "{told}");
    assert_eq!(told["accepted"], runs.len(), "one upsert a run");
    assert!(
        first.stderr().contains("3 pipelines, ") && first.stderr().contains(" upserts accepted by DX"),
        "{first}"
    );

    let upserts = ci.dx.upserts().len();
    let _ = gocd.take_log();
    let second = sync(&ci, &gocd, &["--json"]).run();
    second.assert_code(0);
    assert_eq!(ci.dx.upserts().len(), upserts, "nothing is new");
    assert_eq!(gocd.requests(), 1 + 3, "the list, and a page of each: {:?}", gocd.log());
    assert_eq!(summary(&second)["runs"], 0);
}

#[test]
fn runs_reported_to_one_dx_are_reported_to_another_too() {
    let (ci, gocd) = (Ci::new(), gocd(2, 1, Generation::New));
    sync(&ci, &gocd, &[]).run().assert_code(0);
    let other = pipefold_tests::Standin::start();
    sync(&ci, &gocd, &[])
        .env("DX_API_URL", other.url())
        .run()
        .assert_code(0);
    assert_eq!(other.records().into_keys().collect::<Vec<_>>(), names(&ci));
}

#[test]
fn a_rehearsal_prints_upserts_and_keeps_and_sends_nothing() {
    let (ci, gocd) = (Ci::new(), gocd(3, 2, Generation::Old));
    let rehearsal = sync(&ci, &gocd, &["--dry-run"]).run();
    rehearsal.assert_code(0);
    let mut shown: Vec<String> = rehearsal
        .stdout()
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["reference_id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    shown.sort();
    assert!(ci.dx.requests().is_empty());
    assert!(!ci.spool().join("gocd").exists());
    sync(&ci, &gocd, &[]).run().assert_code(0);
    assert_eq!(shown, names(&ci));
    let again = sync(&ci, &gocd, &["--dry-run"]).run();
    assert_eq!(again.stdout(), "", "what was told is not shown again");
}

#[test]
fn one_unreadable_pipeline_is_reported_and_stops_no_other() {
    let (ci, gocd) = (Ci::new(), gocd(8, 3, Generation::Old));
    let hidden = pipelines(&gocd).remove(1);
    gocd.misbehave(Fault::LoginPage, Times::Always, &format!("/{hidden}/stages.xml"));
    let output = sync(&ci, &gocd, &["--json"]).run();
    output.assert_code(0);
    assert!(
        output
            .stderr()
            .contains(&format!("pipeline {hidden} was not read to its end")),
        "{output}"
    );
    let told = summary(&output);
    assert_eq!(
        (&told["failed"], &told["failed_pipelines"][0]["pipeline"]),
        (&json!(1), &json!(hidden))
    );
    assert!(!names(&ci).is_empty());
    sync(&ci, &gocd, &["--strict"]).run().assert_code(1);
    gocd.behave();
    sync(&ci, &gocd, &["--strict"]).run().assert_code(0);
    assert!(names(&ci).iter().any(|name| name.contains(&format!("/{hidden}/"))));
}

#[test]
fn a_pipeline_that_is_gone_is_reported_once() {
    let (ci, gocd) = (Ci::new(), gocd(18, 2, Generation::Old));
    sync(&ci, &gocd, &[]).run().assert_code(0);
    let gone = pipelines(&gocd).remove(0);
    gocd.set_access(Access {
        hidden: vec![gone.clone()],
        ..Access::default()
    });
    let output = sync(&ci, &gocd, &["--json"]).run();
    output.assert_code(0);
    let told = format!("pipeline {gone} is not listed any more: renamed, deleted or hidden from the user");
    assert!(output.stderr().contains(&told), "{output}");
    assert_eq!(summary(&output)["gone_pipelines"][0]["pipeline"], json!(gone));
    let output = sync(&ci, &gocd, &["--json"]).run();
    assert!(
        !output.stderr().contains("not listed") && summary(&output)["gone_pipelines"] == json!([]),
        "{output}"
    );
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let (ci, gocd) = (Ci::new(), gocd(9, 1, Generation::Old));
    gocd.stop();
    let output = sync(&ci, &gocd, &["--json"]).run();
    output.assert_code(1);
    assert_eq!(
        summary(&output)["requests"],
        1,
        "those of a round that failed count too"
    );
    insta::assert_snapshot!("no_server", output.stderr().replace(&gocd.url(), "[gocd]"));
}

#[test]
fn a_job_inside_and_the_reader_outside_report_the_same_run() {
    let (ci, gocd) = (Ci::new(), gocd(15, 1, Generation::New));
    sync(&ci, &gocd, &["--server-id", "ci.example.com"])
        .run()
        .assert_code(0);
    let before = names(&ci);
    let bare = before.iter().find(|name| !name.contains("/attempt-")).unwrap();
    let status = ci.record_of(bare).status;
    let (pipeline, counter) = bare
        .strip_prefix("gocd/ci.example.com/")
        .unwrap()
        .split_once('/')
        .unwrap();
    let job = [
        ("GO_SERVER_URL", "https://127.0.0.1:8154/go"),
        ("GO_PIPELINE_NAME", pipeline),
        ("GO_PIPELINE_COUNTER", counter),
        ("GO_REVISION", "1ce6a3b4d46a36d3b2d2d2ba2fa4a1f6a8b7b2c9"),
        ("GO_MATERIAL_URL", "https://git.example.com/zzz/inside.git"),
        ("PIPEFOLD_GOCD_SERVER_ID", "ci.example.com"),
        ("PIPEFOLD_GOCD_IN_JOB", "facts"),
    ];
    let command = ci.pipefold(["exec", "--", "false"]);
    let command = job
        .into_iter()
        .fold(command, |command, (name, value)| command.env(name, value));
    command.run().assert_code(1);
    assert_eq!(names(&ci), before, "no other run");
    let record = ci.record_of(bare);
    assert_eq!(
        (record.status, record.others["repository"].as_str()),
        (status, "zzz/inside")
    );
}
