//! The request that is sent, and the outcome of each answer.

use std::time::Duration;

use dx_standin::{Mode, Options, RetryAfter, Standin, Times};
use pipefold::dx::{Outcome, ProxyOptions};
use pipefold::{Run, Token};
use serde_json::json;

use crate::support::*;

#[test]
fn a_run_arrives_as_dx_s_page_describes() {
    let dx = Standin::start();
    assert_eq!(upsert(&dx, AMPLE), Outcome::Accepted);
    let request = &dx.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/api/pipelineRuns.upsert")
    );
    assert_eq!(request.authorization, Some(format!("Bearer {}", dx.token())));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(
        request.header("user-agent"),
        Some(concat!("pipefold/", env!("CARGO_PKG_VERSION")))
    );
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    for name in &names {
        assert_eq!(
            names.iter().filter(|other| other == &name).count(),
            1,
            "{name} was sent twice"
        );
    }
    let record = &dx.records()["r"];
    assert_eq!(
        (record.status.as_str(), record.pr_number, record.get("repository")),
        ("success", Some(7), Some("o/r"))
    );
}

#[test]
fn a_prefix_before_the_path_is_kept() {
    let dx = Standin::start();
    let client = client_for(
        &format!("{}/behind/a/gateway/", dx.url()),
        None,
        ProxyOptions::default(),
    );
    assert_eq!(client.upsert(&run("r"), &token(&dx), AMPLE), Outcome::Accepted);
    assert_eq!(dx.requests()[0].path, "/behind/a/gateway/api/pipelineRuns.upsert");
}

#[test]
fn errors_of_the_page() {
    let dx = Standin::start();
    let wrong = Token::new("wrong".to_owned()).unwrap();
    let outcome = client(&dx).upsert(&run("r"), &wrong, AMPLE);
    assert!(
        matches!(&outcome, Outcome::Unauthorised { code, .. } if code == "invalid_auth"),
        "{outcome:?}"
    );
    let with = |change: fn(&mut Run)| {
        let mut run = run("r");
        change(&mut run);
        client(&dx).upsert(&run, &token(&dx), AMPLE)
    };
    let outcome = with(|run| run.started_at = "yesterday".to_owned());
    assert!(
        matches!(&outcome, Outcome::Rejected { code, .. } if code == "invalid_timestamp"),
        "{outcome:?}"
    );
    let outcome = with(|run| run.pipeline_name = String::new());
    assert!(
        matches!(&outcome, Outcome::Rejected { code, message } if code == "required_params_missing" && message.contains("pipeline_name")),
        "{outcome:?}"
    );
    for (code, status) in [("not_authed", 401), ("account_inactive", 403), ("invalid_auth", 200)] {
        dx.misbehave(
            Mode::NotOk {
                code: code.to_owned(),
                status,
            },
            Times::Next(1),
        );
        assert!(matches!(upsert(&dx, AMPLE), Outcome::Unauthorised { .. }), "{code}");
    }
    dx.misbehave(
        Mode::NotOk {
            code: "invalid_json".to_owned(),
            status: 400,
        },
        Times::Next(1),
    );
    assert!(matches!(upsert(&dx, AMPLE), Outcome::Rejected { .. }));
    dx.misbehave(
        Mode::NotOk {
            code: "team_not_found".to_owned(),
            status: 404,
        },
        Times::Next(1),
    );
    assert!(matches!(upsert(&dx, AMPLE), Outcome::Refused { status: 404, code, .. } if code == "team_not_found"));
}

