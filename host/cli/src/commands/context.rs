//! What every reporting command starts from: settings, fields and a reporter.

use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pipefold::config::{Environment, Flags, OPERATOR_FILE, Settings, SettingsInput, strict_without_files, variables};
use pipefold::detect::{Field, Fields};
use pipefold::spool::SpoolError;
use pipefold::{
    Budget, Builder, Delivery, Hook, JudgedNotification, Notification, Receipt, Reporter, Token, Violation,
};

use super::trouble::Trouble;
use super::{fleet, outside, policies};
use crate::args::{FieldFlags, GlobalFlags};
use crate::terminal::excerpt;

/// Settings and a reporter made of them.
pub struct Context {
    pub settings: Settings,
    /// Never dropped: it lives as long as the process, and taking the engine apart would delay the end of each.
    pub reporter: ManuallyDrop<Reporter>,
    pub environment: Environment,
    /// A working reporter with something wrong: said once, and with `--strict` the command fails.
    pub troubles: Vec<Trouble>,
    /// The reason why a token that was given cannot be used, which `troubles` say too.
    pub token_refused: Option<String>,
}

impl Context {
    /// Reads flags, environment and files, and makes a reporter. With an error nothing may be sent.
    pub fn load(global: &GlobalFlags, fields: Fields) -> Result<Self, Trouble> {
        let environment = Environment::from_process();
        let settings = settings(global, fields, &environment)?;
        Self::of(global, settings, environment, |builder| builder)
    }

    /// The same for a command that only looks at the spool; a missing one is no trouble here.
    pub fn load_to_look(global: &GlobalFlags) -> Result<Self, Trouble> {
        let environment = Environment::from_process();
        let settings = settings(global, Fields::default(), &environment)?;
        Self::of(global, settings, environment, Builder::look_only)
    }

    /// The same for a command that reports a run: outside CI, where nothing is reported, it makes no reporter and touches no spool.
    pub fn load_to_report(global: &GlobalFlags, fields: Fields) -> Result<Self, Trouble> {
        let environment = Environment::from_process();
        let mut settings = settings(global, fields, &environment).map_err(Trouble::unreported)?;
        match outside::why_unreported(&settings, &environment) {
            None => {
                let left_out = if settings.strict {
                    Vec::new()
                } else {
                    settings.fields.leave_out_unreadable()
                };
                let mut context = Self::of(global, settings, environment, |builder| builder)?;
                context
                    .troubles
                    .extend(left_out.into_iter().map(|violation| Trouble::left_out(&[violation])));
                Ok(context)
            }
            Some(remark) => Err(remark),
        }
    }

