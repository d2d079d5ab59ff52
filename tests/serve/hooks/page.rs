//! The page, the API and the metrics of deliveries: counters, the last ones, and never a secret.

use serde_json::{Value, json};

use super::place::{Delivery, Place, SECRET, job, reference, run};

#[test]
fn the_last_deliveries_are_shown_without_their_bodies() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let mut client = collector.client();
    assert!(client.get("/hooks").text().contains("No deliveries"));
    let mut secret: Value = serde_json::from_slice(&run(1, "requested", None).body).unwrap();
    secret["workflow_run"]["more"] = json!("a part of the body that no field has");
    assert_eq!(
        Delivery::new("workflow_run", &secret).send(&mut client).unwrap().status,
        200
    );
    assert_eq!(
        job(1, "<b>build</b>", Some("success"))
            .send(&mut client)
            .unwrap()
            .status,
        200
    );
    assert_eq!(Delivery::new("star", &json!({})).send(&mut client).unwrap().status, 200);
    assert_eq!(
        run(1, "requested", None)
            .send_with(&mut client, "/hooks/github", &[])
            .unwrap()
            .status,
        401
    );
    let listed = client.get("/api/hooks");
    assert_eq!(listed.status, 200);
    let source = listed.json()["sources"][0].clone();
    assert_eq!(
        (
            &source["name"],
            &source["path"],
            &source["scheme"],
            &source["translation"]
        ),
        (
            &json!("github"),
            &json!("/hooks/github"),
            &json!("hub-signature-256"),
            &json!("built-in github")
        )
    );
    let counts = &source["counts"];
    assert_eq!(
        (
            &counts["accepted"],
            &counts["ignored"],
            &counts["unsigned"],
            &counts["failed"]
        ),
        (&json!(2), &json!(1), &json!(1), &json!(0))
    );
    let deliveries = source["deliveries"].as_array().unwrap();
    let statuses: Vec<&Value> = deliveries.iter().map(|seen| &seen["status"]).collect();
    assert_eq!(statuses, [401, 200, 200, 200]);
    assert_eq!(deliveries[3]["event"], "workflow_run");
    assert_eq!(deliveries[3]["id"], "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(
        (&deliveries[3]["outcome"], &deliveries[3]["runs"][0]["reference_id"]),
        (&json!("1 run, 0 jobs"), &json!(reference(1)))
    );
    let page = client.get("/hooks");
    assert_eq!(page.status, 200);
    let link = format!("/runs/{}", reference(1).replace('/', "%2F"));
    for shown in ["hub-signature-256", "star", "X-Hub-Signature-256 is missing", &link] {
        assert!(page.text().contains(shown), "{shown}: {}", page.text());
    }
    let metrics = client.get("/metrics").text();
    for line in [
        "pipefold_hook_deliveries_total{source=\"github\",result=\"accepted\"} 2",
        "pipefold_hook_deliveries_total{source=\"github\",result=\"ignored\"} 1",
        "pipefold_hook_duration_seconds_count{source=\"github\"} 3",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    let all = [page.text(), listed.text(), metrics, collector.stop().log].concat();
    assert!(!all.contains("a part of the body") && !all.contains(SECRET), "{all}");
}

#[test]
fn a_reader_of_some_pipelines_sees_their_deliveries() {
    let place = Place::new();
    let collector = place.serve(&[]);
    let [all, some, none] = [
        collector.token("all", &["--read"]),
        collector.token("some", &["--read", "--pipelines", "web"]),
        collector.token("writer", &["--write"]),
    ];
    let mut client = collector.client();
    assert_eq!(run(1, "requested", None).send(&mut client).unwrap().status, 200);
    let mut web: Value = serde_json::from_slice(&run(2, "requested", None).body).unwrap();
    web["workflow_run"]["name"] = json!("web");
    assert_eq!(
        Delivery::new("workflow_run", &web).send(&mut client).unwrap().status,
        200
    );
    let seen = |token: &str| {
        let answer = collector.client().with_token(token).get("/api/hooks").json();
        answer["sources"][0]["deliveries"].as_array().unwrap().len()
    };
    assert_eq!((seen(&all), seen(&some)), (2, 1));
    let mut some = collector.client().with_token(&some);
    assert!(!some.get("/hooks").text().contains("octo%2Fhello%2F1"));
    for path in ["/hooks", "/api/hooks"] {
        assert_eq!(client.get(path).status, 401, "{path}");
        assert_eq!(collector.client().with_token(&none).get(path).status, 403, "{path}");
    }
}

#[test]
fn a_server_without_sources_says_how_to_have_one() {
    let place = Place::new();
    let collector = place.try_serve(&[]).unwrap();
    let mut client = collector.client();
    assert!(client.get("/hooks").text().contains("pipefold serve --source github"));
    assert_eq!(client.get("/api/hooks").json(), json!({ "ok": true, "sources": [] }));
    assert!(!client.get("/metrics").text().contains("hook"));
    let delivery = run(1, "requested", None);
    assert_eq!(delivery.send(&mut client).unwrap().status, 404);
}
