//! The page of a run.

use super::site::{Site, ago, began, now};
use crate::page::timeline::{MAX_LANES, lanes};
use crate::store::{Forwarded, RunKey, Store};
use pipefold_sandbox::{Attribute, Job, Notification, Status};

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
    assert!(page.contains(">job ") && page.len() < 1 << 20, "{}", page.len());
}