#[test]
fn trouble_of_the_server_is_to_be_retried() {
    let dx = Standin::start();
    for (retry_after, expected) in [
        (RetryAfter::None, None),
        (RetryAfter::Seconds(7), Some(7)),
        (RetryAfter::Seconds(1_000_000), Some(3600)),
        (RetryAfter::Date(-60), Some(0)),
        (RetryAfter::Date(100_000), Some(3600)),
    ] {
        dx.misbehave(Mode::TooManyRequests { retry_after }, Times::Next(1));
        match upsert(&dx, AMPLE) {
            Outcome::Retry { after, .. } => assert_eq!(after.map(|after| after.as_secs()), expected, "{retry_after:?}"),
            other => panic!("{other:?}"),
        }
    }
    for (mode, words) in [
        (Mode::InternalError, "500"),
        (Mode::BadGateway, "502"),
        (Mode::NotJson, "not from DX"),
        (
            Mode::Plain {
                status: 403,
                body: "<html>blocked</html>".to_owned(),
            },
            "403",
        ),
        (
            Mode::Plain {
                status: 401,
                body: String::new(),
            },
            "401",
        ),
    ] {
        dx.misbehave(mode, Times::Next(1));
        let outcome = upsert(&dx, AMPLE);
        assert!(why(&outcome).contains(words), "{outcome:?}");
    }
    assert!(dx.records().is_empty());
}

#[test]
fn a_redirect_never_carries_the_token_away() {
    let elsewhere = Standin::start();
    let dx = Standin::start();
    for status in [301, 302, 303, 307, 308] {
        let to = format!(
            "{}/api/pipelineRuns.upsert",
            elsewhere.url().replace("127.0.0.1", "localhost")
        );
        dx.set_mode(Mode::Redirect { status, to });
        assert_eq!(
            upsert(&dx, AMPLE),
            Outcome::Redirected {
                status,
                to_host: "localhost".to_owned()
            }
        );
    }
    dx.set_mode(Mode::Redirect {
        status: 302,
        to: "/login".to_owned(),
    });
    assert_eq!(
        upsert(&dx, AMPLE),
        Outcome::Redirected {
            status: 302,
            to_host: "the same host".to_owned()
        }
    );
    assert!(elsewhere.requests().is_empty());
    assert_eq!(dx.requests().len(), 6);
}

#[test]
fn an_echoed_token_is_not_repeated() {
    let dx = Standin::start_with(Options {
        tokens: vec!["sesame-open-1234".to_owned()],
        tls: false,
    });
    for status in [200, 400, 429, 500] {
        let body = json!({ "ok": false, "error": "bad", "message": format!("\u{1b}[31mno such key: {}", dx.token()) });
        dx.set_mode(Mode::Plain {
            status,
            body: body.to_string(),
        });
        let outcome = upsert(&dx, AMPLE);
        let text = format!("{outcome} {outcome:?}");
        assert!(
            text.contains("no such key: (token)") && !text.contains("sesame") && !text.contains('\u{1b}'),
            "{text}"
        );
    }
    assert!(!format!("{:?}", client(&dx)).contains("sesame"));
}

#[test]
fn a_probe_sends_neither_token_nor_run() {
    let dx = Standin::start();
    let probe = client(&dx).probe(AMPLE).unwrap();
    assert_eq!((probe.status, probe.redirected_to), (405, None));
    assert!(probe.latency > Duration::ZERO);
    let request = &dx.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.authorization.as_deref()),
        ("HEAD", None)
    );
    assert!(request.body.is_empty());

    dx.misbehave(
        Mode::Redirect {
            status: 302,
            to: "https://login.example/x?y".to_owned(),
        },
        Times::Next(1),
    );
    assert_eq!(
        client(&dx).probe(AMPLE).unwrap().redirected_to.as_deref(),
        Some("login.example")
    );
    dx.set_mode(Mode::Hang);
    assert!(
        quickly(|| client(&dx).probe(SHORT))
            .unwrap_err()
            .to_string()
            .contains("within 0.3 s")
    );
    dx.set_mode(Mode::RefuseConnections);
    assert!(
        client(&dx)
            .probe(AMPLE)
            .unwrap_err()
            .to_string()
            .ends_with("connection refused")
    );
    let dx = Standin::start_tls();
    assert!(client(&dx).probe(AMPLE).unwrap_err().to_string().contains("--ca-file"));
}
