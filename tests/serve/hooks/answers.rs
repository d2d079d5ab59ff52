//! The answer to each kind of delivery.

use pipefold_tests::Collector;
use pipefold_tests::http::Answer;
use serde_json::{Value, json};

use super::place::{Delivery, Place, SECRET, hmac, job, reference, run, stored};

fn send(collector: &Collector, delivery: &Delivery) -> Answer {
    delivery.send(&mut collector.client()).unwrap()
}

/// The status and the code of a refusal.
fn refusal(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body["ok"], false, "{}", answer.text());
    assert!(answer.header("location").is_none());
    (answer.status, body["error"].as_str().unwrap().to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn a_run_and_its_jobs_are_on_disk_when_they_are_answered() {
    let place = Place::new();
    let mut collector = place.serve(&[]);
    let answer = send(&collector, &run(1, "requested", None));
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "ok": true, "runs": 1, "jobs": 0 }))
    );
    let answer = send(&collector, &job(1, "unit tests", Some("failure")));
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "ok": true, "runs": 1, "jobs": 1 }))
    );
    assert_eq!(send(&collector, &run(1, "completed", Some("failure"))).status, 200);
    collector.kill();
    let collector = collector.again();
    let kept = stored(&collector, 1).unwrap();
    let record = &kept["record"];
    assert_eq!(
        (&record["status"], &record["started_at"], &record["finished_at"]),
        (
            &json!("failure"),
            &json!("2025-01-01T12:00:00Z"),
            &json!("2025-01-01T12:10:00Z")
        )
    );
    assert_eq!(
        (&kept["jobs"][0]["name"], &kept["jobs"][0]["status"]),
        (&json!("unit tests"), &json!("failure"))
    );
    assert_eq!(kept["received"][0]["token"], "hook:github");
}

#[test]
fn what_is_of_no_interest_is_answered_with_the_reason() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let answer = send(&collector, &Delivery::new("star", &json!({ "action": "created" })));
    let body = answer.json();
    assert_eq!((answer.status, &body["ok"]), (200, &json!(true)), "{body}");
    assert!(body["ignored"].as_str().is_some_and(|why| !why.is_empty()), "{body}");
    assert_eq!(body.get("runs"), None);
}

#[test]
fn a_signature_is_over_the_bytes_that_came() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut client = collector.client();
    let delivery = run(1, "requested", None);
    let good = delivery.signature();
    let compact: Value = serde_json::from_slice(&delivery.body).unwrap();
    // The same JSON in other bytes.
    let pretty = Delivery {
        event: delivery.event,
        body: serde_json::to_vec_pretty(&compact).unwrap(),
    };
    let wrong = format!("sha256={}", hmac("another secret", &delivery.body));
    let truncated = &good[..good.len() - 2];
    let bare = &good["sha256=".len()..];
    let name = "X-Hub-Signature-256";
    let (good, wrong) = (&*good, &*wrong);
    let cases = [
        ("none", &delivery, vec![]),
        ("wrong", &delivery, vec![(name, wrong)]),
        ("truncated", &delivery, vec![(name, truncated)]),
        ("bare", &delivery, vec![(name, bare)]),
        ("empty", &delivery, vec![(name, "")]),
        ("doubled", &delivery, vec![(name, good), (name, good)]),
        ("of the older kind", &delivery, vec![("X-Hub-Signature", good)]),
        ("over other bytes", &pretty, vec![(name, good)]),
    ];
    for (what, delivery, headers) in cases {
        let answer = delivery.send_with(&mut client, "/hooks/github", &headers).unwrap();
        assert_eq!(refusal(&answer), is(401, "invalid_auth"), "{what}");
        // No detail that would help to make a better one.
        let said = &answer.json()["message"];
        assert_eq!(said, "the signature or the secret is missing or wrong", "{what}");
        assert!(answer.header("www-authenticate").is_some());
    }
    assert!(stored(&collector, 1).is_none());
    assert_eq!(pretty.send(&mut client).unwrap().status, 200);
    let metrics = client.get("/metrics").text();
    let line = "pipefold_hook_deliveries_total{source=\"github\",result=\"unsigned\"} 8\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn many_wrong_signatures_of_an_address_are_answered_later() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut client = collector.client();
    let delivery = run(1, "requested", None);
    let wrong = format!("sha256={}", hmac("another secret", b""));
    let statuses: Vec<u16> = (0..40)
        .map(|_| {
            let headers = [("X-Hub-Signature-256", &*wrong)];
            delivery
                .send_with(&mut client, "/hooks/github", &headers)
                .unwrap()
                .status
        })
        .collect();
    assert_eq!(statuses[..20], [401; 20]);
    assert!(statuses.contains(&429), "{statuses:?}");
    // The CI system may be behind the same address.
    assert_eq!(delivery.send(&mut client).unwrap().status, 200);
}

