//! `--dry-run`: the exact request, and nothing sent or recorded.

use pipefold::dx::{HEADERS, METHOD_PATH, body};
use pipefold::{Hook, Judgement, Notification, Run, foreign};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::trouble::Trouble;
use super::{print_json, print_lines};
use crate::args::GlobalFlags;
use crate::terminal::{excerpt, neutral};

/// Prints what a notification would send.
pub fn show(
    context: &Context,
    global: &GlobalFlags,
    hook: Hook,
    notification: Notification,
    troubles: &mut Vec<Trouble>,
) -> anyhow::Result<()> {
    let preview = match context.reporter.preview(hook, notification) {
        Ok(preview) => preview,
        Err(refused) => {
            troubles.push(refused.into());
            return Ok(());
        }
    };
    let nothing = |verdict: &str, why: &str| json!({ "verdict": verdict, "why": why });
    let answer = match preview {
        Judgement::Report(run) => {
            if context.reporter.dx().is_none() && context.settings.queue.is_none() {
                troubles.push(Trouble::other("DX_API_URL is not set".into()));
            }
            request(context, &run)?
        }
        Judgement::Hold => nothing("hold", "recorded, and sent with the end of the run"),
        Judgement::Discard(why) => nothing("discard", &why),
        Judgement::Unjudged(why) => nothing("unjudged", &why),
    };
    if global.json {
        print_json(&answer)
    } else {
        print_lines(&as_http(&answer)?)
    }
}

/// The request that would send a run, with the token hidden.
pub fn request(context: &Context, run: &Run) -> anyhow::Result<Value> {
    if context.settings.queue.is_some() {
        return Ok(json!({
            "method": "PUBLISH",
            "url": context.reporter.destination().url,
            "headers": {},
            "body": serde_json::from_slice::<Value>(&body(run))?,
        }));
    }
    let url = context.reporter.dx().map(|client| client.url().endpoint());
    let mut headers: Map<String, Value> = HEADERS
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    headers.insert("Authorization".into(), "Bearer ***".into());
    Ok(json!({
        "method": "POST",
        "url": url.unwrap_or_else(|| format!("https://YOURINSTANCE.getdx.net{}", METHOD_PATH)),
        "headers": headers,
        "body": serde_json::from_slice::<Value>(&body(run))?,
    }))
}

/// The request as it would go over the wire.
fn as_http(answer: &Value) -> anyhow::Result<String> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    let Some(body) = answer.get("body") else {
        return Ok(format!("{}: {}\n", text("verdict"), excerpt(text("why"))));
    };
    let mut lines = vec![format!("{} {}", text("method"), neutral(text("url")))];
    for (name, value) in answer.get("headers").and_then(Value::as_object).into_iter().flatten() {
        lines.push(format!("{name}: {}", neutral(value.as_str().unwrap_or_default())));
    }
    Ok(format!(
        "{}\n\n{}\n",
        lines.join("\n"),
        foreign::json(&serde_json::to_string_pretty(body)?)
    ))
}
