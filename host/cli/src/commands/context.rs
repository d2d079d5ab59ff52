//! The start of every reporting command: its settings, its fields and a reporter.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pipefold::config::{
    Environment, Flags, OPERATOR_FILE, Origin, Settings, SettingsInput, strict_without_files, variables,
};
use pipefold::detect::{ATTRIBUTES, Field, Fields};
use pipefold::spool::SpoolError;
use pipefold::{
    Attribute, Budget, Builder, Hook, JudgedNotification, Notification, Receipt, Reporter, Token, Violation,
};

use super::diagnostic::{Diagnostic, conclude};
use super::{fleet, policies};
use crate::args::{FieldFlags, GlobalFlags};

/// The settings of a command, and a reporter made of them.
pub struct Context {
    pub settings: Settings,
    /// Never dropped: it lives as long as the process, and taking the engine apart would delay the end of each.
    pub reporter: ManuallyDrop<Reporter>,
    pub environment: Environment,
    /// The reason why the given token cannot be used, which a warning has too.
    pub token_refused: Option<String>,
}

/// A context with the warnings about its settings, or the reason why nothing may be sent.
pub type Loaded = Result<(Context, Vec<Diagnostic>), Diagnostic>;

impl Context {
    /// Reads flags, environment and files, and makes a reporter.
    pub fn load(global: &GlobalFlags, fields: Fields) -> Loaded {
        let environment = Environment::from_process();
        let settings = settings(global, fields, &environment)?;
        Self::of(global, settings, environment, |builder| builder)
    }

    /// The same for a command that only reads the spool; a missing spool is no warning here.
    pub fn load_read_only(global: &GlobalFlags) -> Loaded {
        let environment = Environment::from_process();
        let settings = settings(global, Fields::default(), &environment)?;
        Self::of(global, settings, environment, Builder::read_only)
    }

    /// The same for a command that reports a run: outside CI, where nothing is reported, it makes no reporter and does not access the spool.
    pub fn load_to_report(global: &GlobalFlags, fields: Fields) -> Loaded {
        let environment = Environment::from_process();
        let mut settings = settings(global, fields, &environment).map_err(Diagnostic::unreported)?;
        if let Some(reason) = why_unreported(&settings, &environment) {
            return Err(reason);
        }
        let left_out = if settings.strict {
            Vec::new()
        } else {
            settings.fields.leave_out_unreadable()
        };
        let (context, mut diagnostics) = Self::of(global, settings, environment, |builder| builder)?;
        diagnostics.extend(left_out.into_iter().map(|violation| Diagnostic::left_out(&[violation])));
        Ok((context, diagnostics))
    }

    fn of(
        global: &GlobalFlags,
        mut settings: Settings,
        environment: Environment,
        spool: impl FnOnce(Builder) -> Builder,
    ) -> Loaded {
        // Sent at once, since such a job never reports the run's end.
        settings.fields.urgent |= settings.facts_only();
        let mut diagnostics: Vec<Diagnostic> = settings.warnings.iter().cloned().map(Diagnostic::notice).collect();
        let judge = policies::judge(global, &environment, &settings, &mut diagnostics)?;
        let mut token_refused = None;
        let token = Token::from_settings(&settings, &environment).unwrap_or_else(|error| {
            let wrong = Diagnostic::input(format!("{error}; nothing is sent"));
            token_refused = Some(wrong.text().to_owned());
            diagnostics.push(wrong);
            None
        });
        let mut builder = Builder::from_settings(&settings, &environment).judge(judge);
        if let Some(queue) = &settings.queue {
            builder = fleet::report_into(builder, queue, settings.ca_file.as_ref())?;
        }
        if let Some(token) = token {
            builder = builder.token(token);
        }
        let reporter = spool(builder)
            .build()
            .map_err(|error| Diagnostic::input(format!("{error}; nothing is sent")))?;
        if let Err(error) = reporter.spool()
            && !matches!(error, SpoolError::Missing { .. })
        {
            diagnostics.push(Diagnostic::failure(format!(
                "{error}; notifications that cannot be sent at once are lost"
            )));
        }
        let context = Self {
            settings,
            reporter: ManuallyDrop::new(reporter),
            environment,
            token_refused,
        };
        Ok((context, diagnostics))
    }

