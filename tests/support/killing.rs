//! Killing processes in the middle of their work, and checking that nothing was lost.
//!
//! A debug build of pipefold that finds `PIPEFOLD_TEST_KILL_AT=N` dies at the Nth of the places where a death could do harm. A [`Round`]
//! lets one command of a small pipeline die so, goes on as a CI system would, and compares what DX then knows with what it would know had
//! all processes lived.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::{Ci, Mode, Output, Pipefold, RUN, SpoolContent};

/// The variable that arms a debug build.
pub const KILL_AT: &str = "PIPEFOLD_TEST_KILL_AT";

/// The commands of the pipeline, in order. Each gives times of its own and one field that no other gives, so that the record shows which ones reached DX.
pub const PIPELINE_COMMANDS: [&str; 4] = [
    "start --started-at 2025-01-01T11:00:00Z --head-branch main",
    "step --step compile --status success --started-at 2025-01-01T11:01:00Z --email a@example.com",
    "step --step test --now --status success --started-at 2025-01-01T11:02:00Z --github-username octocat",
    "finish --status success --finished-at 2025-01-01T11:03:00Z --source-url http://ci.example/1",
];

/// Index of the final `flush`, behind those of [`PIPELINE_COMMANDS`].
pub const FLUSH: usize = PIPELINE_COMMANDS.len();

/// One death.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// The command that dies: an index of [`PIPELINE_COMMANDS`], or [`FLUSH`].
    pub victim: usize,
    /// At which of its places, from 1. Past the last one it survives.
    pub kill_at: u64,
    /// True if the CI system runs it once more.
    pub again: bool,
    /// True if DX answers with errors until the final flush, so that everything waits for that.
    pub dx_down: bool,
}

impl Round {
    /// Plays the round and checks what is left. Returns true if the victim died.
    ///
    /// # Panics
    /// If anything that was accepted is lost or unreadable, DX knows something else than after an undisturbed pipeline, a job was sent before
    /// its run, or more often than the death explains.
    pub fn play(&self, undisturbed: &mut Undisturbed) -> bool {
        let ci = Ci::new();
        if self.dx_down {
            ci.dx.set_mode(Mode::InternalError);
            ci.budgets(20, 20, 20);
        }
        let mut died = false;
        let mut heard = 0;
        for index in 0..PIPELINE_COMMANDS.len() {
            let killed = self.victim == index && self.run_victim(command(&ci, index));
            died |= killed;
            if self.victim != index || (killed && self.again) {
                command(&ci, index).run().assert_code(0);
            }
            heard |= u8::from(!killed || self.again) << index;
        }
        ci.dx.set_mode(Mode::Normal);
        if self.victim == FLUSH {
            died = self.run_victim(flush(&ci));
        }
        flush(&ci).run().assert_code(0);

        let content = SpoolContent::read(&ci.spool());
        content.assert_sound(self);
        let accepted = content
            .records
            .iter()
            .fold(0, |set, record| set | member(record.hook(), record.field("step")));
        // Steps of a run that was never finished are held until it is.
        let ended = accepted & member("finish", "") != 0;
        let waiting = content
            .waiting()
            .filter(|record| ended || record.json["verdict"] != "hold");
        assert_eq!(waiting.count(), 0, "{self:?}: something still waits: {content:#?}");
        assert_eq!(
            accepted & heard,
            heard,
            "{self:?}: lost what was accepted: {content:#?}"
        );
        assert_eq!(ci.dx.jobs_refused(), 0, "{self:?}: a job was sent before its run");
        for job in ci.dx.jobs(RUN) {
            // One death explains one more request.
            assert!(job.upserts <= 1 + usize::from(died), "{self:?}: {job:?}");
        }
        assert_eq!(
            known_to(&ci),
            undisturbed.record(accepted),
            "{self:?}: DX knows something else than after {accepted:#06b} undisturbed"
        );
        died
    }

    /// Runs the command that is to die. Returns true if it died; if not, it must have succeeded.
    fn run_victim(&self, command: Pipefold) -> bool {
        let output = command.env(KILL_AT, self.kill_at.to_string()).run();
        let died = was_killed(&output);
        assert!(died || output.code == Some(0), "{self:?}: {output}");
        died
    }
}

