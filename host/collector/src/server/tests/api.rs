//! The answers of the API: errors, lists and runs.

use super::support::{EXAMPLE, Running, Setup, post, start};
use crate::access::{Rights, TokenFile};
use serde_json::{Value, json};

fn with_tokens() -> Setup {
    Setup {
        tokens: vec![
            ("all", Rights::ReadWrite, "*"),
            ("web", Rights::ReadWrite, "web-*"),
            ("reads", Rights::Read, "*"),
            ("writes", Rights::Write, "*"),
        ],
        ..Setup::default()
    }
}

fn run(pipeline: &str, reference_id: &str, more: &str) -> String {
    format!(
        r#"{{"pipeline_name":"{pipeline}","pipeline_source":"s","reference_id":"{reference_id}","started_at":"2025-01-01T12:05:00"{more}}}"#
    )
}

#[test]
fn tokens_that_are_missing_malformed_unknown_or_revoked() {
    let server = start(with_tokens());
    let refusal = |headers: &str| server.upsert(headers, EXAMPLE).refusal();
    for headers in [
        "",
        "Authorization: Basic eA==\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: x\r\n",
        "X-Authorization: Bearer x\r\n",
    ] {
        assert_eq!(refusal(headers), (401, "not_authed".into()), "{headers}");
    }
    let twice = server.bearer(0) + &server.bearer(0);
    assert_eq!(refusal(&twice), (401, "not_authed".into()));
    assert_eq!(refusal("Authorization: Bearer wrong\r\n"), (401, "invalid_auth".into()));
    assert_eq!(
        refusal(&server.bearer(2)),
        (401, "invalid_auth".into()),
        "it may only read"
    );
    let answer = server.upsert("Authorization: Bearer wrong\r\n", EXAMPLE);
    assert!(
        answer
            .header("www-authenticate")
            .is_some_and(|value| value.starts_with("Bearer"))
    );
    assert!(!answer.body.contains("wrong"));

    assert_eq!(server.upsert(&server.bearer(3), EXAMPLE).json(), json!({ "ok": true }));
    TokenFile::of(server.dir.path())
        .revoke(&"writes".parse().unwrap())
        .unwrap();
    assert_eq!(
        refusal(&server.bearer(3)),
        (401, "invalid_auth".into()),
        "revoked while running"
    );
}

#[test]
fn the_first_token_closes_the_server_and_the_last_does_not_open_it() {
    let server = start(Setup::default());
    assert_eq!(server.upsert("", EXAMPLE).status, 200);
    let (file, name) = (TokenFile::of(server.dir.path()), "a".parse().unwrap());
    let secret = file
        .add(name, crate::access::Access::everything(), chrono::Utc::now())
        .unwrap();
    assert_eq!(server.upsert("", EXAMPLE).refusal(), (401, "not_authed".into()));
    let bearer = format!("Authorization: Bearer {}\r\n", secret.reveal());
    assert_eq!(server.upsert(&bearer, EXAMPLE).status, 200);
    file.revoke(&"a".parse().unwrap()).unwrap();
    assert_eq!(server.upsert("", EXAMPLE).refusal(), (401, "not_authed".into()));
    assert_eq!(server.upsert(&bearer, EXAMPLE).refusal(), (401, "invalid_auth".into()));
}

