//! A run's page: steps over time, the record, the notifications.

use super::site::{Site, ago, began, ended, now};
use crate::page::timeline::{MAX_LANES, lanes};
use crate::store::{Forwarded, RunKey, Store};
use pipefold_sandbox::{Notification, Status};

fn step(name: &str, status: &str, from: i64, took: Option<i64>) -> Notification {
    let start = began("p", "r", from);
    let mut step = match took {
        Some(took) => ended(&start, status, took),
        None => start,
    };
    (step.step, step.status) = (Some(name.into()), Some(status.into()));
    step
}

#[tokio::test]
async fn a_step_spans_its_notifications_in_any_order() {
    let site = Site::new();
    let notifications = [
        step("test", "success", 50, Some(20)),
        began("p", "r", 100),
        step("build", "success", 90, None),
        step("test", "running", 60, None),
        step("lint", "running", 40, None),
        step("test", "failure", 55, Some(5)),
    ];
    for notification in notifications {
        site.add(notification, ago(10)).await;
    }
    let run = site.store.run(RunKey::Reference("r".into())).await.unwrap().unwrap();
    let lanes = lanes(&run);
    let shown: Vec<_> = lanes
        .iter()
        .map(|lane| (lane.step.as_deref(), lane.status, lane.from, lane.until))
        .collect();
    assert_eq!(
        shown,
        [
            (None, Status::Running, ago(100), None),
            (Some("test"), Status::Failure, ago(60), Some(ago(30))),
            // It said how it went, and not when.
            (Some("build"), Status::Success, ago(90), Some(ago(90))),
            (Some("lint"), Status::Running, ago(40), None),
        ]
    );
    assert_eq!(lanes[1].marks.len(), 3);
    let page = site.page("/runs/r").await;
    assert!(page.contains("bar s-running open") && page.contains("bar s-failure"));
}

#[tokio::test]
async fn times_that_cannot_be_read_or_lie_far_off_are_drawn_somewhere() {
    let site = Site::new();
    for (n, time) in ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "soon"]
        .into_iter()
        .enumerate()
    {
        let mut odd = step(&format!("s{n}"), "running", 10, None);
        odd.started_at = Some(time.into());
        odd.finished_at = Some("1969-12-31T23:59:59Z".into());
        site.add(began("p", "r", 100), now()).await;
        site.add(odd, now()).await;
    }
    let page = site.page("/runs/r").await;
    assert!(page.contains("s2") && !page.contains("NaN") && !page.contains("inf%"));
}

#[tokio::test]
async fn the_record_and_what_dx_knows() {
    let site = Site::new();
    let start = began("p", "r", 100);
    let run = site.add(start.clone(), ago(100)).await;
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
}

#[tokio::test]
async fn a_run_with_thousands_of_notifications_has_a_page_of_bounded_size() {
    let site = Site::new();
    let steps = (0..1_000).map(|n| step(&format!("step {n}"), "success", 100, Some(5)));
    // They share their waits for the disk.
    futures_util::future::join_all(steps.map(|step| site.add(step, ago(10)))).await;
    let page = site.page("/runs/r").await;
    assert!(
        page.contains(&format!("The first {MAX_LANES} of 1\u{202f}000 steps.")),
        "{}",
        page.len()
    );
    assert!(page.contains("The newest 300 of 1\u{202f}000 notifications."));
    assert!(page.contains(">step 999<") && page.len() < 1 << 20, "{}", page.len());
}
