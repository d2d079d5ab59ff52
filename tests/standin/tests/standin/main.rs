//! The stand-in against a client that is nothing but a socket.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod jobs;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dx_standin::{Mode, NAME, Options, RetryAfter, Standin, Times, fold, page};
use serde_json::{Value, json};

/// The time that a test waits for an expected event. A hang fails the test and does not stop it.
const PATIENCE: Duration = Duration::from_secs(20);

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn connect(dx: &Standin) -> TcpStream {
    let stream = TcpStream::connect(dx.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn request(method: &str, headers: &str, body: &str) -> String {
    request_of("pipelineRuns.upsert", method, headers, body)
}

fn request_of(api_method: &str, method: &str, headers: &str, body: &str) -> String {
    format!(
        "{method} /api/{api_method} HTTP/1.1\r\nHost: dx\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn authorized(dx: &Standin, body: &Value) -> String {
    request("POST", &json_headers(dx), &body.to_string())
}

fn json_headers(dx: &Standin) -> String {
    format!(
        "Content-Type: application/json\r\nAuthorization: Bearer {}\r\n",
        dx.token()
    )
}

fn read_answer(stream: &mut impl Read) -> Answer {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(
            reader.read_line(&mut head).unwrap() > 0,
            "the connection ended in the head: {head:?}"
        );
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .unwrap()
        .parse()
        .unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Answer {
        status,
        head,
        body: String::from_utf8(body).unwrap(),
    }
}

fn send(dx: &Standin, bytes: &str) -> Answer {
    let mut stream = connect(dx);
    stream.write_all(bytes.as_bytes()).unwrap();
    read_answer(&mut stream)
}

/// Returns true if the server ends the connection before the client's timeout.
fn is_cut(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(n) => n == 0,
        Err(why) => why.kind() == ErrorKind::ConnectionReset,
    }
}

fn run(reference_id: &str) -> Value {
    json!({ "pipeline_name": "build", "pipeline_source": "Tekton", "reference_id": reference_id, "started_at": "2025-01-01T12:05:00" })
}

fn with(mut base: Value, more: &Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

#[test]
fn typical_request_becomes_a_record() {
    let dx = Standin::start();
    let body = with(
        run("r"),
        &json!({ "finished_at": "2025-01-01T12:10:00", "status": "success", "head_branch": "main" }),
    );
    let answer = send(&dx, &authorized(&dx, &body));
    assert_eq!((answer.status, answer.json()), (200, json!({ "ok": true })));
    let record = &dx.records()["r"];
    assert_eq!(record.started_at, "2025-01-01T12:05:00Z");
    assert_eq!(record.finished_at.as_deref(), Some("2025-01-01T12:10:00Z"));
    assert_eq!(
        (record.status.as_str(), record.get("head_branch")),
        ("success", Some("main"))
    );
    assert!(dx.upserts().iter().eq([&body]));
    let seen = &dx.requests()[0];
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("POST", "/api/pipelineRuns.upsert")
    );
    assert_eq!(seen.authorization, Some(format!("Bearer {}", dx.token())));
    assert_eq!(seen.json(), body);
}

#[test]
fn five_errors_of_the_page() {
    let dx = Standin::start();
    let token = format!("Authorization: Bearer {}\r\n", dx.token());
    let blank = with(run("r"), &json!({ "pipeline_name": " " }));
    let cases = [
        (request("POST", "", &run("r").to_string()), 401, "not_authed"),
        (
            request("POST", "Authorization: Basic eA==\r\n", &run("r").to_string()),
            401,
            "not_authed",
        ),
        (
            request("POST", "Authorization: Bearer wrong\r\n", &run("r").to_string()),
            401,
            "invalid_auth",
        ),
        (request("POST", &token, "{"), 400, "invalid_json"),
        (request("POST", &token, "[]"), 400, "invalid_json"),
        (
            authorized(&dx, &json!({ "reference_id": "r" })),
            422,
            "required_params_missing",
        ),
        (authorized(&dx, &blank), 422, "required_params_missing"),
        (
            authorized(&dx, &with(run("r"), &json!({ "commit_sha": "abc" }))),
            422,
            "required_params_missing",
        ),
        (
            authorized(&dx, &with(run("r"), &json!({ "started_at": "yesterday" }))),
            422,
            "invalid_timestamp",
        ),
        (
            authorized(&dx, &with(run("r"), &json!({ "finished_at": "2025-01-01T11:46:67" }))),
            422,
            "invalid_timestamp",
        ),
    ];
    for (bytes, status, code) in cases {
        let answer = send(&dx, &bytes);
        assert_eq!(
            (answer.status, &answer.json()["ok"], &answer.json()["error"]),
            (status, &json!(false), &json!(code))
        );
        assert!(answer.json()["message"].is_string());
    }
    assert!(dx.records().is_empty());
    assert_eq!(dx.requests().len(), 10);
}

#[test]
fn worked_example_of_the_page_in_any_order() {
    let mut steps = page::upserts("test_run");
    for _ in 0..steps.len() {
        steps.rotate_left(1);
        let dx = Standin::start();
        for step in &steps {
            assert_eq!(send(&dx, &authorized(&dx, step)).status, 200);
        }
        let mut record = page::record("test_run");
        assert_eq!(fold(&steps), record);
        record["upserts"] = json!(5);
        assert_eq!(dx.records()["test_run"].to_json(), record);
    }
}

#[test]
fn no_status_is_unknown_and_of_other_fields_the_last_given_wins() {
    let dx = Standin::start();
    send(
        &dx,
        &authorized(
            &dx,
            &with(run("r"), &json!({ "email": "a@example.com", "status": null })),
        ),
    );
    assert_eq!(dx.records()["r"].status, "unknown");
    send(
        &dx,
        &authorized(
            &dx,
            &with(
                run("r"),
                &json!({ "email": "b@example.com", "repository": "o/r", "pr_number": 7 }),
            ),
        ),
    );
    send(&dx, &authorized(&dx, &run("r")));
    let record = &dx.records()["r"];
    assert_eq!(
        (record.get("email"), record.pr_number),
        (Some("b@example.com"), Some(7))
    );
    assert_eq!(record.to_json()["pr_number"], 7);
}

#[test]
fn forms_chunks_and_kept_connections() {
    let dx = Standin::start();
    let form = "pipeline_name=a+b&pipeline_source=X&reference_id=%66orm%2f1&started_at=2025-01-01T12:05:00%2b02:00&pr_number=3&repository=o/r";
    let headers = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: bearer {}\r\n",
        dx.token()
    );
    let mut stream = connect(&dx);
    stream.write_all(request("POST", &headers, form).as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).status, 200);
    let record = &dx.records()["form/1"];
    assert_eq!(
        (record.pipeline_name.as_str(), record.started_at.as_str()),
        ("a b", "2025-01-01T10:05:00Z")
    );
    assert_eq!(record.pr_number, Some(3));

    let body = run("chunked").to_string();
    let (one, two) = body.split_at(20);
    let chunks = format!("14\r\n{one}\r\n{:x};ext=1\r\n{two}\r\n0\r\n\r\n", two.len());
    let head = format!(
        "POST /api/pipelineRuns.upsert HTTP/1.1\r\nHost: dx\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer {}\r\n\r\n",
        dx.token()
    );
    // In pieces, as a network may deliver it.
    for piece in [&head[..30], &head[30..], &chunks[..5], &chunks[5..]] {
        stream.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(read_answer(&mut stream).status, 200);
    assert!(dx.records().contains_key("chunked"));
    let connections: Vec<u64> = dx.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [1, 1]);
}

