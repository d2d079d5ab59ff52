//! `pipefold hook`: the component's verdicts for a host in any language, JSON in and out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use pipefold_core::{Hook, answer};
use pipefold_tests::{Ci, Output, binary, fold, page, seeded};
use serde_json::{Value, json};

fn hook(name: &str, input: &Value) -> Output {
    let ci = Ci::new();
    let output = ci.pipefold(["hook", name]).stdin(input.to_string()).run();
    assert!(ci.dx.requests().is_empty(), "a hook sends nothing");
    assert!(Ci::files(&ci.spool()).is_empty(), "a hook records nothing");
    assert_is_the_core_modules(name, input.to_string().as_bytes(), &output);
    output
}

/// Asserts that the core module gives the same answer. It speaks of its input, and the command of stdin.
fn assert_is_the_core_modules(hook: &str, input: &[u8], output: &Output) {
    let hook = match hook {
        "start" => Hook::Start,
        "step" => Hook::Step,
        "finish" => Hook::Finish,
        _ => Hook::Merge,
    };
    let answer = answer(hook, input.to_vec());
    assert_eq!(Some(answer.code as i32), output.code, "{output}");
    if answer.code == pipefold_core::Code::Error {
        let error: Value = serde_json::from_str(&answer.json).unwrap();
        let error = error["error"].as_str().unwrap().strip_prefix("input").unwrap();
        assert_eq!(format!("pipefold: stdin{error}\n"), output.stderr());
    } else {
        assert_eq!(answer.json + "\n", output.stdout());
    }
}

