//! A reporter behind a handle, and its calls.

use crate::abi::PIPEFOLD_LOG_WARN;
use crate::answer::{self, Fault};
use crate::log::Log;
use crate::read;
use pipefold::config::{parse_age, parse_duration};
use pipefold::spool::RunKey;
use pipefold::{Attribute, Budget, Flush, Notification, Receipt, Refused, Reporter, forms};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tracing::{Dispatch, dispatcher::with_default};

/// The time of a flush without a `timeout`: as the command's.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An open reporter.
pub struct Host {
    reporter: Reporter,
    /// The fields of the configuration, for notifications that lack them.
    fields: Notification,
    log: Arc<Log>,
    dispatch: Option<Dispatch>,
    /// The questions that open policies failed so far.
    passed_over: AtomicU64,
}

/// The function for one notification.
type Report = fn(&Reporter, Notification) -> Result<Receipt, Refused>;

/// The options of a flush, which are the flags of the command.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    run: Option<String>,
    other_tokens: bool,
    rejudge: bool,
    rejected: bool,
    abandon: Option<String>,
    timeout: Option<String>,
}

impl Host {
    /// A host of a reporter, with the fields for notifications that lack them.
    pub fn new(reporter: Reporter, fields: Notification, log: Arc<Log>) -> Self {
        let dispatch = log.dispatch();
        Self {
            reporter,
            fields,
            log,
            dispatch,
            passed_over: AtomicU64::new(0),
        }
    }

    /// Reports a notification, and answers with its receipt.
    pub fn report(&self, input: &[u8], report: Report) -> Result<Value, Fault> {
        let mut notification = read::one(input, "the notification").map_err(Fault::Invalid)?;
        self.complete(&mut notification);
        Ok(answer::receipt(&self.logged(|| report(&self.reporter, notification))?))
    }

    /// Sends what waits.
    pub fn flush(&self, input: Option<&[u8]>) -> Result<Value, Fault> {
        let options: Options = match input {
            Some(input) => {
                serde_json::from_slice(input).map_err(|error| Fault::Invalid(format!("the options: {error}")))?
            }
            None => Options::default(),
        };
        let of = |key: &str| {
            let key = key.to_owned();
            move |why: String| Fault::Invalid(format!("the options: `{key}`: {why}"))
        };
        let timeout = options.timeout.map(|text| parse_duration(&text)).transpose();
        let timeout = timeout.map_err(|why| of("timeout")(why.to_string()))?;
        let abandon = options.abandon.map(|text| parse_age(&text)).transpose();
        let abandon = abandon.map_err(|why| of("abandon")(why.to_string()))?;
        if options.rejudge && self.reporter.plugins().chain().is_empty() {
            let why = "it applies this reporter's policies in place of the recorded ones, and there are none";
            return Err(of("rejudge")(why.into()));
        }
        self.logged(|| {
            if options.rejected {
                let spool = self
                    .reporter
                    .spool()
                    .map_err(|error| Fault::Failed(error.to_string()))?;
                spool
                    .take_back(options.run.as_deref().map(RunKey::of))
                    .map_err(|error| Fault::Failed(error.to_string()))?;
            }
            let what = Flush {
                only: options.run,
                other_tokens: options.other_tokens,
                rejudge: options.rejudge,
                abandon,
            };
            let budget = Budget::new(timeout.unwrap_or(TIMEOUT));
            Ok(answer::delivery(&self.reporter.flush(&budget, &what)))
        })
    }

    /// Folds a history by DX's rule.
    pub fn merge(&self, input: &[u8]) -> Result<Value, Fault> {
        let history = read::many(input, "the history").map_err(Fault::Invalid)?;
        Ok(self.logged(|| self.reporter.merge(&history).map(forms::merged))?)
    }

    /// Gives the messages that wait to the host's callback. No lock may be held.
    pub fn give_log(&self) {
        self.log.give();
    }

    fn logged<T>(&self, call: impl FnOnce() -> T) -> T {
        let done = match &self.dispatch {
            Some(dispatch) => with_default(dispatch, call),
            None => call(),
        };
        self.say_passed_over();
        done
    }

    /// Adds a message if policies failed and were passed over since the last call.
    fn say_passed_over(&self) {
        if !self.reporter.plugins().has_policies() {
            return;
        }
        let work = self.reporter.plugins().work();
        let open = work.iter().filter(|policy| policy.open);
        let failed = open.map(|policy| policy.counts.failed).sum();
        if self.passed_over.fetch_max(failed, Relaxed) < failed {
            let message = format!("open policies failed in {failed} questions so far and were passed over");
            self.log.add(PIPEFOLD_LOG_WARN, &message);
        }
    }

    /// Fills in what the configuration says of the run.
    fn complete(&self, notification: &mut Notification) {
        let Notification {
            pipeline_name,
            pipeline_source,
            reference_id,
            repository,
            commit_sha,
            pr_number,
            source_url,
            head_branch,
            email,
            github_username,
            gitlab_username,
            attributes,
            ..
        } = &self.fields;
        let own = &mut *notification;
        for (place, value) in [
            (&mut own.pipeline_name, pipeline_name),
            (&mut own.pipeline_source, pipeline_source),
            (&mut own.reference_id, reference_id),
            (&mut own.repository, repository),
            (&mut own.commit_sha, commit_sha),
            (&mut own.source_url, source_url),
            (&mut own.head_branch, head_branch),
            (&mut own.email, email),
            (&mut own.github_username, github_username),
            (&mut own.gitlab_username, gitlab_username),
        ] {
            if place.is_none() {
                place.clone_from(value);
            }
        }
        own.pr_number = own.pr_number.or(*pr_number);
        let is_new = |given: &&Attribute| own.attributes.iter().all(|attribute| attribute.key != given.key);
        let new: Vec<Attribute> = attributes.iter().filter(is_new).cloned().collect();
        own.attributes.extend(new);
    }
}
