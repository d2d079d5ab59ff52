//! Monitored policies: nothing that is recorded or sent differs, and what they would do is shown.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::module::{HOLD, Module};
use crate::place::{EMAIL, HEAD_BRANCH, SECRET, discard_starts, hold_finishes, redact, trap, write};
use pipefold_tests::{Ci, Collector, SpoolContent, eventually};
use serde_json::{Value, json};

/// A policy with this body in all three hooks.
fn in_all_hooks(body: &str) -> Vec<u8> {
    Module {
        pipeline_start: body.into(),
        step: body.into(),
        pipeline_finish: body.into(),
        ..Module::default()
    }
    .policy()
}

/// A body that never ends.
const LOOP: &str = "(loop (br 0)) unreachable";

/// Writes an operator's file with policies, each with its mode, and gives its path.
fn file(directory: &Path, policies: &[(&str, Vec<u8>, &str)]) -> String {
    let mut text = String::new();
    for (name, component, mode) in policies {
        std::fs::write(directory.join(format!("{name}.wasm")), component).unwrap();
        text += &format!("[[policy]]\nfile = \"{name}.wasm\"\nmode = \"{mode}\"\n");
    }
    let path = directory.join("operator.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A collector with these policies in front.
struct Place {
    _dir: tempfile::TempDir,
    collector: Collector,
}

impl Place {
    fn with(policies: &[(&str, Vec<u8>, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = file(dir.path(), policies);
        // A policy that loops takes long enough to tell that nothing waits for it.
        let tables = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, format!("[limits]\nhook = \"2s\"\n{tables}")).unwrap();
        let cache = dir.path().join("cache").display().to_string();
        let collector = Collector::start_with(
            &dir.path().join("data"),
            &["--config", &config, "--policy-cache", &cache],
        );
        Self { _dir: dir, collector }
    }

    /// Reports two runs with their jobs, and an end that is no good.
    fn report(&self) {
        let mut client = self.collector.client();
        for (number, run) in ["r/1", "r/2"].into_iter().enumerate() {
            let started = json!({
                "pipeline_name": "web", "pipeline_source": "tests", "reference_id": run, "started_at": "2025-01-01T12:05:00Z",
                "head_branch": "hidden-branch", "email": SECRET, "status": "running",
            });
            assert_eq!(client.upsert(&started).unwrap().status, 200);
            let job = json!({
                "pipeline_source": "tests", "run_reference_id": run, "reference_id": "lint", "name": "lint", "status": "success",
                "started_at": "2025-01-01T12:06:00Z",
            });
            assert_eq!(client.upsert_job(&job).unwrap().status, 200);
            let mut ended = started;
            ended["status"] = json!("success");
            ended["finished_at"] = json!(format!("2025-01-01T12:1{number}:00Z"));
            assert_eq!(client.upsert(&ended).unwrap().status, 200);
            ended["finished_at"] = json!("tomorrow");
            assert_eq!(client.upsert(&ended).unwrap().status, 422);
        }
    }

    fn policies(&self) -> Vec<Value> {
        let answer = self.collector.client().get("/api/policies").json();
        assert_eq!(answer["ok"], json!(true));
        answer["policies"].as_array().unwrap().clone()
    }

    /// The counters of the policies when all questions were judged.
    fn judged(&self, questions: u64) -> Vec<Value> {
        eventually("the policies have judged all questions", || {
            let sum = |policy: &Value| {
                policy["counts"]["judged"].as_u64().unwrap() + policy["counts"]["skipped"].as_u64().unwrap()
            };
            self.policies().iter().all(|policy| sum(policy) >= questions)
        });
        self.policies()
    }

    /// All that is stored and shown, without the times of arrival.
    fn shown(&self) -> Vec<String> {
        let get = |path: &str| self.collector.client().get(path).text();
        let paths = [
            "/api/runs",
            "/api/runs/r%2F1",
            "/api/runs/r%2F2",
            "/go/api/pipelines.xml",
            "/go/api/feed/pipelines/web/stages.xml",
        ];
        paths
            .map(get)
            .map(|text| without_times(&text, &self.collector.url))
            .to_vec()
    }
}

/// Removes the times of this year, which are of arrivals: reported ones are of 2025.
fn without_times(text: &str, url: &str) -> String {
    let text = text.replace(url, "URL");
    let year = &pipefold::clock::now()[..4];
    let mut left = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(&format!("{year}-")) {
        left += &rest[..at];
        left += "TIME";
        rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_digit() || "-:.TZ+".contains(c));
    }
    left + rest
}

#[test]
fn a_collector_with_monitored_policies_keeps_the_same_records_and_shows_the_difference() {
    let without = Place::with(&[]);
    without.report();
    let expected = without.shown();
    for policies in [
        vec![
            ("redact", redact(EMAIL), "monitor"),
            ("discard", discard_starts(), "monitor"),
            ("hold", in_all_hooks(HOLD), "monitor"),
            ("trap", trap(), "monitor"),
        ],
        vec![("endless", in_all_hooks(LOOP), "monitor")],
    ] {
        let with = Place::with(&policies);
        let began = Instant::now();
        with.report();
        // Each of eight questions would take an endless policy two seconds.
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert_eq!(with.shown(), expected);
        assert_eq!(with.policies().len(), policies.len());
    }
}

#[test]
fn the_page_the_api_and_the_metrics_say_what_would_differ() {
    let place = Place::with(&[
        ("redact", redact(EMAIL), "monitor"),
        ("discard", discard_starts(), "monitor"),
        ("hold", in_all_hooks(HOLD), "monitor"),
        ("trap", trap(), "monitor"),
    ]);
    place.report();
    let policies = place.judged(8);
    let count = |place: usize, result: &str| policies[place]["counts"][result].as_u64().unwrap();
    // Two starts, two jobs, two ends, and two ends that the rules refuse.
    let counts = [0, 1, 2, 3]
        .map(|at| ["unchanged", "changed", "held", "discarded", "refused", "failed"].map(|result| count(at, result)));
    assert_eq!(
        counts,
        [
            [2, 4, 0, 0, 2, 0],
            [4, 0, 0, 2, 2, 0],
            [0, 0, 8, 0, 0, 0],
            [0, 0, 0, 0, 0, 8]
        ],
        "{policies:#?}"
    );
    let newest = &policies[0]["observations"][0];
    assert_eq!(
        (
            &newest["reference_id"],
            &newest["fields"],
            &newest["outcome"],
            &newest["hook"]
        ),
        (
            &json!("r/2"),
            &json!(["email"]),
            &json!("changed"),
            &json!("pipeline-finish")
        )
    );
    assert_eq!(policies[3]["observations"].as_array().unwrap().len(), 8);
    let page = place.collector.client().get("/policies").text();
    for words in [
        "<h2><bdi>redact</bdi></h2>",
        "<dd>monitor</dd>",
        "change email",
        "discard it",
        "hold it",
        "fail: step crashed",
        "href=\"/runs/r%2F2\"",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let metrics = place.collector.client().get("/metrics").text();
    for line in [
        r#"pipefold_policy_questions_total{place="1",policy="redact",mode="monitor",result="changed"} 4"#,
        r#"pipefold_policy_questions_total{place="4",policy="trap",mode="monitor",result="failed"} 8"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    // Names of fields, and no values.
    let api = place.collector.client().get("/api/policies").text();
    for text in [&page, &api, &metrics] {
        assert!(!text.contains(SECRET) && !text.contains("hidden-branch"), "{text}");
    }
    // Others see the counters, and not the runs.
    let some = place.collector.token("some", &["--read", "--pipelines", "other"]);
    let mut client = place.collector.client().with_token(&some);
    let seen = client.get("/api/policies").json();
    assert_eq!(seen["policies"][0]["counts"]["changed"], json!(4));
    assert_eq!(seen["policies"][0]["observations"], json!([]));
    assert!(!client.get("/policies").text().contains("r/2"));
    assert_eq!(place.collector.client().get("/api/policies").status, 401);
}

#[test]
fn enforced_policies_are_counted_and_monitored_ones_stand_at_their_place() {
    let place = Place::with(&[
        ("outer", redact(EMAIL), "monitor"),
        ("redact", redact(EMAIL), "enforce"),
        ("inner", redact(EMAIL), "monitor"),
    ]);
    let mut client = place.collector.client();
    let start = json!({
        "pipeline_name": "web", "pipeline_source": "tests", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z", "email": SECRET,
    });
    assert_eq!(client.upsert(&start).unwrap().status, 200);
    let policies = place.judged(1);
    let counts: Vec<_> = policies
        .iter()
        .map(|policy| (policy["mode"].clone(), policy["counts"]["changed"].clone()))
        .collect();
    assert_eq!(
        counts,
        [
            (json!("monitor"), json!(1)),
            (json!("enforce"), json!(1)),
            (json!("monitor"), json!(0))
        ]
    );
    assert!(!client.get("/api/runs/r").text().contains(SECRET));
}

#[test]
fn a_monitored_policy_that_does_not_load_keeps_no_server_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("operator.toml");
    let policies = "[[policy]]\nfile = \"absent.wasm\"\nmode = \"monitor\"\n\
         [[policy]]\nfile = \"x.wasm\"\nmode = \"monitor\"\ndir = { path = \"nowhere\", access = \"read-only\" }\n";
    std::fs::write(&config, policies).unwrap();
    let arguments = ["--config".to_owned(), config.display().to_string()];
    let collector = Collector::start_with(&dir.path().join("data"), &arguments);
    let mut client = collector.client();
    let start = json!({
        "pipeline_name": "web", "pipeline_source": "tests", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z",
    });
    assert_eq!(client.upsert(&start).unwrap().status, 200);
    eventually("the policy is known to be absent", || {
        let policies = client.get("/api/policies").json();
        policies["policies"][0]["trouble"]
            .as_str()
            .is_some_and(|why| why.contains("absent.wasm"))
    });
    let ended = collector.stop();
    assert!(
        ended.log.contains("nowhere") && ended.log.contains("is not monitored"),
        "{ended:?}"
    );
}

/// A machine whose operator's file has these policies.
fn machine(policies: &[(&str, Vec<u8>, &str)]) -> Ci {
    let ci = Ci::new();
    file(ci.directory(), policies);
    ci
}

/// Compiles the policy ahead.
fn compile(ci: &Ci, name: &str) {
    let path = ci.directory().join(format!("{name}.wasm"));
    ci.pipefold(["component", "compile", path.to_str().unwrap()])
        .run()
        .assert_code(0);
}

#[test]
fn dx_gets_what_it_gets_without_and_a_verbose_command_says_what_would_differ() {
    let ci = machine(&[
        ("redact", redact(EMAIL), "monitor"),
        ("hold", hold_finishes(), "monitor"),
    ]);
    let exec = |run: &str, more: &[&str]| {
        let all = ["exec", "--email", SECRET, "--head-branch", "main"];
        let all = all
            .iter()
            .chain(more)
            .chain(&["--", "sleep", "0.3"])
            .map(ToString::to_string);
        ci.report_run(run, all.collect::<Vec<_>>()).run()
    };
    // Compiled beside the command, with -v; without it, it is not even asked.
    let quiet = exec("run-1", &[]);
    quiet.assert_code(0);
    assert!(!quiet.stderr().contains("policy"), "{quiet}");
    compile(&ci, "redact");
    compile(&ci, "hold");
    let output = exec("run-2", &["-v"]);
    output.assert_code(0);
    let lines = output.stderr();
    assert!(
        lines.contains("pipefold: policy redact (monitor) would change email\n"),
        "{lines}"
    );
    assert!(lines.contains("pipefold: policy hold (monitor) would hold "), "{lines}");
    for request in ci.dx.requests() {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(body.contains(SECRET), "{body}");
    }
    assert_eq!(ci.record().status, "success");
    // The lines have no values.
    let of_policies = lines.lines().filter(|line| line.contains("policy"));
    assert!(
        of_policies.clone().count() >= 2 && of_policies.clone().all(|line| !line.contains(SECRET)),
        "{lines}"
    );
}

#[test]
fn records_are_not_bound_to_a_monitored_policy() {
    let ci = machine(&[
        ("redact", redact(EMAIL), "monitor"),
        ("branch", redact(HEAD_BRANCH), "enforce"),
    ]);
    let without = machine(&[("branch", redact(HEAD_BRANCH), "enforce")]);
    let digest = |ci: &Ci| {
        let step = ["step", "--step", "lint", "--email", SECRET];
        ci.report(step).run().assert_code(0);
        let content = SpoolContent::read(&ci.spool());
        let records: Vec<_> = content
            .waiting()
            .map(|record| record.json["policies"].clone())
            .collect();
        assert_eq!(records.len(), 1, "{records:?}");
        records[0].clone()
    };
    assert_eq!(digest(&ci), digest(&without));

    // With a monitored one alone, any process sends it.
    let ci = machine(&[("trap", trap(), "monitor")]);
    ci.report(["step", "--step", "lint"]).run().assert_code(0);
    ci.report(["finish", "--status", "success"]).run().assert_code(0);
    assert_eq!(ci.record().status, "success");
    let status = ci.pipefold(["status"]).run();
    assert!(
        status.stdout().contains("policy    trap (monitor, no grants)"),
        "{status}"
    );
}

#[test]
fn a_monitored_policy_delays_and_fails_nothing() {
    let ci = machine(&[("endless", in_all_hooks(LOOP), "monitor")]);
    compile(&ci, "endless");
    let strict = ["start", "--strict"];
    let began = Instant::now();
    ci.report(strict).run().assert_code(0);
    let quick = began.elapsed();
    assert!(quick < Duration::from_secs(2), "{quick:?}");
    let output = ci.report_run("run-2", strict.iter().copied().chain(["-v"])).run();
    output.assert_code(0);
    assert!(
        output.stderr().contains("policy endless (monitor) would fail at "),
        "{output}"
    );

    assert!(
        output
            .stderr()
            .contains(": pipeline-start was stopped after 250 ms, its time limit\n"),
        "{output}"
    );

    // One that cannot be read is a line with -v, and no more.
    let ci = machine(&[]);
    ci.operator("[[policy]]\nfile = \"absent.wasm\"\nmode = \"monitor\"\n");
    let output = ci.report(["start", "--strict"]).run();
    output.assert_code(0);
    assert!(!output.stderr().contains("absent"), "{output}");
    let output = ci.report_run("run-2", ["start", "--strict", "-v"]).run();
    output.assert_code(0);
    assert!(
        output.stderr().contains("policy absent (monitor) was not asked: "),
        "{output}"
    );
}

#[test]
fn a_command_does_not_compile_a_monitored_policy_except_beside_another() {
    let ci = machine(&[("redact", redact(EMAIL), "monitor")]);
    let output = ci.report(["start", "-v", "--email", SECRET]).run();
    output.assert_code(0);
    let advice = "policy redact (monitor) was not asked: it is not compiled; `pipefold component compile ";
    assert!(output.stderr().contains(advice), "{output}");
    let exec = ["exec", "-v", "--email", SECRET, "--", "sleep", "3"];
    let output = ci.report_run("run-2", exec).run();
    output.assert_code(0);
    assert!(
        output.stderr().contains("policy redact (monitor) would change email\n"),
        "{output}"
    );
}

#[test]
fn doctor_says_the_mode_and_what_would_change_at_a_start() {
    let ci = machine(&[
        ("redact", redact(EMAIL), "monitor"),
        ("branch", redact(HEAD_BRANCH), "enforce"),
    ]);
    let arguments = ["doctor", "--json", "--email", SECRET, "--head-branch", "main"];
    let output = ci.report(arguments).run();
    let report: Value = serde_json::from_str(&output.stdout()).unwrap();
    let found: Vec<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["what"] == json!("policy"))
        .map(|check| check["found"].as_str().unwrap())
        .collect();
    assert!(
        found[0].starts_with("redact: monitored, no grants, sha256:"),
        "{found:?}"
    );
    assert!(
        found[0].ends_with("; at the start of a run it would change email"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("branch: no grants, closed on failure, sha256:"),
        "{found:?}"
    );
    assert!(
        found[1].ends_with("; at the start of a run it changes head_branch"),
        "{found:?}"
    );
}

#[test]
fn a_question_about_policies_asks_the_monitored_ones_too() {
    let ci = machine(&[("redact", redact(EMAIL), "monitor")]);
    let fields = "--pipeline-name build --pipeline-source tests --reference-id 1 --email";
    let words = ["policy", "explain"]
        .into_iter()
        .chain(fields.split(' '))
        .chain([SECRET]);
    let explained = ci.pipefold(words).run();
    explained.assert_code(0);
    assert!(explained.stdout().contains("redact"), "{explained}");
    // A host in another language asks by `hook`, and sends what that answers.
    let event = json!({
        "pipeline_name": "web", "pipeline_source": "tests", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z", "email": SECRET,
    });
    compile(&ci, "redact");
    let answered = ci.pipefold(["-v", "hook", "start"]).stdin(event.to_string()).run();
    answered.assert_code(0);
    assert!(answered.stdout().contains(SECRET), "{answered}");
    assert!(
        answered
            .stderr()
            .contains("policy redact (monitor) would change email\n"),
        "{answered}"
    );
}

#[test]
fn a_mode_is_one_of_two_words() {
    let ci = machine(&[]);
    write(&ci, "a.wasm", &redact(EMAIL));
    ci.operator("[[policy]]\nfile = \"a.wasm\"\nmode = \"watch\"\n");
    let output = ci.report(["start", "--strict"]).run();
    output.assert_code(2);
    let words = "`policy.mode`: this has to be \"enforce\" or \"monitor\"";
    assert!(
        output.stderr().contains("operator.toml:3") && output.stderr().contains(words),
        "{output}"
    );
}
