//! Servers that lie, or are none: a build goes on within its budget, its record is kept, and the message makes sense.

use std::time::Duration;

use pipefold_tests::{Ci, Pipefold, RUN, SpoolContent, eventually};
use rustix::process::Signal;
use serde_json::json;

use crate::forwarder::Forwarder;
use crate::liar::{Liar, Relay, greeting, text};
use crate::place::{Fleet, without_queues};

/// The time that a build may take beside its budget on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// In KiB: what the engine reserves, and some hundred MiB. An endless answer of a server would need more.
const ADDRESS_SPACE: u64 = 4_000_000;

/// A size beyond all memory.
const HUGE: &str = "18446744073709551615";

/// The greetings of servers.
fn greetings() -> Vec<(&'static str, Liar)> {
    let greeted = |then: &str| Liar::saying(greeting(&json!({})) + then);
    vec![
        ("nothing", Liar::saying("")),
        ("another protocol", Liar::saying("HTTP/1.1 400 Bad Request\r\n\r\n")),
        ("an error", Liar::saying("-ERR 'no, \u{1b}[31m'\r\n")),
        ("an error without words", Liar::saying("-ERR\r\n")),
        ("half a greeting", Liar::saying("INFO {\"version\": \r\n")),
        ("no text", Liar::saying(b"INFO \xff\xfe\r\n".as_slice())),
        (
            "a negative number",
            Liar::saying(greeting(&json!({ "max_payload": -1 }))),
        ),
        ("a huge number", Liar::saying("INFO {\"max_payload\": 1e400}\r\n")),
        ("a huge message", Liar::saying(format!("MSG a 1 {HUGE}\r\n"))),
        (
            "a huge message with headers",
            Liar::saying(format!("HMSG a 1 12 {HUGE}\r\n")),
        ),
        ("a greeting and no more", greeted("")),
        ("a greeting, and an error without words", greeted("-ERR\r\n")),
        (
            "a greeting, and a huge message",
            greeted(&format!("MSG a 1 {HUGE}\r\n")),
        ),
        ("an endless line", Liar::endlessly("INFO {\"server_id\":\"", b"x")),
        ("endless lines", Liar::endlessly("", b"+OK\r\n")),
        ("endless greetings", Liar::endlessly("", b"INFO {}\r\n")),
    ]
}

/// The answers of a server with a right greeting, to every question.
fn answers() -> Vec<(&'static str, Liar)> {
    let all = |what: String| Liar::answering(json!({}), move |_| text(&what));
    let bytes = |bytes: Vec<u8>| Liar::answering(json!({}), move |_| Some(bytes.clone()));
    let error = |error: &str| all(format!("{{\"error\":{error}}}"));
    vec![
        ("no answer", Liar::answering(json!({}), |_| None)),
        ("an empty answer", all(String::new())),
        ("half an answer", all("{\"stream\":".to_owned())),
        ("another type", all("[[]]".to_owned())),
        ("a deep one", all("[".repeat(100_000))),
        ("number -1", all("{\"stream\":\"PIPEFOLD\",\"seq\":-1}".to_owned())),
        ("number 0", all("{\"stream\":\"PIPEFOLD\",\"seq\":0}".to_owned())),
        (
            "number 1e300",
            all("{\"stream\":\"PIPEFOLD\",\"seq\":1e300}".to_owned()),
        ),
        ("an error that says nothing", error("{}")),
        (
            "an error that says too much",
            error(&format!(
                "{{\"code\":400,\"err_code\":1,\"description\":\"\\u001b[31m{}\"}}",
                "x".repeat(900_000)
            )),
        ),
        ("a size of -1", bytes(b"-1\r\n\r\n".to_vec())),
        ("an answer that never ends", bytes(b"9000000000\r\nxxx".to_vec())),
        ("a size beyond all memory", bytes(format!("{HUGE}\r\n").into_bytes())),
        (
            "an answer, and an error without words",
            bytes(b"0\r\n\r\n-ERR\r\n".to_vec()),
        ),
    ]
}