#[test]
fn a_name_without_a_source_is_an_unknown_address() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut client = collector.client();
    let delivery = run(1, "requested", None);
    let signature = delivery.signature();
    let mut answers = Vec::new();
    for path in [
        "/hooks/gitlab",
        "/hooks/",
        "/hooks/github/",
        "/hooks/github/x",
        "/nowhere",
    ] {
        let headers = [("X-Hub-Signature-256", &*signature)];
        let answer = delivery.send_with(&mut client, path, &headers).unwrap();
        assert_eq!(refusal(&answer), is(404, "not_found"), "{path}");
        answers.push(answer.text());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let answer = client.get("/hooks/github");
    assert_eq!(
        (refusal(&answer), answer.header("allow")),
        (is(405, "method_not_allowed"), Some("POST"))
    );
}

#[test]
fn bodies_that_are_no_delivery_are_refused() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut client = collector.client();
    let of = |body: &[u8]| Delivery {
        event: "workflow_run",
        body: body.to_vec(),
    };
    let latin = of(b"{\"action\": \"\xe9\"}");
    assert_eq!(refusal(&latin.send(&mut client).unwrap()), is(400, "invalid_json"));
    for body in [&b""[..], b"null", b"[]", b"{\"action\"", b"not json"] {
        let answer = of(body).send(&mut client).unwrap();
        assert_eq!(refusal(&answer), is(422, "invalid_arguments"), "{body:?}");
    }
    let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
    assert_eq!(of(&deep).send(&mut client).unwrap().status, 422);
    for encoding in ["gzip", "br", "zstd"] {
        let delivery = run(1, "requested", None);
        let signature = delivery.signature();
        let headers = [("X-Hub-Signature-256", &*signature), ("Content-Encoding", encoding)];
        let answer = delivery
            .send_with(&mut collector.client(), "/hooks/github", &headers)
            .unwrap();
        assert_eq!(refusal(&answer), is(415, "unsupported_media_type"));
    }
}

#[test]
fn what_the_rules_refuse_is_refused_as_by_an_upsert() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut body: Value = serde_json::from_slice(&run(1, "requested", None).body).unwrap();
    body["workflow_run"]["name"] = json!("CI\u{7}");
    let answer = send(&collector, &Delivery::new("workflow_run", &body));
    assert_eq!(refusal(&answer), is(422, "invalid_arguments"), "{}", answer.text());
    assert_eq!(answer.json()["violations"][0]["field"], "pipeline_name");
    assert!(stored(&collector, 1).is_none());
}

#[test]
fn a_form_is_signed_as_a_whole_and_read_by_its_payload() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut client = collector.client();
    let json = String::from_utf8(run(1, "requested", None).body).unwrap();
    let encoded: String = json.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let form = |body: String| Delivery {
        event: "workflow_run",
        body: body.into_bytes(),
    };
    let mut send = |delivery: &Delivery| {
        let signature = delivery.signature();
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("X-Hub-Signature-256", &*signature),
        ];
        delivery.send_with(&mut client, "/hooks/github", &headers).unwrap()
    };
    assert_eq!(send(&form(format!("payload={encoded}"))).status, 200);
    assert!(stored(&collector, 1).is_some());
    for body in [
        format!("other={encoded}"),
        format!("payload={encoded}&payload={encoded}"),
        json,
    ] {
        assert_eq!(refusal(&send(&form(body))), is(400, "invalid_json"));
    }
}

#[test]
fn a_source_has_a_rate_which_strangers_do_not_use_up() {
    let place = Place::new();
    let config = format!(
        "[[source]]\nname = \"github\"\nsecret_file = {:?}\nrate = 1\n",
        place.path().join("secret").display().to_string()
    );
    let config = place.write("pipefold.toml", config.as_bytes());
    let collector = place.try_serve(&["--config".into(), config]).unwrap();
    let mut client = collector.client();
    let delivery = run(1, "requested", None);
    for _ in 0..30 {
        let answer = delivery.send_with(&mut client, "/hooks/github", &[]).unwrap();
        assert_eq!(answer.status, 401);
    }
    let answers: Vec<Answer> = (0..30).map(|_| delivery.send(&mut client).unwrap()).collect();
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((10..30).contains(&accepted), "{accepted}");
    let limited = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refusal(limited), is(429, "rate_limited"));
    assert!(limited.header("retry-after").is_some());
    // Upserts have their own.
    assert_eq!(client.get("/api/runs").status, 200);
}

#[test]
fn no_token_is_needed_where_others_need_one() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let token = collector.token("ci", &[]);
    let mut client = collector.client();
    assert_eq!(client.get("/api/runs").status, 401);
    assert_eq!(run(1, "requested", None).send(&mut client).unwrap().status, 200);
    let mut reader = collector.client().with_token(&token);
    let runs = reader.get("/api/runs").json();
    assert_eq!(runs["runs"][0]["record"]["reference_id"], reference(1));
    // A token is no signature.
    let delivery = run(2, "requested", None);
    assert_eq!(
        delivery.send_with(&mut reader, "/hooks/github", &[]).unwrap().status,
        401
    );
    let shown = [collector.stop().log, runs.to_string()].concat();
    assert!(!shown.contains(SECRET));
}
