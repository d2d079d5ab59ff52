//! Chains that wait for files which do not open: they are left behind, up to a limit. Alone in its process, as the limit counts the process's
//! threads.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "wasi/components.rs"]
mod components;
mod guests;

use pipefold_sandbox::{Access, Chain, Directory, Grants, Limits, Notification, Policy, Question, Sandbox, Wasi};
use std::{fs::OpenOptions, time::Duration};

/// Threads that may be left behind in one process.
const MOST: usize = 64;

#[test]
fn they_are_limited_in_number_and_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let policy = Policy {
        limits: Limits {
            hook: Duration::from_secs(20),
            ..Limits::default()
        },
        grants: Grants {
            wasi: Some(Wasi {
                directory: Some(Directory::open(directory.path(), Access::ReadOnly).unwrap()),
                ..Wasi::default()
            }),
            ..Grants::default()
        },
        ..Policy::new("guest")
    };
    let sandbox = Sandbox::new(Limits {
        // Enough for each thread to reach the pipe on a busy machine.
        chain: Duration::from_secs(3),
        ..Limits::default()
    })
    .unwrap();
    let opens = components::opens("pipe", 0, 1, "(drop) (call $digit (i32.const 1))");
    let link = sandbox.policy_compiled_here(&policy, &opens).unwrap();
    let chain = Chain::new(vec![link], sandbox.default_plugin().unwrap()).unwrap();
    let event = Notification {
        reference_id: Some("r/1".into()),
        ..Notification::default()
    };
    let ask = || chain.ask(&Question::Step(&event));
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..MOST + 6).map(|_| scope.spawn(ask)).collect();
        asking
            .into_iter()
            .map(|thread| thread.join().unwrap().unwrap_err().to_string())
            .collect()
    });
    let count = |words: &str| answers.iter().filter(|answer| answer.contains(words)).count();
    let left_out = count("64 questions wait for files that do not open");
    assert!((1..=6).contains(&left_out), "{answers:?}");
    assert_eq!(count("its time limit"), answers.len() - left_out, "{answers:?}");

    // Opening the pipe to write releases all threads.
    let _writer = OpenOptions::new().write(true).open(&pipe).unwrap();
    let goes_on = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        ask().is_ok()
    });
    assert!(goes_on);
}