#[test]
fn other_methods_paths_and_oversized_requests_are_refused() {
    let dx = Standin::start();
    assert_eq!(send(&dx, &request("GET", "", "")).status, 405);
    assert_eq!(send(&dx, "GET /elsewhere HTTP/1.1\r\n\r\n").status, 404);
    assert_eq!(send(&dx, "nonsense\r\n\r\n").status, 400);
    assert_eq!(
        send(&dx, "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n").status,
        413
    );
}

#[test]
fn tokens_can_be_several_and_change() {
    let dx = Standin::start_with(Options {
        tokens: vec!["one".into(), "two".into()],
        tls: false,
    });
    let status = |token: &str| {
        send(
            &dx,
            &request(
                "POST",
                &format!("Authorization: Bearer {token}\r\n"),
                &run("r").to_string(),
            ),
        )
        .status
    };
    assert_eq!([status("one"), status("two"), status("three")], [200, 200, 401]);
    dx.set_tokens(&["three"]);
    assert_eq!([status("one"), status("three")], [401, 200]);
}

#[test]
fn modes_that_send_a_whole_answer() {
    let dx = Standin::start();
    let body = authorized(&dx, &run("r"));
    let once = |mode: Mode| {
        dx.misbehave(mode, Times::Next(1));
        send(&dx, &body)
    };
    let answer = once(Mode::TooManyRequests {
        retry_after: RetryAfter::Seconds(7),
    });
    assert!(
        answer.status == 429 && answer.head.contains("Retry-After: 7\r\n"),
        "{}",
        answer.head
    );
    let answer = once(Mode::TooManyRequests {
        retry_after: RetryAfter::Date(-5),
    });
    assert!(answer.head.contains(" GMT\r\n"), "{}", answer.head);
    let answer = once(Mode::TooManyRequests {
        retry_after: RetryAfter::None,
    });
    assert!(!answer.head.contains("Retry-After"), "{}", answer.head);
    assert_eq!(once(Mode::InternalError).status, 500);
    let answer = once(Mode::BadGateway);
    assert!(answer.status == 502 && answer.body.starts_with("<html>"));
    let answer = once(Mode::NotOk {
        code: "account_inactive".into(),
        status: 403,
    });
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (403, &json!("account_inactive"))
    );
    let answer = once(Mode::NotJson);
    assert!(answer.status == 200 && answer.body.starts_with("<html>"));
    let answer = once(Mode::Redirect {
        status: 307,
        to: "http://elsewhere/".into(),
    });
    assert!(answer.status == 307 && answer.head.contains("Location: http://elsewhere/\r\n"));
    let answer = once(Mode::Plain {
        status: 418,
        body: "tea".into(),
    });
    assert_eq!((answer.status, answer.body.as_str()), (418, "tea"));
    assert!(dx.records().is_empty(), "none of these honours the request");
    let answer = once(Mode::Huge);
    assert!(answer.body.len() > 10_000_000 && answer.json()["ok"] == true);
    assert_eq!(send(&dx, &body).status, 200);
    assert_eq!(dx.records()["r"].upserts, 2);
}

