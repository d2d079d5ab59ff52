//! `source`: the known sources, and the result of a delivery.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use chrono::{SecondsFormat, Utc};
use pipefold::config::{Environment, SourceKeys};
use pipefold::detect::Fields;
use pipefold::dx::{JOB_METHOD_PATH, JobUpsert, METHOD_PATH, Upsert};
use pipefold::{Judge, NoVerdict, Notification, Report, Verdict};
use pipefold_collector::hooks::{BUILT_IN, LARGEST, SourceName, USUAL_SCHEME, begun_by};
use pipefold_sandbox::{Delivery, Header, Question, TranslateError, Translation};
use serde_json::{Value, json};

use super::context::settings;
use super::server::judge;
use super::sources::{Loader, Translator, about, of_flag};
use super::{print_json, print_json_in_lines, print_lines};
use crate::args::{GlobalFlags, SourceArgs, SourceCommand};

/// `pipefold source`
pub fn run(global: &GlobalFlags, args: &SourceArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        SourceCommand::List => list(global),
        SourceCommand::Test {
            source,
            headers,
            settings,
        } => test(global, source, headers, settings),
    }
}

/// Lists the built-in sources and those of the operator's file: name, component, and the scheme of signatures.
fn list(global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let built_in = BUILT_IN.map(|(name, scheme)| [name.to_owned(), "built-in".to_owned(), scheme.name().to_owned()]);
    let configured = configured(global)?.into_iter().map(|keys| {
        let used = keys.use_built_in.clone().unwrap_or_else(|| keys.name.clone());
        let usual = BUILT_IN.iter().find(|(name, _)| keys.file.is_none() && *name == used);
        let usual = usual.map_or(USUAL_SCHEME, |(_, scheme)| *scheme).name().to_owned();
        let component = keys.file.unwrap_or_else(|| format!("built-in {used}"));
        [keys.name, component, keys.scheme.unwrap_or(usual)]
    });
    let rows: Vec<[String; 3]> = built_in.into_iter().chain(configured).collect();
    if global.json {
        let object =
            |[name, component, scheme]: &[String; 3]| json!({ "name": name, "component": component, "scheme": scheme });
        print_json(&rows.iter().map(object).collect::<Vec<Value>>())?;
    } else {
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (names, components) = (width(0), width(1));
        let line =
            |[name, component, scheme]: &[String; 3]| format!("{name:names$}  {component:components$}  {scheme}\n");
        print_lines(&rows.iter().map(line).collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The tables `[[source]]` of the operator's file.
fn configured(global: &GlobalFlags) -> anyhow::Result<Vec<SourceKeys>> {
    Ok(settings(global, Fields::default(), &Environment::from_process())?.sources)
}

/// Shows the result of the delivery on stdin.
fn test(global: &GlobalFlags, given: &str, headers: &[String], more: &[String]) -> anyhow::Result<ExitCode> {
    let environment = Environment::from_process();
    let by_flag = of_flag(given);
    let of_the_file = configured(global)?
        .into_iter()
        .find(|keys| keys.name == by_flag.name && by_flag.file.is_none());
    let keys = of_the_file.unwrap_or(by_flag);
    let name: SourceName = keys.name.parse().with_context(|| format!("source {:?}", keys.name))?;
    let Translator {
        source, mut settings, ..
    } = Loader::new(global, &environment)?
        .translator(&name, keys)
        .map_err(|error| about(&name, error))?;
    for given in more {
        let (name, value) = given
            .split_once('=')
            .with_context(|| format!("--setting {given}: give NAME=VALUE"))?;
        settings.retain(|setting| setting.name != name);
        settings.push(pipefold_sandbox::Setting {
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
    let delivery = Delivery {
        headers: headers
            .iter()
            .map(|given| header(given))
            .collect::<anyhow::Result<_>>()?,
        body: body()?,
        received_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        settings,
    };
    let judge = judge(global, &environment)?;
    let (answer, code) = match source.translate(&delivery) {
        Ok(Translation::Notifications(notifications)) => judged(&judge, notifications)?,
        Ok(Translation::Ignored(reason)) => (json!({ "ignored": reason }), 0),
        Err(TranslateError::Refused(reason)) => (json!({ "refused": reason }), 2),
        Err(error @ TranslateError::Failed(_)) => return Err(about(&name, error.into())),
    };
    print_json_in_lines(&answer)?;
    Ok(ExitCode::from(code))
}

fn header(given: &str) -> anyhow::Result<Header> {
    let parts = given.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    let (name, value) = parts.filter(|(name, _)| !name.is_empty()).with_context(|| {
        format!("--header {given}: give the name and the value, such as 'X-GitHub-Event: workflow_run'")
    })?;
    Ok(Header {
        name: name.to_ascii_lowercase(),
        value: value.to_owned(),
    })
}

fn body() -> anyhow::Result<String> {
    let mut body = Vec::new();
    let limit = LARGEST as u64;
    std::io::stdin()
        .lock()
        .take(limit + 1)
        .read_to_end(&mut body)
        .context("cannot read stdin")?;
    if body.len() as u64 > limit {
        bail!("stdin has more than {} MiB, the most of a delivery", limit >> 20);
    }
    String::from_utf8(body).context("stdin is not UTF-8")
}

/// The notifications of one run.
#[derive(Default)]
struct OfRun {
    whole: Vec<Notification>,
    steps: Vec<Notification>,
}

/// Returns the notifications, the verdict on the runs that they are of, and the requests to DX, with the exit code.
fn judged(judge: &Judge, notifications: Vec<Notification>) -> anyhow::Result<(Value, u8)> {
    let mut runs: BTreeMap<&str, OfRun> = BTreeMap::new();
    for notification in &notifications {
        let run = runs
            .entry(notification.reference_id.as_deref().unwrap_or_default())
            .or_default();
        let part = if notification.step.is_some() {
            &mut run.steps
        } else {
            &mut run.whole
        };
        part.push(notification.clone());
    }
    let (mut verdicts, mut requests, mut code) = (Vec::new(), Vec::new(), 0);
    for run in runs.into_values() {
        match verdict(judge, run) {
            Ok(Verdict::Report(Report { run, jobs })) => {
                requests.push(json!({ "path": METHOD_PATH, "body": Upsert::from(&run) }));
                let job = |job| json!({ "path": JOB_METHOD_PATH, "body": JobUpsert::new(&run, job) });
                requests.extend(jobs.iter().map(job));
                verdicts.push(json!({ "verdict": "report", "run": run, "jobs": jobs }));
            }
            Ok(Verdict::Hold) => verdicts.push(json!({ "verdict": "hold" })),
            Ok(Verdict::Discard(reason)) => verdicts.push(json!({ "verdict": "discard", "reason": reason })),
            Err(NoVerdict::Refused(refused)) => {
                verdicts.push(json!({ "violations": refused.violations }));
                code = 2;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let answer = json!({ "notifications": notifications, "verdicts": verdicts, "requests": requests });
    Ok((answer, code))
}

/// Returns the verdict on a run and its jobs, as a collector judges them that does not know the run: the run, and each step as a job of it.
fn verdict(judge: &Judge, OfRun { mut whole, steps }: OfRun) -> Result<Verdict, NoVerdict> {
    if let Some(step) = steps.first().filter(|_| whole.is_empty()) {
        whole.push(begun_by(step, Utc::now()));
    }
    let mut verdict = judge.ask(&Question::PipelineFinish(&whole))?;
    if let Verdict::Report(report) = &mut verdict {
        for step in steps {
            // A job may have no start, and an urgent step has one.
            let started_at = step.started_at.clone().or_else(|| step.finished_at.clone());
            let step = Notification {
                started_at,
                urgent: true,
                ..step
            };
            if let Verdict::Report(Report { jobs, .. }) = judge.ask(&Question::Step(&step))? {
                report.jobs.extend(jobs);
            }
        }
    }
    Ok(verdict)
}
