//! The checks of policies, and what each makes of the start of a run.

use pipefold::{Hook, LoadedPolicy, Notification};
use pipefold_sandbox::{Outcome, Question, Visit};

use super::report::Check;
use crate::commands::context::Context;
use crate::commands::policies::with_monitored;

/// One check for each policy, and one of the line of policies.
pub fn checks(context: &Context) -> Vec<Check> {
    let plugins = context.reporter.plugins();
    with_monitored(plugins);
    let policies = plugins.policies();
    if policies.is_empty() {
        return vec![Check::good("policies", "none", None)];
    }
    let visits = visits(context);
    let mut checks: Vec<Check> = policies.iter().map(|policy| check(policy, &visits)).collect();
    let chain = plugins.chain();
    if !chain.is_empty() {
        let bound = format!("records are bound to {chain} ({:.12})", chain.digest);
        checks.push(Check::good("policies", bound, None));
    }
    checks
}

fn check(policy: &LoadedPolicy, visits: &[Visit]) -> Check {
    let Some(digest) = &policy.sha256 else {
        return Check::bad(
            "policy",
            policy.name.clone(),
            policy.trouble.clone().unwrap_or_default(),
        );
    };
    let mut parts = Vec::new();
    if policy.is_monitored() {
        parts.push("monitored".to_owned());
    }
    parts.push(if policy.grants.is_empty() {
        "no grants".into()
    } else {
        format!("grants {}", policy.grants.join(", "))
    });
    if !policy.is_monitored() {
        parts.push(format!("{} on failure", if policy.open { "open" } else { "closed" }));
    }
    parts.extend(policy.key.as_ref().map(|key| format!("signed by {key}")));
    parts.push(format!("sha256:{digest}"));
    let is_its = |visit: &&Visit| visit.policy == policy.name && visit.monitored == policy.is_monitored();
    let done = visits.iter().find(is_its).map(done).unwrap_or_default();
    let found = format!("{}: {}{done}", policy.name, parts.join(", "));
    Check::good("policy", found, Some(policy.file.clone()))
}

/// The calls of the policies about the start of a run, if its fields are complete.
fn visits(context: &Context) -> Vec<Visit> {
    let start = context.notification(Hook::Start).ok().map(|notification| Notification {
        step: None,
        status: None,
        finished_at: None,
        ..notification
    });
    let judged = start.and_then(|start| context.reporter.judge(Hook::Start, start).ok());
    let explained = judged.and_then(|judged| {
        let question = Question::PipelineStart(judged.notification());
        context.reporter.plugins().explain(&question).ok()
    });
    explained.map(|explained| explained.visits).unwrap_or_default()
}

/// What a policy makes of the start of a run.
fn done(visit: &Visit) -> String {
    let (verb, what) = match (visit.outcome, &visit.answer) {
        (_, Err(why)) => ("fail", why.clone()),
        (Some(Outcome::Discarded), _) => ("discard", "it".into()),
        (Some(Outcome::Held), _) => ("hold", "it".into()),
        (Some(Outcome::Changed), _) if !visit.changes.is_empty() => ("change", visit.changes.join(", ")),
        _ => ("change", "nothing".into()),
    };
    let colon = if verb == "fail" { ":" } else { "" };
    match visit.monitored {
        true => format!("; at the start of a run it would {verb}{colon} {what}"),
        false => format!("; at the start of a run it {verb}s{colon} {what}"),
    }
}