    fn of(
        global: &GlobalFlags,
        mut settings: Settings,
        environment: Environment,
        spool: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self, Trouble> {
        // Sent at once, since such a job never reports the run's end.
        settings.fields.urgent |= settings.facts_only();
        let mut troubles: Vec<Trouble> = settings.warnings.iter().cloned().map(Trouble::notice).collect();
        let judge = policies::judge(global, &environment, &settings, &mut troubles)?;
        let mut token_refused = None;
        let token = Token::from_settings(&settings, &environment).unwrap_or_else(|error| {
            let trouble = Trouble::input(format!("{error}; nothing is sent"));
            token_refused = Some(trouble.text().to_owned());
            troubles.push(trouble);
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
            .map_err(|error| Trouble::input(format!("{error}; nothing is sent")))?;
        if let Err(error) = reporter.spool()
            && !matches!(error, SpoolError::Missing { .. })
        {
            troubles.push(Trouble::other(format!("{error}; what cannot be sent at once is lost")));
        }
        Ok(Self {
            settings,
            reporter: ManuallyDrop::new(reporter),
            environment,
            troubles,
            token_refused,
        })
    }

    /// The notification that the fields make, or everything that is wrong with them.
    pub fn notification(&self, hook: Hook) -> Result<Notification, Vec<Violation>> {
        let (notification, mut violations) = self.settings.fields.to_notification();
        if violations.is_empty() {
            return Ok(notification);
        }
        // What could be read is judged all the same, so that every fault is shown at once.
        if let Err(refused) = self.reporter.judge_at_once(hook, notification) {
            violations.extend(refused.violations);
        }
        Err(violations)
    }

    /// Judges a notification. With `--strict` everything that is wrong with it is an error; without, optional fields that are wrong are left
    /// out with one warning: the rest is still worth a record.
    pub fn judge(
        &self,
        hook: Hook,
        notification: Notification,
        told: &mut Vec<Trouble>,
    ) -> Result<JudgedNotification, Trouble> {
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
        let judgement = self.reporter.judge_at_once(hook, rest)?;
        let trouble = Trouble::left_out(&refused.violations);
        if !told.contains(&trouble) {
            told.push(trouble);
        }
        Ok(judgement)
    }

    /// Judges and records a notification. A step that cannot be recorded is sent as an urgent one, since no finish will find it. The rules send
    /// that without a failure, which DX would never take back: a retry may still turn the run green.
    fn record(&self, hook: Hook, notification: Notification, told: &mut Vec<Trouble>) -> Result<Receipt, Trouble> {
        let judgement = self.judge(hook, notification, told)?;
        let mut now = judgement.notification().clone();
        let receipt = self.reporter.record_judged(judgement);
        if hook != Hook::Step || receipt.on_disk {
            return Ok(receipt);
        }
        now.urgent = true;
        Ok(self.reporter.record_at_once(hook, now).unwrap_or(receipt))
    }

    /// Records a notification, and delivers it unless it goes with the end of its run. `left` is called when it is recorded, and gives the time
    /// that delivery may take. None if the notification was refused, which `troubles` then say.
    pub fn report(
        &self,
        hook: Hook,
        notification: Notification,
        left: impl FnOnce() -> Duration,
        troubles: &mut Vec<Trouble>,
    ) -> Option<Receipt> {
        let urgent = notification.urgent;
        let recorded = self.record(hook, notification, troubles);
        let left = left();
        let receipt = recorded.map_err(|refused| troubles.push(refused)).ok()?;
        // After the run's end, nothing comes that would take it along.
        let may_wait = hook == Hook::Step && !urgent && receipt.on_disk && !receipt.after_the_end;
        Some(match may_wait {
            true => receipt,
            false => self.deliver(receipt, left, hook == Hook::Finish),
        })
    }

    /// Delivers beginning with the receipt's run, unless an `exec` around this process does.
    fn deliver(&self, receipt: Receipt, budget: Duration, wait: bool) -> Receipt {
        if self.within_exec() || self.is_handed_down() {
            return receipt;
        }
        // What is left of the budget after waiting for a compiler is for sending.
        self.reporter.plugins().wait_until(Instant::now() + budget * 9 / 10);
        self.reporter.deliver_recorded(receipt, &Budget::new(budget), wait)
    }

    /// The trouble in a receipt.
    pub fn told_by(&self, receipt: &Receipt) -> Vec<Trouble> {
        let mut troubles: Vec<Trouble> = receipt.warnings.iter().cloned().map(Trouble::other).collect();
        let Some(delivery) = &receipt.delivery else {
            return troubles;
        };
        troubles.extend(delivery.warnings.iter().cloned().map(Trouble::other));
        troubles.extend(other_policies(delivery));
        let told_already = self.token_refused.is_some() && delivery.impossible.is_some();
        if let Some(why) = receipt.left().filter(|_| !told_already) {
            troubles.push(Trouble::other(self.left(receipt, why)));
        }
        troubles.extend(self.beside(receipt));
        troubles
    }

    /// The remarks of a delivery that concern other runs.
    pub fn beside(&self, receipt: &Receipt) -> Vec<Trouble> {
        let Some(delivery) = &receipt.delivery else {
            return Vec::new();
        };
        let mut troubles: Vec<Trouble> = delivery.notes.iter().cloned().map(Trouble::remark).collect();
        let waiting = delivery.others_wait + delivery.not_looked_at;
        if waiting > 0 {
            troubles.push(Trouble::remark(format!(
                "{waiting} other runs wait in {}; `pipefold status` says why, and later commands send them",
                self.settings.spool.path.display()
            )));
        }
        troubles
    }

    /// Says that a run was not delivered, or that it was refused.
    fn left(&self, receipt: &Receipt, why: &str) -> String {
        if receipt.is_rejected() {
            return format!(
                "refused: {why}; it is in {} (`pipefold flush --rejected` sends it again)",
                self.settings.spool.path.join("rejected").display()
            );
        }
        self.kept(why, receipt.on_disk)
    }

    /// Says that a policy discarded what was reported, and why: it would be missed otherwise.
    pub fn dropped(receipt: &Receipt) -> Option<Trouble> {
        let reason = receipt.discarded()?;
        Some(Trouble::remark(format!(
            "not reported, as a policy dropped it: {}",
            excerpt(reason)
        )))
    }

    /// Says that a run was not delivered, where it is, and how it gets to DX.
    pub fn kept(&self, why: &str, on_disk: bool) -> String {
        if on_disk {
            let spool = self.settings.spool.path.display();
            format!("not delivered: {why}. Saved in {spool}; run `pipefold flush` to send it")
        } else {
            format!("not delivered: {why}; it is lost")
        }
    }

    /// True if an `exec` around this process has the token, and this one does not: what is recorded here is delivered by that one.
    pub fn is_handed_down(&self) -> bool {
        !self.reporter.has_token() && self.reporter.destination().token.is_some()
    }

    /// True if this command runs within an `exec` of the same run, which then delivers for it.
    pub fn within_exec(&self) -> bool {
        let outer = self.environment.get(variables::OUTER);
        outer.is_some() && outer == self.settings.fields.value(Field::ReferenceId)
    }
}

/// Names the policies that something waits for and this process does not have.
pub fn other_policies(delivery: &Delivery) -> impl Iterator<Item = Trouble> {
    delivery.other_policies.iter().map(|(policies, count)| {
        Trouble::notice(format!(
            "{count} notifications wait for the policies they were recorded under: {policies}; send them with these, or with others by \
             `pipefold --policy FILE flush --rejudge`"
        ))
    })
}

/// Reads flags, environment and files.
pub fn settings(global: &GlobalFlags, fields: Fields, environment: &Environment) -> Result<Settings, Trouble> {
    // One that is gone, as after `cleanWs()`, is needed for relative names alone, and those are found wrong where they are used.
    let cwd = std::env::current_dir().unwrap_or_default();
    Settings::load(SettingsInput {
        environment,
        flags: &flags(global, fields),
        cwd: &cwd,
        config: config_file(global, environment).as_deref(),
        etc: Path::new(OPERATOR_FILE),
    })
    .map_err(|error| Trouble::input(error.to_string()))
}

/// The file of settings that a flag or a variable names.
fn config_file(global: &GlobalFlags, environment: &Environment) -> Option<PathBuf> {
    let named = || environment.get_os(variables::CONFIG).map(PathBuf::from);
    let given = global.config.clone().filter(|path| !path.as_os_str().is_empty());
    given.or_else(named)
}

/// Takes out of a notification what a violation is about. False if it cannot do without.
fn leave_out(notification: &mut Notification, violation: &Violation) -> bool {
    let n = notification;
    let field = Field::ALL.into_iter().find(|field| field.name() == violation.field);
    match field {
        Some(Field::StartedAt) => n.started_at = None,
        Some(Field::FinishedAt) => n.finished_at = None,
        Some(Field::Status) => n.status = n.status.as_deref().and_then(status_meant).map(str::to_owned),
        // Wrong in itself, or missing for what DX takes only together with it.
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

/// The status that a CI system's own word for it means: those of Jenkins, Azure Pipelines, GitLab, Buildkite and Tekton.
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

/// True if trouble fails the command, when the settings themselves could not be read.
pub fn is_strict(global: &GlobalFlags) -> bool {
    strict_without_files(&Environment::from_process(), &flags(global, Fields::default()))
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
    fields
}

/// The variables for a wrapped command: the names that let a `pipefold` within it join the run, and never the token.
pub fn for_the_child(
    global: &GlobalFlags,
    context: &Context,
    notification: &Notification,
) -> Vec<(&'static str, OsString)> {
    let mut variables = Vec::new();
    let mut set = |name: &'static str, value: &str| variables.push((name, OsString::from(value)));
    for (field, sourced) in context.settings.fields.iter() {
        if !matches!(
            field,
            Field::Status | Field::StartedAt | Field::FinishedAt | Field::Step
        ) {
            set(field.variable(), &sourced.value);
        }
    }
    if let Some(id) = &notification.reference_id {
        set(variables::OUTER, id);
    }
    if let Some(digest) = &context.reporter.destination().token {
        set(variables::DESTINATION, digest);
    }
    if let Ok(spool) = context.reporter.spool() {
        variables.push((variables::SPOOL, spool.path().into()));
    }
    // What is reported within the command is judged by the same policies. Its directory may be another.
    if let Some(policies) = policies::for_the_child(global, &context.environment) {
        variables.push((variables::POLICY, policies));
    }
    let files = [
        (variables::CONFIG, config_file(global, &context.environment)),
        (
            variables::POLICY_CACHE,
            policies::cache_dir(global, &context.environment),
        ),
    ];
    for (name, file) in files {
        if let Some(file) = file.and_then(|file| std::path::absolute(file).ok()) {
            variables.push((name, file.into()));
        }
    }
    if let Some(url) = &context.reporter.destination().url {
        let name = match context.settings.queue {
            Some(_) => variables::QUEUE,
            None => variables::DX_API_URL,
        };
        variables.push((name, url.into()));
    }
    variables
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
        strict: global.strict,
        dry_run: global.dry_run,
        local: global.local,
    }
}
