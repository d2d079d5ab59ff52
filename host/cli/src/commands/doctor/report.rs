//! The findings of `doctor`.

use std::time::Duration;

use pipefold::config::{QueueSettings, Sourced, TemplateOutcome, TokenPlace, Trust};
use pipefold::detect::Field;
use pipefold::{Hook, Judgement, Refused, Report, Violation};
use serde::Serialize;
use serde_json::Value;

use crate::commands::context::{Context, is_outside};
use crate::commands::diagnostic::Diagnostic;
use crate::commands::fleet;
use crate::commands::report::request;

/// The answer of `--json`.
#[derive(Debug, Default, Serialize)]
pub struct DoctorReport {
    /// The CI system, by its usual name.
    pub system: Option<&'static str>,
    /// Every field of a run, also those that are absent.
    pub fields: Vec<FieldRow>,
    /// The attributes of a run, sorted by key.
    pub attributes: Vec<AttributeRow>,
    /// Every template that was found.
    pub templates: Vec<TemplateRow>,
    /// The request that a run's start would send, its token hidden.
    pub request: Option<Value>,
    /// Further checks.
    pub checks: Vec<Check>,
    /// Number of checks with something to fix.
    pub to_fix: usize,
}

/// One field.
#[derive(Debug, Serialize)]
pub struct FieldRow {
    pub name: &'static str,
    pub value: Option<String>,
    /// The source of the value.
    pub from: Option<String>,
    /// True if no run can be reported without the field.
    pub required: bool,
    /// The text for a missing value.
    #[serde(skip)]
    pub otherwise: &'static str,
}

/// One attribute.
#[derive(Debug, Serialize)]
pub struct AttributeRow {
    pub key: String,
    pub value: String,
    /// The source of the value.
    pub from: String,
}

/// One template.
#[derive(Debug, Serialize)]
pub struct TemplateRow {
    pub field: &'static str,
    pub template: String,
    pub from: String,
    pub used: bool,
    /// The reason why the template is not used.
    pub why: Option<String>,
}

impl DoctorReport {
    /// Detects and checks everything.
    pub fn of(context: &Context, diagnostics: &[Diagnostic]) -> anyhow::Result<Self> {
        let mut report = Self {
            system: context.settings.system,
            fields: Field::ALL.into_iter().map(|field| row(context, field)).collect(),
            attributes: attributes(context),
            templates: templates(context),
            ..Self::default()
        };
        report.checks = report.check_record(context)?;
        report.checks.extend(checks(context, diagnostics));
        report.count();
        Ok(report)
    }

    /// The report for settings that cannot be used.
    pub fn without_settings(why: &Diagnostic) -> Self {
        let mut report = Self {
            checks: vec![Check::bad("settings", "cannot be used; nothing is sent", why.text())],
            ..Self::default()
        };
        report.count();
        report
    }

    fn count(&mut self) {
        self.to_fix = self.checks.iter().filter(|check| check.fix.is_some()).count();
    }

    /// Judges the start of a run here, and returns one check, or one for each fault.
    fn check_record(&mut self, context: &Context) -> anyhow::Result<Vec<Check>> {
        let what = "record";
        if is_outside(&context.settings, &context.environment) {
            return Ok(vec![Check::bad(
                what,
                "not reporting: no CI system detected",
                "use --local (or PIPEFOLD_LOCAL=true) to report runs of this machine; in a CI system that sets no variables, set \
                 --pipeline-name, --pipeline-source and --reference-id (or PIPEFOLD_* variables)",
            )]);
        }
        let preview = context
            .notification(Hook::Start)
            .map_err(|violations| Refused { violations })
            .and_then(|mut notification| {
                (notification.step, notification.status, notification.finished_at) = (None, None, None);
                context.reporter.preview(Hook::Start, notification)
            });
        Ok(match preview {
            Ok(Judgement::Report(Report { run, .. })) => {
                self.request = Some(request(context, &run)?);
                vec![Check::good(what, "complete", None)]
            }
            Ok(Judgement::Hold) => vec![Check::good(what, "held back by a policy", None)],
            Ok(Judgement::Discard(why)) => vec![Check::good(what, format!("dropped by a policy: {why}"), None)],
            Ok(Judgement::Unjudged(why)) => vec![Check::bad(what, "could not be judged", why)],
            Err(refused) => refused
                .violations
                .iter()
                .map(|violation| fault(context, violation))
                .collect(),
        })
    }
}

