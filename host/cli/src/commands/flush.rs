//! `flush`: deliver what waits, or carry it elsewhere.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use pipefold::detect::Fields;
use pipefold::spool::{RunKey, Spool};
use pipefold::{Budget, Delivery, Flush};
use serde_json::json;

use super::context::{Context, is_strict, other_policies};
use super::print_json;
use super::trouble::{Trouble, conclude};
use crate::args::{FlushArgs, GlobalFlags};
use crate::terminal::{neutral, say};

/// The time to try without `--timeout`: long, since a flush is a request to wait, but a job should end.
const TIMEOUT: Duration = Duration::from_secs(30);

/// `pipefold flush`
pub fn run(global: &GlobalFlags, args: &FlushArgs) -> anyhow::Result<ExitCode> {
    let mut context = match Context::load(global, Fields::default()) {
        Ok(context) => context,
        Err(trouble) => return Ok(conclude(&[trouble], global, is_strict(global))),
    };
    let strict = context.settings.strict;
    let mut troubles = std::mem::take(&mut context.troubles);
    if args.rejudge && context.reporter.plugins().chain().is_empty() {
        let why = "--rejudge applies this command's policies in place of the recorded ones, and there are none; name them with --policy";
        troubles.push(Trouble::input(why.into()));
        return Ok(conclude(&troubles, global, strict));
    }
    if let Some(file) = &args.import {
        let input = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        let imported = spool(&context)?.import(&mut BufReader::new(input))?;
        tell(
            global,
            &format!(
                "{} notifications taken in, {} known already",
                imported.new, imported.known
            ),
        );
        for bad in &imported.bad {
            let place = format!(
                "{}, line {}: {}; the line is left out",
                file.display(),
                bad.number,
                bad.why
            );
            troubles.push(Trouble::input(place));
        }
        if imported.more_bad > 0 {
            troubles.push(Trouble::input(format!(
                "{}: {} further bad lines",
                file.display(),
                imported.more_bad
            )));
        }
    }
    if let Some(file) = &args.export {
        // A file that is there may be the only copy of an earlier export.
        let output = private_file(file);
        let mut output = BufWriter::new(output.with_context(|| format!("cannot make {}", file.display()))?);
        let exported = spool(&context)?.export(&mut output)?;
        output.flush()?;
        output.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        tell(
            global,
            &format!(
                "{} notifications of {} runs written to {}",
                exported.records,
                exported.runs,
                file.display()
            ),
        );
        return Ok(conclude(&troubles, global, strict));
    }
    if args.rejected {
        let only = args.run.as_deref().map(RunKey::of);
        let back = spool(&context)?.take_back(only)?;
        tell(global, &format!("{back} rejected notifications taken back"));
    }
    let budget = Budget::new(args.timeout.unwrap_or(TIMEOUT));
    let what = Flush {
        only: args.run.clone(),
        other_tokens: args.other_tokens,
        rejudge: args.rejudge,
        abandon: args.abandon,
    };
    context.reporter.plugins().wait_until(budget.deadline());
    let delivery = context.reporter.flush(&budget, &what);
    troubles.extend(delivery.warnings.iter().cloned().map(Trouble::other));
    troubles.extend(delivery.notes.iter().cloned().map(Trouble::remark));
    if global.json {
        print_json(&answer(&delivery))?;
    } else {
        tell(global, &summary(&delivery, context.settings.queue.is_some()));
    }
    troubles.extend(left(&delivery));
    troubles.extend(other_policies(&delivery));
    Ok(conclude(&troubles, global, strict))
}

/// A new file that others cannot read: it holds what policies have not taken out yet.
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn spool(context: &Context) -> anyhow::Result<&Spool> {
    context.reporter.spool().map_err(|error| anyhow!("{error}"))
}

fn tell(global: &GlobalFlags, text: &str) {
    if !global.quiet {
        say(&format!("pipefold: {}", neutral(text)));
    }
}

fn summary(delivery: &Delivery, into_queue: bool) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}");
    let by = if into_queue {
        "upserts accepted by the queue"
    } else {
        "requests accepted by DX"
    };
    let mut parts = vec![count(delivery.accepted, by)];
    for (number, what) in [
        (delivery.kept_count, "runs still waiting"),
        (delivery.not_looked_at, "runs not looked at for lack of time"),
        (delivery.rejected_count, "refused for good"),
        (delivery.abandoned, "ended as cancelled, as nothing was heard of them"),
        (
            delivery.foreign,
            "notifications for another DX, or for another token (--other-tokens)",
        ),
        (
            delivery.other_policies.values().sum(),
            "notifications for other policies",
        ),
    ] {
        if number > 0 {
            parts.push(count(number, what));
        }
    }
    parts.join(", ")
}

/// The runs that are left, as trouble.
fn left(delivery: &Delivery) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    troubles.extend(
        delivery
            .impossible
            .iter()
            .map(|why| Trouble::other(format!("nothing was sent: {why}"))),
    );
    if delivery.busy {
        troubles.push(Trouble::other(
            "another process is delivering and did not end in time".into(),
        ));
    }
    for kept in &delivery.kept {
        troubles.push(Trouble::other(format!("run {} waits: {}", kept.reference_id, kept.why)));
    }
    for kept in &delivery.rejected {
        troubles.push(Trouble::other(format!(
            "run {} was refused and is in rejected/ (`pipefold flush --rejected` sends it again): {}",
            kept.reference_id, kept.why
        )));
    }
    if delivery.not_looked_at > 0 {
        troubles.push(Trouble::other(format!(
            "no time was left for {} runs; give more with --timeout",
            delivery.not_looked_at
        )));
    }
    troubles
}

fn answer(delivery: &Delivery) -> serde_json::Value {
    let list = |list: &[pipefold::UndeliveredRun]| -> Vec<_> {
        list.iter()
            .map(|kept| json!({ "reference_id": kept.reference_id, "why": kept.why }))
            .collect()
    };
    let policies: Vec<_> = delivery
        .other_policies
        .iter()
        .map(|(policies, count)| json!({ "digest": policies.digest, "names": policies.names, "notifications": count }))
        .collect();
    json!({
        "accepted": delivery.accepted,
        "kept": delivery.kept_count,
        "kept_runs": list(&delivery.kept),
        "rejected": delivery.rejected_count,
        "rejected_runs": list(&delivery.rejected),
        "foreign": delivery.foreign,
        "other_policies": policies,
        "abandoned": delivery.abandoned,
        "not_looked_at": delivery.not_looked_at,
        "busy": delivery.busy,
        "impossible": delivery.impossible,
    })
}
