//! `queue`: the streams made, and looked at.

use std::fmt::Write as _;
use std::process::ExitCode;

use pipefold_fleet::stream::{Checked, Difference, PATIENCE, Setup, StreamError, check, init_patiently};
use serde_json::{Value, json};

use super::outlet::with_queue;
use crate::args::{GlobalFlags, QueueArgs, QueueCommand};
use crate::commands::{print_json, print_lines};
use crate::terminal::{neutral, say};

/// `pipefold queue`
pub(in crate::commands) fn queue(global: &GlobalFlags, args: &QueueArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        QueueCommand::Init { replicas, max_size } => {
            let setup = Setup {
                replicas: replicas.into(),
                max_size,
            };
            let tries_on = |why: &StreamError| {
                if !global.quiet {
                    let why = neutral(&why.to_string());
                    say(&format!("pipefold: {why}; trying on for {} s", PATIENCE.as_secs()));
                }
            };
            let made = with_queue(global, async |connection| {
                Ok(init_patiently(&connection, setup, tries_on).await?)
            })?;
            if global.json {
                let answer = json!({ "made": made.made, "differences": differences(&made.differences) });
                print_json(&answer)?;
            } else {
                let text = match made.made.is_empty() {
                    true => "everything is there\n".to_owned(),
                    false => format!("made {}\n", made.made.join(", ")),
                };
                print_lines(&text)?;
            }
            Ok(tell(global, &made.differences))
        }
        QueueCommand::Check => {
            let checked = with_queue(global, async |connection| Ok(check(&connection).await?))?;
            describe(global.json, &checked)?;
            Ok(tell(global, &checked.differences))
        }
    }
}

/// Prints every difference; one that loses something is a failure.
fn tell(global: &GlobalFlags, differences: &[Difference]) -> ExitCode {
    for difference in differences {
        if !global.quiet || difference.fatal {
            say(&format!("pipefold: {}", neutral(&difference.to_string())));
        }
    }
    match differences.iter().any(|difference| difference.fatal) || (global.strict && !differences.is_empty()) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn differences(differences: &[Difference]) -> Vec<Value> {
    let one = |it: &Difference| json!({ "of": it.of, "setting": it.setting, "is": it.is, "should_be": it.should_be, "fatal": it.fatal });
    differences.iter().map(one).collect()
}

fn describe(as_json: bool, checked: &Checked) -> anyhow::Result<()> {
    if as_json {
        let streams = checked.standing.iter().map(|it| {
            json!({
                "stream": it.stream, "messages": it.messages, "bytes": it.bytes, "replicas": it.replicas,
                "leader": it.leader, "lagging": it.lagging,
            })
        });
        let streams: Vec<Value> = streams.collect();
        let differences = differences(&checked.differences);
        let (waiting, in_hand) = (checked.waiting, checked.in_hand);
        return print_json(
            &json!({ "streams": streams, "waiting": waiting, "in_hand": in_hand, "differences": differences }),
        );
    }
    let mut text = String::new();
    for it in &checked.standing {
        let leader = it.leader.as_deref().unwrap_or("none");
        let _ = write!(
            text,
            "{}: {} messages, {} bytes, replicas {}, leader {}",
            it.stream,
            it.messages,
            it.bytes,
            it.replicas,
            neutral(leader)
        );
        if !it.lagging.is_empty() {
            let _ = write!(text, ", behind or gone: {}", neutral(&it.lagging.join(", ")));
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "waiting: {}; with forwarders: {}",
        checked.waiting, checked.in_hand
    );
    print_lines(&text)
}