/// Calls this with each server, all at the same time: most of it is waiting.
fn with_all<T: Send>(work: impl Fn(&'static str, &Liar) -> T + Sync) -> Vec<T> {
    let liars: Vec<_> = greetings().into_iter().chain(answers()).collect();
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = liars
            .iter()
            .map(|(what, liar)| scope.spawn(move || work(what, liar)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn told(command: Pipefold, queue: &str) -> Pipefold {
    let command = command.env("PIPEFOLD_QUEUE", queue).address_space(ADDRESS_SPACE);
    command.env_remove("DX_API_URL").env_remove("DX_API_TOKEN")
}

#[test]
fn a_build_goes_on_within_its_budget_and_its_record_is_kept() {
    if without_queues("a_build_goes_on_within_its_budget_and_its_record_is_kept") {
        return;
    }
    with_all(|what, liar| {
        let ci = Ci::new();
        ci.budgets(700, 700, 700);
        let exec = ci.exec(["sh", "-c", "echo out; echo err >&2; exit 3"]);
        let output = told(exec, &liar.url()).run();
        assert_eq!(output.code, Some(3), "{what}: {output}");
        assert_eq!(output.stdout(), "out\n", "{what}");
        let stderr = output.stderr();
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(lines.len() == 2 && lines.contains(&"err"), "{what}: {output}");
        assert!(stderr.contains(", kept: ") && stderr.len() < 1000, "{what}: {output}");
        output.assert_within(PATIENCE);
        let content = SpoolContent::read(&ci.spool());
        content.assert_sound(&what);
        assert_eq!(content.waiting().count(), 2, "{what}: {content:#?}");
    });
}

#[test]
fn a_command_reports_the_fault_and_ends() {
    if without_queues("a_command_reports_the_fault_and_ends") {
        return;
    }
    let all = with_all(|what, liar| {
        let ci = Ci::new();
        let output = told(ci.pipefold(["queue", "check"]), &liar.url()).run();
        output.assert_code(1);
        output.assert_within(PATIENCE);
        let stderr = output.stderr();
        assert!(
            stderr.lines().count() == 1 && stderr.len() < 500 && !stderr.contains('\u{1b}'),
            "{what}: {output}"
        );
        format!("{what}\n    {}", stderr.replace(&liar.url(), "[queue]"))
    });
    insta::assert_snapshot!("hostile", all.join(""));
}

#[test]
fn a_silent_server_leaves_time_for_the_next_one() {
    let Some(fleet) = Fleet::start("a_silent_server_leaves_time_for_the_next_one") else {
        return;
    };
    let silent = Liar::saying("");
    let queue = format!("{},{}", silent.url(), fleet.cluster.url());
    // Each begins with either of them.
    let runs: Vec<_> = (0..8)
        .map(|number| {
            let command = fleet.report(&format!("run-{number}"), "finish --status success");
            command.env("PIPEFOLD_QUEUE", &queue).spawn()
        })
        .collect();
    for run in runs {
        let output = run.wait();
        output.assert_code(0);
        assert_eq!(output.stderr(), "", "{output}");
    }
    assert_eq!(fleet.waiting(), 8);
}

#[test]
fn credentials_go_to_no_server_that_another_one_names() {
    if without_queues("credentials_go_to_no_server_that_another_one_names") {
        return;
    }
    let other = Liar::saying(greeting(&json!({})));
    // It accepts the client, and never answers after its greeting.
    let named = json!({ "connect_urls": [other.address().to_string()] });
    let first = Liar::start(move |stream, heard| {
        use std::io::{Read, Write};
        let _ = stream.write_all(greeting(&named).as_bytes());
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).unwrap_or_default();
        heard.add(&bytes[..count]);
        let _ = stream.write_all(b"PONG\r\n");
    });
    let ci = Ci::new();
    ci.budgets(2000, 2000, 2000);
    let token = ci.directory().join("queue-token");
    std::fs::write(&token, "open-sesame").unwrap();
    let report = ["start", "--queue-token-file", token.to_str().unwrap()];
    let output = told(ci.report_run(RUN, report), &first.url()).run();
    output.assert_code(0);
    assert!(
        first.heard().matches("open-sesame").count() > 1,
        "it came back to the one that it was told of: {output}"
    );
    assert_eq!(other.heard(), "", "{output}");
}

#[test]
fn nothing_is_sent_in_the_clear_to_a_server_that_should_encrypt() {
    if without_queues("nothing_is_sent_in_the_clear_to_a_server_that_should_encrypt") {
        return;
    }
    let plain = || Liar::saying(greeting(&json!({ "tls_required": false })));
    let (alone, beside) = (plain(), plain());
    let address = format!("tls://{}", alone.address());
    // One that must and is away, and one of this machine that need not: what belongs to both is encrypted for both.
    let both = format!("tls://127.0.0.1:1,nats://{}", beside.address());
    let ci = Ci::new();
    ci.budgets(2000, 2000, 2000);
    let token = ci.directory().join("queue-token");
    std::fs::write(&token, "open-sesame").unwrap();
    for queue in [address, both] {
        let report = ["start", "--queue-token-file", token.to_str().unwrap()];
        let output = told(ci.report_run(RUN, report), &queue).run();
        output.assert_code(0);
        assert!(output.stderr().contains("not delivered: "), "{queue}: {output}");
    }
    for liar in [alone, beside] {
        let heard = liar.heard();
        assert!(!heard.is_empty(), "it was asked for TLS");
        assert!(!heard.contains("CONNECT") && !heard.contains("open-sesame"), "{heard}");
    }
}

#[test]
fn a_forwarder_that_cannot_read_its_queue_any_more_is_not_well() {
    let Some(fleet) = Fleet::start("a_forwarder_that_cannot_read_its_queue_any_more_is_not_well") else {
        return;
    };
    let relay = Relay::to(fleet.cluster.url().trim_start_matches("nats://").parse().unwrap());
    let mut forwarder = Forwarder::start(&relay.url(), &fleet.ci.dx, &[]);
    eventually("it is well", || forwarder.get("/healthz").status == 200);
    relay.say(b"-ERR\r\n");
    // A forwarder whose connection is lost for good ends, possibly before it is asked.
    let is_well = || forwarder.try_get("/healthz").is_ok_and(|answer| answer.status == 200);
    eventually("it says that it is not", || !is_well());
    forwarder.signal(Signal::TERM);
    let code = forwarder.wait().code;
    let log = forwarder.log();
    assert!(code == Some(0) || log.contains("connection lost"), "{code:?}: {log}");
    assert!(!log.contains("panicked"), "{log}");
}