    /// The notification of the fields, or everything that is wrong with them.
    pub fn notification(&self, hook: Hook) -> Result<Notification, Vec<Violation>> {
        let (notification, mut violations) = self.settings.fields.to_notification();
        if violations.is_empty() {
            return Ok(notification);
        }
        // The readable fields are judged all the same, so that every fault is shown at once.
        if let Err(refused) = self.reporter.judge_at_once(hook, notification) {
            violations.extend(refused.violations);
        }
        Err(violations)
    }

    /// Judges a notification. With `--strict` every violation is an error; without, wrong optional fields are left out with one warning: the
    /// rest is still worth a record.
    pub fn judge(
        &self,
        hook: Hook,
        notification: Notification,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<JudgedNotification, Diagnostic> {
        let refused = match self.reporter.judge_at_once(hook, notification.clone()) {
            Err(refused) if !self.settings.strict => refused,
            judged => return Ok(judged?),
        };
        let mut rest = notification;
        if !refused
            .violations
            .iter()
            .all(|violation| leave_out(&mut rest, violation))
        {
            return Err(refused.into());
        }
        if refused.violations.iter().any(|violation| violation.field == ATTRIBUTES) {
            self.leave_out_attributes(hook, &mut rest);
        }
        let judged = self.reporter.judge_at_once(hook, rest)?;
        let warning = Diagnostic::left_out(&refused.violations);
        if !diagnostics.contains(&warning) {
            diagnostics.push(warning);
        }
        Ok(judged)
    }

    /// Removes the attributes that the rules refuse, each by itself, and those past the first [`MAX_ATTRIBUTES`].
    fn leave_out_attributes(&self, hook: Hook, notification: &mut Notification) {
        let without = Notification {
            attributes: Vec::new(),
            ..notification.clone()
        };
        let is_right = |attribute: &Attribute| {
            let attributes = vec![attribute.clone()];
            let with = Notification {
                attributes,
                ..without.clone()
            };
            self.reporter.judge_at_once(hook, with).is_ok()
        };
        let all = std::mem::take(&mut notification.attributes);
        // Each takes a call, and a variable may hold thousands of lines.
        let candidates = all.into_iter().take(2 * MAX_ATTRIBUTES);
        notification.attributes = candidates.filter(is_right).take(MAX_ATTRIBUTES).collect();
    }

    /// Judges and records a notification. A step that cannot be recorded is sent as an urgent one, since no finish will find it. The rules send
    /// that without a failure, which DX would never take back: a retry may still turn the run green.
    fn record(
        &self,
        hook: Hook,
        notification: Notification,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<Receipt, Diagnostic> {
        let judged = self.judge(hook, notification, diagnostics)?;
        let mut urgent = judged.notification().clone();
        let receipt = self.reporter.record_judged(judged);
        if hook != Hook::Step || receipt.on_disk {
            return Ok(receipt);
        }
        urgent.urgent = true;
        Ok(self.reporter.record_at_once(hook, urgent).unwrap_or(receipt))
    }

    /// Records a notification, and delivers it unless it is sent with the end of its run. `budget` is called when it is recorded, and returns
    /// the time that delivery may take. None if the notification was refused, which `diagnostics` then have.
    pub fn report(
        &self,
        hook: Hook,
        notification: Notification,
        budget: impl FnOnce() -> Duration,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Receipt> {
        let urgent = notification.urgent;
        let recorded = self.record(hook, notification, diagnostics);
        let budget = budget();
        let receipt = recorded.map_err(|refused| diagnostics.push(refused)).ok()?;
        // After the run's end, no later notification would take it along.
        let may_wait = hook == Hook::Step && !urgent && receipt.on_disk && !receipt.after_the_end;
        Some(match may_wait {
            true => receipt,
            false => self.deliver(receipt, budget, hook == Hook::Finish),
        })
    }

    /// Delivers beginning with the receipt's run, unless an `exec` around this process does.
    fn deliver(&self, receipt: Receipt, budget: Duration, wait: bool) -> Receipt {
        if self.within_exec() || self.is_handed_down() {
            return receipt;
        }
        // The rest of the budget after the wait for a compiler is for sending.
        self.reporter.plugins().wait_until(Instant::now() + budget * 9 / 10);
        self.reporter.deliver_recorded(receipt, &Budget::new(budget), wait)
    }

    /// True if an `exec` around this process has the token, and this one does not: that `exec` delivers the records of this process.
    pub fn is_handed_down(&self) -> bool {
        !self.reporter.has_token() && self.reporter.destination().token.is_some()
    }

    /// True if this command runs within an `exec` of the same run, which then delivers for it.
    pub fn within_exec(&self) -> bool {
        let outer = self.environment.get(variables::OUTER);
        outer.is_some() && outer == self.settings.fields.value(Field::ReferenceId)
    }
}

/// The most attributes of a notification, by the rules.
const MAX_ATTRIBUTES: usize = 32;

/// Prints why a context could not be loaded, and returns the exit code.
pub fn conclude_unloaded(global: &GlobalFlags, why: Diagnostic) -> ExitCode {
    conclude(&[why], global, is_strict(global))
}

/// True if a failure fails the command, when the settings themselves could not be read.
pub fn is_strict(global: &GlobalFlags) -> bool {
    strict_without_files(&Environment::from_process(), &flags(global, Fields::default()))
}

/// Reads flags, environment and files.
pub fn settings(global: &GlobalFlags, fields: Fields, environment: &Environment) -> Result<Settings, Diagnostic> {
    // A deleted working directory, as after `cleanWs()`, matters for relative names alone, and those fail where they are used.
    let cwd = std::env::current_dir().unwrap_or_default();
    Settings::load(SettingsInput {
        environment,
        flags: &flags(global, fields),
        cwd: &cwd,
        config: config_file(global, environment).as_deref(),
        etc: Path::new(OPERATOR_FILE),
    })
    .map_err(|error| Diagnostic::input(error.to_string()))
}

/// The file of settings that a flag or a variable names.
pub fn config_file(global: &GlobalFlags, environment: &Environment) -> Option<PathBuf> {
    let named = || environment.get_os(variables::CONFIG).map(PathBuf::from);
    let given = global.config.clone().filter(|path| !path.as_os_str().is_empty());
    given.or_else(named)
}

fn flags(global: &GlobalFlags, fields: Fields) -> Flags {
    Flags {
        fields,
        dx_url: global.dx_url.clone(),
        token_file: global.token_file.clone(),
        ca_file: global.ca_file.clone(),
        queue: global.queue.clone(),
        queue_credentials: global.queue_credentials.clone(),
        queue_token_file: global.queue_token_file.clone(),
        spool: global.spool.clone(),
        jobs: global.jobs,
        most_jobs: global.most_jobs,
        strict: global.strict,
        dry_run: global.dry_run,
        local: global.local,
    }
}

/// The fields that the flags give.
pub fn fields(flags: &FieldFlags) -> Fields {
    let mut fields = Fields::default();
    let given = [
        (Field::PipelineName, &flags.pipeline_name),
        (Field::PipelineSource, &flags.pipeline_source),
        (Field::ReferenceId, &flags.reference_id),
        (Field::StartedAt, &flags.started_at),
        (Field::FinishedAt, &flags.finished_at),
        (Field::Repository, &flags.repository),
        (Field::CommitSha, &flags.commit_sha),
        (Field::PrNumber, &flags.pr_number),
        (Field::SourceUrl, &flags.source_url),
        (Field::HeadBranch, &flags.head_branch),
        (Field::Email, &flags.email),
        (Field::GithubUsername, &flags.github_username),
        (Field::GitlabUsername, &flags.gitlab_username),
    ];
    for (field, value) in given {
        if let Some(value) = value {
            fields.set_flag(field, value.as_str());
        }
    }
    for text in &flags.attributes {
        fields.attributes.add(text, Origin::Flag("--attribute"));
    }
    fields
}

/// The fields that name a run: a user who gives one asks for a report, also outside CI.
const NAMES: [Field; 3] = [Field::PipelineName, Field::PipelineSource, Field::ReferenceId];

/// The reason why a command reports nothing here, if any. A remark without text where the user has turned reports off.
fn why_unreported(settings: &Settings, environment: &Environment) -> Option<Diagnostic> {
    if is_ci(environment) && has_no_fields(settings) {
        return Some(Diagnostic::input(
            "the run is not reported: no known CI system detected; set --pipeline-name, --pipeline-source and --reference-id (or \
             PIPEFOLD_* variables)"
                .into(),
        ));
    }
    let is_outside = is_outside(settings, environment);
    is_outside.then(|| match settings.local {
        Some(_) => Diagnostic::remark(String::new()),
        None => Diagnostic::remark(
            "not reporting: no CI system detected. Use --local, or set --pipeline-name, --pipeline-source and --reference-id"
                .into(),
        ),
    })
}

/// True if a run is outside CI: in no CI system, known or unknown, and without a name of its own.
pub fn is_outside(settings: &Settings, environment: &Environment) -> bool {
    let named = NAMES.iter().any(|field| {
        let origin = settings.fields.get(*field).map(|sourced| &sourced.origin);
        match origin {
            Some(Origin::Flag(_)) => true,
            Some(Origin::Variable(name)) => *name == field.variable(),
            _ => false,
        }
    });
    settings.system.is_none() && settings.local != Some(true) && !named && !is_ci(environment)
}

/// True if no source has a field of the run, apart from the command's own step and status.
fn has_no_fields(settings: &Settings) -> bool {
    let own = [Field::Step, Field::Status];
    settings.system.is_none() && settings.fields.iter().all(|(field, _)| own.contains(&field))
}

/// True if the variable `CI` is set, as in most CI systems.
fn is_ci(environment: &Environment) -> bool {
    environment
        .get("CI")
        .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "no"))
}

/// The advice for later commands of a local run whose name was generated here: each would generate another.
pub fn local_run_advice(settings: &Settings) -> Option<Diagnostic> {
    let id = settings.fields.get(Field::ReferenceId)?;
    matches!(id.origin, Origin::Local(_)).then(|| {
        Diagnostic::remark(format!(
            "this run is {id}; give the next command about it --reference-id {id}",
            id = id.value
        ))
    })
}

/// Removes the field of a violation from a notification. False if the notification cannot do without.
fn leave_out(notification: &mut Notification, violation: &Violation) -> bool {
    let n = notification;
    let field = Field::ALL.into_iter().find(|field| field.name() == violation.field);
    match field {
        None if violation.field == ATTRIBUTES => {}
        Some(Field::StartedAt) => n.started_at = None,
        Some(Field::FinishedAt) => n.finished_at = None,
        Some(Field::Status) => n.status = n.status.as_deref().and_then(status_meant).map(str::to_owned),
        // Wrong, or missing although DX requires it for the other two, which are removed as well.
        Some(Field::Repository) => (n.repository, n.commit_sha, n.pr_number) = (None, None, None),
        Some(Field::CommitSha) => n.commit_sha = None,
        Some(Field::PrNumber) => n.pr_number = None,
        Some(Field::SourceUrl) => n.source_url = None,
        Some(Field::HeadBranch) => n.head_branch = None,
        Some(Field::Email) => n.email = None,
        Some(Field::GithubUsername) => n.github_username = None,
        Some(Field::GitlabUsername) => n.gitlab_username = None,
        Some(Field::PipelineName | Field::PipelineSource | Field::ReferenceId | Field::Step) | None => return false,
    }
    true
}

/// The status for a CI system's own name of it: those of Jenkins, Azure Pipelines, GitLab, Buildkite and Tekton.
fn status_meant(word: &str) -> Option<&'static str> {
    match word.trim().to_ascii_lowercase().as_str() {
        "success" | "succeeded" | "successful" | "succeededwithissues" | "passed" | "completed" | "ok" => {
            Some("success")
        }
        "failure" | "failed" | "fail" | "error" | "unstable" => Some("failure"),
        "cancelled" | "canceled" | "aborted" => Some("cancelled"),
        _ => None,
    }
}
