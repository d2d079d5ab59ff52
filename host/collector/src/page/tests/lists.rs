//! Lists and charts.

use super::site::{Site, ago, attributes, began, ended};
use crate::access::Rights;
use pipefold_sandbox::Notification;
use std::collections::HashSet;

async fn many(site: &Site, runs: i64) {
    for n in 0..runs {
        let start = Notification {
            head_branch: Some(if n % 3 == 0 { "main" } else { "a&b c" }.into()),
            github_username: Some("mona".into()),
            ..began(
                if n % 2 == 0 { "even" } else { "odd" },
                &format!("run-{n}"),
                10_000 - n * 10,
            )
        };
        site.add(start.clone(), ago(10_000 - n * 10)).await;
        site.add(
            ended(&start, if n % 5 == 0 { "failure" } else { "success" }, 5),
            ago(9_990 - n * 10),
        )
        .await;
    }
}

fn runs(page: &str) -> Vec<&str> {
    attributes(page, "href")
        .into_iter()
        .filter(|href| href.starts_with("/runs/"))
        .collect()
}

fn next(page: &str) -> Option<String> {
    let link = page.split("rel=\"next\" href=\"").nth(1)?;
    Some(link.split('"').next()?.replace("&amp;", "&"))
}

#[tokio::test]
async fn following_the_pages_shows_each_run_once_newest_first() {
    let site = Site::new();
    many(&site, 120).await;
    let (mut address, mut seen) = ("/runs".to_owned(), Vec::new());
    loop {
        let page = site.page(&address).await;
        assert_eq!(
            page.contains("data-events"),
            address == "/runs",
            "only the newest runs are live"
        );
        seen.extend(runs(&page).into_iter().map(str::to_owned));
        match next(&page) {
            Some(next) => address = next,
            None => break,
        }
        assert!(seen.len() <= 120);
    }
    let expected: Vec<String> = (0..120).rev().map(|n| format!("/runs/run-{n}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn filters_come_from_the_address_and_stay_in_every_link() {
    let site = Site::new();
    many(&site, 120).await;
    let page = site
        .page("/?pipeline=odd&status=success&branch=a%26b+c&person=mona&text=RUN-&after=")
        .await;
    let fit = (0..120)
        .rev()
        .filter(|n| n % 2 == 1 && n % 5 != 0 && n % 3 != 0)
        .map(|n| format!("/runs/run-{n}"));
    assert_eq!(runs(&page), fit.collect::<Vec<_>>());
    for (name, value) in [
        ("pipeline", "odd"),
        ("branch", "a&amp;b c"),
        ("person", "mona"),
        ("text", "RUN-"),
    ] {
        assert!(
            page.contains(&format!("name=\"{name}\" value=\"{value}\"")),
            "{name}:\n{page}"
        );
    }
    let failures = attributes(&page, "href")
        .into_iter()
        .find(|href| href.contains("status=failure"))
        .unwrap();
    assert_eq!(
        failures,
        "/runs?status=failure&amp;pipeline=odd&amp;branch=a%26b%20c&amp;person=mona&amp;text=RUN-"
    );
    // And over the pages.
    let page = site.page("/?branch=a%26b%20c").await;
    let next = site.page(&next(&page).unwrap()).await;
    let both: HashSet<&str> = runs(&page).into_iter().chain(runs(&next)).collect();
    assert_eq!(both.len(), 80);
}

/// Returns the sentence about what was found.
fn found(page: &str) -> String {
    let text = page
        .split("<p class=\"found\">")
        .nth(1)
        .unwrap()
        .split("</p>")
        .next()
        .unwrap();
    let text = text.split("</a>").nth(1).unwrap();
    text.replace("<bdi>", "").replace("</bdi>", "")
}

#[tokio::test]
async fn a_list_says_what_matched_and_how_many() {
    let site = Site::new();
    many(&site, 120).await;
    for (address, text) in [
        ("/runs", "120 runs."),
        (
            "/?pipeline=odd&status=failure",
            "12 runs of 120: status is failure, pipeline is odd.",
        ),
        (
            "/?branch=AI&person=mon",
            "40 runs of 120: branch contains AI, person contains mon.",
        ),
        (
            "/?commit=abc&pr=%237",
            "0 runs of 120: commit begins with abc, pull request is #7.",
        ),
        (
            "/?from=2025-06-15&to=2025-06-15",
            "120 runs of 120: started from 2025-06-15, started to 2025-06-15.",
        ),
        ("/?status=stale", "0 runs of 120: status is stale."),
        (
            "/?source=enk&dx=refused",
            "0 runs of 120: DX has refused, source is enk.",
        ),
    ] {
        let page = site.page(address).await;
        assert_eq!(found(&page).replace("source contains", "source is"), text, "{address}");
    }
    // The statuses keep the rest, and a field without use is there to be filled in.
    let page = site.page("/?repository=x&status=stale").await;
    assert!(
        page.contains("href=\"/runs?status=failure&amp;repository=x\""),
        "{page}"
    );
    assert!(page.contains("<details class=\"more\" open>") && page.contains("name=\"status\" value=\"stale\""));
    assert!(page.contains("<option value=\"even\">") && page.contains("list=\"names-branch\""));
    assert!(site.page("/runs").await.contains("<details class=\"more\">"));
    for bad in ["pr=x", "from=monday", "to=2025-13-01"] {
        assert_eq!(site.get(&format!("/?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_list_is_a_file_too() {
    let site = Site::new();
    many(&site, 230).await;
    let page = site.page("/?branch=main").await;
    assert!(page.contains("href=\"/runs.csv?branch=main\""), "{page}");
    let answer = site.get("/runs.csv?branch=AI").await;
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = answer.text.lines().collect();
    assert_eq!((lines.len(), lines[0].split(',').count()), (1 + 77, 14));
    let time = |seconds: i64| ago(seconds).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let first = format!(
        "even,115,success,main,,,,mona,Jenkins,{},{},5,run-228,",
        time(7_720),
        time(7_715)
    );
    assert_eq!(lines[1], first);
    let site = site.seen_by(Rights::Read, &["odd"]);
    assert!(!site.page("/runs.csv").await.contains("even"));
}

#[tokio::test]
async fn an_empty_page_has_advice() {
    let site = Site::new();
    let page = site.page("/runs").await;
    assert!(page.contains("No runs yet") && page.contains("pipefold exec"));
    assert!(site.page("/pipelines").await.contains("No pipelines yet"));
    many(&site, 1).await;
    let page = site.page("/?text=nowhere").await;
    assert!(page.contains("No matching run") && page.contains("Show all runs"));
    assert!(
        site.page("/pipelines?search=nowhere")
            .await
            .contains("No matching pipeline")
    );
    assert!(site.page("/pipelines/even?days=1").await.contains("Time to green"));
}

#[tokio::test]
async fn pipelines_go_on_page_by_page() {
    let site = Site::new();
    for n in 0..150 {
        site.add(began(&format!("p{n:03}"), &format!("r{n}"), 60), ago(60))
            .await;
    }
    let first = site.page("/pipelines?sort=name").await;
    assert!(first.contains("/pipelines/p049\"") && !first.contains("/pipelines/p050\""));
    let address = next(&first).unwrap();
    let second = site.page(&address).await;
    assert!(!second.contains("/pipelines/p049\"") && second.contains("/pipelines/p099\""));
    let last = site.page(&next(&second).unwrap()).await;
    assert!(last.contains("/pipelines/p149\"") && next(&last).is_none());
}

#[tokio::test]
async fn who_may_not_see_a_pipeline_sees_nothing_of_it() {
    let site = Site::new();
    site.add(began("secret", "hidden-run", 60), ago(60)).await;
    site.add(began("open", "shown-run", 60), ago(60)).await;
    let site = site.seen_by(Rights::Read, &["open"]);
    for address in [
        "/",
        "/runs",
        "/pipelines",
        "/?text=hidden-run",
        "/?pipeline=secret",
        "/?status=running",
    ] {
        let page = site.page(address).await;
        assert!(
            !page.contains("/runs/hidden") && !page.contains("/pipelines/secret"),
            "{address}"
        );
    }
    for address in [
        "/runs/hidden-run",
        "/runs?reference_id=hidden-run",
        "/pipelines/secret",
        "/pipelines?name=secret",
    ] {
        let (hidden, absent) = (
            site.get(address).await,
            site.get(&address.replace("hidden-run", "no").replace("secret", "no"))
                .await,
        );
        assert_eq!((hidden.status.as_u16(), hidden.text), (404, absent.text), "{address}");
    }
    assert!(site.page("/runs/shown-run").await.contains("open"));
}

#[tokio::test]
async fn a_run_without_activity_is_stale() {
    let site = Site::new();
    site.add(began("p", "old", 7 * 3_600), ago(7 * 3_600)).await;
    site.add(began("p", "new", 5 * 3_600), ago(5 * 3_600)).await;
    let done = began("p", "done", 8 * 3_600);
    site.add(ended(&done, "success", 60), ago(8 * 3_600)).await;
    for (reference, class) in [
        ("old", "pill s-stale"),
        ("new", "pill s-running"),
        ("done", "pill s-success"),
    ] {
        let page = site.page(&format!("/runs/{reference}")).await;
        assert!(page.contains(class), "{reference}");
        assert_eq!(page.contains("s-stale"), reference == "old");
        assert_eq!(page.contains("so far"), reference == "new");
    }
    assert_eq!(site.page("/runs").await.matches("pill s-stale").count(), 1);
}

#[tokio::test]
async fn a_run_that_goes_on_is_shown_as_running_whatever_its_steps_came_to() {
    let site = Site::new();
    let start = |reference: &str, ago: i64| began("web", reference, ago);
    let step = |reference: &str, ago: i64, status: &str| Notification {
        status: Some(status.into()),
        ..start(reference, ago)
    };
    for (reference, seconds, status) in [
        ("well", 600, "success"),
        ("badly", 600, "failure"),
        ("long ago", 90_000, "success"),
    ] {
        site.add(start(reference, seconds), ago(seconds)).await;
        site.add(step(reference, seconds, status), ago(seconds - 60)).await;
    }
    site.add(step("at once", 600, "success"), ago(600)).await;
    let over = start("over", 600);
    site.add(over.clone(), ago(600)).await;
    site.add(ended(&over, "success", 60), ago(540)).await;
    for (reference, word, is_live) in [
        ("well", "Running", true),
        ("badly", "Failing", true),
        ("long%20ago", "Success", false),
        ("at%20once", "Success", false),
        ("over", "Success", false),
    ] {
        let page = site.page(&format!("/runs/{reference}")).await;
        let pill = page
            .split("class=\"pill ")
            .nth(1)
            .unwrap()
            .split("</span>")
            .next()
            .unwrap();
        assert!(pill.ends_with(word), "{reference}: {pill}");
        assert_eq!(page.contains("data-events"), is_live, "{reference}");
        assert_eq!(page.contains(" so far"), is_live, "{reference}: its duration");
    }
}

#[tokio::test]
async fn a_name_with_a_space_at_its_end_differs_from_the_one_without() {
    let site = Site::new();
    for (place, (name, shown)) in [("web-x ", "<bdi>“web-x ”</bdi>"), ("web-x", "<bdi>web-x</bdi>")]
        .into_iter()
        .enumerate()
    {
        site.add(began(name, &format!("r{place}"), 10), ago(10)).await;
        for address in ["/runs", "/pipelines"] {
            let page = site.page(address).await;
            assert!(page.contains(shown), "{address}: {shown}\n{page}");
        }
    }
}

#[tokio::test]
async fn one_run_is_one_run_on_phones_too_and_refused_runs_have_a_list() {
    let site = Site::new();
    many(&site, 1).await;
    let page = site.page("/pipelines").await;
    assert!(
        page.contains("> run</span>") && !page.contains("> runs</span>"),
        "{page}"
    );
    let page = site.page("/runs").await;
    assert!(page.contains("href=\"/runs?dx=refused\""));
    let page = site.page("/?dx=refused").await;
    assert!(page.contains("No matching run") && page.contains("name=\"dx\" value=\"refused\""));
    assert_eq!(site.get("/?dx=x").await.status, 400);
}
