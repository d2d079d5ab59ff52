//! The request on DX's page, by curl as printed there and by pipefold, leads to the same record.

use pipefold_tests::page::{self, ID};
use pipefold_tests::{Ci, fixtures, skipped};

/// The same as flags, without the times and the status.
const FIELDS: [&str; 6] = [
    "--pipeline-name",
    "build_panda_finder",
    "--pipeline-source",
    "Tekton",
    "--reference-id",
    ID,
];

/// Sends the page's request by curl. Returns false on a machine without curl.
fn by_curl(ci: &Ci) -> bool {
    let answer = page::curl(page::EXAMPLE, &ci.dx.url(), ci.dx.token());
    assert!(answer.is_none_or(|answer| answer == serde_json::json!({ "ok": true })));
    !ci.dx.requests().is_empty()
}

#[test]
fn curl_and_pipefold_give_the_same_record() {
    let curl = Ci::new();
    if !by_curl(&curl) {
        return skipped("curl_and_pipefold_give_the_same_record", "there is no curl");
    }
    let pipefold = Ci::new();
    let times = [
        "--started-at",
        "2025-01-01T12:05:00",
        "--finished-at",
        "2025-01-01T12:10:00",
        "--status",
        "success",
    ];
    pipefold
        .pipefold(["finish"].into_iter().chain(FIELDS).chain(times))
        .run()
        .assert_code(0);
    assert_eq!(pipefold.record_of(ID), curl.record_of(ID));
    let headers = |ci: &Ci, name: &str| ci.dx.requests()[0].header(name).map(str::to_owned);
    assert_eq!(headers(&pipefold, "content-type"), headers(&curl, "content-type"));
    assert_eq!(headers(&pipefold, "authorization"), headers(&curl, "authorization"));
    let request = &pipefold.dx.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/api/pipelineRuns.upsert")
    );
}

#[test]
fn by_exec_the_record_is_the_same_but_for_the_number_of_requests() {
    let curl = Ci::new();
    if !by_curl(&curl) {
        return skipped(
            "by_exec_the_record_is_the_same_but_for_the_number_of_requests",
            "there is no curl",
        );
    }
    let pipefold = Ci::new();
    let times = [
        "--started-at",
        "2025-01-01T12:05:00",
        "--finished-at",
        "2025-01-01T12:10:00",
        "--",
        "true",
    ];
    pipefold
        .pipefold(["exec"].into_iter().chain(FIELDS).chain(times))
        .run()
        .assert_code(0);
    let mut record = pipefold.record_of(ID);
    record.upserts = 1;
    assert_eq!(record, curl.record_of(ID));
}

#[test]
fn the_steps_of_the_pages_table_make_the_pages_record() {
    let ci = Ci::new();
    let last = page::TABLE.len() - 1;
    for (number, (started_at, _, status)) in page::TABLE.into_iter().enumerate() {
        let step = format!("step {}", number + 1);
        let arguments = ["step", "--step", &step, "--status", status, "--started-at", started_at];
        let now = (number < last).then_some("--now");
        ci.report(arguments.into_iter().chain(now)).run().assert_code(0);
    }
    // The steps decide: the last one is not the end of the run.
    let finished_at = page::TABLE[last].1.unwrap();
    ci.report(["finish", "--finished-at", finished_at]).run().assert_code(0);
    let record = ci.record();
    assert_eq!(record.started_at, "2025-01-01T11:24:40Z");
    assert_eq!(record.finished_at.as_deref(), Some("2025-01-01T11:46:07Z"));
    assert_eq!(record.status, "failure");
}

#[test]
fn the_example_is_still_the_pages() {
    let Some(page) = fixtures("../spec/dx-pipelineRuns.upsert.txt") else {
        return skipped("the_example_is_still_the_pages", "the page is not at hand");
    };
    assert!(std::fs::read_to_string(page).unwrap().contains(page::EXAMPLE));
}
