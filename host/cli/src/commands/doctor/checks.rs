//! What `doctor` looks at besides the run itself: each thing with what is to be done about it, if anything.

use std::time::Duration;

use pipefold::config::{QueueSettings, TokenPlace, Trust};
use serde::Serialize;

use crate::commands::context::Context;
use crate::commands::fleet;
use crate::commands::trouble::Trouble;

/// The time that DX or a queue may take to answer; a person waits.
const PROBE: Duration = Duration::from_secs(5);

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    /// The subject of the check.
    pub(super) what: String,
    /// The finding.
    pub(super) found: String,
    /// The place where it comes from.
    pub(super) from: Option<String>,
    /// The advice, if something is wrong.
    pub(super) fix: Option<String>,
}

impl Check {
    pub(super) fn good(what: &str, found: impl Into<String>, from: Option<String>) -> Self {
        Self {
            what: what.into(),
            found: found.into(),
            from,
            fix: None,
        }
    }

    pub(super) fn bad(what: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            found: found.into(),
            from: None,
            fix: Some(fix.into()),
        }
    }
}

/// Files, DX, token, spool and policies, and what else was in the way.
pub(super) fn all(context: &Context, troubles: &[Trouble]) -> Vec<Check> {
    let mut checks = files(context);
    checks.push(dx(context));
    checks.push(token(context));
    checks.push(spool(context));
    checks.extend(policies(context));
    for trouble in troubles {
        let is_told = |check: &Check| check.fix.as_ref().is_some_and(|fix| trouble.text().starts_with(fix));
        if !checks.iter().any(is_told) {
            checks.push(match trouble.text().split_once("; ") {
                Some((found, fix)) => Check::bad("settings", found, fix),
                None => Check::bad("settings", "something is wrong", trouble.text()),
            });
        }
    }
    checks
}

fn files(context: &Context) -> Vec<Check> {
    let files = context.settings.files.iter();
    files
        .map(|(path, trust)| {
            let trust = match trust {
                Trust::Workspace => "of the workspace: run fields and templates only",
                Trust::Operator => "of the operator",
            };
            Check::good("file", path.display().to_string(), Some(trust.into()))
        })
        .collect()
}

/// What lies behind it is its forwarders' to say.
fn queue(context: &Context, queue: &QueueSettings) -> Check {
    let address = context.reporter.destination().url.clone().unwrap_or_default();
    match fleet::probe(queue, context.settings.ca_file.as_ref(), PROBE) {
        Err(why) => Check::bad("queue", format!("{address}, instead of DX, cannot be used"), why),
        Ok((found, fix)) => Check {
            fix,
            ..Check::good(
                "queue",
                format!("{address}, instead of DX, {found}"),
                Some(queue.url.origin.to_string()),
            )
        },
    }
}

fn dx(context: &Context) -> Check {
    if let Some(settings) = &context.settings.queue {
        return queue(context, settings);
    }
    let Some(client) = context.reporter.dx() else {
        let fix = "set DX_API_URL, or give --dx-url, to https://YOURINSTANCE.getdx.net";
        return Check::bad("DX", "no address", fix);
    };
    let from = context
        .settings
        .dx_url
        .as_ref()
        .map(|sourced| sourced.origin.to_string());
    let url = client.url();
    match client.probe(PROBE) {
        Err(error) => Check::bad("DX", format!("{url} does not answer"), error.to_string()),
        Ok(probe) => match probe.redirected_to {
            Some(host) => Check::bad(
                "DX",
                format!("{url} redirects to {host}"),
                "set the address to the host that answers itself; redirects are not followed",
            ),
            None => {
                let latency = probe.latency.as_millis();
                let found = format!("{url} answers after {latency} ms with HTTP {}", probe.status);
                // Any other status is an answer to a question that DX is never asked: its one method takes nothing but a POST.
                match probe.status {
                    407 => Check::bad("DX", found, "the proxy wants a password; put it into HTTPS_PROXY"),
                    500.. => Check::bad(
                        "DX",
                        found,
                        "wait until it works again, or ask who runs it; runs are kept meanwhile",
                    ),
                    _ => Check::good("DX", found, from),
                }
            }
        },
    }
}

fn token(context: &Context) -> Check {
    if let Some(queue) = &context.settings.queue {
        let key = queue.credentials_file.as_ref().or(queue.token_file.as_ref());
        return match key {
            Some(file) => Check::good("token", "the queue's own", Some(file.value.display().to_string())),
            None => Check::good("token", "none is needed: the queue is asked without", None),
        };
    }
    if let Some(why) = &context.token_refused {
        return Check::bad("token", "cannot be used", why);
    }
    let Some(sourced) = &context.settings.token else {
        if context.is_handed_down() {
            return Check::good("token", "held by the `pipefold exec` around this", None);
        }
        let fix =
            "set the secret DX_API_TOKEN, or give --token-file; builds of forks have none, which is as it should be";
        return Check::bad("token", "none", fix);
    };
    let place = match &sourced.value {
        TokenPlace::Variable(name) => (*name).to_owned(),
        TokenPlace::File(path) => path.display().to_string(),
    };
    match &context.reporter.destination().token {
        Some(digest) => Check::good("token", format!("present (digest {digest})"), Some(place)),
        None => Check::bad("token", "cannot be used", format!("look at {place}")),
    }
}

fn spool(context: &Context) -> Check {
    let place = &context.settings.spool;
    let path = place.path.display();
    let overview = match context.reporter.spool() {
        Err(error) => return Check::bad("spool", path.to_string(), error.to_string()),
        Ok(_) => match context.reporter.overview() {
            Err(error) => return Check::bad("spool", path.to_string(), error.to_string()),
            Ok(overview) => overview,
        },
    };
    let found = format!(
        "{path}: {} kept, {} waiting, {} refused, {} KiB",
        overview.run_count,
        overview.waiting_count,
        overview.rejected.len(),
        overview.bytes.div_ceil(1024)
    );
    let origin = Some(place.origin.to_string());
    // A run that is under way may wait; one that was tried and could not be sent is shown with its reason.
    match overview.runs.iter().find_map(|run| run.why.as_ref()) {
        Some(why) => Check {
            from: origin,
            ..Check::bad(
                "spool",
                found,
                format!("run `pipefold flush` once this is mended: {why}"),
            )
        },
        None => Check::good("spool", found, origin),
    }
}

fn policies(context: &Context) -> Vec<Check> {
    let policies = context.reporter.plugins().policies();
    if policies.is_empty() {
        return vec![Check::good("policies", "none", None)];
    }
    let check = |policy: &pipefold::LoadedPolicy| {
        let grants = if policy.grants.is_empty() {
            "no grants".into()
        } else {
            format!("grants {}", policy.grants.join(", "))
        };
        let failure = if policy.open { "open" } else { "closed" };
        match (&policy.sha256, &policy.trouble) {
            (Some(digest), _) => {
                let found = format!("{}: {grants}, {failure} on failure, sha256:{digest}", policy.name);
                Check::good("policy", found, Some(policy.file.clone()))
            }
            (None, trouble) => Check::bad("policy", policy.name.clone(), trouble.clone().unwrap_or_default()),
        }
    };
    let chain = context.reporter.plugins().chain();
    let bound = Check::good(
        "policies",
        format!("records are bound to {chain} ({:.12})", chain.digest),
        None,
    );
    policies.iter().map(check).chain([bound]).collect()
}
