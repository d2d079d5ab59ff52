//! What a browser is told that it may do.

use super::site::{Site, ago, attributes, began};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

const ADDRESSES: [&str; 10] = [
    "/",
    "/runs",
    "/runs/r",
    "/runs/none",
    "/pipelines",
    "/pipelines/p",
    "/?after=x",
    "/assets/style.css",
    "/assets/icon.svg",
    "/elsewhere",
];

async fn site() -> Site {
    let site = Site::new();
    site.add(began("p", "r", 60), ago(60)).await;
    site
}

#[tokio::test]
async fn every_answer_has_the_policy() {
    let site = site().await;
    for address in ADDRESSES {
        let headers = site.get(address).await.headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        for part in [
            "default-src 'none'",
            "style-src 'self'",
            "img-src 'self'",
            "script-src 'sha256-",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{address}: {part}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'),
            "{policy}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert!(headers.contains_key("cache-control"));
        if !address.starts_with("/assets") {
            assert_eq!(headers["cache-control"], "private, no-cache", "{address}");
        }
    }
}

#[tokio::test]
async fn the_script_of_a_page_is_the_one_that_the_policy_names() {
    let site = site().await;
    for address in ["/", "/runs/r"] {
        let answer = site.get(address).await;
        let script = answer
            .text
            .split("<script>")
            .nth(1)
            .unwrap()
            .split("</script>")
            .next()
            .unwrap();
        let digest = BASE64_STANDARD.encode(Sha256::digest(script));
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains(&format!("script-src 'sha256-{digest}'")), "{address}");
    }
    assert!(!site.page("/pipelines").await.contains("<script"));
}

#[tokio::test]
async fn pages_need_nothing_that_the_policy_forbids_and_nothing_from_elsewhere() {
    let site = site().await;
    for address in ["/", "/runs/r", "/pipelines", "/pipelines/p", "/runs/none"] {
        let page = site.get(address).await.text;
        assert!(
            attributes(&page, "style").is_empty() && !page.contains("<style"),
            "{address}"
        );
        for handler in ["onclick", "onload", "onerror", "onchange", "onsubmit"] {
            assert!(attributes(&page, handler).is_empty(), "{address}");
        }
        assert!(
            !page.contains("http://") && !page.contains("https://") && !page.contains("data:"),
            "{address}"
        );
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{address}");
        assert!(
            page.contains("<a class=\"skip\" href=\"#main\">") && page.contains("<main id=\"main\""),
            "{address}"
        );
    }
    let style = site.page("/assets/style.css").await;
    assert!(!style.contains("url(") && !style.contains("@import"));
    for need in [
        "prefers-color-scheme: dark",
        "prefers-reduced-motion",
        "@media print",
        ":focus-visible",
    ] {
        assert!(style.contains(need), "{need}");
    }
}

#[tokio::test]
async fn the_stylesheet_is_kept_for_good_under_an_address_that_has_its_digest() {
    let site = site().await;
    let page = site.page("/").await;
    let address = attributes(&page, "href")
        .into_iter()
        .find(|href| href.starts_with("/assets/style.css?"))
        .unwrap()
        .to_owned();
    let answer = site.get(&address).await;
    assert!(answer.headers["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(answer.headers["content-type"], "text/css; charset=utf-8");
    let digest: String = Sha256::digest(answer.text)[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(address.ends_with(&digest));
}
