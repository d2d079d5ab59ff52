//! kill -9 in the middle of everything.

use super::support::{appending, detail, fold_all, open, query, references, running, step, wait};
use crate::store::{Appended, RunFilter, Store, StoreError};
use pipefold_sandbox::Notification;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const NAME: &str = "store::sqlite::tests::kill::what_was_acknowledged_survives_kill_9";

/// The child: appends from several threads without end, and tells each acknowledgement when it has it.
fn load(dir: &str, round: u32) {
    let store = open(dir.as_ref());
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let store = &store;
            scope.spawn(move || {
                for n in 0_u32.. {
                    // Several in flight, to runs that all threads share and that outlive the round.
                    let sent: Vec<_> = (0..4_u32)
                        .map(|k| {
                            let name = format!("{round}-{thread}-{n}-{k}");
                            let run = format!("run-{}", (n * 7 + k) % 60);
                            (name.clone(), store.append(appending(event(&run, &name), 0)))
                        })
                        .collect();
                    for (name, answer) in sent {
                        let appended: Result<Appended, StoreError> = wait(answer);
                        let run = appended.unwrap().run;
                        // One write: lines of several threads do not mix, and none is torn by a buffer.
                        let line = format!("ack {} {name} {}\n", run.record.reference_id, run.id);
                        std::io::stdout().write_all(line.as_bytes()).unwrap();
                    }
                }
            });
        }
    });
}

fn event(run: &str, name: &str) -> Notification {
    Notification {
        source_url: Some(name.into()),
        ..if name.ends_with('3') {
            step("web", run, &name[name.len() - 3..])
        } else {
            running("web", run, 0)
        }
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    const ROUNDS: u32 = 20;
    if let (Ok(dir), Ok(round)) = (
        std::env::var("PIPEFOLD_TEST_INNER"),
        std::env::var("PIPEFOLD_TEST_ROUND"),
    ) {
        return load(&dir, round.parse().unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: HashMap<String, Vec<String>> = HashMap::new();
    let mut ids: HashMap<String, String> = HashMap::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
            .env("PIPEFOLD_TEST_INNER", dir.path())
            .env("PIPEFOLD_TEST_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // From the first acknowledgement on, at another moment each round.
        let (mut at, moment) = (None, Duration::from_micros(u64::from(round) * 7_919 % 60_000));
        let mut seen = 0;
        for line in lines {
            let line = line.unwrap();
            // The test harness says something too, on the line of the first one.
            let Some((_, told)) = line.split_once("ack ") else {
                continue;
            };
            let mut words = told.split(' ');
            let (Some(run), Some(name), Some(id), None) = (words.next(), words.next(), words.next(), words.next())
            else {
                panic!("{line}");
            };
            acknowledged.entry(run.into()).or_default().push(name.into());
            let known = ids.entry(run.into()).or_insert_with(|| id.into());
            assert_eq!(known, id, "ids never change");
            seen += 1;
            if Instant::now() >= *at.get_or_insert_with(|| Instant::now() + moment) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(seen > 0, "round {round} did nothing");

        let store = open(dir.path());
        for (run, names) in &acknowledged {
            let kept = detail(&store, run).expect("an acknowledged run");
            let urls: Vec<_> = kept
                .received
                .iter()
                .filter_map(|received| received.notification.source_url.as_deref())
                .collect();
            for name in names {
                assert!(
                    urls.contains(&name.as_str()),
                    "{name} of {run} was acknowledged and is lost in round {round}"
                );
            }
        }
        // And whatever is there is whole, whether it was acknowledged or not.
        for reference in references(&store, query(RunFilter::default(), 200)) {
            let kept = detail(&store, &reference).unwrap();
            let history: Vec<_> = kept
                .received
                .iter()
                .map(|received| received.notification.clone())
                .collect();
            assert_eq!(kept.summary.notifications as usize, history.len());
            assert_eq!(kept.summary.record, fold_all(&history).unwrap());
        }
    }
}
