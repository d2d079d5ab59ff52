//! `status`: what waits, and why.

use std::process::ExitCode;
use std::time::Instant;

use pipefold::spool::SpoolError;
use pipefold::{Overview, PolicyChain, RunState};

use super::context::{Context, is_strict};
use super::trouble::{Trouble, conclude};
use super::{print_json, print_lines};
use crate::args::GlobalFlags;
use crate::terminal::{excerpt, neutral};

/// Runs that a person is shown; `--json` has more.
const MOST_SHOWN: usize = 50;

/// `pipefold status`
pub fn run(global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let mut context = match Context::load_to_look(global) {
        Ok(context) => context,
        Err(trouble) => return Ok(conclude(&[trouble], global, is_strict(global))),
    };
    let mut troubles = std::mem::take(&mut context.troubles);
    // What waits is shown at once: a policy that is not compiled is said to be so. The default plugin alone takes a moment.
    if context.reporter.plugins().has_policies() {
        context.reporter.plugins().wait_until(Instant::now());
    }
    let overview = match context.reporter.spool() {
        Err(missing @ SpoolError::Missing { .. }) => {
            troubles.push(Trouble::notice(missing.to_string()));
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
        print_lines(&for_people(&overview, &place))?;
        let chain = context.reporter.plugins().chain();
        if !chain.is_empty() {
            print_lines(&format!("policies  {}\n", neutral(&bound(chain))))?;
        }
        for policy in context.reporter.plugins().policies() {
            let digest = policy.sha256.unwrap_or_else(|| "not loaded".into());
            let grants = if policy.grants.is_empty() {
                "no grants".into()
            } else {
                policy.grants.join(", ")
            };
            print_lines(&format!("policy    {} ({grants}) {digest}\n", neutral(&policy.name)))?;
        }
    }
    Ok(conclude(&troubles, global, context.settings.strict))
}

/// Policies with the digest that distinguishes them from others of the same name.
fn bound(policies: &PolicyChain) -> String {
    format!("{policies} ({:.12})", policies.digest)
}

fn for_people(overview: &Overview, place: &str) -> String {
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
            lines.push(format!("          recorded under {}", excerpt(&bound(policies))));
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
             `abandon_after` in the operator's file does so by itself",
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
