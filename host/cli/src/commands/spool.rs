//! The commands about the spool: `flush` delivers, exports and imports its runs, `status` shows them.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use pipefold::detect::Fields;
use pipefold::forms;
use pipefold::spool::{RunKey, Spool, SpoolError};
use pipefold::{Budget, Delivery, Flush, Overview, PolicyChain, RunState};

use super::context::{Context, conclude_unloaded};
use super::diagnostic::{Diagnostic, conclude, remark};
use super::policies::say_work;
use super::receipt::other_policies;
use super::{print_json, print_lines};
use crate::args::{FlushArgs, GlobalFlags};
use crate::terminal::{excerpt, neutral};

/// The time to try for without `--timeout`: long, since a user of flush wants to wait, but a job should end.
const TIMEOUT: Duration = Duration::from_secs(30);

/// `pipefold flush`
pub fn flush(global: &GlobalFlags, args: &FlushArgs) -> anyhow::Result<ExitCode> {
    let (context, mut diagnostics) = match Context::load(global, Fields::default()) {
        Ok(loaded) => loaded,
        Err(why) => return Ok(conclude_unloaded(global, why)),
    };
    let strict = context.settings.strict;
    if args.rejudge && context.reporter.plugins().chain().is_empty() {
        let why = "--rejudge applies this command's policies in place of the recorded ones, and there are none; name them with --policy";
        diagnostics.push(Diagnostic::input(why.into()));
        return Ok(conclude(&diagnostics, global, strict));
    }
    if let Some(file) = &args.import {
        import(&context, global, file, &mut diagnostics)?;
    }
    if let Some(file) = &args.export {
        export(&context, global, file)?;
        return Ok(conclude(&diagnostics, global, strict));
    }
    if args.rejected {
        let only = args.run.as_deref().map(RunKey::of);
        let back = spool(&context)?.take_back(only)?;
        remark(global, &format!("{back} rejected notifications put back"));
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
    diagnostics.extend(delivery.warnings.iter().cloned().map(Diagnostic::failure));
    diagnostics.extend(delivery.notes.iter().cloned().map(Diagnostic::remark));
    if global.json {
        print_json(&forms::delivery(&delivery))?;
    } else {
        remark(global, &flush_summary(&delivery, context.settings.queue.is_some()));
    }
    diagnostics.extend(undelivered(&delivery));
    diagnostics.extend(other_policies(&delivery));
    say_work(context.reporter.plugins(), global);
    Ok(conclude(&diagnostics, global, strict))
}

/// Takes the notifications of an exported file into the spool.
fn import(
    context: &Context,
    global: &GlobalFlags,
    file: &Path,
    diagnostics: &mut Vec<Diagnostic>,
) -> anyhow::Result<()> {
    let input = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let imported = spool(context)?.import(&mut BufReader::new(input))?;
    let (new, known) = (imported.new, imported.known);
    remark(global, &format!("{new} notifications imported, {known} known already"));
    let file = file.display();
    diagnostics.extend(imported.bad.iter().map(|bad| {
        let (line, why) = (bad.number, &bad.why);
        Diagnostic::input(format!("{file}, line {line}: {why}; the line is left out"))
    }));
    if imported.more_bad > 0 {
        diagnostics.push(Diagnostic::input(format!(
            "{file}: {} further bad lines",
            imported.more_bad
        )));
    }
    Ok(())
}

/// Writes the waiting notifications to a new file: an existing one may be the only copy of an earlier export.
fn export(context: &Context, global: &GlobalFlags, file: &Path) -> anyhow::Result<()> {
    let output = private_file(file).with_context(|| format!("cannot make {}", file.display()))?;
    let mut output = BufWriter::new(output);
    let exported = spool(context)?.export(&mut output)?;
    output.flush()?;
    output.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    let (records, runs) = (exported.records, exported.runs);
    remark(
        global,
        &format!("{records} notifications of {runs} runs written to {}", file.display()),
    );
    Ok(())
}

/// Creates a file that others cannot read: policies have not yet removed anything from its content.
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

fn flush_summary(delivery: &Delivery, into_queue: bool) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}");
    let by = if into_queue {
        "upserts accepted by the queue"
    } else {
        "requests accepted by DX"
    };
    let mut parts = vec![count(delivery.accepted, by)];
    for (number, what) in [
        (delivery.jobs, "steps"),
        (delivery.kept_count, "runs still waiting"),
        (delivery.not_attempted, "runs not looked at for lack of time"),
        (delivery.rejected_count, "refused for good"),
        (delivery.abandoned, "ended as cancelled for lack of activity"),
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

/// The warnings about the runs that were not delivered.
fn undelivered(delivery: &Delivery) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    diagnostics.extend(
        delivery
            .impossible
            .iter()
            .map(|why| Diagnostic::failure(format!("nothing was sent: {why}"))),
    );
    if delivery.busy {
        diagnostics.push(Diagnostic::failure(
            "another process is delivering and did not end in time".into(),
        ));
    }
    for run in &delivery.kept {
        diagnostics.push(Diagnostic::failure(format!(
            "run {} waits: {}",
            run.reference_id, run.why
        )));
    }
    for run in &delivery.rejected {
        diagnostics.push(Diagnostic::failure(format!(
            "run {} was refused and is in rejected/ (`pipefold flush --rejected` sends it again): {}",
            run.reference_id, run.why
        )));
    }
    if delivery.not_attempted > 0 {
        diagnostics.push(Diagnostic::failure(format!(
            "no time was left for {} runs; give more with --timeout",
            delivery.not_attempted
        )));
    }
    diagnostics
}

