//! `DELETE` of runs.

use super::support::{Answer, Setup, start};
use crate::access::Rights;

#[test]
fn runs_are_removed_one_by_one_or_by_a_filter() {
    let server = start(Setup {
        tokens: vec![
            ("all", Rights::ReadWrite, "*"),
            ("web", Rights::ReadWrite, "web"),
            ("read", Rights::Read, "*"),
        ],
        ..Setup::default()
    });
    let all = server.bearer(0);
    for (n, pipeline) in ["web", "web", "api", "api"].into_iter().enumerate() {
        let body = format!(
            r#"{{"pipeline_name":"{pipeline}","pipeline_source":"s","reference_id":"r{n}","started_at":"2025-01-01T12:00:00Z","status":"success","email":"p{}@x.org"}}"#,
            n % 2
        );
        assert_eq!(
            server
                .upsert(&format!("{all}Content-Type: application/json\r\n"), &body)
                .status,
            200
        );
    }
    let delete =
        |path: &str, headers: &str| server.send(format!("DELETE {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n"));
    let left = || server.get("/api/runs", &all).json()["total"].as_u64().unwrap();
    let removed = |answer: Answer| answer.json()["removed"].as_u64().unwrap();
    for (path, token) in [("/api/runs/r0", 2), ("/api/runs?pipeline=web", 2)] {
        assert_eq!(
            delete(path, &server.bearer(token)).refusal(),
            (403, "no_permission".into()),
            "{path}"
        );
    }
    assert_eq!(
        delete("/api/runs/r2", &server.bearer(1)).status,
        404,
        "of another pipeline"
    );
    for query in [
        "",
        "?",
        "?limit=5",
        "?text=r",
        "?person=p&match=part",
        "?pipeline=web&after=5.5",
    ] {
        assert_eq!(
            delete(&format!("/api/runs{query}"), &all).refusal(),
            (422, "invalid_arguments".into()),
            "{query}"
        );
    }
    assert_eq!(left(), 4);
    assert_eq!(removed(delete("/api/runs/r0", &server.bearer(1))), 1);
    assert_eq!((server.get("/api/runs/r0", &all).status, left()), (404, 3));
    assert_eq!(
        removed(delete("/api/runs?person=p1%40x.org", &server.bearer(1))),
        1,
        "of its own pipeline"
    );
    assert_eq!(removed(delete("/api/runs?person=p1%40x.org", &all)), 1);
    assert_eq!(removed(delete("/api/runs?pipeline=api", &all)), 1);
    assert_eq!(left(), 0);
}
