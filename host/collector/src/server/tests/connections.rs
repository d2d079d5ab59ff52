//! Bounds on connections and requests, and TLS.

use super::support::{EXAMPLE, PATIENCE, Setup, post, read_answer, start};
use crate::access::{Rights, TokenFile, Tokens};
use crate::request::{App, Exposed, Exposure, Gate, Limits};
use crate::rules::Rules;
use crate::server::{ServeError, Server, TlsFiles};
use crate::store::sqlite::{self, SqliteStore};
use axum::Router;
use axum::routing::get;
use pipefold::Judge;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

#[test]
fn a_token_that_asks_too_often_waits_and_others_do_not() {
    let limits = Limits {
        per_token: 1,
        ..Limits::default()
    };
    let tokens = vec![("a", Rights::ReadWrite, "*"), ("b", Rights::ReadWrite, "*")];
    let server = start(Setup {
        limits,
        tokens,
        ..Setup::default()
    });
    let answers: Vec<_> = (0..30).map(|_| server.upsert(&server.bearer(0), EXAMPLE)).collect();
    assert!(answers[..10].iter().all(|answer| answer.status == 200));
    let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!(refused.refusal(), (429, "rate_limited".into()));
    assert!((1..=2).contains(&refused.header("retry-after").unwrap().parse::<u32>().unwrap()));
    assert_eq!(server.upsert(&server.bearer(1), EXAMPLE).status, 200);
}

#[test]
fn failures_are_limited_and_a_known_token_is_let_in_all_the_same() {
    let server = start(Setup {
        tokens: vec![("a", Rights::ReadWrite, "*")],
        ..Setup::default()
    });
    let codes: Vec<u16> = (0..40)
        .map(|_| server.upsert("Authorization: Bearer x\r\n", EXAMPLE).status)
        .collect();
    assert!(codes[0] == 401 && codes.contains(&429), "{codes:?}");
    assert_eq!(server.upsert(&server.bearer(0), EXAMPLE).status, 200);
    let metrics = server.get("/metrics", &server.bearer(0)).body;
    assert!(
        metrics.contains("pipefold_requests_total{result=\"accepted\"} 1\n"),
        "{metrics}"
    );
}

#[test]
fn a_thousand_idle_connections_block_no_request() {
    // The connections have one address here, in place of many.
    let limits = Limits {
        per_address: 4096,
        ..Limits::default()
    };
    let server = start(Setup {
        limits,
        ..Setup::default()
    });
    let wanted = usize::try_from(
        rustix::process::getrlimit(rustix::process::Resource::Nofile)
            .current
            .unwrap_or(4096),
    )
    .unwrap();
    // Both ends are in this process.
    let count = 1000.min(wanted.saturating_sub(200) / 2);
    let idle: Vec<_> = (0..count).map(|_| server.connect()).collect();
    let begin = Instant::now();
    assert_eq!(server.upsert("", EXAMPLE).status, 200);
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(server.app.journal.metrics.connections.load(Relaxed) > idle.len() as u64 / 2);
}

#[test]
fn more_connections_than_allowed_are_refused_and_health_is_answered() {
    let limits = Limits {
        connections: 2,
        head: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = start(Setup {
        limits,
        ..Setup::default()
    });
    let idle = [server.connect(), server.connect()];
    let begin = Instant::now();
    while server.app.journal.metrics.connections.load(Relaxed) < 2 && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    let refused = server.upsert("", EXAMPLE);
    assert_eq!(refused.refusal(), (503, "service_unavailable".into()));
    assert!(refused.header("retry-after").is_some());
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(path, "").status, 200, "{path}");
    }
    while server.app.journal.metrics.connections.load(Relaxed) > 0 && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(idle);
    assert_eq!(server.upsert("", EXAMPLE).status, 200, "when the idle ones are gone");
}

#[test]
fn one_address_cannot_take_all_connections() {
    let limits = Limits {
        per_address: 3,
        ..Limits::default()
    };
    let server = start(Setup {
        limits,
        ..Setup::default()
    });
    let idle: Vec<_> = (0..3).map(|_| server.connect()).collect();
    let begin = Instant::now();
    while server.app.journal.metrics.connections.load(Relaxed) < 3 && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(
        server.upsert("", EXAMPLE).refusal(),
        (503, "service_unavailable".into())
    );
    assert_eq!(server.get("/healthz", "").status, 200);
    // Half a head on each of the others: they are soon free again.
    let slow: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = server.connect();
            let _ = stream.write_all(b"GET /");
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(server.get("/healthz", "").status, 200);
    drop((idle, slow));
    while server.app.journal.metrics.connections.load(Relaxed) > 0 && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(server.upsert("", EXAMPLE).status, 200);
}

