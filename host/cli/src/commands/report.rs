//! `start`, `step` and `finish`: one notification, of a step perhaps with a command; and `--dry-run`, which prints its request.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pipefold::config::{Origin, Sourced};
use pipefold::detect::{Field, Fields};
use pipefold::dx::{HEADERS, JOB_METHOD_PATH, METHOD_PATH, body, job_body};
use pipefold::{Hook, Job, Judgement, Notification, Receipt, Run, clock, foreign, forms};
use serde_json::{Map, Value, json};

use super::context::{Context, conclude_unloaded, fields, is_strict, local_run_advice};
use super::diagnostic::{Diagnostic, conclude, exit_code, print};
use super::policies::say_work;
use super::wrapped::{self, CommandEnd, cancelled, record_beside};
use super::{print_json, print_lines};
use crate::args::{FinishArgs, GlobalFlags, StartArgs, StepArgs};
use crate::child::make_private;
use crate::terminal::{excerpt, neutral};

/// The time of this process before it reads the clock, and after its last line.
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

/// `pipefold step`, with a command or without
pub fn step(global: &GlobalFlags, args: &StepArgs) -> anyhow::Result<ExitCode> {
    let mut fields = fields(&args.fields);
    fields.set_flag(Field::Step, args.step.as_str());
    fields.step_id = args.step_id.clone().filter(|id| !id.trim().is_empty());
    fields.allowed_to_fail = args.allow_failure;
    fields.urgent = args.now;
    if args.command.is_empty() {
        fields.set_flag(Field::Status, args.status.as_deref().unwrap_or("running"));
        return notify(global, Hook::Step, fields);
    }
    make_private();
    match Context::load_to_report(global, fields) {
        Ok((context, diagnostics)) => step_around(global, context, diagnostics, &args.command),
        Err(why) => wrapped::run_unreported(&args.command, global, &[why], is_strict(global)),
    }
}

fn notify(global: &GlobalFlags, hook: Hook, fields: Fields) -> anyhow::Result<ExitCode> {
    let arrived = Instant::now();
    let (context, mut diagnostics) = match Context::load_to_report(global, fields) {
        Ok(loaded) => loaded,
        Err(why) => return Ok(conclude_unloaded(global, why)),
    };
    let strict = context.settings.strict;
    diagnostics.extend(local_run_advice(&context.settings));
    match report(&context, global, hook, arrived, &mut diagnostics)? {
        Some(receipt) if global.json => print_json(&forms::receipt(&receipt))?,
        _ => {}
    }
    say_work(context.reporter.plugins(), global);
    Ok(conclude(&diagnostics, global, strict))
}

fn report(
    context: &Context,
    global: &GlobalFlags,
    hook: Hook,
    arrived: Instant,
    diagnostics: &mut Vec<Diagnostic>,
) -> anyhow::Result<Option<Receipt>> {
    let mut notification = match context.notification(hook) {
        Ok(notification) => notification,
        Err(violations) => {
            diagnostics.push(Diagnostic::refused(violations));
            return Ok(None);
        }
    };
    if hook != Hook::Step {
        // PIPEFOLD_STEP may be set for a whole job; a run's start and end are not one of its steps.
        notification.step = None;
    }
    if hook == Hook::Start {
        // PIPEFOLD_STATUS is no result of a run that has only begun: the start would count with it at the end.
        notification.status = None;
    }
    if context.settings.dry_run {
        print_request(context, global, hook, notification, diagnostics)?;
        return Ok(None);
    }
    let budget = match hook {
        Hook::Finish => context.settings.budgets.finish,
        Hook::Start | Hook::Step => context.settings.budgets.start,
    };
    // The budget is the time that all of this costs the build. A disk that takes longer than half of it leaves the other half for sending.
    let left = || budget - (arrived.elapsed() + START_AND_END).min(budget / 2);
    let receipt = context.report(hook, notification, left, diagnostics);
    diagnostics.extend(receipt.iter().flat_map(|receipt| context.messages(receipt)));
    Ok(receipt)
}

/// An `exec` within an `exec` of the same run: a step of it, named after its command unless --step names it.
pub fn step_within_exec(
    global: &GlobalFlags,
    mut context: Context,
    diagnostics: Vec<Diagnostic>,
    command: &[OsString],
) -> anyhow::Result<ExitCode> {
    // The name of the job belongs to the outer `exec`, not to this command.
    let of_the_job = |step: &Sourced<String>| matches!(step.origin, Origin::Detected { .. });
    if context.settings.fields.get(Field::Step).is_none_or(of_the_job) {
        let program = command
            .first()
            .map(Path::new)
            .and_then(Path::file_name)
            .unwrap_or_default();
        context.settings.fields.set_flag(Field::Step, program.to_string_lossy());
    }
    step_around(global, context, diagnostics, command)
}

