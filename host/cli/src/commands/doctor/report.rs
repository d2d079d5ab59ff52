//! Everything that `doctor` found out.

use pipefold::config::TemplateOutcome;
use pipefold::detect::Field;
use pipefold::{Hook, Judgement, Refused, Violation};
use serde::Serialize;
use serde_json::Value;

use super::checks::{self, Check};
use crate::commands::context::Context;
use crate::commands::dry_run;
use crate::commands::outside::is_outside;
use crate::commands::trouble::Trouble;

/// The answer, as `--json` gives it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// The CI system, by its usual name.
    pub(super) system: Option<&'static str>,
    /// Every field of a run, also those that are absent.
    pub(super) fields: Vec<FieldRow>,
    /// Every template that was found.
    pub(super) templates: Vec<TemplateRow>,
    /// The request that a run's start would send, its token hidden.
    pub(super) request: Option<Value>,
    /// Further checks.
    pub(super) checks: Vec<Check>,
    /// Number of checks with something to fix.
    pub(super) to_fix: usize,
}

/// One field.
#[derive(Debug, Serialize)]
pub(super) struct FieldRow {
    pub(super) name: &'static str,
    pub(super) value: Option<String>,
    /// The place where the value comes from.
    pub(super) from: Option<String>,
    /// No run can be reported without it.
    pub(super) required: bool,
    /// What gives it where nothing else does.
    #[serde(skip)]
    pub(super) otherwise: &'static str,
}

/// One template.
#[derive(Debug, Serialize)]
pub(super) struct TemplateRow {
    pub(super) field: &'static str,
    pub(super) template: String,
    pub(super) from: String,
    pub(super) used: bool,
    /// The reason why it is not used.
    pub(super) why: Option<String>,
}

impl Report {
    /// Looks at everything.
    pub(super) fn of(context: &Context, troubles: &[Trouble]) -> anyhow::Result<Self> {
        let mut report = Self {
            system: context.settings.system,
            fields: Field::ALL.into_iter().map(|field| row(context, field)).collect(),
            templates: templates(context),
            ..Self::default()
        };
        let record = report.look_at_the_record(context)?;
        report.checks = record;
        report.checks.extend(checks::all(context, troubles));
        report.count();
        Ok(report)
    }

    /// What is left to say when the settings cannot be used.
    pub(super) fn without_settings(trouble: &Trouble) -> Self {
        let mut report = Self {
            checks: vec![Check::bad(
                "settings",
                "cannot be used; nothing is sent",
                trouble.text(),
            )],
            ..Self::default()
        };
        report.count();
        report
    }

    fn count(&mut self) {
        self.to_fix = self.checks.iter().filter(|check| check.fix.is_some()).count();
    }

    /// Judges what a start would say here, and gives one check, or one for each fault.
    fn look_at_the_record(&mut self, context: &Context) -> anyhow::Result<Vec<Check>> {
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
            Ok(Judgement::Report(run)) => {
                self.request = Some(dry_run::request(context, &run)?);
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

/// One fault of the record, with the place where its field is to be set right.
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