#[test]
fn a_reader_that_reads_nothing_is_left() {
    let limits = Limits {
        stall: Duration::from_millis(200),
        ..Limits::default()
    };
    let more = Router::new().route("/large", get(|| async { "x".repeat(64 << 20) }));
    let server = start(Setup {
        limits,
        more,
        ..Setup::default()
    });
    let mut stream = server.connect();
    stream
        .write_all(b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        .unwrap();
    let begin = Instant::now();
    // A connection is counted a moment after it was accepted.
    while server.app.journal.metrics.connections.load(Relaxed) == 0 && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    while server.app.journal.metrics.connections.load(Relaxed) > 0 && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.app.journal.metrics.connections.load(Relaxed), 0);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20);
}

#[test]
fn requests_that_follow_each_other_unasked_are_answered_in_order() {
    let server = start(Setup::default());
    let mut stream = server.connect();
    let both = post("", "{") + &post("", EXAMPLE);
    stream.write_all(both.as_bytes()).unwrap();
    // One at a time: the second answer may come with the first.
    let mut answers = Vec::new();
    while answers.windows(11).filter(|found| found == br#"{"ok":true}"#).count() == 0 {
        let mut more = [0; 1024];
        let count = stream.read(&mut more).unwrap();
        assert!(count > 0);
        answers.extend_from_slice(&more[..count]);
    }
    let text = String::from_utf8(answers).unwrap();
    assert!(text.find("invalid_json").unwrap() < text.find(r#"{"ok":true}"#).unwrap());
    drop(stream);
    assert!(read_answer(&mut server.connect().take(0)).is_none());
}

fn files(dir: &Path) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: dir.join("cert.pem"),
        key: dir.join("key.pem"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    files
}

#[test]
fn speaks_https_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let tokens = vec![("a", Rights::ReadWrite, "*")];
    let server = start(Setup {
        tls: Some(files.clone()),
        tokens,
        ..Setup::default()
    });
    assert!(server.url.starts_with("https://"));
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&files.certificate).unwrap())
        .unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(client, server.connect());
    stream.write_all(post(&server.bearer(0), EXAMPLE).as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 200);
    let mut plain = server.connect();
    plain.write_all(post(&server.bearer(0), EXAMPLE).as_bytes()).unwrap();
    assert!(read_answer(&mut plain).is_none());
}

#[test]
fn what_would_not_be_safe_does_not_begin() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules::new(Arc::new(Judge::default()));
    let store = Arc::new(SqliteStore::open(dir.path(), rules.for_store(), sqlite::RunLimits::default()).unwrap());
    let bind = |address: &str, tls: Option<TlsFiles>| {
        let exposure = Exposure {
            address: address.parse().unwrap(),
            tls: tls.is_some(),
            behind_proxy: false,
        };
        let tokens = Tokens::open(TokenFile::of(dir.path())).unwrap();
        let limits = Limits::default();
        let gate = Gate::new(tokens, exposure, limits.per_token);
        let app = App::new(store.clone(), rules.clone(), gate, limits, false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(Server::bind(app, tls, Router::new())).map(|_| ())
    };
    assert!(matches!(
        bind("0.0.0.0:0", None),
        Err(ServeError::Exposed(Exposed::NoToken(_)))
    ));
    let missing = TlsFiles {
        certificate: dir.path().join("none"),
        key: dir.path().join("none"),
    };
    let why = bind("127.0.0.1:0", Some(missing)).unwrap_err().to_string();
    assert!(why.contains(&dir.path().join("none").display().to_string()), "{why}");
    let mut mixed = files(dir.path());
    mixed.key = mixed.certificate.clone();
    assert!(matches!(bind("127.0.0.1:0", Some(mixed)), Err(ServeError::Tls { .. })));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(matches!(
        bind(&taken.local_addr().unwrap().to_string(), None),
        Err(ServeError::Listen { .. })
    ));
}
