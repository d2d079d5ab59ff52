//! `GET /api/runs` and its kin against what `openapi.json` promises.

use super::support::{EXAMPLE, Running, Setup, start};
use serde_json::Value;

fn document(server: &Running) -> Value {
    server.get("/api/openapi.json", "").json()
}

/// Returns whether `value` is what `schema` says, as far as the document uses the language.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
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

#[test]
fn every_answer_is_as_the_document_says() {
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
    let put = |body: &str| ("post", "/api/pipelineRuns.upsert".to_owned(), server.upsert("", body));
    let answers = [
        get("/api/runs"),
        get("/api/runs?limit=1"),
        get("/api/runs?limit=0"),
        get("/api/runs?text=panda"),
        get("/healthz"),
        run("/api/runs/r"),
        run("/api/runs/none"),
        put(full),
        put("{"),
        put("{}"),
        put(&full.replace("failure", "green")),
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
