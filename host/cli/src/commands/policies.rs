//! The judge of a command: the policies that flags, variables and the operator's file name, and the rules.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pipefold::config::{Environment, Settings, variables};
use pipefold::{Cache, Compiler, Judge, Limits, Monitoring, PolicySource};
use pipefold_sandbox::{LogLevel, LogSink, Mode, PolicyComponent};

use super::diagnostic::{Diagnostic, print, remark};
use crate::args::GlobalFlags;
use crate::terminal::{excerpt, neutral, say};

/// The judge of this command: the operator's policies outermost, then those of the variable, those of the flags, and the default
/// plugin. A flag adds to the others and never replaces them: a job must not switch off a redaction of its runner by naming another policy.
///
/// Monitored policies are asked with `-v`, which shows what they would do, and nothing about them is an error.
pub fn judge(
    global: &GlobalFlags,
    environment: &Environment,
    settings: &Settings,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Judge, Diagnostic> {
    let limits = settings.limits.over(&Limits::default());
    let sink = log_sink(global);
    let mut notices = Vec::new();
    let of_the_file = settings.policies.iter().filter_map(|keys| {
        match PolicySource::from_keys(keys, &limits, settings.failure, &sink) {
            Err(error) if keys.mode == Mode::Monitor => {
                notices.push(Diagnostic::notice(format!("{error}; the policy is not monitored")));
                None
            }
            source => Some(source),
        }
    });
    let named = named(global, environment).map_err(Diagnostic::input)?;
    let of_the_flags = named.iter().map(|(by, given)| {
        let file = given.parse().map_err(|error| format!("{by} {given}: {error}"))?;
        let mut source = PolicySource::new(file);
        source.policy.limits = limits.clone();
        source.policy.on_failure = settings.failure.into();
        Ok(source)
    });
    let sources: Vec<PolicySource> = of_the_file
        .chain(of_the_flags)
        .collect::<Result<_, String>>()
        .map_err(Diagnostic::input)?;
    diagnostics.extend(notices);
    let is_needed = |source: &PolicySource| source.policy.mode == Mode::Enforce || global.verbose > 0;
    let none_is_needed = !sources.iter().any(is_needed);
    let is_embedded = |source: &PolicySource| {
        source.component == PolicyComponent::BuiltIn && pipefold_sandbox::built_in_policy_is_embedded()
    };
    // The usual case: nothing has to be compiled, so no cache is opened.
    if sources.iter().all(is_embedded) && pipefold_sandbox::default_is_embedded() {
        return Ok(Judge::new(limits, sources, None, Compiler::Here));
    }
    let place = cache_dir(global, environment).unwrap_or_else(Cache::usual_dir);
    let cache = match Cache::open(&place) {
        Ok(cache) => Some(cache),
        // The default component alone compiles fast in each process, which is no reason for a warning in each build.
        Err(error) if none_is_needed => {
            tracing::info!(%error, "the default component is compiled without a cache");
            None
        }
        Err(error) => {
            diagnostics.push(Diagnostic::failure(format!(
                "{error}; policies are compiled again each time"
            )));
            None
        }
    };
    let compiler = super::component::compiler().map_err(|error| Diagnostic::failure(format!("{error:#}")))?;
    let judge = Judge::new(limits, sources, cache, compiler);
    judge.set_monitoring(if global.verbose > 0 {
        Monitoring::IfCompiled
    } else {
        Monitoring::Off
    });
    Ok(judge)
}

/// The wait for monitored policies to be compiled: longer than the compiler's own limit.
const COMPILING: Duration = Duration::from_secs(70);

/// Loads the monitored policies too, for commands that are about policies.
pub fn with_monitored(judge: &Judge) {
    judge.set_monitoring(Monitoring::Compile);
    judge.load_monitored(Instant::now() + COMPILING);
}

/// The wait at a command's end for monitored policies: some calls of the usual time limit.
const WAIT: Duration = Duration::from_secs(1);

/// Prints warnings about policies that were passed over, and with `-v` what each did, or would have done, one line each.
pub fn say_work(judge: &Judge, global: &GlobalFlags) {
    let mut warnings: Vec<String> = judge.notes().to_vec();
    if global.verbose > 0 {
        judge.settle(Instant::now() + WAIT);
    }
    for policy in judge.work() {
        if policy.open && policy.mode == Mode::Enforce && policy.counts.failed > 0 {
            let (name, failed, judged) = (&policy.name, policy.counts.failed, policy.counts.judged);
            warnings.push(format!(
                "policy {name} failed in {failed} of {judged} questions and was passed over: correct it, or set failure = \"closed\""
            ));
        }
        if global.verbose > 0 {
            remark(global, &excerpt(&policy.line()));
        }
    }
    let warnings: Vec<Diagnostic> = warnings.into_iter().map(Diagnostic::notice).collect();
    print(&warnings, global);
}

/// The policies that the variable and the flags name, with the source of each.
fn named(global: &GlobalFlags, environment: &Environment) -> Result<Vec<(&'static str, String)>, String> {
    let of_the_variable = PolicySource::named_by_variable(environment)?.into_iter();
    let by = |by: &'static str| move |file: String| (by, file);
    let of_the_flags = global.policies.iter().cloned();
    Ok(of_the_variable
        .map(by(variables::POLICY))
        .chain(of_the_flags.map(by("--policy")))
        .collect())
}

/// The variable that names the same policies to a wrapped command, wherever it runs; none without policies.
pub fn for_wrapped_command(global: &GlobalFlags, environment: &Environment) -> Option<OsString> {
    let files = named(global, environment).ok()?.into_iter();
    let lines: String = files
        .map(|(_, file)| match std::path::absolute(&file) {
            Ok(absolute) => format!("{}\n", absolute.display()),
            Err(_) => format!("{file}\n"),
        })
        .collect();
    (!lines.is_empty()).then(|| lines.into())
}

/// The directory of compiled policies that a flag or a variable names.
pub fn cache_dir(global: &GlobalFlags, environment: &Environment) -> Option<PathBuf> {
    let named = || environment.get_os(variables::POLICY_CACHE).map(PathBuf::from);
    let given = global.policy_cache.clone().filter(|path| !path.as_os_str().is_empty());
    given.or_else(named)
}

/// Prints a policy's log with its name: info and above always, debug with `-v`, warnings alone with `-q`.
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
