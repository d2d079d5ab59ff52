//! `hook`: the plugin's verdict for hosts in any language, JSON in and JSON out.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use pipefold::{Notification, Verdict};
use pipefold_sandbox::{HookError, Limits, Plugin, Sandbox};
use serde_json::{Map, Value, json};

use super::print;
use crate::args::{HookArgs, HookName};

/// The most that is read: the largest history that the rules allow, with every character escaped as JSON may.
const MOST: u64 = 64 << 20;

/// `pipefold hook`
pub(crate) fn run(args: &HookArgs) -> anyhow::Result<ExitCode> {
    let mut input = Vec::new();
    std::io::stdin()
        .lock()
        .take(MOST + 1)
        .read_to_end(&mut input)
        .context("cannot read stdin")?;
    if input.len() as u64 > MOST {
        bail!("stdin has more than {} MiB, which no legal history takes", MOST >> 20);
    }
    let plugin = Sandbox::new(Limits::default())?.default_plugin()?;
    let (answer, code) = match ask(&plugin, args.hook, &input)? {
        Ok(answer) => (answer, 0),
        Err(HookError::Refused(violations)) => (json!({ "violations": violations }), 2),
        Err(error) => return Err(error.into()),
    };
    print(format!("{answer}\n").as_bytes())?;
    Ok(ExitCode::from(code))
}

fn ask(plugin: &Plugin, hook: HookName, input: &[u8]) -> anyhow::Result<Result<Value, HookError>> {
    // By its fields and never by position, as which serde would also read a list.
    let one = || -> anyhow::Result<Notification> {
        let what = "stdin is not the JSON object of one notification";
        let object: Map<String, Value> = serde_json::from_slice(input).context(what)?;
        serde_json::from_value(object.into()).context(what)
    };
    let many = || -> anyhow::Result<Vec<Notification>> {
        let what = "stdin is not the JSON array of a run's notifications, each an object";
        let objects: Vec<Map<String, Value>> = serde_json::from_slice(input).context(what)?;
        serde_json::from_value(objects.into()).context(what)
    };
    Ok(match hook {
        HookName::Start => plugin.pipeline_start(&one()?).map(verdict),
        HookName::Step => plugin.step(&one()?).map(verdict),
        HookName::Finish => plugin.pipeline_finish(&many()?).map(verdict),
        HookName::Merge => plugin.merge(&many()?).map(|run| json!({ "run": run })),
    })
}

fn verdict(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Report(run) => json!({ "verdict": "report", "run": run }),
        Verdict::Hold => json!({ "verdict": "hold" }),
        Verdict::Discard(reason) => json!({ "verdict": "discard", "reason": reason }),
    }
}