#[test]
fn unreadable_tokens_let_no_request_in() {
    let server = start(with_tokens());
    std::fs::write(server.dir.path().join("tokens.json"), "{").unwrap();
    let answer = server.upsert(&server.bearer(0), EXAMPLE);
    assert_eq!(answer.refusal(), (503, "service_unavailable".into()));
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn what_a_body_can_be_wrong_in() {
    let server = start(Setup::default());
    let post = |body: &str| server.upsert("", body);
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\u{0}",
        "\u{feff}",
        "3",
        r#"{"email":{}}"#,
        r#"{"email":"a","email":"b"}"#,
        r#"{"pr_number":1.5}"#,
        "{}x",
    ] {
        assert_eq!(post(body).refusal(), (400, "invalid_json".into()), "{body}");
    }
    let as_form = server.upsert("Content-Type: application/x-www-form-urlencoded\r\n", EXAMPLE);
    assert_eq!(as_form.refusal(), (400, "invalid_json".into()));
    assert!(
        as_form.body.contains("Content-Type: application/json"),
        "{}",
        as_form.body
    );
    for body in [
        "{}",
        "\u{feff}{}",
        r#"{"reference_id":"r"}"#,
        &run(" ", "r", ""),
        &run("p", "", ""),
    ] {
        assert_eq!(post(body).refusal(), (422, "required_params_missing".into()), "{body}");
    }
    for more in [
        r#","finished_at":"yesterday""#,
        r#","finished_at":"2025-01-01T11:46:67""#,
        r#","finished_at":"2024-01-01""#,
    ] {
        assert_eq!(
            post(&run("p", "r", more)).refusal(),
            (422, "invalid_timestamp".into()),
            "{more}"
        );
    }
    let long = format!(r#","head_branch":"{}""#, "x".repeat(4097));
    for (more, fault) in [
        (r#","status":"green""#, "invalid_status"),
        (r#","commit_sha":"abc""#, "repository_required"),
        (r#","pr_number":0,"repository":"o/r""#, "invalid_pr_number"),
        (r#","email":"a\u0000b""#, "invalid_text"),
        (long.as_str(), "too_long"),
    ] {
        let answer = post(&run("p", "r", more));
        assert_eq!(answer.refusal(), (422, "invalid_arguments".into()), "{more}");
        assert_eq!(answer.json()["violations"][0]["fault"], fault);
    }
    assert_eq!(
        server.get("/api/runs", "").json()["runs"],
        json!([]),
        "nothing of it was kept"
    );
}

#[test]
fn runs_and_pipelines_of_others() {
    let server = start(with_tokens());
    let post = |token: usize, body: &str| server.upsert(&server.bearer(token), body);
    assert_eq!(post(1, &run("api", "1", "")).refusal(), (403, "no_permission".into()));
    assert_eq!(post(0, &run("api", "1", "")).status, 200);
    assert_eq!(
        post(1, &run("web-1", "1", "")).refusal(),
        (403, "no_permission".into()),
        "it belongs to api"
    );
    assert_eq!(post(1, &run("web-1", "2", "")).status, 200);

    let get = |path: &str, token: usize| server.get(path, &server.bearer(token));
    let names = |token: usize| -> Vec<String> {
        let runs = get("/api/runs", token).json()["runs"].take();
        runs.as_array()
            .unwrap()
            .iter()
            .map(|run| run["pipeline"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!((names(2).len(), names(1)), (2, vec!["web-1".to_owned()]));
    assert_eq!(get("/api/runs/1", 0).status, 200);
    assert_eq!(
        get("/api/runs/1", 1).refusal(),
        (404, "not_found".into()),
        "as if there were none"
    );
    let pipelines = |token: usize| get("/api/pipelines", token).json()["total"].take();
    assert_eq!((pipelines(2), pipelines(1)), (json!(2), json!(1)));
    let (hidden, absent) = (get("/api/pipelines/api", 1), get("/api/pipelines/none", 1));
    assert_eq!((hidden.status, hidden.body), (404, absent.body));
    assert_eq!(get("/api/pipelines/web-1", 1).status, 200);
    for path in [
        "/api/runs",
        "/api/runs/1",
        "/api/pipelines",
        "/api/pipelines/web-1",
        "/metrics",
    ] {
        assert_eq!(get(path, 3).refusal(), (403, "no_permission".into()), "{path}");
        assert_eq!(server.get(path, "").refusal(), (401, "not_authed".into()), "{path}");
    }
    assert_eq!(
        (
            server.get("/healthz", "").status,
            server.get("/api/openapi.json", "").status
        ),
        (200, 200)
    );
}

#[test]
fn addresses_methods_and_content_types() {
    let server = start(Setup::default());
    for path in ["/", "/api", "/api/pipelineruns.upsert", "/API/runs", "/api/runs/a/b"] {
        assert_eq!(server.get(path, "").refusal(), (404, "not_found".into()), "{path}");
    }
    for (path, tidy) in [
        ("/api/", "/api"),
        ("/api/runs/?limit=1", "/api/runs?limit=1"),
        ("/api//runs", "/api/runs"),
        ("//evil.example/", "/evil.example"),
        ("/healthz/", "/healthz"),
    ] {
        let answer = server.get(path, "");
        assert_eq!((answer.status, answer.header("location")), (308, Some(tidy)), "{path}");
    }
    let shown = server.get("/nothing", "Accept: text/html,*/*;q=0.8\r\n");
    assert_eq!(
        (shown.status, shown.header("content-type")),
        (404, Some("text/html; charset=utf-8"))
    );
    assert!(shown.header("content-security-policy").is_some() && shown.body.contains("<h1>Not found</h1>"));
    let answer = server.get("/api/pipelineRuns.upsert", "");
    assert_eq!(answer.refusal(), (405, "method_not_allowed".into()));
    assert_eq!(answer.header("allow"), Some("POST"));
    for method in ["PUT", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = server.send(format!("{method} /api/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
        assert_eq!(answer.refusal(), (405, "method_not_allowed".into()), "{method}");
    }
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "",
        "json",
    ] {
        let answer = server.upsert(&format!("Content-Type: {kind}\r\n"), EXAMPLE);
        assert_eq!(answer.refusal(), (415, "unsupported_media_type".into()), "{kind}");
    }
    let answer = server.upsert("Content-Encoding: gzip\r\n", EXAMPLE);
    assert_eq!(answer.refusal(), (415, "unsupported_media_type".into()));
    assert_eq!(
        server
            .upsert("Content-Type: Application/JSON; charset=utf-8\r\n", EXAMPLE)
            .status,
        200
    );
}

#[test]
fn pages_of_other_servers_are_refused_where_no_token_is_asked_for() {
    let server = start(Setup::default());
    let rebound = post("", EXAMPLE).replace("Host: 127.0.0.1", "Host: evil.example");
    assert_eq!(server.send(rebound).refusal(), (403, "forbidden".into()));
    let cross = server.upsert("Origin: https://evil.example\r\n", EXAMPLE);
    assert_eq!(cross.refusal(), (403, "forbidden".into()));
}

#[test]
fn a_request_names_its_server_once() {
    let server = start(Setup::default());
    for head in [
        "GET /healthz HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    ] {
        assert_eq!(server.send(head).refusal(), (400, "invalid_arguments".into()), "{head}");
    }
    assert_eq!(server.send("GET /healthz HTTP/1.0\r\n\r\n").status, 200);
}

#[test]
fn an_open_server_answers_no_request_from_a_proxy() {
    let server = start(Setup::default());
    for header in [
        "X-Forwarded-For: 203.0.113.9",
        "Forwarded: for=203.0.113.9",
        "Via: 1.1 proxy",
        "X-Real-IP: ::1",
    ] {
        for answer in [
            server.upsert(&format!("{header}\r\n"), EXAMPLE),
            server.get("/api/runs", &format!("{header}\r\n")),
        ] {
            assert_eq!(answer.refusal(), (403, "forbidden".into()), "{header}");
        }
    }
}

pub fn document(server: &Running) -> Value {
    server.get("/api/openapi.json", "").json()
}

/// Returns true if `value` fits `schema`, in the part of the language that the document uses.
pub fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{why}: {value} by {schema}"));
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(document, document.pointer(&reference[1..]).unwrap(), value);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fits(document, part, value)?;
    }
    if let Some(any) = schema["oneOf"].as_array() {
        return any
            .iter()
            .map(|one| fits(document, one, value))
            .find(Result::is_ok)
            .unwrap_or_else(|| wrong("none of"));
    }
    if schema.get("const").is_some_and(|only| only != value)
        || schema["enum"].as_array().is_some_and(|all| !all.contains(value))
    {
        return wrong("another value");
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = &schema["type"];
    if !kinds.is_null() && kinds != kind && !kinds.as_array().is_some_and(|all| all.contains(&kind.into())) {
        return wrong("another type");
    }
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item)?;
    }
    let Some(object) = value.as_object() else { return Ok(()) };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !object.contains_key(name.as_str().unwrap()) {
            return wrong(&format!("without {name}"));
        }
    }
    for (name, value) in object {
        match schema["properties"].get(name) {
            Some(schema) => fits(document, schema, value)?,
            // Parts of an allOf know of each other's names.
            None if schema["properties"].is_null() || name == "received" || name == "forwarding" => {}
            None if object.contains_key("received") && object.contains_key("counter") => {}
            None => return wrong(&format!("with {name}")),
        }
    }
    Ok(())
}

const JOB: &str = r#"{"pipeline_source":"s","run_reference_id":"r","reference_id":"j","name":"j","status":"success","started_at":"2025-01-01T12:05:00Z"}"#;

#[test]
fn every_answer_fits_the_document() {
    let server = start(Setup::default());
    assert_eq!(server.upsert("", EXAMPLE).status, 200);
    let full = r#"{"pipeline_name":"p","pipeline_source":"s","reference_id":"r","started_at":"2025-01-01T12:05:00Z","status":"failure",
        "repository":"o/r","commit_sha":"abc","pr_number":7,"source_url":"https://ci/1","head_branch":"main","email":"a@b.c",
        "github_username":"g","gitlab_username":"l","finished_at":"2025-01-01T12:06:00Z"}"#;
    assert_eq!(server.upsert("", full).status, 200);
    let document = document(&server);
    let get = |path: &str| {
        (
            "get",
            path.split(['?']).next().unwrap().to_owned(),
            server.get(path, ""),
        )
    };
    let run = |path: &str| ("get", "/api/runs/{reference_id}".to_owned(), server.get(path, ""));
    let pipeline = |path: &str| ("get", "/api/pipelines/{name}".to_owned(), server.get(path, ""));
    let put = |body: &str| ("post", "/api/pipelineRuns.upsert".to_owned(), server.upsert("", body));
    let put_job = |body: &str| {
        (
            "post",
            "/api/pipelineJobs.upsert".to_owned(),
            server.upsert_job("", body),
        )
    };
    let answers = [
        get("/api/runs"),
        get("/api/runs?limit=1"),
        get("/api/runs?limit=0"),
        get("/api/runs?text=panda"),
        get("/healthz"),
        run("/api/runs/r"),
        run("/api/runs/none"),
        get("/api/pipelines?sort=x"),
        get("/api/pipelines?limit=1&days=365"),
        pipeline("/api/pipelines/p?days=365"),
        pipeline("/api/pipelines/p?all=1"),
        pipeline("/api/pipelines/none"),
        pipeline("/api/pipelines/p?days=2"),
        put(full),
        put("{"),
        put("{}"),
        put(&full.replace("failure", "green")),
        put_job(JOB),
        put_job("{"),
        put_job("{}"),
        put_job(&JOB.replace("\"r\"", "\"none\"")),
        run("/api/runs/r"),
    ];
    for (method, path, answer) in answers {
        let responses = &document["paths"][&path][method]["responses"];
        let mut response = &responses[&answer.status.to_string()];
        if let Some(reference) = response["$ref"].as_str() {
            response = document.pointer(&reference[1..]).unwrap();
        }
        let schema = &response["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "{path} {}: {answer:?}", answer.status);
        fits(&document, schema, &answer.json()).unwrap_or_else(|why| panic!("{path}: {why}"));
    }
    for path in document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|path| !path.contains('{'))
    {
        assert_ne!(server.get(path, "").status, 404, "{path}");
    }
}

#[test]
fn pages_follow_each_other_to_the_end_and_filters_filter() {
    let server = start(Setup::default());
    for n in 0..25 {
        let (status, branch) = if n % 5 == 0 {
            ("failure", "main")
        } else {
            ("success", "dev")
        };
        let body = format!(
            r#"{{"pipeline_name":"p{}","pipeline_source":"s","reference_id":"r{n}","started_at":"2025-01-01T12:{n:02}:00","status":"{status}","head_branch":"{branch}"}}"#,
            n % 2
        );
        assert_eq!(server.upsert("", &body).status, 200);
    }
    let all = |filter: &str| {
        let (mut names, mut next) = (Vec::new(), String::new());
        loop {
            let page = server.get(&format!("/api/runs?limit=10{filter}{next}"), "").json();
            let runs = page["runs"].as_array().unwrap();
            names.extend(
                runs.iter()
                    .map(|run| run["record"]["reference_id"].as_str().unwrap().to_owned()),
            );
            match page["next"].as_str() {
                Some(cursor) => next = format!("&after={cursor}"),
                None => return names,
            }
        }
    };
    let newest_first: Vec<String> = (0..25).rev().map(|n| format!("r{n}")).collect();
    assert_eq!(all(""), newest_first);
    assert_eq!(all("&status=failure"), ["r20", "r15", "r10", "r5", "r0"]);
    assert_eq!(all("&status=failure&pipeline=p0"), ["r20", "r10", "r0"]);
    assert_eq!(all("&branch=dev").len(), 20);
    assert_eq!(all("&text=r7"), ["r7"]);
    for bad in ["limit=x", "after=y", "status=z", "pipelin=p0", "limit=5&limit=6"] {
        assert_eq!(
            server.get(&format!("/api/runs?{bad}"), "").refusal(),
            (422, "invalid_arguments".into()),
            "{bad}"
        );
    }
}
