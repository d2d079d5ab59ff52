//! Hostile text in the answers of DX, a queue's server and a GoCD server.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use pipefold_tests::{Ci, Mode};
use rustix::process::Signal;
use serde_json::json;

use crate::Shown::{No, Perhaps, Yes};
use crate::{TEXT, assert_output, check, command, lines};

/// A machine where nothing is waited for long.
fn ci() -> Ci {
    let ci = Ci::new();
    ci.budgets(300, 300, 300);
    ci
}

#[test]
fn dx() {
    let answer = |code: &str, status| Mode::Plain {
        status,
        body: json!({ "ok": false, "error": code, "message": lines() }).to_string(),
    };
    let rejected = answer("invalid_json", 422);
    for mode in [
        answer(&lines(), 200),
        rejected.clone(),
        answer("invalid_auth", 401),
        answer("internal", 500),
        answer(&lines(), 429),
    ] {
        for line in ["start", "exec -vvv -- true", "finish --json"] {
            let ci = ci();
            ci.dx.set_mode(mode.clone());
            let rows = [
                (line, Yes),
                ("status", Yes),
                ("status --json", Yes),
                // What is refused for good is only counted.
                ("doctor", if mode == rejected { No } else { Yes }),
                ("flush --timeout=1s --json", Perhaps),
            ];
            check(&ci, "", &rows);
        }
    }
    let to = format!("https://{}/", lines().replace(['\r', '\n'], ""));
    for mode in [
        Mode::Plain {
            status: 502,
            body: lines(),
        },
        Mode::Plain {
            status: 200,
            body: lines(),
        },
        Mode::Redirect { status: 307, to },
    ] {
        let ci = ci();
        ci.dx.set_mode(mode);
        check(
            &ci,
            "",
            &[
                ("start", Perhaps),
                ("doctor", Perhaps),
                ("doctor --json", Perhaps),
                ("exec -vvv -- true", Perhaps),
            ],
        );
    }
}

/// A server that answers each connection with these bytes, at once or after the first bytes from the client.
fn server(says_first: bool, answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || {
                let mut heard = [0; 4096];
                if !says_first {
                    let _ = stream.read(&mut heard);
                }
                let _ = stream.write_all(&answer);
                // A connection that is closed with something unread is reset, and the answer may be lost.
                let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
                let _ = stream.read(&mut heard);
            });
        }
    });
    port
}

#[test]
fn a_queue() {
    let info = |name: &str, version: &str| {
        let info = json!({
            "server_id": "A", "server_name": name, "version": version, "go": "go1", "host": "127.0.0.1", "port": 4222, "headers": true,
            "max_payload": 1_048_576, "proto": 1, "client_id": 1, "jetstream": true,
        });
        format!("INFO {info}\r\n")
    };
    for says in [
        format!("{}\r\n", lines()),
        format!("{}-ERR '{TEXT}'\r\n", info("a", "2.11.0")),
        format!("{}-ERR 'Authorization Violation'\r\n", info(&lines(), &lines())),
        format!("{}{}\r\n", info("a", "2.11.0"), lines()),
    ] {
        let queue = format!("--queue=nats://127.0.0.1:{}", server(true, says.into_bytes()));
        let rows = [
            "queue check @",
            "forward rejected list @",
            "start -vvv @",
            "doctor --strict @",
            "doctor --json @",
            "finish --strict @",
        ];
        check(&ci(), &queue, &rows.map(|line| (line, Perhaps)));
    }
    let says = format!("{}\r\n", lines());
    let queue = format!("--queue=nats://127.0.0.1:{}", server(true, says.into_bytes()));
    check(&ci(), &queue, &[("doctor @", Yes)]);
}

#[test]
fn feeds_of_gocd() {
    let page = |head: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
    };
    let xml = |body: &str| page("200 OK\r\nContent-Type: application/xml", body);
    let element = "nasty\u{202e}\u{200d}##vso[";
    for (answer, shown) in [
        (xml(&format!("<pipelines><{element}>{TEXT}</pipelines>")), Perhaps),
        (xml(&format!("<{element}>{TEXT}</{element}>")), Yes),
        (xml(&format!("<pipelines><a>&{element};</a></pipelines>")), Perhaps),
        (xml(&format!("<pipelines><pipeline href=\"{TEXT}\"/></pipelines>")), Yes),
        (page("500 nasty\r\nContent-Type: text/plain", &lines()), Perhaps),
        (page(&format!("302 Found\r\nLocation: https://{TEXT}/"), ""), Perhaps),
    ] {
        let url = format!("http://127.0.0.1:{}/go", server(false, answer));
        let rows = [
            "gocd sync --server=@",
            "gocd sync --json --server=@",
            "gocd sync --dry-run --server=@",
            "gocd sync -vvv --server=@",
        ];
        check(&ci(), &url, &rows.map(|line| (line, shown)));
    }
}

#[test]
fn commands_that_go_on() {
    let ci = ci();
    let xml = format!("<nasty\u{202e}##vso[>{TEXT}</a>");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n{xml}",
        xml.len()
    );
    let gocd = format!("--server=http://127.0.0.1:{}/go", server(false, answer.into_bytes()));
    let queue = format!(
        "--queue=nats://127.0.0.1:{}",
        server(true, format!("{}\r\n", lines()).into_bytes())
    );
    let token = ci.directory().join("token");
    std::fs::write(&token, "sesame-open-0123456789").unwrap();
    let forward = format!("forward -vv --token-file={} @", token.display());
    for (line, text) in [
        ("gocd watch --every=1s -vv @", &gocd),
        (&forward, &queue),
        ("queue init @", &queue),
    ] {
        let running = command(&ci, line, text).env_remove("DX_API_TOKEN").spawn();
        // Time for several answers: the output is read at the end, so there is no condition to wait for.
        thread::sleep(Duration::from_secs(3));
        running.signal(Signal::TERM);
        assert_output(line, &running.wait(), Yes);
    }
}
