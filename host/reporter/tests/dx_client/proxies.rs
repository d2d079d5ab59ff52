//! Proxies on the way.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use dx_standin::{NAME, Standin};
use pipefold::dx::{Client, Outcome, ProxyOptions};

use crate::support::*;

/// A proxy that knows CONNECT. It leads every name to `target`, or refuses all with `refusal`.
fn proxy(target: &Standin, refusal: Option<&'static str>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let (seen, target) = (Arc::clone(&heads), target.address());
    // Ends with the test's process.
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut reader = BufReader::with_capacity(1, client.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or_default() > 0 {}
            seen.lock().unwrap().push(head);
            if let Some(status) = refusal {
                let _ = client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
                continue;
            }
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let mut server = TcpStream::connect(target).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            let _ = std::io::copy(&mut server, &mut client);
        }
    });
    (port, heads)
}

fn proxied(dx: &Standin, address: &str) -> Client {
    let url = format!("https://{NAME}:{}", dx.address().port());
    let options = ProxyOptions::from_env(|name| (name == "HTTPS_PROXY").then(|| address.to_owned()));
    client_for(&url, Some(dx.ca_file().to_owned()), options)
}

#[test]
fn a_proxy_is_used_and_gets_no_token() {
    let dx = Standin::start_tls();
    let (port, heads) = proxy(&dx, None);
    let client = proxied(&dx, &format!("http://user:sesame@127.0.0.1:{port}"));
    assert_eq!(client.upsert(&run("r"), &token(&dx), AMPLE), Outcome::Accepted);
    assert_eq!(client.upsert(&run("r"), &token(&dx), AMPLE), Outcome::Accepted);
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 1, "one tunnel");
    assert!(
        heads[0].starts_with(&format!("CONNECT {NAME}:{} HTTP/1.1\r\n", dx.address().port())),
        "{}",
        heads[0]
    );
    assert!(
        heads[0].contains("Proxy-Authorization: Basic dXNlcjpzZXNhbWU="),
        "{}",
        heads[0]
    );
    assert!(heads[0].contains("User-Agent: pipefold/"), "{}", heads[0]);
    assert!(!heads[0].contains(dx.token()) && !heads[0].contains("Bearer"));
    assert!(!format!("{client:?}").contains("sesame"));
}

#[test]
fn a_proxy_that_refuses_is_named_without_its_password() {
    let dx = Standin::start_tls();
    for (refusal, words) in [
        ("407 Proxy Authentication Required", "user and a password"),
        ("403 Forbidden", "403"),
    ] {
        let (port, _) = proxy(&dx, Some(refusal));
        let outcome =
            proxied(&dx, &format!("http://user:sesame@127.0.0.1:{port}")).upsert(&run("r"), &token(&dx), AMPLE);
        let why = why(&outcome);
        assert!(
            why.contains(&format!("through the proxy http://127.0.0.1:{port}: ")),
            "{why}"
        );
        assert!(why.contains(words) && !why.contains("sesame"), "{why}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = proxied(&dx, &format!("http://user:sesame@{nobody}")).upsert(&run("r"), &token(&dx), AMPLE);
    assert!(
        why(&outcome).ends_with("connection refused") && !why(&outcome).contains("sesame"),
        "{outcome:?}"
    );
    assert!(dx.requests().is_empty());
}
