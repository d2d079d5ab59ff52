//! `forward rejected`: what DX or the rules refused.

use std::process::ExitCode;

use pipefold_fleet::rejected::{self, Done, Numbered};
use serde_json::json;

use super::outlet::with_queue;
use crate::args::{GlobalFlags, RejectedCommand, RejectedNumbers};
use crate::commands::{print_json, print_lines};
use crate::terminal::{excerpt, say};

/// `pipefold forward rejected`
pub(super) fn run(global: &GlobalFlags, command: &RejectedCommand) -> anyhow::Result<ExitCode> {
    match command {
        RejectedCommand::List { limit } => {
            let (found, all) = with_queue(global, async |queue| Ok(rejected::list(&queue, *limit).await?))?;
            match global.json {
                true => print_json(&json!({ "rejected": found, "count": all }))?,
                false => print_lines(&found.iter().map(line).collect::<String>())?,
            }
            let shown = u64::try_from(found.len()).unwrap_or(u64::MAX);
            if shown < all && !global.quiet {
                let more = all - shown;
                say(&format!(
                    "pipefold: {more} more are not shown; `--limit {all}` shows all"
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
        RejectedCommand::Retry { numbers, .. } => {
            let done = with_queue(global, async |queue| Ok(rejected::retry(&queue, numbers).await?))?;
            tell(global, &done, "put back into the queue")
        }
        RejectedCommand::Drop(which) => {
            let done = with_queue(global, async |queue| Ok(rejected::drop(&queue, numbers(which)).await?))?;
            tell(global, &done, "forgotten")
        }
    }
}

/// None stands for all of them.
fn numbers(which: &RejectedNumbers) -> &[u64] {
    if which.all { &[] } else { &which.numbers }
}

/// Prints the result. A number that does not exist is a failure: another one was meant.
fn tell(global: &GlobalFlags, done: &Done, what: &str) -> anyhow::Result<ExitCode> {
    if global.json {
        let answer = json!({ "count": done.count, "missing": done.missing });
        print_json(&answer)?;
    } else if !global.quiet {
        say(&format!("pipefold: {} {what}", done.count));
    }
    if done.missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let missing: Vec<String> = done.missing.iter().map(u64::to_string).collect();
    say(&format!(
        "pipefold: there is no refused upsert with number {}; `pipefold forward rejected list` shows them",
        missing.join(", ")
    ));
    Ok(ExitCode::FAILURE)
}

/// Each part is foreign: DX's, a runner's, or of another writer to the stream.
fn line(found: &Numbered) -> String {
    let rejected = &found.rejected;
    let about = rejected.reference_id();
    format!(
        "{}  {}  {}  {}: {}\n",
        found.number,
        excerpt(&rejected.at),
        excerpt(about.as_deref().unwrap_or("?")),
        excerpt(&rejected.code),
        excerpt(&rejected.message)
    )
}