fn event(more: &Value) -> Value {
    let mut event = json!({
        "pipeline_name": "integration_tests", "pipeline_source": "Tekton", "reference_id": "AA713E04", "started_at": "2025-01-01T12:05:00",
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

#[test]
fn verdicts() {
    let verdicts = [
        hook("start", &event(&json!({}))),
        hook("step", &event(&json!({ "step": "a", "status": "success" }))),
        hook(
            "step",
            &event(&json!({ "step": "a", "status": "success", "urgent": true })),
        ),
        hook(
            "finish",
            &json!([
                event(&json!({})),
                event(&json!({ "status": "failure", "finished_at": "2025-01-01T12:10:00" }))
            ]),
        ),
        hook(
            "merge",
            &json!([
                event(&json!({ "step": "a", "status": "failure" })),
                event(&json!({ "status": "success" }))
            ]),
        ),
    ];
    let mut shown = String::new();
    for output in &verdicts {
        output.assert_code(0);
        assert!(output.stderr.is_empty(), "{output}");
        shown += &format!("{:#}\n", output.json());
    }
    insta::assert_snapshot!("hook_verdicts", shown);
}

#[test]
fn violations() {
    let wrong = json!({ "pipeline_name": " ", "pipeline_source": "Tekton", "started_at": "2025-02-30", "status": "ok", "pr_number": -1 });
    let mut shown = String::new();
    for (name, input) in [
        ("start", wrong.clone()),
        ("finish", json!([wrong])),
        ("merge", json!([])),
    ] {
        let output = hook(name, &input);
        assert!(!output.stdout.is_empty(), "{output}");
        shown += &format!("{name}: code {:?}\n{:#}\n", output.code.unwrap(), output.json());
    }
    insta::assert_snapshot!("hook_violations", shown);
}

#[test]
fn input_that_is_no_notification_is_named() {
    let inputs = [
        ("start", ""),
        ("start", "{"),
        ("start", "[]"),
        ("start", "null"),
        ("start", r#"{"pipeline_name": 5}"#),
        ("start", r#"{"pr_number": "five"}"#),
        ("start", r#"{"pr_number": 1, "pipline_name": "a"}"#),
        ("start", r#"{"attributes": [], "pipeline_name": "a"}"#),
        ("start", r#"{"urgent": "yes"}"#),
        ("finish", r#"[{"step": "a"}, {"step": "b", "started_at": 5}]"#),
        ("merge", r#"[{"commit": "a"}]"#),
        ("finish", "{}"),
        ("finish", "\u{fffd}"),
    ];
    let mut shown = String::new();
    for (name, input) in inputs {
        let output = Ci::new().pipefold(["hook", name]).stdin(input).run();
        assert_ne!(output.code, Some(0), "{input}\n{output}");
        assert_is_the_core_modules(name, input.as_bytes(), &output);
        shown += &format!(
            "{name} {input:?}: code {}: {}{}",
            output.code.unwrap(),
            output.stdout(),
            output.stderr()
        );
    }
    insta::assert_snapshot!("hook_input", shown);
}

/// Questions of a stream, a line each.
fn lines<'q>(questions: impl IntoIterator<Item = &'q Value>) -> String {
    questions.into_iter().map(|question| format!("{question}\n")).collect()
}

#[test]
fn a_stream_answers_line_by_line_as_single_hooks_do() {
    let (start, finish) = (
        event(&json!({})),
        event(&json!({ "status": "failure", "finished_at": "2025-01-01T12:10:00" })),
    );
    let step = event(&json!({ "step": "a", "status": "success", "urgent": true }));
    let wrong = event(&json!({ "started_at": "yesterday" }));
    let history = json!([start, step, finish]);
    let questions = [
        (json!({ "hook": "start", "notification": start }), hook("start", &start)),
        (
            json!({ "hook": "pipeline-start", "notification": wrong }),
            hook("start", &wrong),
        ),
        (json!({ "hook": "step", "notification": step }), hook("step", &step)),
        (
            json!({ "hook": "finish", "history": history }),
            hook("finish", &history),
        ),
        (json!({ "hook": "merge", "history": history }), hook("merge", &history)),
    ];
    let ci = Ci::new();
    let all = ci
        .pipefold(["hook", "--stream"])
        .stdin(lines(questions.iter().map(|(question, _)| question)))
        .run();
    all.assert_code(0);
    assert!(all.stderr.is_empty(), "{all}");
    let single: String = questions.iter().map(|(_, output)| output.stdout()).collect();
    assert_eq!(all.stdout(), single);
    assert!(Ci::files(&ci.spool()).is_empty() && ci.dx.requests().is_empty());
}

#[test]
fn a_wrong_line_of_a_stream_gets_an_error_and_the_next_one_its_answer() {
    let start = event(&json!({}));
    let good = json!({ "id": { "n": 1 }, "hook": "start", "notification": start });
    let input = [
        "{",
        "[\"start\", null]",
        "{}",
        "null",
        "",
        "{\"hook\": \"start\"}",
        "{\"hook\": \"begin\", \"notification\": {}}",
        "{\"hook\": \"finish\", \"notification\": {}}",
        "{\"hook\": \"merge\", \"notification\": {}}",
        "{\"hook\": \"step\", \"notification\": {\"stepp\": \"a\"}, \"id\": \"7\"}",
        "{\"hook\": \"finish\", \"history\": [{}, {\"pr_number\": \"x\"}], \"id\": 8}",
        "{\"hook\": \"start\", \"notification\": {}, \"more\": 1}",
        "\u{1b}[31m\u{202e}",
        &good.to_string(),
    ]
    .join("\n");
    let output = Ci::new().pipefold(["hook", "--stream"]).stdin(input).run();
    output.assert_code(0);
    assert!(output.stdout().ends_with("\"verdict\":\"report\"}\n"), "{output}");
    insta::assert_snapshot!("hook_stream_errors", output.stdout());
}

#[test]
fn a_stream_answers_before_the_next_question_comes() {
    let mut child = Command::new(binary("pipefold"))
        .args(["hook", "--stream"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (
        child.stdin.take().unwrap(),
        BufReader::new(child.stdout.take().unwrap()).lines(),
    );
    for id in 0..3 {
        let question = json!({ "id": id, "hook": "start", "notification": event(&json!({})) });
        writeln!(input, "{question}").unwrap();
        let answer: Value = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
        assert_eq!(
            (answer["id"].as_u64(), &answer["verdict"]),
            (Some(id), &json!("report"))
        );
    }
    drop(input);
    assert!(output.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_line_of_a_stream_that_is_too_long_is_passed_over() {
    let mut input = vec![b'x'; (64 << 20) + 10];
    let good = json!({ "hook": "start", "notification": event(&json!({})) });
    input.extend_from_slice(format!("\n{good}\n").as_bytes());
    let output = Ci::new().pipefold(["hook", "--stream"]).stdin(input).run();
    output.assert_code(0);
    let (first, second) = output
        .stdout()
        .split_once('\n')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(first, r#"{"error":"the line has more than 64 MiB"}"#);
    assert!(second.contains(r#""verdict":"report""#), "{second}");
}

#[test]
fn the_worked_example_of_dxs_page() {
    let history = page::upserts("test_run");
    let output = hook("merge", &json!(history));
    output.assert_code(0);
    assert_eq!(output.json()["run"], page::record("test_run"));
}

/// One to seven valid notifications of one run, with few distinct values of each field.
fn history(random: &mut fastrand::Rng) -> Value {
    let texts = |random: &mut fastrand::Rng| ["Z", "a", "a b", " é", "  "][random.usize(..5)];
    let time = |random: &mut fastrand::Rng, hour: u8| {
        let rest = ["", "Z", ".5Z", ".250Z", "+01:00", "-09:30"][random.usize(..6)];
        format!("2025-01-{hour:02}T12:{:02}:00{rest}", random.u8(..60))
    };
    let mut all = Vec::new();
    for _ in 0..random.u8(1..8) {
        let mut one = event(&json!({ "started_at": time(random, 1), "repository": "o/r" }));
        // Two days later, so that no zone moves it before the start.
        if random.bool() {
            one["finished_at"] = time(random, 3).into();
        }
        if random.bool() {
            one["status"] = ["unknown", "running", "success", "cancelled", "failure"][random.usize(..5)].into();
        }
        if random.bool() {
            one["pr_number"] = random.u32(1..2000).into();
        }
        for field in [
            "commit_sha",
            "source_url",
            "head_branch",
            "email",
            "github_username",
            "gitlab_username",
        ] {
            if random.bool() {
                one[field] = texts(random).into();
            }
        }
        all.push(one);
    }
    all.into()
}

#[test]
fn merge_and_the_oracle_of_the_tests_agree() {
    let mut random = seeded(20_250_101);
    for _ in 0..60 {
        let history = history(&mut random);
        let output = hook("merge", &history);
        output.assert_code(0);
        assert_eq!(output.json()["run"], fold(history.as_array().unwrap()), "{history:#}");
    }
}

#[test]
fn an_endless_input_is_cut_off() {
    let input = vec![b' '; 80 << 20];
    let output = Ci::new().pipefold(["hook", "finish"]).stdin(input.clone()).run();
    assert_ne!(output.code, Some(0), "{output}");
    assert_is_the_core_modules("finish", &input, &output);
}
