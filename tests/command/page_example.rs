//! The request on DX's page, by curl as printed there and by pipefold, leads to the same record.

use std::process::Command;

use pipefold_tests::{Ci, fixtures, skipped};

/// "Example request" of DX's page for `pipelineRuns.upsert`.
const EXAMPLE: &str = r#"curl -X POST https://yourinstance.getdx.net/api/pipelineRuns.upsert \
-H "Content-Type: application/json" \
-H "Authorization: Bearer xxxx-xxxxxxxxx-xxxx" \
-d '{
"pipeline_name": "build_panda_finder",
"pipeline_source": "Tekton",
"reference_id": "AA713E04-1880-4E17-8C49-4A41733DAFCF",
"started_at": "2025-01-01T12:05:00",
"finished_at": "2025-01-01T12:10:00",
"status": "success"
}'"#;

const ID: &str = "AA713E04-1880-4E17-8C49-4A41733DAFCF";

/// The same as flags, without the times and the status.
const FIELDS: [&str; 6] = [
    "--pipeline-name",
    "build_panda_finder",
    "--pipeline-source",
    "Tekton",
    "--reference-id",
    ID,
];

/// What DX knows after the page's command.
fn by_curl(ci: &Ci) -> bool {
    let command = EXAMPLE
        .replace("https://yourinstance.getdx.net", &ci.dx.url())
        .replace("xxxx-xxxxxxxxx-xxxx", ci.dx.token())
        // A proxy of the machine's is not meant for the stand-in; progress is noise.
        .replace("curl ", "curl --noproxy '*' --silent --show-error --fail ");
    let answer = match Command::new("curl").arg("--version").output() {
        Ok(_) => Command::new("sh").args(["-c", &command]).output().unwrap(),
        Err(_) => return false,
    };
    assert!(answer.status.success(), "{answer:?}");
    assert_eq!(answer.stdout, br#"{"ok":true}"#);
    true
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
    let table = [
        ("step 1", "11:25:18", "running"),
        ("step 2", "11:25:21", "success"),
        ("step 3", "11:24:40", "failure"),
        ("step 4", "11:25:21", "running"),
    ];
    for (step, time, status) in table {
        let arguments = ["step", "--now", "--step", step, "--status", status, "--started-at"];
        ci.report(
            arguments
                .into_iter()
                .map(str::to_owned)
                .chain([format!("2025-01-01T{time}")]),
        )
        .run()
        .assert_code(0);
    }
    // The page prints 11:46:67, which is no time of day. The steps decide: its last one is not the end of the run.
    let last = [
        "step",
        "--step",
        "step 5",
        "--status",
        "success",
        "--started-at",
        "2025-01-01T11:26:07",
    ];
    ci.report(last).run().assert_code(0);
    ci.report(["finish", "--finished-at", "2025-01-01T11:46:07"])
        .run()
        .assert_code(0);
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
    assert!(std::fs::read_to_string(page).unwrap().contains(EXAMPLE));
}
