//! Lists, charts and timelines.

use super::site::{Site, ago, attributes, began, ended, now};
use crate::access::Rights;
use crate::page::timeline::{MAX_LANES, lanes};
use crate::store::{Forwarded, RunKey, Store};
use pipefold_sandbox::{Attribute, Job, Notification, Status};
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
async fn a_run_leads_to_its_pages_elsewhere_and_to_its_neighbours() {
    let site = Site::new();
    for n in 1..=3 {
        let run = Notification {
            pipeline_source: Some("GitHub Actions".into()),
            repository: Some("acme/shop".into()),
            commit_sha: Some("abc123".into()),
            pr_number: Some(7),
            source_url: Some(format!("https://github.com/acme/shop/actions/runs/{n}")),
            ..began("p", &format!("r{n}"), 100 - n)
        };
        site.add(run, ago(100 - n)).await;
    }
    site.add_job("r2", job("unit <b>", Status::Failure, Some(90), Some(30)), false)
        .await;
    site.add_job("r2", job("lint", Status::Success, Some(90), Some(30)), false)
        .await;
    let page = site.page("/runs/r2").await;
    let main = page.split("<main").nth(1).unwrap();
    let place = |text: &str| main.find(text).unwrap_or_else(|| panic!("no {text}:\n{main}"));
    let order = [
        "rel=\"prev\" href=\"/runs/r1\"",
        "rel=\"next\" href=\"/runs/r3\"",
        "href=\"https://github.com/acme/shop/actions/runs/2\"",
        "<p class=\"failed\"><strong>Failed: </strong><bdi>unit &lt;b&gt;</bdi> after 30s",
        "<dl class=\"facts wide\">",
    ]
    .map(place);
    assert!(order.is_sorted(), "{order:?}");
    for link in [
        "https://github.com/acme/shop\"",
        "https://github.com/acme/shop/commit/abc123\"",
        "https://github.com/acme/shop/pull/7\"",
        "/runs?commit=abc123\"",
        "/runs?repository=acme%2Fshop&amp;pr=7\"",
    ] {
        place(link);
    }
    assert!(
        !site.page("/runs/r1").await.contains("rel=\"prev\"") && !site.page("/runs/r3").await.contains("rel=\"next\"")
    );
}

#[tokio::test]
async fn a_server_that_does_not_forward_says_nothing_about_dx() {
    let mut site = Site::new();
    site.add(began("p", "r", 100), ago(100)).await;
    site.state.forwards = false;
    let page = site.page("/runs/r").await;
    assert!(
        !page.contains("DX") && page.contains("<h2>Notifications</h2>"),
        "{page}"
    );
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

fn job(name: &str, status: Status, from: Option<i64>, took: Option<i64>) -> Job {
    let text = |seconds: i64| ago(seconds).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    Job {
        reference_id: name.into(),
        name: name.into(),
        status,
        started_at: from.map(text),
        finished_at: took.map(|took| text(from.unwrap_or_default() - took)),
    }
}

#[tokio::test]
async fn jobs_are_shown_in_the_order_of_their_start() {
    let site = Site::new();
    site.add(began("p", "r", 100), ago(100)).await;
    for (job, held) in [
        (job("odd", Status::Unknown, None, None), true),
        (job("test", Status::Failure, Some(50), Some(20)), false),
        (job("build", Status::Success, Some(90), Some(40)), false),
        (job("lint", Status::Running, Some(40), None), false),
        (job("docs", Status::Success, Some(30), None), false),
    ] {
        site.add_job("r", job, held).await;
    }
    let run = site.store.run(RunKey::Reference("r".into())).await.unwrap().unwrap();
    let lanes = lanes(&run);
    let shown: Vec<_> = lanes
        .iter()
        .map(|lane| (lane.job.as_deref(), lane.status, lane.from, lane.until))
        .collect();
    assert_eq!(
        shown,
        [
            (None, Status::Running, ago(100), None),
            (Some("build"), Status::Success, ago(90), Some(ago(50))),
            (Some("test"), Status::Failure, ago(50), Some(ago(30))),
            (Some("lint"), Status::Running, ago(40), None),
            (Some("docs"), Status::Success, ago(30), None),
            (Some("odd"), Status::Unknown, ago(100), None),
        ]
    );
    let page = site.page("/runs/r").await;
    assert!(page.contains("bar s-running open") && page.contains("bar s-failure"));
    assert_eq!(page.matches("held by a policy").count(), 1);
    assert!(page.contains("bar s-success\"") && !page.contains("bar s-success open"));
}

#[tokio::test]
async fn times_that_cannot_be_read_or_lie_far_off_are_drawn_somewhere() {
    let site = Site::new();
    site.add(began("p", "r", 100), now()).await;
    for (n, time) in ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "soon"]
        .into_iter()
        .enumerate()
    {
        let mut odd = job(&format!("s{n}"), Status::Running, None, None);
        odd.started_at = Some(time.into());
        odd.finished_at = Some("1969-12-31T23:59:59Z".into());
        site.add_job("r", odd, false).await;
    }
    let page = site.page("/runs/r").await;
    assert!(page.contains("s2") && !page.contains("NaN") && !page.contains("inf%"));
}

#[tokio::test]
async fn attributes_are_shown_and_are_not_in_the_record_for_dx() {
    let site = Site::new();
    let attribute = Attribute {
        key: "queue".into(),
        value: "large <runner>".into(),
    };
    let start = Notification {
        attributes: vec![attribute],
        ..began("p", "r", 100)
    };
    site.add(start, ago(100)).await;
    let page = site.page("/runs/r").await;
    assert!(
        page.contains("<h2>Attributes</h2>") && page.contains("large &lt;runner&gt;"),
        "{page}"
    );
}

#[tokio::test]
async fn the_record_and_what_dx_knows() {
    let site = Site::new();
    let run = site.add(began("p", "r", 100), ago(100)).await;
    let page = site.page("/runs/r").await;
    assert!(
        page.contains("{\n  &quot;pipeline_name&quot;: &quot;p&quot;,\n"),
        "{page}"
    );
    assert!(
        page.contains("DX has 0 of 1 notification; the rest waits, since <time"),
        "{page}"
    );
    site.store
        .forwarded(Forwarded {
            id: run.id,
            covered: 1,
            answer: None,
            sent: None,
        })
        .await
        .unwrap();
    assert!(
        site.page("/runs/r")
            .await
            .contains("DX has everything: 1 notification.")
    );
    for name in ["a", "b"] {
        site.add_job("r", job(name, Status::Success, None, None), false).await;
    }
    let page = site.page("/runs/r").await;
    assert!(page.contains("DX has the run; 2 jobs of 2 wait, since <time"), "{page}");
}

#[tokio::test]
async fn a_run_with_a_thousand_notifications_and_jobs_has_a_page_of_bounded_size() {
    let site = Site::new();
    site.add(began("p", "r", 100), ago(100)).await;
    // They share their waits for the disk.
    futures_util::future::join_all((0..999).map(|_| site.add(began("p", "r", 90), ago(10)))).await;
    let jobs = (0..1_000).map(|n| job(&format!("job {n}"), Status::Success, Some(100), Some(5)));
    futures_util::future::join_all(jobs.map(|job| site.add_job("r", job, false))).await;
    let page = site.page("/runs/r").await;
    assert!(
        page.contains(&format!("The first {MAX_LANES} of 1\u{202f}000 jobs.")),
        "{}",
        page.len()
    );
    assert!(page.contains("The newest 300 of 1\u{202f}000 notifications."));
    assert!(page.contains(">job 0<") && page.len() < 1 << 20, "{}", page.len());
}
