//! What DX's page shows, and what pipefold reports, kept by `pipefold serve` as DX would keep it.

use std::process::Command;

use pipefold_tests::{Ci, Collector, PIPELINE, RUN, SOURCE, skipped};
use serde_json::{Value, json};

/// "Example request" of DX's page for `pipelineRuns.upsert`.
const EXAMPLE: &str = r#"curl -X POST https://yourinstance.getdx.net/api/pipelineRuns.upsert \
-H "Content-Type: application/json" \
-H "Authorization: Bearer xxxx-xxxxxxxxx-xxxx" \
-d '{
"pipeline_name": "build_panda_finder",
"pipeline_source": "Tekton",
"reference_id": "AA713E04-1880-4E17-8C49-4A41733DAFCF",
"started_at": "2025-01-01T12:05:00",
"finished_at": "2025-01-01T12:10:00",
"status": "success"
}'"#;

/// The same as a form, which the page names no example of.
const AS_FORM: &str = r#"curl -X POST https://yourinstance.getdx.net/api/pipelineRuns.upsert \
-H "Authorization: Bearer xxxx-xxxxxxxxx-xxxx" \
--data-urlencode "pipeline_name=build_panda_finder" \
--data-urlencode "pipeline_source=Tekton" \
--data-urlencode "reference_id=AA713E04-1880-4E17-8C49-4A41733DAFCF" \
--data-urlencode "started_at=2025-01-01T12:05:00" \
--data-urlencode "finished_at=2025-01-01T12:10:00" \
--data-urlencode "status=success""#;

const ID: &str = "AA713E04-1880-4E17-8C49-4A41733DAFCF";

/// What is kept of a run.
fn record(collector: &Collector, reader: &str, reference_id: &str) -> Value {
    let answer = collector
        .client()
        .with_token(reader)
        .get(&format!("/api/runs/{reference_id}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["run"]["record"].clone()
}

#[test]
fn the_pages_command_as_json_and_as_a_form() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("the_pages_command_as_json_and_as_a_form", "there is no curl");
    }
    for example in [EXAMPLE, AS_FORM] {
        let dir = tempfile::tempdir().unwrap();
        let collector = Collector::start(&dir.path().join("data"));
        let (writer, reader) = (
            collector.token("builds", &["--write"]),
            collector.token("web", &["--read"]),
        );
        let run = |token: &str| {
            let command = example
                .replace("https://yourinstance.getdx.net", &collector.url)
                .replace("xxxx-xxxxxxxxx-xxxx", token)
                .replace("curl ", "curl --noproxy '*' --silent --show-error ");
            let output = Command::new("sh").args(["-c", &command]).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            serde_json::from_slice::<Value>(&output.stdout).unwrap()
        };
        assert_eq!(run("wrong")["error"], "invalid_auth");
        assert_eq!(run(&writer), json!({ "ok": true }));
        let expected = json!({
            "pipeline_name": "build_panda_finder", "pipeline_source": "Tekton", "reference_id": ID,
            "started_at": "2025-01-01T12:05:00Z", "finished_at": "2025-01-01T12:10:00Z", "status": "success",
        });
        assert_eq!(record(&collector, &reader, ID), expected);
        assert_eq!(run(&writer), json!({ "ok": true }), "once more");
        assert_eq!(record(&collector, &reader, ID), expected);
    }
}

/// The table of DX's page, "Usage info". It prints the last finish as 11:46:67, which is no time of day.
const TABLE: [(&str, Option<&str>, &str); 5] = [
    ("11:25:18", None, "running"),
    ("11:25:21", None, "success"),
    ("11:24:40", None, "failure"),
    ("11:25:21", None, "running"),
    ("11:26:07", Some("11:46:07"), "success"),
];

#[test]
fn the_pages_table_in_every_order() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(dir.path());
    let mut client = collector.client();
    let mut rows: Vec<usize> = (0..TABLE.len()).collect();
    for (number, rows) in permutations(&mut rows).into_iter().enumerate() {
        let id = format!("run-{number}");
        for row in rows {
            let (started, finished, status) = TABLE[row];
            let mut arguments = json!({
                "pipeline_name": "test_run", "pipeline_source": "Tekton", "reference_id": id,
                "started_at": format!("2025-01-01T{started}"), "status": status,
            });
            if let Some(finished) = finished {
                arguments["finished_at"] = format!("2025-01-01T{finished}").into();
            }
            let answer = client.upsert(&arguments).unwrap();
            assert_eq!((answer.status, answer.json()), (200, json!({ "ok": true })));
        }
        assert_eq!(
            record(&collector, "", &id),
            json!({
                "pipeline_name": "test_run", "pipeline_source": "Tekton", "reference_id": id,
                "started_at": "2025-01-01T11:24:40Z", "finished_at": "2025-01-01T11:46:07Z", "status": "failure",
            })
        );
    }
}

/// Every order of these.
fn permutations(items: &mut Vec<usize>) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for at in 0..items.len() {
        let item = items.remove(at);
        for mut rest in permutations(items) {
            rest.insert(0, item);
            all.push(rest);
        }
        items.insert(at, item);
    }
    all
}

#[test]
fn what_the_reporter_says_is_kept_as_dx_would() {
    let with_start = [
        "start --started-at 2025-01-01T11:00:00Z --head-branch main --repository o/r --pr-number 7",
        "step --step compile --status success --started-at 2025-01-01T11:01:00Z --email a@example.com",
        "step --step test --now --status success --started-at 2025-01-01T11:02:00Z --github-username octocat",
        "finish --status success --finished-at 2025-01-01T11:03:00Z --source-url http://ci.example/1 --commit-sha abc",
    ];
    let failing = [
        "exec --started-at 2025-01-01T11:00:00Z --finished-at 2025-01-01T11:09:00Z --gitlab-username tanuki -- sh -c false",
    ];
    for (commands, code) in [(&with_start[..], 0), (&failing[..], 1)] {
        let ci = Ci::new();
        let collector = Collector::start(&ci.directory().join("data"));
        let (writer, reader) = (
            collector.token("builds", &["--write"]),
            collector.token("web", &["--read"]),
        );
        for command in commands {
            ci.report(command.split(' ')).run().assert_code(code);
            let here = ci
                .report(command.split(' '))
                .env("PIPEFOLD_SPOOL", ci.directory().join("spool-2"));
            here.env("DX_API_URL", &collector.url)
                .env("DX_API_TOKEN", &writer)
                .run()
                .assert_code(code);
        }
        let mut expected = ci.record().to_json();
        expected.as_object_mut().unwrap().remove("upserts");
        assert_eq!(record(&collector, &reader, RUN), expected);
        assert_eq!(
            (&expected["pipeline_name"], &expected["pipeline_source"]),
            (&json!(PIPELINE), &json!(SOURCE))
        );
    }
}
