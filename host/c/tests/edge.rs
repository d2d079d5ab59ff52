//! What a host must not notice: wrong arguments, signals, forks, output.

use crate::hostile;
use crate::support::{Driver, parsed};
use serde_json::json;

const START: &str = r#"start {"pipeline_name":"build","pipeline_source":"my-ci","reference_id":"1"}"#;

#[test]
fn wrong_arguments_are_answered() {
    let driver = Driver::new();
    let lines = driver.run(&[&format!("open {}", driver.config(json!({}))), "bad", START]);
    let (wrong, after) = lines[1..].split_at(lines.len() - 2);
    assert_eq!(wrong.len(), 5 * 9 + 5);
    for line in wrong {
        // Without a place for an answer there is the status alone.
        assert!(
            line == "2 " || parsed(line).0 == 2 && parsed(line).1["error"].is_string(),
            "{line}"
        );
    }
    assert_eq!(wrong.iter().filter(|line| *line == "2 ").count(), 5 * 2 + 1);
    assert_eq!(parsed(&after[0]).0, 0, "the reporter still works");
}

/// Signal 33, by which glibc has all threads change their user.
const GLIBC_S_OWN: &str = "SigCgt:\t0000000100000000";

#[test]
fn signals_stay_as_they_are_while_policies_trap() {
    let driver = Driver::new();
    let policy = hostile::write(&driver);
    let open = driver.config(json!({ "policy": [policy] }));
    let mut script = vec!["signals".to_owned(), format!("open-with-log {open}")];
    script.extend(hostile::FAULTS.map(|(name, _)| hostile::start(name)));
    script.extend([START.to_owned(), "signals".into(), "close".into(), "signals".into()]);
    let lines = driver.run(&script.iter().map(String::as_str).collect::<Vec<_>>());
    let signals: Vec<&String> = lines.iter().filter(|line| line.starts_with("Sig")).collect();
    assert_eq!(signals.len(), 3);
    assert!(signals.iter().all(|line| *line == signals[0]), "{signals:?}");
    assert!(signals[0].contains(GLIBC_S_OWN), "{signals:?}");
    let mut receipts = lines
        .iter()
        .filter(|line| line.starts_with("0 {\"after"))
        .map(|line| parsed(line).1);
    for (name, why) in hostile::FAULTS {
        let receipt = receipts.next().unwrap();
        assert_eq!(
            (&receipt["verdict"], &receipt["on_disk"]),
            (&json!(null), &json!(true)),
            "{name}"
        );
        assert!(
            receipt["warnings"][0].as_str().unwrap().contains(why),
            "{name}: {receipt}"
        );
    }
    assert_eq!(
        receipts.next().unwrap()["verdict"],
        "report",
        "the policy passes others on"
    );
}

#[test]
fn a_closed_connection_ends_no_process() {
    use std::io::Read;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            // Closed with unread input, so that the peer's next write meets a reset.
            let _ = stream.unwrap().read(&mut [0; 1]);
        }
    });
    let driver = Driver::new();
    let open = driver.config(json!({ "dx_url": url, "token": "t" }));
    let lines = driver.run(&[&format!("open {open}"), START, r#"flush {"timeout":"2s"}"#]);
    assert_eq!((parsed(&lines[1]).0, parsed(&lines[2]).0), (0, 0));
    drop(server);
}

#[test]
fn a_forked_process_is_answered_and_the_parent_goes_on() {
    let driver = Driver::new();
    let open = format!("open {}", driver.config(json!({})));
    let lines = driver.run(&[&open, START, "fork", START]);
    let child = &lines[2..8];
    assert!(child.iter().all(|line| parsed(line).0 == 4), "{lines:?}");
    assert_eq!(lines[8], "child 0");
    assert_eq!(parsed(&lines[9]).0, 0);
    // A process that is forked first has the library to itself.
    let lines = driver.run(&["fork", &open, START]);
    assert_eq!(lines.last().map(|line| parsed(line).0), Some(0));
}

#[test]
fn a_callback_may_call_the_library() {
    let driver = Driver::new();
    std::fs::write(driver.directory.path().join("token"), "secret").unwrap();
    let open = driver.config(json!({ "spool": "/proc/nowhere", "token_file": "token" }));
    let lines = driver.run(&[&format!("open-with-log {open}"), START]);
    assert!(lines.iter().any(|line| line.starts_with("log 2 ")), "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("log 3 ") && line.contains("other users")),
        "{lines:?}"
    );
    assert_eq!(parsed(lines.last().unwrap()).1["on_disk"], false);
}
