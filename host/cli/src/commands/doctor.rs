//! `doctor`: what was detected, from where, what would be sent, and whether DX can be reached.

use std::process::ExitCode;
use std::time::Duration;

use pipefold::config::TokenPlace;
use pipefold::{Hook, Preview};
use serde::Serialize;

use super::context::{Context, fields, is_strict};
use super::print;
use super::trouble::{Trouble, code};
use crate::args::{DoctorArgs, GlobalFlags};
use crate::terminal::{excerpt, neutral};

/// How long DX may take to answer; a person waits.
const PROBE: Duration = Duration::from_secs(5);

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at.
    what: String,
    /// What was found.
    found: String,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// What to do about it, if something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn good(what: &str, found: impl Into<String>, from: Option<String>) -> Self {
        Self {
            what: what.into(),
            found: found.into(),
            from,
            fix: None,
        }
    }

    fn bad(what: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            found: found.into(),
            from: None,
            fix: Some(fix.into()),
        }
    }
}

/// `pipefold doctor`
pub(crate) fn run(global: &GlobalFlags, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let (findings, mut troubles, strict) = match Context::load(global, fields(&args.fields)) {
        Ok(mut context) => {
            let troubles = std::mem::take(&mut context.troubles);
            (examine(&context, &troubles), troubles, context.settings.strict)
        }
        Err(trouble) => (
            vec![Finding::bad(
                "settings",
                "cannot be used; nothing is sent",
                trouble.text(),
            )],
            vec![trouble],
            is_strict(global),
        ),
    };
    if findings.iter().any(|finding| finding.fix.is_some()) {
        troubles.push(Trouble::other(String::new()));
    }
    let answer = if global.json {
        serde_json::to_string(&findings)? + "\n"
    } else {
        table(&findings)
    };
    print(answer.as_bytes())?;
    Ok(ExitCode::from(code(&troubles, strict)))
}

fn examine(context: &Context, troubles: &[Trouble]) -> Vec<Finding> {
    let settings = &context.settings;
    let mut findings: Vec<Finding> = settings
        .fields
        .iter()
        .map(|(field, sourced)| Finding::good(field.name(), sourced.value.clone(), Some(sourced.origin.to_string())))
        .collect();
    findings.push(would_send(context));
    findings.extend(files(context));
    findings.push(token(context));
    findings.push(dx(context));
    findings.push(spool(context));
    findings.extend(policies(context));
    findings.extend(
        troubles
            .iter()
            .map(|trouble| Finding::bad("settings", "something is wrong", trouble.text())),
    );
    findings
}

fn would_send(context: &Context) -> Finding {
    let what = "record";
    match context
        .notification(Hook::Start)
        .map_err(|violations| pipefold::Refused { violations })
        .and_then(|mut notification| {
            notification.step = None;
            context.reporter.preview(Hook::Start, notification)
        }) {
        Ok(Preview::Send(_)) => Finding::good(what, "complete; see it with `pipefold start --dry-run`", None),
        Ok(Preview::Hold) => Finding::good(what, "held back by a policy", None),
        Ok(Preview::Discard(why)) => Finding::good(what, format!("dropped by a policy: {why}"), None),
        Ok(Preview::Unjudged(why)) => Finding::bad(what, "could not be judged", why),
        Err(refused) => Finding::bad(what, "would not be reported", refused.to_string()),
    }
}

fn files(context: &Context) -> Vec<Finding> {
    let files = context.settings.files.iter();
    files
        .map(|(path, trust)| Finding::good("file", path.display().to_string(), Some(format!("{trust:?}"))))
        .collect()
}

fn policies(context: &Context) -> Vec<Finding> {
    let policies = context.reporter.judges().policies();
    if policies.is_empty() {
        return vec![Finding::good("policies", "none", None)];
    }
    let finding = |policy: &pipefold::LoadedPolicy| {
        let grants = if policy.grants.is_empty() {
            "no grants".into()
        } else {
            format!("grants {}", policy.grants.join(", "))
        };
        let failure = if policy.open { "open" } else { "closed" };
        match (&policy.sha256, &policy.trouble) {
            (Some(digest), _) => {
                let found = format!("{}: {grants}, {failure} on failure, sha256:{digest}", policy.name);
                Finding::good("policy", found, Some(policy.file.clone()))
            }
            (None, trouble) => Finding::bad("policy", policy.name.clone(), trouble.clone().unwrap_or_default()),
        }
    };
    policies.iter().map(finding).collect()
}

fn token(context: &Context) -> Finding {
    match context.settings.token.as_ref() {
        None if context.is_handed_down() => Finding::good("token", "held by the `pipefold exec` around this", None),
        None => Finding::bad("token", "none", "set DX_API_TOKEN or give --token-file"),
        Some(sourced) => {
            let place = match &sourced.value {
                TokenPlace::Variable(name) => (*name).to_owned(),
                TokenPlace::File(path) => path.display().to_string(),
            };
            match &context.reporter.destination().token {
                Some(digest) => Finding::good("token", format!("present (digest {digest})"), Some(place)),
                None => Finding::bad("token", "cannot be used", format!("look at {place}")),
            }
        }
    }
}

fn dx(context: &Context) -> Finding {
    let Some(client) = context.reporter.dx() else {
        return Finding::bad(
            "DX",
            "no address",
            "set DX_API_URL, or give --dx-url, to https://YOURINSTANCE.getdx.net",
        );
    };
    let from = context
        .settings
        .dx_url
        .as_ref()
        .map(|sourced| sourced.origin.to_string());
    let url = client.url();
    match client.probe(PROBE) {
        Ok(probe) => match probe.redirected_to {
            Some(host) => Finding::bad(
                "DX",
                format!("{url} redirects to {host}"),
                "set the address to the host that answers itself; redirects are not followed",
            ),
            None => {
                let latency = probe.latency.as_millis();
                Finding::good(
                    "DX",
                    format!("{url} answers with {} after {latency} ms", probe.status),
                    from,
                )
            }
        },
        Err(error) => Finding::bad("DX", format!("{url} does not answer"), error.to_string()),
    }
}

fn spool(context: &Context) -> Finding {
    let place = &context.settings.spool;
    let path = place.path.display();
    match (context.reporter.spool(), context.reporter.overview()) {
        (Err(error), _) => Finding::bad("spool", path.to_string(), error.to_string()),
        (Ok(_), Err(error)) => Finding::bad("spool", path.to_string(), error.to_string()),
        (Ok(_), Ok(overview)) => Finding::good(
            "spool",
            format!(
                "{path}: {} runs, {} waiting, {} refused, {} KiB",
                overview.run_count,
                overview.waiting_count,
                overview.rejected.len(),
                overview.bytes.div_ceil(1024)
            ),
            Some(place.origin.to_string()),
        ),
    }
}

fn table(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let from = finding
            .from
            .as_ref()
            .map(|from| format!("  ({})", neutral(from)))
            .unwrap_or_default();
        lines.push(format!("{:<16} {}{from}", finding.what, excerpt(&finding.found)));
        if let Some(fix) = &finding.fix {
            lines.push(format!("{:<16} ! {}", "", neutral(fix)));
        }
    }
    let wrong = findings.iter().filter(|finding| finding.fix.is_some()).count();
    lines.push(if wrong == 0 {
        "all is well".into()
    } else {
        format!("{wrong} to fix")
    });
    lines.join("\n") + "\n"
}
