//! The policies that flags and the operator's file name, made into what judges.

use std::sync::Arc;

use pipefold::config::{Failure, Settings};
use pipefold::{Cache, Compiler, Judge, Limits, PolicySource};
use pipefold_sandbox::{LogLevel, LogSink, OnFailure};

use super::trouble::Trouble;
use crate::args::GlobalFlags;
use crate::terminal::{excerpt, neutral, say};

/// What judges for this command: the operator's policies outermost, then those of the flags, then the default plugin.
pub(crate) fn judge(global: &GlobalFlags, settings: &Settings, troubles: &mut Vec<Trouble>) -> Result<Judge, Trouble> {
    let limits = settings.limits.over(&Limits::default());
    let sink = log_sink(global);
    let of_the_file = settings
        .policies
        .iter()
        .map(|keys| PolicySource::from_keys(keys, &limits, settings.failure, &sink));
    let of_the_flags = global.policies.iter().map(|given| {
        let file = given.parse().map_err(|error| format!("--policy {given}: {error}"))?;
        let mut source = PolicySource::new(file);
        source.policy.limits = limits.clone();
        source.policy.on_failure = match settings.failure {
            Failure::Closed => OnFailure::Closed,
            Failure::Open => OnFailure::Open,
        };
        Ok(source)
    });
    let sources: Vec<PolicySource> = of_the_file
        .chain(of_the_flags)
        .collect::<Result<_, String>>()
        .map_err(Trouble::input)?;
    if sources.is_empty() {
        return Ok(Judge::new(limits, sources, None, Compiler::Here));
    }
    let place = global.policy_cache.clone().unwrap_or_else(Cache::usual_dir);
    let cache = match Cache::open(&place) {
        Ok(cache) => Some(cache),
        Err(error) => {
            troubles.push(Trouble::other(format!("{error}; policies are compiled anew each time")));
            None
        }
    };
    let compiler = super::component::compiler().map_err(|error| Trouble::other(format!("{error:#}")))?;
    Ok(Judge::new(limits, sources, cache, compiler))
}

/// Shows a policy's lines with its name: those worth knowing always, those for its author with `-v`.
fn log_sink(global: &GlobalFlags) -> LogSink {
    let least = match (global.quiet, global.verbose) {
        (true, _) => LogLevel::Warn,
        (false, 0) => LogLevel::Info,
        _ => LogLevel::Debug,
    };
    Arc::new(move |policy, level, line| {
        if level >= least {
            say(&format!("pipefold: policy {}: {}", neutral(policy), excerpt(line)));
        }
    })
}
