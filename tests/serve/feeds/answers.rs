//! Codes, headers and words, as GoCD's servers have them.

use crate::feeds::site::{Site, escaped, run};

#[test]
fn what_is_not_there() {
    let mut site = Site::new();
    site.report(&run("web", "w", 0, "success"));
    for (path, text) in [
        ("/go/api/pipelines/none/stages.xml", "Pipeline not found\n"),
        ("/go/api/pipelines/Web/stages.xml", "Pipeline not found\n"),
        ("/go/api/pipelines/web/999.xml", "Not Found!\n"),
        ("/go/api/stages/999.xml", "Not Found!\n"),
        ("/go/api/stages/x.xml", "Not Found!\n"),
        ("/go/api/stages/99999999999999999999.xml", "Not Found!\n"),
        ("/go/api/stages/18446744073709551615.xml", "Not Found!\n"),
        ("/go/api/jobs/999.xml", "Not Found!\n"),
        ("/go/api/jobs/-1.xml", "Not Found!\n"),
        ("/go/pipelines/web/1/run/2.xml", "Not Found!\n"),
        ("/go/pipelines/web/1/other/1.xml", "Not Found!\n"),
        ("/go/pipelines/web/2/run/1.xml", "Not Found!\n"),
        ("/go/api/PIPELINES.xml", "Not Found!\n"),
        ("/go/x", "Not Found!\n"),
        ("/go//api/pipelines.xml", "Not Found!\n"),
        ("/go/api/../api/pipelines.xml", "Not Found!\n"),
        ("/go/api/%2e%2e/api/pipelines.xml", "Not Found!\n"),
        ("/go/api/pipelines/%ff/stages.xml", "Not Found!\n"),
        ("/go/api/pipelines/%00/stages.xml", "Not Found!\n"),
    ] {
        let answer = site.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (404, text), "{path}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8"),
            "{path}"
        );
    }
    for path in [
        "/go/api/feed/pipelines/none/stages.xml",
        "/go/api/feed/pipelines/web/2.xml",
        "/go/api/feed/pipelines/web/0.xml",
        "/go/api/feed/pipelines/web/1/run/2.xml",
        "/go/api/feed/pipelines/web/1/run/1/none.xml",
        "/go/api/feed/x",
    ] {
        let answer = site.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            answer.text().starts_with("<not-found>\n  <message>"),
            "{path}: {}",
            answer.text()
        );
    }
    assert_eq!(site.get("/go").status, 404);
}

#[test]
fn a_documents_headers() {
    let mut site = Site::new();
    site.report(&run("web", "w", 0, "success"));
    let id = site.run("w")["id"].as_u64().unwrap();
    let kinds = [
        ("/go/api/pipelines.xml".to_owned(), "application/xml; charset=utf-8"),
        (
            "/go/api/pipelines/web/stages.xml".to_owned(),
            "application/atom+xml; charset=utf-8",
        ),
        // Clients put another word there.
        (
            format!("/go/api/pipelines/THIS_PARAMETER_IS_USELESS/{id}.xml"),
            "application/xml; charset=utf-8",
        ),
        (
            format!("/go/api/stages/{}.xml", id + 1),
            "application/xml; charset=utf-8",
        ),
        (
            "/go/api/feed/pipelines/web/stages.xml".to_owned(),
            "application/xml; charset=utf-8",
        ),
    ];
    for (path, kind) in kinds {
        let answer = site.get(&path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(kind)),
            "{path}"
        );
        let cache = answer.header("cache-control");
        assert_eq!(cache, Some("max-age=0, private, must-revalidate"), "{path}");
        let head = site.raw(&format!("HEAD {path}"));
        let length = format!("content-length: {}", answer.body.len());
        assert!(head.starts_with("HTTP/1.1 200") && head.contains(&length), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
    }
    let feed =
        "GET /go/api/feed/pipelines/web/stages.xml\nAccept: text/html, application/atom+xml;q=0.5, application/xml\r\n";
    assert!(site.raw(feed).contains("content-type: application/atom+xml"));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        for path in ["/go/api/pipelines.xml", "/go/api/feed/pipelines.xml", "/go/none"] {
            let answer = site.raw(&format!("{method} {path}"));
            assert!(
                answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET, HEAD"),
                "{answer}"
            );
        }
    }
}

#[test]
fn links_are_from_the_settings_and_never_from_a_request() {
    let ask = "GET /go/api/pipelines.xml\nHost: localhost\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n";
    // A server without tokens refuses requests of a proxy.
    let signed_in = |site: &mut Site| {
        let token = site.collector.token("reader", &["--read"]);
        site.signed_in(&token);
        format!("{ask}Authorization: Bearer {token}\r\n")
    };
    let mut site = Site::new();
    site.report(&run("web", "w", 0, "success"));
    let ask = signed_in(&mut site);
    let answer = site.raw(&ask);
    let href = format!("href=\"{}/go/api/pipelines/web/stages.xml\"", site.collector.url);
    assert!(
        answer.contains(&href) && !answer.contains("evil") && !answer.contains("localhost"),
        "{answer}"
    );

    let mut site = Site::with(&["--public-url", "https://runs.example.com/ci"]);
    site.report(&run("web", "w", 0, "success"));
    let ask = signed_in(&mut site);
    let answer = site.raw(&ask);
    assert!(
        answer.contains("href=\"https://runs.example.com/ci/go/api/pipelines/web/stages.xml\""),
        "{answer}"
    );
    assert!(!answer.contains(&site.collector.url), "{answer}");
    // A redirection is right for who calls the listener too.
    let page = site.get("/go/pipelines/web/1/run/1");
    assert_eq!(page.header("location"), Some("../../../../../runs/w"));
    assert_eq!(site.get("/runs/w").status, 200);
}

#[test]
fn tokens_are_user_and_password() {
    let mut site = Site::new();
    site.report(&run("web", "w", 0, "success"));
    let token = site.collector.token("feed-reader", &["--read"]);
    let writer = site.collector.token("builds", &["--write"]);
    let basic = |name: &str, token: &str| format!("Authorization: Basic {}\r\n", base64(&format!("{name}:{token}")));
    let status = |headers: &str, path: &str| {
        let answer = site.raw(&format!("GET {path}\n{headers}"));
        let code: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let asks = answer.to_ascii_lowercase().contains("www-authenticate: basic realm=");
        assert!(!answer.contains("\"ok\""), "in GoCD's words: {answer}");
        assert_eq!(asks, code == 401, "clients tell bad credentials by it: {answer}");
        code
    };
    for path in [
        "/go/api/pipelines.xml",
        "/go/api/feed/pipelines.xml",
        "/go/about",
        "/go/none",
    ] {
        let found = if path.ends_with("none") { 404 } else { 200 };
        assert_eq!(status(&basic("feed-reader", &token), path), found, "{path}");
        assert_eq!(
            status(&format!("Authorization: bearer {token}\r\n"), path),
            found,
            "{path}"
        );
        for wrong in [
            String::new(),
            basic("feed-reader", "wrong"),
            basic("builds", &token),
            basic("", &token),
            basic(&token, ""),
            "Authorization: Bearer wrong\r\n".into(),
        ] {
            assert_eq!(status(&wrong, path), 401, "{path}");
        }
        assert_eq!(status(&basic("builds", &writer), path), 403, "{path}");
    }
    let address = format!("/go/api/pipelines.xml?token={}", escaped(&token));
    assert_eq!(status("", &address), 401, "never in an address");
}

/// RFC 4648, section 4.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let chunk = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digit = |at: usize| match at <= chunk.len() {
            true => char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    text.as_bytes().chunks(3).map(chunk).collect()
}
