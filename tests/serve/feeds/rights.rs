//! A user without rights sees nothing of a run, on any address.

use std::io::{Read, Write};

use pipefold_gocd::{Resource, read};
use pipefold_tests::http::connect;
use serde_json::json;

use crate::feeds::site::{Site, run, with};

/// The mark in every text of the run that must not be seen.
const SECRET: &str = "hush";

/// Every address of the run that has this id, this pipeline, step and reference.
fn addresses(id: u64, pipeline: &str, step: &str, reference: &str, jobs: [u64; 2]) -> Vec<String> {
    let stage = id + 1;
    let [own, job] = jobs;
    [
        format!("/go/api/pipelines/{pipeline}/stages.xml"),
        format!("/go/api/pipelines/{pipeline}/stages.xml?before=1"),
        format!("/go/api/pipelines/{pipeline}/{id}.xml"),
        format!("/go/api/pipelines/open/{id}.xml"),
        format!("/go/api/stages/{stage}.xml"),
        format!("/go/pipelines/{pipeline}/1/run/1.xml"),
        format!("/go/api/jobs/{own}.xml"),
        format!("/go/api/jobs/{job}.xml"),
        format!("/go/api/feed/pipelines/{pipeline}/stages.xml"),
        format!("/go/api/feed/pipelines/{pipeline}/stages.xml?before=2"),
        format!("/go/api/feed/pipelines/{pipeline}/1.xml"),
        format!("/go/api/feed/pipelines/{pipeline}/1/run/1.xml"),
        format!("/go/api/feed/pipelines/{pipeline}/1/run/1/run.xml"),
        format!("/go/api/feed/pipelines/{pipeline}/1/run/1/{step}.xml"),
        format!("/go/pipelines/{pipeline}/1/run/1"),
        format!("/go/pipelines/{pipeline}/1/run/1/pipeline"),
        format!("/go/pipelines/value_stream_map/{pipeline}/1"),
        format!("/runs/{reference}"),
        format!("/runs?reference_id={reference}"),
        format!("/pipelines/{pipeline}"),
        format!("/pipelines/{pipeline}?days=7"),
        format!("/api/runs/{reference}"),
    ]
    .into()
}

/// Paths of lists that everyone may read.
fn lists(pipeline: &str, reference: &str) -> Vec<String> {
    let mut lists: Vec<String> = [
        "/go/api/pipelines.xml",
        "/go/api/feed/pipelines.xml",
        "/",
        "/pipelines",
        "/api/runs",
        "/metrics",
    ]
    .map(str::to_owned)
    .into();
    for query in [
        format!("pipeline={pipeline}"),
        format!("text={reference}"),
        format!("branch={SECRET}-branch"),
        format!("person={SECRET}%40example.com"),
        "status=failure".into(),
    ] {
        lists.push(format!("/api/runs?{query}"));
        lists.push(format!("/?{query}"));
    }
    lists
}

/// A collector with a run that `outsider` may not see, and one that it may. Returns the ids of the first and of its jobs.
fn site() -> (Site, u64, [u64; 2]) {
    let mut site = Site::new();
    let secret = |minute, status| {
        let facts = json!({
            "repository": format!("{SECRET}/repository"), "head_branch": format!("{SECRET}-branch"), "email": format!("{SECRET}@example.com"),
            "source_url": format!("https://ci.example.com/{SECRET}"), "pipeline_source": format!("{SECRET}-source"),
        });
        with(run("hush-pipeline", "hush-reference", minute, status), facts)
    };
    site.report(&run("open", "open-1", 0, "success"));
    site.report(&secret(0, "failure"));
    site.job("hush-reference", "hush-step", "failure", [None, None]);
    let id = site.run("hush-reference")["id"].as_u64().unwrap();
    let stage = read::stage(&site.document(&format!("/go/api/stages/{}.xml", id + 1))).unwrap();
    let job = |resource: &Resource| match resource {
        Resource::JobById(id) => *id,
        other => panic!("{other:?}"),
    };
    let jobs: Vec<u64> = stage.job_resources().iter().map(job).collect();
    (site, id, jobs.try_into().unwrap())
}

