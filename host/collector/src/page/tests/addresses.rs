//! Addresses that work, and those that do not.

use super::site::{Site, ago, attributes, began};
use crate::access::Rights;
use axum::http::StatusCode;

#[tokio::test]
async fn any_name_has_a_page_that_the_lists_lead_to() {
    for name in ["a/b", "..", ".", "%2e", "ü ?#&+", "a%2Fb", "x;y", "\u{1F980}", "a\\b"] {
        let site = Site::new();
        site.add(began(name, name, 60), ago(60)).await;
        for (list, kind) in [("/", "/runs"), ("/pipelines", "/pipelines")] {
            let page = site.page(list).await;
            let links = attributes(&page, "href");
            let link = links
                .iter()
                .find(|href| href.starts_with(&format!("{kind}/")) || href.starts_with(&format!("{kind}?")))
                .unwrap();
            // A browser would take it for a step up.
            assert!(!link.ends_with("/.") && !link.ends_with("/.."), "{link}");
            let page = site.page(&link.replace("&amp;", "&")).await;
            assert!(page.contains("<h1>"), "{link}");
            assert_ne!(page, site.page(list).await, "{link}");
        }
    }
}

#[tokio::test]
async fn what_does_not_work_says_so() {
    let site = Site::new();
    site.add(began("p", "r", 60), ago(60)).await;
    for (address, status) in [
        ("/runs/none", 404),
        ("/pipelines/none", 404),
        ("/runs/%FF", 400),
        ("/?status=fine", 400),
        ("/?status=SUCCESS", 400),
        ("/?after=1", 400),
        ("/?text=a&text=b", 400),
        ("/pipelines/p?days=2", 400),
        ("/pipelines/p?days=", 400),
        ("/elsewhere", 404),
        ("/runs/", 404),
    ] {
        assert_eq!(site.get(address).await.status.as_u16(), status, "{address}");
    }
    assert_eq!(site.get("/runs").await.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(site.get("/?unknown=1&status=&text=%20").await.status, StatusCode::OK);
    for days in [1, 7, 30, 90, 365] {
        let page = site.page(&format!("/pipelines/p?days={days}")).await;
        assert!(page.contains("class=\"chart\""), "{days}");
    }
}

#[tokio::test]
async fn without_rights_there_is_no_page() {
    let mut site = Site::new();
    site.add(began("p", "r", 60), ago(60)).await;
    let addresses = [
        "/",
        "/runs/r",
        "/runs?reference_id=r",
        "/pipelines",
        "/pipelines/p",
        "/pipelines?name=p",
        "/events",
    ];
    site.access = None;
    for address in addresses {
        let answer = site.get(address).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{address}");
        assert!(
            answer.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Basic ")
        );
    }
    assert_eq!(site.get("/assets/icon.svg").await.status, StatusCode::OK);
    let site = site.seen_by(Rights::Write, &["*"]);
    for address in addresses {
        assert_eq!(site.get(address).await.status, StatusCode::FORBIDDEN, "{address}");
    }
}
