//! `start`, `finish` and a `step` without a command: one notification.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use pipefold::detect::{Field, Fields};
use pipefold::{Hook, Receipt};

use super::context::{Context, fields, is_strict};
use super::trouble::{Trouble, conclude};
use super::{dry_run, outside, print_json};
use crate::args::{FinishArgs, GlobalFlags, StartArgs, StepArgs};

/// The time that this process takes before it looks at the clock, and after it has said its last line.
const START_AND_END: Duration = Duration::from_millis(20);

/// `pipefold start`
pub fn start(global: &GlobalFlags, args: &StartArgs) -> anyhow::Result<ExitCode> {
    notify(global, Hook::Start, fields(&args.fields))
}

/// `pipefold finish`
pub fn finish(global: &GlobalFlags, args: &FinishArgs) -> anyhow::Result<ExitCode> {
    let mut fields = fields(&args.fields);
    if let Some(status) = &args.status {
        fields.set_flag(Field::Status, status.as_str());
    }
    notify(global, Hook::Finish, fields)
}

/// `pipefold step` without a command
pub fn step(global: &GlobalFlags, args: &StepArgs) -> anyhow::Result<ExitCode> {
    let mut fields = step_fields(args);
    fields.set_flag(Field::Status, args.status.as_deref().unwrap_or("running"));
    notify(global, Hook::Step, fields)
}

/// The fields that a step's flags give, without its status.
pub fn step_fields(args: &StepArgs) -> Fields {
    let mut fields = fields(&args.fields);
    fields.set_flag(Field::Step, args.step.as_str());
    fields.allowed_to_fail = args.allow_failure;
    fields.urgent = args.now;
    fields
}

fn notify(global: &GlobalFlags, hook: Hook, fields: Fields) -> anyhow::Result<ExitCode> {
    let arrived = Instant::now();
    let mut context = match Context::load_to_report(global, fields) {
        Ok(context) => context,
        Err(trouble) => return Ok(conclude(&[trouble], global, is_strict(global))),
    };
    let strict = context.settings.strict;
    let mut troubles = std::mem::take(&mut context.troubles);
    troubles.extend(outside::how_to_go_on(&context.settings));
    match report(&context, global, hook, arrived, &mut troubles)? {
        Some(receipt) if global.json => print_json(&summary(&receipt))?,
        _ => {}
    }
    Ok(conclude(&troubles, global, strict))
}

fn report(
    context: &Context,
    global: &GlobalFlags,
    hook: Hook,
    arrived: Instant,
    troubles: &mut Vec<Trouble>,
) -> anyhow::Result<Option<Receipt>> {
    let mut notification = match context.notification(hook) {
        Ok(notification) => notification,
        Err(violations) => {
            troubles.push(Trouble::refused(violations));
            return Ok(None);
        }
    };
    if hook != Hook::Step {
        // PIPEFOLD_STEP may be set for a whole job; a run's start and end are not one of its steps.
        notification.step = None;
    }
    if hook == Hook::Start {
        // Nor does PIPEFOLD_STATUS say how a run went that has only begun: the start would decide with it at the end.
        notification.status = None;
    }
    if context.settings.dry_run {
        dry_run::show(context, global, hook, notification, troubles)?;
        return Ok(None);
    }
    let budget = match hook {
        Hook::Finish => context.settings.budgets.finish,
        Hook::Start | Hook::Step => context.settings.budgets.start,
    };
    // The budget is what all of this costs the build. A disk that takes longer than half of it leaves the other half for sending.
    let left = || budget - (arrived.elapsed() + START_AND_END).min(budget / 2);
    let Some(receipt) = context.report(hook, notification, left, troubles) else {
        return Ok(None);
    };
    troubles.extend(Context::dropped(&receipt));
    troubles.extend(context.told_by(&receipt));
    Ok(Some(receipt))
}

fn summary(receipt: &Receipt) -> serde_json::Value {
    let delivered = receipt.is_settled();
    serde_json::json!({
        "reference_id": receipt.reference_id,
        "on_disk": receipt.on_disk,
        "delivered": delivered,
        "rejected": receipt.is_rejected(),
        "why": if delivered { None } else { receipt.why_not_settled() },
        "warnings": receipt.warnings.iter().chain(receipt.delivery.iter().flat_map(|delivery| &delivery.warnings)).collect::<Vec<_>>(),
    })
}
