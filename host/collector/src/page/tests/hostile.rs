//! Every value that can be reported tries to become markup.

use super::site::{Site, ago, attributes, began, ended};
use crate::access::Access;
use crate::store::{Append, DxAnswer, Forwarded, Store};
use axum::http::StatusCode;
use pipefold_sandbox::{Attribute, Job, Notification, Status};

/// Breaks out of text, of an attribute in either quotes, of a comment, of a script and of a title.
fn attack(field: &str) -> String {
    format!("'\"--></title></script><xss-{field} onclick=alert(1)>&lt;{field}\u{202e}")
}

/// A notification whose every text is an attack.
fn attacker() -> Notification {
    Notification {
        pipeline_name: Some(attack("pipeline_name")),
        pipeline_source: Some(attack("pipeline_source")),
        reference_id: Some(attack("reference_id")),
        started_at: began("", "", 600).started_at,
        status: Some(attack("status")),
        repository: Some(attack("repository")),
        commit_sha: Some(attack("commit_sha")),
        source_url: Some(format!("https://x/{}", attack("source_url"))),
        head_branch: Some(attack("head_branch")),
        email: Some(attack("email")),
        github_username: Some(attack("github_username")),
        gitlab_username: Some(attack("gitlab_username")),
        attributes: vec![Attribute {
            key: attack("key"),
            value: attack("value"),
        }],
        ..Notification::default()
    }
}

async fn attacked() -> Site {
    let site = Site::new();
    let append = Append {
        reference_id: attack("reference_id"),
        source: None,
        jobs: Vec::new(),
        notifications: vec![(attacker()).into()],
        token: attack("token"),
        access: Access::everything(),
        arrived: ago(600),
    };
    let run = site.store.append(append).await.unwrap().run;
    site.add(ended(&attacker(), "failure", 60), ago(500)).await;
    let job = Job {
        reference_id: attack("job_id"),
        name: attack("job"),
        status: Status::Success,
        started_at: None,
        finished_at: None,
    };
    site.add_job(&attack("reference_id"), job, false).await;
    let answer = DxAnswer {
        at: ago(400),
        accepted: false,
        text: attack("answer"),
        as_cancelled: false,
    };
    let forwarded = Forwarded {
        id: run.id,
        covered: 1,
        answer: Some(answer),
        sent: None,
    };
    site.store.forwarded(forwarded).await.unwrap();
    site
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn is_harmless(page: &str, address: &str) {
    assert!(!page.contains("<xss-"), "{address} has markup of a value:\n{page}");
    // Our own script, on pages that are live, is the only one.
    let scripts = page.matches("<script").count();
    assert!(scripts <= 1 && page.matches("</script").count() == scripts, "{address}");
    for name in ["href", "title", "value", "aria-label", "data-events"] {
        for value in attributes(page, name) {
            assert!(!value.contains(['<', '>']), "{address}: {name}={value}");
        }
    }
    for value in attributes(page, "href") {
        let ours = value.starts_with('/') && !value.starts_with("//") || value.starts_with('#');
        assert!(ours || value.starts_with("https://x/"), "{address}: {value}");
    }
}

#[tokio::test]
async fn every_value_is_text_on_every_page() {
    let site = attacked().await;
    let (run, pipeline) = (encoded(&attack("reference_id")), encoded(&attack("pipeline_name")));
    let addresses = [
        "/".to_owned(),
        "/runs".to_owned(),
        format!("/runs/{run}"),
        "/pipelines".to_owned(),
        format!("/pipelines/{pipeline}"),
        format!("/?text={run}&pipeline={pipeline}&branch={run}&person={run}"),
    ];
    for address in &addresses {
        let page = site.page(address).await;
        is_harmless(&page, address);
        // The fields of the search have what was looked for as it is.
        let is_hidden = |c: char| c == '\u{202e}' || c == '\u{200b}';
        assert!(address.contains('?') || !page.contains(is_hidden), "{address}:\n{page}");
    }
    for address in [
        "/?status=%3Cxss-a%3E",
        "/runs/%3Cxss-a%3E",
        "/pipelines/%3Cxss-a%3E",
        "/?after=%22%3E%3Cxss-a%3E",
        "/?text=a&text=%3Cxss-a%3E",
    ] {
        let answer = site.get(address).await;
        assert!(answer.status.is_client_error(), "{address}");
        is_harmless(&answer.text, address);
    }
    // Each of them is there to be read.
    let page = site.page(&addresses[2]).await;
    for field in [
        "pipeline_name",
        "pipeline_source",
        "reference_id",
        "status",
        "repository",
        "commit_sha",
        "source_url",
        "head_branch",
        "email",
        "github_username",
        "gitlab_username",
        "key",
        "value",
        "job",
        "token",
        "answer",
    ] {
        assert!(
            page.contains(&format!("&lt;xss-{field} onclick")),
            "{field} is not shown:\n{page}"
        );
    }
}

#[tokio::test]
async fn names_that_cannot_be_seen_are_shown_and_lead_somewhere() {
    let site = Site::new();
    for (number, name) in ["\u{200b}", "\u{3164}", "a\u{ad}b"].into_iter().enumerate() {
        site.add(began(name, &format!("r{number}"), 60), ago(60)).await;
    }
    for address in ["/", "/runs", "/pipelines"] {
        let page = site.page(address).await;
        for shown in [r"<bdi>\u{200b}</bdi>", r"<bdi>\u{3164}</bdi>", r"<bdi>a\u{ad}b</bdi>"] {
            assert!(page.contains(shown), "{address}: no {shown}:\n{page}");
        }
    }
    assert_eq!(site.get("/pipelines/%E2%80%8B").await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_web_addresses_are_links() {
    for (address, is_link) in [
        ("https://ci.example/1?a=b&c=d", true),
        ("javascript:alert(document.domain)", false),
        ("JAVASCRIPT://x%0aalert(1)", false),
        ("data:text/html,<script>alert(1)</script>", false),
    ] {
        let site = Site::new();
        let run = Notification {
            source_url: Some(address.into()),
            ..began("p", "r", 60)
        };
        site.add(run, ago(60)).await;
        for page in ["/", "/runs", "/runs/r", "/pipelines/p"] {
            let text = site.page(page).await;
            let linked = attributes(&text, "href")
                .iter()
                .any(|href| !href.starts_with(['/', '#']));
            assert_eq!(linked, is_link && page != "/", "{address} on {page}");
        }
    }
}

#[tokio::test]
async fn long_values_make_no_long_list() {
    let site = Site::new();
    let long = "x".repeat(4_096);
    for n in 0..50 {
        let run = Notification {
            head_branch: Some(long.clone()),
            ..began(&long, &format!("{n}-{long}")[..4_096], n)
        };
        site.add(run, ago(n)).await;
    }
    assert_eq!(site.get(&format!("/?branch={long}")).await.status, StatusCode::OK);
    assert_eq!(
        site.get(&format!("/?branch={long}x")).await.status,
        StatusCode::BAD_REQUEST
    );
    // A value is written a few times, not a few hundred.
    assert!(site.page("/runs").await.len() < 50 * 4_096 * 10);
}
