//! `hook`: the plugin's verdict for hosts in any language, JSON in and JSON out.

mod input;

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use pipefold::config::Environment;
use pipefold::detect::Fields;
use pipefold::{Judge, NoVerdict, Verdict};
use pipefold_sandbox::Question;
use serde_json::{Value, json};

use self::input::{many, one};

use super::context::settings;
use super::trouble::tell;
use super::{policies, print_json};
use crate::args::{GlobalFlags, HookArgs, HookName};

/// The most that is read: the largest history that the rules allow, with every character escaped as JSON may.
const MOST: u64 = 64 << 20;

/// `pipefold hook`
pub(crate) fn run(global: &GlobalFlags, args: &HookArgs) -> anyhow::Result<ExitCode> {
    let mut input = Vec::new();
    std::io::stdin()
        .lock()
        .take(MOST + 1)
        .read_to_end(&mut input)
        .context("cannot read stdin")?;
    if input.len() as u64 > MOST {
        bail!("stdin has more than {} MiB, which no legal history takes", MOST >> 20);
    }
    let environment = Environment::from_process();
    let mut troubles = Vec::new();
    let judge = settings(global, Fields::default(), &environment)
        .and_then(|settings| policies::judge(global, &environment, &settings, &mut troubles));
    let judge = match judge {
        Ok(judge) => judge,
        // Unlike a build, the caller of a hook waits for its answer: that there is none is a failure.
        Err(trouble) => bail!("{}", trouble.text()),
    };
    tell(&troubles, global);
    let (answer, code) = match ask(&judge, args.hook, &input)? {
        Ok(answer) => (answer, 0),
        Err(NoVerdict::Refused(refused)) => (json!({ "violations": refused.violations }), 2),
        Err(error) => return Err(error.into()),
    };
    print_json(&answer)?;
    Ok(ExitCode::from(code))
}

fn ask(judge: &Judge, hook: HookName, input: &[u8]) -> anyhow::Result<Result<Value, NoVerdict>> {
    Ok(match hook {
        HookName::Start => judge.ask(&Question::PipelineStart(&one(input)?)).map(verdict),
        HookName::Step => judge.ask(&Question::Step(&one(input)?)).map(verdict),
        HookName::Finish => judge.ask(&Question::PipelineFinish(&many(input)?)).map(verdict),
        HookName::Merge => judge.merge(&many(input)?).map(|run| json!({ "run": run })),
    })
}

fn verdict(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Report(run) => json!({ "verdict": "report", "run": run }),
        Verdict::Hold => json!({ "verdict": "hold" }),
        Verdict::Discard(reason) => json!({ "verdict": "discard", "reason": reason }),
    }
}
