//! What DX's page shows, through HTTP.

use super::support::{EXAMPLE, Setup, post, read_answer, start};
use serde_json::json;
use std::io::Write;

#[test]
fn the_curl_example_gives_its_record() {
    let server = start(Setup::default());
    // As curl sends it: the page's three headers, curl's own, and a token that nobody asks for.
    let headers = "User-Agent: curl/8.5.0\r\nAccept: */*\r\nContent-Type: application/json\r\nAuthorization: Bearer xxxx-xxxxxxxxx-xxxx\r\n";
    let answer = server.upsert(headers, EXAMPLE);
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"ok":true}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        server.record("AA713E04-1880-4E17-8C49-4A41733DAFCF"),
        json!({
            "pipeline_name": "build_panda_finder", "pipeline_source": "Tekton", "reference_id": "AA713E04-1880-4E17-8C49-4A41733DAFCF",
            "started_at": "2025-01-01T12:05:00Z", "finished_at": "2025-01-01T12:10:00Z", "status": "success",
        })
    );
}

#[test]
fn the_merge_example_in_any_order_over_one_connection() {
    let steps = [
        r#""started_at":"2025-01-01T11:25:18","status":"running""#,
        r#""started_at":"2025-01-01T11:25:21","status":"success""#,
        r#""started_at":"2025-01-01T11:24:40","status":"failure""#,
        r#""started_at":"2025-01-01T11:25:21","status":"running""#,
        r#""started_at":"2025-01-01T11:26:07","finished_at":"2025-01-01T11:46:07","status":"success""#,
    ];
    let server = start(Setup::default());
    let mut stream = server.connect();
    for begin in 0..steps.len() {
        for at in 0..steps.len() {
            let step = steps[(begin + at) % steps.len()];
            let body =
                format!(r#"{{"pipeline_name":"test_run","pipeline_source":"x","reference_id":"r{begin}",{step}}}"#);
            stream.write_all(post("", &body).as_bytes()).unwrap();
            assert_eq!(read_answer(&mut stream).unwrap().json(), json!({ "ok": true }));
        }
        let record = server.record(&format!("r{begin}"));
        assert_eq!(record["started_at"], "2025-01-01T11:24:40Z");
        assert_eq!(record["finished_at"], "2025-01-01T11:46:07Z");
        assert_eq!(record["status"], "failure");
    }
}

#[test]
fn a_form_says_the_same_and_the_number_may_be_text() {
    let server = start(Setup::default());
    let form = "pipeline_name=a+b&pipeline_source=X&reference_id=form%2f1&started_at=2025-01-01T12:05:00%2b02:00&pr_number=3&repository=o/r";
    let answer = server.upsert(
        "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n",
        form,
    );
    assert_eq!(answer.json(), json!({ "ok": true }));
    let expected = json!({
        "pipeline_name": "a b", "pipeline_source": "X", "reference_id": "form/1", "started_at": "2025-01-01T10:05:00Z", "status": "unknown",
        "repository": "o/r", "pr_number": 3,
    });
    assert_eq!(server.record("form%2F1"), expected);
    let number = r#"{"pipeline_name":"a b","pipeline_source":"X","reference_id":"form/1","started_at":"2025-01-01T10:05:00","pr_number":"3",
        "repository":"o/r","branch":{"a":[1]},"email":null}"#;
    let answer = server.upsert("", number).json();
    let warning = "unknown arguments, which DX ignores: branch";
    assert_eq!(answer, json!({ "ok": true, "warnings": [warning] }));
    assert_eq!(server.record("form%2F1"), expected);
}