#[test]
fn modes_are_used_up_in_order_and_may_be_for_one_run() {
    let dx = Standin::start();
    let status = |reference_id: &str| send(&dx, &authorized(&dx, &run(reference_id))).status;
    dx.misbehave(Mode::InternalError, Times::Next(2));
    dx.misbehave(Mode::BadGateway, Times::Next(1));
    assert_eq!(
        [status("a"), status("a"), status("a"), status("a")],
        [500, 500, 502, 200]
    );
    dx.misbehave_for("b", Mode::InternalError, Times::Always);
    assert_eq!(
        [status("a"), status("b"), status("a"), status("b")],
        [200, 500, 200, 500]
    );
    dx.set_mode(Mode::BadGateway);
    assert_eq!([status("a"), status("b")], [502, 502]);
    dx.set_mode(Mode::Normal);
    assert_eq!([status("a"), status("b")], [200, 200]);
}

#[test]
fn modes_that_leave_the_client_waiting() {
    let dx = Standin::start();
    let body = authorized(&dx, &run("r"));

    dx.misbehave(Mode::Hang, Times::Next(1));
    let mut stream = connect(&dx);
    stream.write_all(body.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let why = stream.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(why, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{why}");
    assert!(dx.records().is_empty());

    dx.misbehave(Mode::CloseHalfWay, Times::Next(1));
    let mut stream = connect(&dx);
    stream.write_all(body.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("200 OK") && text.ends_with("{\"ok\":t"), "{text}");
    assert_eq!(dx.records()["r"].upserts, 1, "it was honoured all the same");

    dx.misbehave(Mode::SlowDrip, Times::Next(1));
    let mut stream = connect(&dx);
    stream.write_all(body.as_bytes()).unwrap();
    let mut few = [0; 4];
    stream.read_exact(&mut few).unwrap();
    assert_eq!(&few, b"HTTP");
    assert!(dx.wait_until(PATIENCE, |dx| dx.requests().len() == 3));
}

#[test]
fn refuses_connections_and_listens_again_at_the_same_port() {
    let dx = Standin::start();
    let mut open = connect(&dx);
    dx.set_mode(Mode::RefuseConnections);
    let why = TcpStream::connect(dx.address()).unwrap_err();
    assert_eq!(why.kind(), ErrorKind::ConnectionRefused);
    assert!(is_cut(&mut open), "open connections are cut");
    dx.set_mode(Mode::Normal);
    assert_eq!(send(&dx, &authorized(&dx, &run("r"))).status, 200);
}

#[test]
fn stops_when_dropped_even_while_a_client_hangs() {
    let dx = Standin::start();
    let address = dx.address();
    dx.set_mode(Mode::Hang);
    let mut stream = connect(&dx);
    stream.write_all(authorized(&dx, &run("r")).as_bytes()).unwrap();
    assert!(dx.wait_until(PATIENCE, |dx| dx.requests().len() == 1));
    drop(dx);
    assert!(is_cut(&mut stream));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn serves_https_under_three_names() {
    use rustls::pki_types::pem::PemObject;

    let dx = Standin::start_tls();
    assert!(dx.url().starts_with("https://127.0.0.1:"));
    assert_eq!(std::fs::read_to_string(dx.ca_file()).unwrap(), dx.ca_pem());
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(dx.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    for name in ["127.0.0.1", "localhost", NAME] {
        let client = rustls::ClientConnection::new(Arc::clone(&config), name.try_into().unwrap()).unwrap();
        let mut stream = rustls::StreamOwned::new(client, connect(&dx));
        stream.write_all(authorized(&dx, &run(name)).as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).status, 200, "{name}");
    }
    let file = dx.ca_file().to_owned();
    drop(dx);
    assert!(!file.exists());
}

#[test]
fn the_process_prints_its_url_then_its_records() {
    let file = std::env::temp_dir().join(format!("dx-standin-test-{}", std::process::id()));
    let mut child = Command::new(env!("CARGO_BIN_EXE_dx-standin"))
        .args(["--token", "t", "--seconds", "60", "--addr-file"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut url = String::new();
    out.read_line(&mut url).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), url);
    std::fs::remove_file(&file).unwrap();

    let mut stream = TcpStream::connect(url.trim().strip_prefix("http://").unwrap()).unwrap();
    let token = "Authorization: Bearer t\r\n";
    let bodies = [
        request("POST", token, &run("r").to_string()),
        request("POST", token, &run("without jobs").to_string()),
        jobs::request("POST", token, &jobs::job("r", "test").to_string()),
        jobs::request("POST", token, &jobs::job("r", "build").to_string()),
    ];
    for body in bodies {
        stream.write_all(body.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).status, 200);
    }

    drop(child.stdin.take());
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    let records: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!(records["r"]["pipeline_source"], "Tekton");
    let job = |id| json!({ "reference_id": id, "name": id, "status": "success", "upserts": 1 });
    assert_eq!(records["r"]["jobs"], json!([job("build"), job("test")]));
    assert!(records["without jobs"].get("jobs").is_none());
}
