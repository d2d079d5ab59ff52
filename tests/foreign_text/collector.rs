//! Hostile text reported to a collector, as shown by it and by a reader of its feeds.

use pipefold_tests::{Ci, Collector};
use serde_json::json;

use crate::Shown::{No, Perhaps, Yes};
use crate::{MARK, TEXT, assert_holds, assert_safe, check, lines};

/// A value, escaped for a path.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn what_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start_with(dir.path(), &["-vv"]);
    let mut client = collector.client();
    let run = json!({
        "pipeline_name": TEXT, "pipeline_source": TEXT, "reference_id": TEXT, "started_at": "2025-01-01T12:05:00Z", "status": "success",
        "finished_at": "2025-01-01T12:06:00Z", "repository": TEXT, "commit_sha": TEXT, "head_branch": TEXT, "email": TEXT,
        "github_username": TEXT, "source_url": TEXT,
    });
    assert_eq!(client.upsert(&run).unwrap().status, 200);
    let named = encoded(TEXT);
    for path in [
        "/".to_owned(),
        "/pipelines".into(),
        format!("/runs/{named}"),
        format!("/pipelines/{named}"),
    ] {
        let page = client.get(&path).text();
        assert!(page.contains(MARK), "{path}: {page}");
        // A page is no log: what cannot be seen, or reorders what can, is shown otherwise there, and nothing else.
        assert_safe(&path, &page.replace("##", "").replace("::", ""));
    }
    for path in ["/api/runs".to_owned(), format!("/api/runs/{named}")] {
        let answer = client.get(&path).text();
        assert_safe(&path, &answer);
        assert_holds(&path, &answer);
    }
    for wrong in [
        json!({ "status": TEXT }),
        json!({ "started_at": TEXT }),
        json!({ lines(): lines() }),
        json!(lines()),
    ] {
        assert_safe("a refusal", &client.upsert(&wrong).unwrap().text());
    }
    // It has GoCD's feeds, and names in them that no GoCD server would have.
    let ci = Ci::new();
    let url = format!("{}/go", collector.url);
    let rows = [
        ("gocd sync --dry-run --server=@", Yes),
        ("gocd sync -vvv --server=@", Yes),
        ("gocd sync --server=@", Perhaps),
        ("status", Perhaps),
    ];
    check(&ci, &url, &rows);
    assert!(ci.dx.upserts().iter().any(|run| run["pipeline_name"] == TEXT));
    check(
        &ci,
        dir.path().to_str().unwrap(),
        &[("token list --data-dir=@", No), ("token list --json --data-dir=@", No)],
    );
    assert_safe("its log", &collector.stop().log);
}