#[test]
fn every_address_is_as_if_the_run_were_not() {
    let (mut site, id, jobs) = site();
    let outsider = site.collector.token("outsider", &["--read", "--pipelines", "open"]);
    let insider = site.collector.token("insider", &["--read", "--pipelines", "hush-*"]);
    let there = addresses(id, "hush-pipeline", "hush-step", "hush-reference", jobs);
    let nowhere = addresses(9_000, "none", "none", "none", [9_008, 9_009]);
    for (address, unknown) in there.iter().zip(&nowhere) {
        let inside = site.signed_in(&insider).get(address);
        assert!(
            matches!(inside.status, 200 | 302),
            "the test asks for something: {address}: {}",
            inside.status
        );
        let told = format!("{:?} {}", inside.headers, inside.text());
        // A stage by its name leads to the one by its id, which has no name.
        assert!(told.contains(SECRET) || inside.status == 302, "{address}");

        let outside = site.signed_in(&outsider).get(address);
        let told = format!("{:?} {}", outside.headers, outside.text());
        assert!(!told.contains(SECRET), "{address}: {told}");
        let unknown = site.get(unknown);
        assert_eq!(
            (outside.status, outside.text()),
            (unknown.status, unknown.text()),
            "{address}"
        );
        assert_eq!(outside.status, 404, "{address}");
    }
    for list in lists("hush-pipeline", "hush-reference") {
        let outside = site.signed_in(&outsider).get(&list);
        assert_eq!(outside.status, 200, "{list}");
        // A filter shows what it filters by.
        let told = outside
            .text()
            .replace("hush-pipeline", "")
            .replace("hush-reference", "")
            .replace("hush-branch", "");
        let told = told.replace("hush@example.com", "").replace("hush%40example.com", "");
        assert!(!told.contains(SECRET), "{list}: {told}");
        if !list.contains('?') {
            assert!(!outside.text().contains(SECRET), "{list}");
        }
        assert!(!outside.text().contains("/runs/hush"), "{list}");
    }
}

#[test]
fn without_a_token_that_may_read_there_is_nothing() {
    let (mut site, id, jobs) = site();
    let writer = site.collector.token("writer", &["--write"]);
    let mut all = addresses(id, "hush-pipeline", "hush-step", "hush-reference", jobs);
    all.extend(lists("hush-pipeline", "hush-reference"));
    all.push("/events".into());
    for address in all {
        for (token, status) in [("", 401), ("wrong", 401), (&*writer, 403)] {
            let answer = match token {
                "" => {
                    let mut client = site.collector.client();
                    client.get(&address)
                }
                token => site.signed_in(token).get(&address),
            };
            // Who guesses is held up.
            assert!(
                answer.status == status || token == "wrong" && answer.status == 429,
                "{address}: {}",
                answer.status
            );
            assert!(!answer.text().contains(SECRET), "{address}");
        }
    }
}

#[test]
fn changes_are_shown_to_users_with_access() {
    let (mut site, ..) = site();
    let outsider = site.collector.token("outsider", &["--read", "--pipelines", "open"]);
    let writer = site.collector.token("writer", &["--write"]);
    let mut events = connect(site.collector.address).unwrap();
    let head = format!("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {outsider}\r\n\r\n");
    events.write_all(head.as_bytes()).unwrap();
    let mut greeting = [0; 16];
    events.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"HTTP/1.1 200 OK\r");
    site.signed_in(&writer)
        .report(&run("hush-pipeline", "hush-reference", 2, "failure"));
    site.collector.stop();
    let mut told = String::new();
    events.read_to_string(&mut told).unwrap();
    assert!(!told.contains("data:") && !told.contains(SECRET), "{told}");
}