/// DX's records after undisturbed pipelines, by the set of their commands.
#[derive(Debug, Default)]
pub struct Undisturbed(BTreeMap<u8, Value>);

impl Undisturbed {
    /// The record after the commands of this set, a bit for each. Null if DX got nothing.
    pub fn record(&mut self, commands: u8) -> Value {
        let run = || {
            let ci = Ci::new();
            for index in (0..PIPELINE_COMMANDS.len()).filter(|index| commands >> index & 1 == 1) {
                command(&ci, index).run().assert_code(0);
            }
            known_to(&ci)
        };
        self.0.entry(commands).or_insert_with(run).clone()
    }
}

/// At how many places each command can die: of [`PIPELINE_COMMANDS`] in order, then of a flush for which everything waits.
///
/// # Panics
/// If a command fails; and if none can die at all, as in a release build.
#[must_use]
pub fn count_places() -> [u64; FLUSH + 1] {
    let ci = Ci::new();
    let waiting = Ci::new();
    waiting.dx.set_mode(Mode::InternalError);
    waiting.budgets(20, 20, 20);
    let mut places = [0; FLUSH + 1];
    for (index, places) in places.iter_mut().enumerate() {
        let probe = if index == FLUSH { &waiting } else { &ci };
        waiting.dx.set_mode(if index == FLUSH {
            Mode::Normal
        } else {
            Mode::InternalError
        });
        let dies = |kill_at: u64| {
            let copy = probe.directory().join("copy");
            copy_tree(&probe.spool(), &copy);
            let command = if index == FLUSH {
                flush(probe)
            } else {
                command(probe, index)
            };
            let output = command
                .env(KILL_AT, kill_at.to_string())
                .env("PIPEFOLD_SPOOL", &copy)
                .run();
            fs::remove_dir_all(&copy).ok();
            was_killed(&output) || {
                output.assert_code(0);
                false
            }
        };
        *places = last(dies);
        if index < FLUSH {
            command(&ci, index).run().assert_code(0);
            command(&waiting, index).run().assert_code(0);
        }
    }
    assert!(
        places[0] > 0,
        "nothing dies: this needs a debug build, whose binary reads {KILL_AT}"
    );
    places
}

/// The largest number for which it holds, where it holds up to some number and not beyond.
fn last(holds: impl Fn(u64) -> bool) -> u64 {
    let mut beyond = 1;
    while holds(beyond) {
        beyond *= 2;
    }
    let mut within = beyond / 2;
    while beyond - within > 1 {
        let middle = within.midpoint(beyond);
        if holds(middle) {
            within = middle;
        } else {
            beyond = middle;
        }
    }
    within
}

fn command(ci: &Ci, index: usize) -> Pipefold {
    ci.report(PIPELINE_COMMANDS[index].split(' '))
}

fn flush(ci: &Ci) -> Pipefold {
    ci.pipefold(["flush", "--timeout", "20s"])
}

fn was_killed(output: &Output) -> bool {
    output.signal == Some(Signal::KILL.as_raw())
}

/// The bit of the command that a record came from.
fn member(hook: &str, step: &str) -> u8 {
    match (hook, step) {
        ("start", _) => 1,
        ("step", "compile") => 2,
        ("step", "test") => 4,
        ("finish", _) => 8,
        other => panic!("the pipeline recorded no {other:?}"),
    }
}

/// DX's record of the run and its jobs, without the number of requests.
fn known_to(ci: &Ci) -> Value {
    let mut record = ci.dx.records().get(RUN).map_or(Value::Null, |record| record.to_json());
    let mut jobs: Vec<Value> = ci.dx.jobs(RUN).iter().map(|job| job.to_json()).collect();
    jobs.sort_unstable_by_key(|job| job["reference_id"].to_string());
    for fields in jobs.iter_mut().chain([&mut record]).filter_map(Value::as_object_mut) {
        fields.remove("upserts");
    }
    if let Some(fields) = record.as_object_mut() {
        fields.insert("jobs".into(), jobs.into());
    }
    record
}

fn copy_tree(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in entries {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_tree(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
        }
    }
}