/// One fault of the record, with the place where the user can correct its field.
fn fault(context: &Context, violation: &Violation) -> Check {
    let field = Field::from_name(&violation.field);
    let given = field.and_then(|field| context.settings.fields.get(field));
    let by = match (field, given) {
        (Some(field), None) => format!(" (by {} or {})", field.flag(), field.variable()),
        _ => String::new(),
    };
    Check {
        from: given.map(|sourced| sourced.origin.to_string()),
        ..Check::bad(
            "record",
            format!("would not be reported because of {}", violation.field),
            format!("{violation}{by}"),
        )
    }
}

fn row(context: &Context, field: Field) -> FieldRow {
    let found = context.settings.fields.get(field);
    FieldRow {
        name: field.name(),
        value: found.map(|sourced| sourced.value.clone()),
        from: found.map(|sourced| sourced.origin.to_string()),
        required: matches!(field, Field::PipelineName | Field::PipelineSource | Field::ReferenceId),
        otherwise: match field {
            Field::StartedAt => "(when the run starts)",
            Field::FinishedAt => "(when it ends)",
            Field::Status => "(how it goes)",
            _ => "-",
        },
    }
}

fn attributes(context: &Context) -> Vec<AttributeRow> {
    let row = |(key, sourced): (&str, &Sourced<String>)| AttributeRow {
        key: key.to_owned(),
        value: sourced.value.clone(),
        from: sourced.origin.to_string(),
    };
    context.settings.fields.attributes.iter().map(row).collect()
}

fn templates(context: &Context) -> Vec<TemplateRow> {
    let row = |found: &pipefold::config::TemplateUse| {
        let why = match &found.outcome {
            TemplateOutcome::Used => None,
            TemplateOutcome::Beaten(origin) => Some(format!("{origin} comes first")),
            TemplateOutcome::Incomplete(missing) => Some(missing.clone()),
        };
        TemplateRow {
            field: found.field.name(),
            template: found.template.value.to_string(),
            from: found.template.origin.to_string(),
            used: why.is_none(),
            why,
        }
    };
    context.settings.templates.iter().map(row).collect()
}

/// The time that DX or a queue may take to answer; a person waits.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// One check.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The subject of the check.
    pub what: String,
    /// The finding.
    pub found: String,
    /// The source of the finding.
    pub from: Option<String>,
    /// The advice, if something is wrong.
    pub fix: Option<String>,
}

impl Check {
    pub fn good(what: &str, found: impl Into<String>, from: Option<String>) -> Self {
        Self {
            what: what.into(),
            found: found.into(),
            from,
            fix: None,
        }
    }

    pub fn bad(what: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            found: found.into(),
            from: None,
            fix: Some(fix.into()),
        }
    }
}

/// Checks files, DX, token, spool and policies, and adds the other warnings.
fn checks(context: &Context, diagnostics: &[Diagnostic]) -> Vec<Check> {
    let mut checks = files(context);
    checks.push(dx(context));
    checks.push(token(context));
    checks.push(spool(context));
    checks.extend(super::policies::checks(context));
    for diagnostic in diagnostics {
        let is_known = |check: &Check| check.fix.as_ref().is_some_and(|fix| diagnostic.text().starts_with(fix));
        if !checks.iter().any(is_known) {
            checks.push(match diagnostic.text().split_once("; ") {
                Some((found, fix)) => Check::bad("settings", found, fix),
                None => Check::bad("settings", "something is wrong", diagnostic.text()),
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
                Trust::Workspace => "of the workspace: run fields, attributes and templates only",
                Trust::Operator => "of the operator",
            };
            Check::good("file", path.display().to_string(), Some(trust.into()))
        })
        .collect()
}

/// Checks the queue. Its forwarders check DX.
fn queue(context: &Context, queue: &QueueSettings) -> Check {
    let address = context.reporter.destination().url.clone().unwrap_or_default();
    match fleet::probe(queue, context.settings.ca_file.as_ref(), PROBE_TIMEOUT) {
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
    match client.probe(PROBE_TIMEOUT) {
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
                // Any other status answers the probe, which is no POST: DX's one method accepts nothing else.
                match probe.status {
                    407 => Check::bad("DX", found, "the proxy wants a password; put it into HTTPS_PROXY"),
                    500.. => Check::bad(
                        "DX",
                        found,
                        "wait until it works again, or ask its operator; runs are kept meanwhile",
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
        None => Check::bad("token", "cannot be used", format!("check {place}")),
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
    // A run that is under way may wait; a run that could not be sent is shown with its reason.
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
