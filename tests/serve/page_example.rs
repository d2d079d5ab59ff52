//! The examples of DX's page, and runs that pipefold reports, kept by `pipefold serve` as DX would keep them.

use pipefold_tests::page::{self, ID};
use pipefold_tests::{Ci, Collector, PIPELINE, RUN, SOURCE, skipped};
use serde_json::{Value, json};

/// The same as a form, which the page names no example of.
const AS_FORM: &str = r#"curl -X POST https://yourinstance.getdx.net/api/pipelineRuns.upsert \
-H "Authorization: Bearer xxxx-xxxxxxxxx-xxxx" \
--data-urlencode "pipeline_name=build_panda_finder" \
--data-urlencode "pipeline_source=Tekton" \
--data-urlencode "reference_id=AA713E04-1880-4E17-8C49-4A41733DAFCF" \
--data-urlencode "started_at=2025-01-01T12:05:00" \
--data-urlencode "finished_at=2025-01-01T12:10:00" \
--data-urlencode "status=success""#;

/// The record of a run in the collector.
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
    for example in [page::EXAMPLE, AS_FORM] {
        let dir = tempfile::tempdir().unwrap();
        let collector = Collector::start(&dir.path().join("data"));
        let (writer, reader) = (
            collector.token("builds", &["--write"]),
            collector.token("web", &["--read"]),
        );
        let run = |token: &str| page::curl(example, &collector.url, token);
        let Some(answer) = run("wrong") else {
            return skipped("the_pages_command_as_json_and_as_a_form", "there is no curl");
        };
        assert_eq!(answer["error"], "invalid_auth");
        assert_eq!(run(&writer), Some(json!({ "ok": true })));
        let expected = json!({
            "pipeline_name": "build_panda_finder", "pipeline_source": "Tekton", "reference_id": ID,
            "started_at": "2025-01-01T12:05:00Z", "finished_at": "2025-01-01T12:10:00Z", "status": "success",
        });
        assert_eq!(record(&collector, &reader, ID), expected);
        assert_eq!(run(&writer), Some(json!({ "ok": true })), "once more");
        assert_eq!(record(&collector, &reader, ID), expected);
    }
}

#[test]
fn the_pages_table_in_every_order() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(dir.path());
    let mut client = collector.client();
    let mut rows: Vec<usize> = (0..page::TABLE.len()).collect();
    for (number, rows) in permutations(&mut rows).into_iter().enumerate() {
        let id = format!("run-{number}");
        let upserts = page::upserts(&id);
        for row in rows {
            let answer = client.upsert(&upserts[row]).unwrap();
            assert_eq!((answer.status, answer.json()), (200, json!({ "ok": true })));
        }
        assert_eq!(record(&collector, "", &id), page::record(&id));
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
fn reports_are_kept_as_dx_would_keep_them() {
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