/// Runs the command and reports it as a step.
fn step_around(
    global: &GlobalFlags,
    context: Context,
    mut diagnostics: Vec<Diagnostic>,
    argv: &[OsString],
) -> anyhow::Result<ExitCode> {
    let strict = context.settings.strict;
    // Before the command runs, so that wrong input is found now and not after an hour of it.
    let judged = context
        .notification(Hook::Step)
        .map_err(Diagnostic::refused)
        .and_then(|notification| context.judge(Hook::Step, notification, &mut diagnostics));
    let notification = match judged {
        Ok(judged) => judged.notification().clone(),
        Err(refused) => {
            diagnostics.push(refused);
            return wrapped::run_unreported(argv, global, &diagnostics, strict);
        }
    };
    if context.settings.dry_run {
        print_request(&context, global, Hook::Step, notification, &mut diagnostics)?;
        return Ok(conclude(&diagnostics, global, strict));
    }
    let command = wrapped::command(argv, global, &context, &notification, Hook::Step);
    let began = clock::now();
    let context = Arc::new(context);
    let end: CommandEnd = match command.spawn() {
        Ok(mut running) => {
            let mut early = None;
            let on_signal = |_| {
                // At once: an agent may kill in a second.
                early.get_or_insert_with(|| record_beside(&context, Hook::Step, cancelled(&notification, &began)));
            };
            let ended = running.wait(on_signal, Duration::MAX, || {});
            let _ = early.flatten().map(JoinHandle::join);
            ended?.into()
        }
        Err(error) => CommandEnd::not_started(&error),
    };
    let given = |field| context.settings.fields.value(field).map(str::to_owned);
    let ended = Notification {
        started_at: given(Field::StartedAt).or_else(|| Some(began.clone())),
        finished_at: given(Field::FinishedAt).or_else(|| clock::after(&began, end.duration)),
        status: Some(end.status.as_str().into()),
        ..notification
    };
    let budget = context.settings.budgets.start;
    if let Some(receipt) = context.report(Hook::Step, ended, || budget, &mut diagnostics) {
        diagnostics.extend(context.messages(&receipt));
    }
    print(&diagnostics, global);
    say_work(context.reporter.plugins(), global);
    Ok(ExitCode::from(match end.code {
        0 => exit_code(&diagnostics, strict),
        code => code,
    }))
}

/// `--dry-run`: prints the request of a notification, and sends and records nothing.
pub fn print_request(
    context: &Context,
    global: &GlobalFlags,
    hook: Hook,
    notification: Notification,
    diagnostics: &mut Vec<Diagnostic>,
) -> anyhow::Result<()> {
    let judgement = match context.reporter.preview(hook, notification) {
        Ok(judgement) => judgement,
        Err(refused) => {
            diagnostics.push(refused.into());
            return Ok(());
        }
    };
    let nothing = |verdict: &str, why: &str| json!({ "verdict": verdict, "why": why });
    let answer = match judgement {
        Judgement::Report(report) => {
            if context.reporter.dx().is_none() && context.settings.queue.is_none() {
                diagnostics.push(Diagnostic::failure("DX_API_URL is not set".into()));
            }
            let mut answer = request(context, &report.run)?;
            let jobs = context.reporter.chosen_jobs(&report).into_iter();
            let jobs: Vec<Value> = jobs
                .map(|job| job_request(context, &report.run, job))
                .collect::<anyhow::Result<_>>()?;
            if !jobs.is_empty() {
                answer["jobs"] = jobs.into();
            }
            answer
        }
        Judgement::Hold => nothing("hold", "recorded, and sent with the end of the run"),
        Judgement::Discard(why) => nothing("discard", &why),
        Judgement::Unjudged(why) => nothing("unjudged", &why),
    };
    if global.json {
        print_json(&answer)
    } else {
        print_lines(&as_http(&answer)?)?;
        for job in answer.get("jobs").and_then(Value::as_array).into_iter().flatten() {
            print_lines(&format!("\n{}", as_http(job)?))?;
        }
        Ok(())
    }
}

/// The request that would send a run, with the token hidden.
pub fn request(context: &Context, run: &Run) -> anyhow::Result<Value> {
    post(context, METHOD_PATH, &body(run))
}

/// The request that would send a job after its run, with the token hidden.
fn job_request(context: &Context, run: &Run, job: &Job) -> anyhow::Result<Value> {
    post(context, JOB_METHOD_PATH, &job_body(run, job))
}

fn post(context: &Context, path: &str, body: &[u8]) -> anyhow::Result<Value> {
    let body: Value = serde_json::from_slice(body)?;
    if context.settings.queue.is_some() {
        return Ok(json!({
            "method": "PUBLISH",
            "url": context.reporter.destination().url,
            "headers": {},
            "body": body,
        }));
    }
    let url = context.reporter.dx().map(|client| client.url().to_string());
    let mut headers: Map<String, Value> = HEADERS
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    headers.insert("Authorization".into(), "Bearer ***".into());
    Ok(json!({
        "method": "POST",
        "url": format!("{}{path}", url.as_deref().unwrap_or("https://YOURINSTANCE.getdx.net")),
        "headers": headers,
        "body": body,
    }))
}

/// The request in the form of HTTP.
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