/// The most runs in the answer for people; `--json` has more.
const MOST_SHOWN: usize = 50;

/// `pipefold status`
pub fn status(global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let (context, mut diagnostics) = match Context::load_read_only(global) {
        Ok(loaded) => loaded,
        Err(why) => return Ok(conclude_unloaded(global, why)),
    };
    // The runs are shown at once: a policy that is not compiled yet is shown as such. The default plugin alone takes a moment.
    if context.reporter.plugins().has_policies() {
        context.reporter.plugins().wait_until(Instant::now());
    }
    let overview = match context.reporter.spool() {
        Err(missing @ SpoolError::Missing { .. }) => {
            diagnostics.push(Diagnostic::notice(missing.to_string()));
            Overview::default()
        }
        _ => context.reporter.overview()?,
    };
    let place = context.settings.spool.path.display().to_string();
    if global.json {
        let mut answer = serde_json::to_value(&overview)?;
        if let Some(object) = answer.as_object_mut() {
            object.insert("spool".into(), place.into());
            object.insert(
                "policies".into(),
                serde_json::to_value(context.reporter.plugins().policies())?,
            );
            object.insert(
                "policy_chain".into(),
                serde_json::to_value(context.reporter.plugins().chain())?,
            );
        }
        print_json(&answer)?;
    } else {
        print_lines(&overview_text(&overview, &place))?;
        let chain = context.reporter.plugins().chain();
        if !chain.is_empty() {
            print_lines(&format!("policies  {}\n", neutral(&chain_text(chain))))?;
        }
        for policy in context.reporter.plugins().policies() {
            let digest = policy.sha256.clone().unwrap_or_else(|| "not loaded".into());
            let grants = if policy.grants.is_empty() {
                "no grants".into()
            } else {
                policy.grants.join(", ")
            };
            let mode = if policy.is_monitored() { "monitor, " } else { "" };
            print_lines(&format!(
                "policy    {} ({mode}{grants}) {digest}\n",
                neutral(&policy.name)
            ))?;
        }
    }
    Ok(conclude(&diagnostics, global, context.settings.strict))
}

/// Policies with the digest that distinguishes them from others of the same name.
fn chain_text(policies: &PolicyChain) -> String {
    format!("{policies} ({:.12})", policies.digest)
}

fn overview_text(overview: &Overview, place: &str) -> String {
    let mut lines = vec![format!(
        "{}: {} runs kept, {} waiting, {} KiB",
        neutral(place),
        overview.run_count,
        overview.waiting_count,
        overview.bytes.div_ceil(1024)
    )];
    for run in overview.runs.iter().take(MOST_SHOWN) {
        let state = match run.state {
            RunState::Waiting => "waiting",
            RunState::Unjudged => "unjudged",
            RunState::Held => "held",
            RunState::Delivered => "delivered",
        };
        let pipeline = run.pipeline_name.as_deref().unwrap_or("-");
        lines.push(format!(
            "{state:<9} {} ({}, {} of {} notifications unsent)",
            excerpt(&run.reference_id),
            excerpt(pipeline),
            run.unsent,
            run.notifications
        ));
        for policies in &run.policies {
            lines.push(format!("          recorded under {}", excerpt(&chain_text(policies))));
        }
        if let Some(why) = &run.why {
            lines.push(format!("          {}", excerpt(why)));
        }
    }
    if overview.run_count > MOST_SHOWN {
        lines.push(format!(
            "… and {} runs more",
            overview.run_count - MOST_SHOWN.min(overview.runs.len())
        ));
    }
    if overview.silent_count > 0 {
        lines.push(format!(
            "{} runs have no end, and nothing was recorded of them for a day: `pipefold flush --abandon 1d` ends them as cancelled, and \
             `abandon_after` in the operator's file does so automatically",
            overview.silent_count
        ));
    }
    for rejected in &overview.rejected {
        let reason = &rejected.rejection;
        let words = excerpt(&format!("{}: {}", reason.code, reason.message));
        lines.push(format!(
            "rejected  {} notifications of {}: {words} (`pipefold flush --rejected` sends them again)",
            rejected.ids.len(),
            match reason.reference_id.as_str() {
                "" => rejected.run.to_string(),
                id => neutral(id),
            }
        ));
    }
    for name in &overview.aside {
        lines.push(format!("aside     {}", neutral(name)));
    }
    lines.join("\n") + "\n"
}
