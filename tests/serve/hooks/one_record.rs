//! Deliveries and in-build reports of one run are one record, in any order, twice and late.

use pipefold_tests::Collector;
use pipefold_tests::http::Client;
use serde_json::{Value, json};

use super::place::{Delivery, Place, job, reference, run, stored};

/// An event about the run, by either way.
#[derive(Clone)]
enum Event {
    Hook(Delivery),
    Upsert(Value),
}

impl Event {
    fn send(&self, client: &mut Client) {
        let answer = match self {
            Self::Hook(delivery) => delivery.send(client).unwrap(),
            Self::Upsert(arguments) => client.upsert(arguments).unwrap(),
        };
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// The in-build report of a run, whose times are those of the runner's clock.
fn upsert(id: u64, more: &Value) -> Event {
    let mut arguments = json!({
        "pipeline_name": "CI", "pipeline_source": "GitHub Actions", "reference_id": reference(id), "started_at": "2025-01-01T12:00:30Z",
        "repository": "octo/hello", "commit_sha": "0123456789abcdef0123456789abcdef01234567", "head_branch": "main",
        "source_url": format!("https://github.com/octo/hello/actions/runs/{id}/attempts/1"), "github_username": "mona",
    });
    arguments
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Event::Upsert(arguments)
}

fn events(id: u64) -> Vec<Event> {
    vec![
        Event::Hook(run(id, "requested", None)),
        Event::Hook(job(id, "build", Some("success"))),
        Event::Hook(run(id, "completed", Some("success"))),
        upsert(id, &json!({ "status": "running" })),
        upsert(
            id,
            &json!({ "status": "success", "finished_at": "2025-01-01T12:09:30Z" }),
        ),
    ]
}

/// All orders of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(count - 1) {
        for place in 0..count {
            let mut order = shorter.clone();
            order.insert(place, count - 1);
            all.push(order);
        }
    }
    all
}

fn check(collector: &Collector, id: u64, what: &str) {
    let kept = stored(collector, id).unwrap_or_else(|| panic!("{what}: lost"));
    let record = &kept["record"];
    let expected = json!({
        "pipeline_name": "CI", "pipeline_source": "GitHub Actions", "reference_id": reference(id), "status": "success",
        "started_at": "2025-01-01T12:00:00Z", "finished_at": "2025-01-01T12:10:00Z", "repository": "octo/hello",
        "commit_sha": "0123456789abcdef0123456789abcdef01234567", "head_branch": "main", "github_username": "mona",
        "source_url": format!("https://github.com/octo/hello/actions/runs/{id}/attempts/1"),
    });
    assert_eq!(*record, expected, "{what}");
    let jobs = kept["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 1, "{what}");
    assert_eq!(
        (&jobs[0]["name"], &jobs[0]["status"]),
        (&json!("build"), &json!("success")),
        "{what}"
    );
}

#[test]
fn every_order_gives_one_record() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut client = collector.client();
    let orders = orders(5);
    for (id, order) in (1..).zip(&orders) {
        let events = events(id);
        for event in order {
            events[*event].send(&mut client);
        }
        check(&collector, id, &format!("{order:?}"));
    }
    let (mut listed, mut after) = (0, String::new());
    loop {
        let page = client.get(&format!("/api/runs?limit=200{after}")).json();
        listed += page["runs"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(listed, orders.len());
}

#[test]
fn twice_and_late_changes_nothing() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut client = collector.client();
    let all = events(1);
    for event in all.iter().chain(&all).chain(all.iter().rev()) {
        event.send(&mut client);
    }
    check(&collector, 1, "twice");
}

#[test]
fn a_job_that_comes_first_makes_its_run_known() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut client = collector.client();
    for (conclusion, status) in [(None, "running"), (Some("failure"), "failure")] {
        let answer = job(1, "build", conclusion).send(&mut client).unwrap();
        assert_eq!(answer.json(), json!({ "ok": true, "runs": 1, "jobs": 1 }));
        let kept = stored(&collector, 1).unwrap();
        assert_eq!(
            (&kept["record"]["status"], &kept["jobs"][0]["status"]),
            (&json!("running"), &json!(status)),
            "a job does not end its run"
        );
        assert_eq!(kept["record"]["started_at"], "2025-01-01T12:01:00Z");
    }
    // The events of jobs do not fill the run's history.
    assert_eq!(stored(&collector, 1).unwrap()["notifications"], 1);
    assert_eq!(
        run(1, "completed", Some("failure")).send(&mut client).unwrap().status,
        200
    );
    let record = stored(&collector, 1).unwrap()["record"].clone();
    assert_eq!(
        (&record["status"], &record["started_at"]),
        (&json!("failure"), &json!("2025-01-01T12:00:00Z"))
    );
}

#[test]
fn tokens_and_sources_write_to_the_same_runs_and_rights_hold() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let own = collector.token("ci", &["--pipelines", "CI"]);
    let other = collector.token("web", &["--pipelines", "web-*"]);
    let (mut own, mut other) = (
        collector.client().with_token(&own),
        collector.client().with_token(&other),
    );
    let mut hook = collector.client();
    // First by a token, then by a hook; then the other way round.
    for (id, hook_first) in [(1, false), (2, true)] {
        let mut all = events(id);
        if !hook_first {
            all.reverse();
        }
        for event in all {
            match event {
                Event::Hook(_) => event.send(&mut hook),
                Event::Upsert(_) => event.send(&mut own),
            }
        }
        let path = format!("/api/runs/{}", reference(id).replace('/', "%2F"));
        let kept = own.get(&path).json()["run"].clone();
        assert_eq!(
            (&kept["record"]["status"], &kept["counter"]),
            (&json!("success"), &json!(id))
        );
        let senders: Vec<&Value> = kept["received"]
            .as_array()
            .unwrap()
            .iter()
            .map(|received| &received["token"])
            .collect();
        assert!(
            senders.contains(&&json!("ci")) && senders.contains(&&json!("hook:github")),
            "{senders:?}"
        );
        // A run of a hook is no open door for others.
        let Event::Upsert(mut foreign) = upsert(id, &json!({ "status": "failure" })) else {
            unreachable!()
        };
        foreign["pipeline_name"] = json!("web-1");
        assert_eq!(other.upsert(&foreign).unwrap().status, 403);
    }
}
