//! `forward rejected`: what DX or the rules refused.

use std::process::ExitCode;

use pipefold_fleet::rejected::{self, Numbered};
use serde_json::json;

use super::outlet::with_queue;
use crate::args::{GlobalFlags, RejectedCommand, Which};
use crate::commands::print;
use crate::terminal::{excerpt, neutral, say};

/// `pipefold forward rejected`
pub(super) fn run(global: &GlobalFlags, command: &RejectedCommand) -> anyhow::Result<ExitCode> {
    match command {
        RejectedCommand::List { limit } => {
            let (found, all) = with_queue(global, async |queue| Ok(rejected::list(&queue, *limit).await?))?;
            let text = match global.json {
                true => format!("{}\n", json!({ "rejected": found, "count": all })),
                false => found.iter().map(line).collect(),
            };
            print(text.as_bytes())?;
            let shown = u64::try_from(found.len()).unwrap_or(u64::MAX);
            if shown < all && !global.quiet {
                say(&format!("pipefold: {shown} of {all} are shown; see --limit"));
            }
        }
        RejectedCommand::Retry { numbers, .. } => {
            let count = with_queue(global, async |queue| Ok(rejected::retry(&queue, numbers).await?))?;
            tell(global, count, "put back into the queue");
        }
        RejectedCommand::Drop(which) => {
            let count = with_queue(global, async |queue| Ok(rejected::drop(&queue, numbers(which)).await?))?;
            tell(global, count, "forgotten");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// None stands for all of them.
fn numbers(which: &Which) -> &[u64] {
    if which.all { &[] } else { &which.numbers }
}

fn tell(global: &GlobalFlags, count: usize, what: &str) {
    if global.json {
        // It is all that there is to say.
        let _ = print(format!("{}\n", json!({ "count": count })).as_bytes());
    } else if !global.quiet {
        say(&format!("pipefold: {count} {what}"));
    }
}

fn line(found: &Numbered) -> String {
    let rejected = &found.rejected;
    let about = rejected.reference_id();
    format!(
        "{}  {}  {}  {}: {}\n",
        found.number,
        neutral(&rejected.at),
        neutral(about.as_deref().unwrap_or("?")),
        neutral(&rejected.code),
        excerpt(&rejected.message)
    )
}
