//! Judges notifications and histories of runs by the policies and the default plugin.

use crate::loaded::{Loaded, LoadedPolicy, NotLoaded, Origins, describe};
use crate::policy_source::{Compile, PolicySource};
use crate::spool::{Hook, Judgement, PolicyChain};
use crate::watch::{Monitoring, PolicyWork};
use pipefold_sandbox::{
    Answered, Cache, Compiler, Deadline, Explained, HookError, Limits, Notification, Question, Report, Verdict,
    Violation, default_is_embedded, foreign,
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::time::Instant;

/// Policies and the default plugin, loaded when they are first needed.
pub struct Judge {
    origins: Origins,
    /// The deadline for compiling policies.
    patience: Deadline,
    monitoring: Mutex<Monitoring>,
    /// The loaded plugins, or why they cannot be loaded.
    loaded: OnceLock<Result<Loaded, String>>,
    /// Held while one thread loads, so that others wait for it.
    loading: Mutex<()>,
}

/// The violations of a notification that the plugin refused. Nothing was recorded or sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", foreign::listed(&self.violations))]
pub struct Refused {
    /// All violations, each with its field.
    pub violations: Vec<Violation>,
}

impl Refused {
    /// One line for each violation.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.violations
            .iter()
            .map(|violation| foreign::excerpt(&violation.to_string()))
            .collect()
    }
}

/// The reason why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum NoVerdict {
    /// The input is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A plugin failed, or could not be loaded; the text names it.
    #[error("{0}")]
    Failed(String),
}

impl From<HookError> for NoVerdict {
    fn from(error: HookError) -> Self {
        match error {
            HookError::Refused(violations) => Self::Refused(Refused { violations }),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl Default for Judge {
    /// The default plugin alone, with the default limits.
    fn default() -> Self {
        Self::new(Limits::default(), Vec::new(), None, Compiler::Here)
    }
}

impl Judge {
    /// A judge with policies, the first one outermost. Nothing is loaded yet. The cache keeps compiled policies, and the default plugin where
    /// the executable has no code of it.
    #[must_use]
    pub fn new(limits: Limits, policies: Vec<PolicySource>, cache: Option<Cache>, compiler: Compiler) -> Self {
        Self {
            origins: Origins {
                limits,
                sources: policies,
                cache: cache.map(Arc::new),
                compiler,
                chain: OnceLock::new(),
            },
            patience: Deadline::never(),
            monitoring: Mutex::default(),
            loaded: OnceLock::new(),
            loading: Mutex::default(),
        }
    }

    /// The default plugin alone, with the default limits; where the executable has no code of it, with the usual cache.
    pub(crate) fn with_usual_cache() -> Self {
        let cache = (!default_is_embedded()).then(|| Cache::open(&Cache::usual_dir()).ok());
        Self::new(Limits::default(), Vec::new(), cache.flatten(), Compiler::Here)
    }

    /// Ends waiting for policies to be compiled at this moment, also for threads that wait already. Without it, judging waits as long as
    /// compiling takes, which the compiler limits. A policy that is not compiled by then fails until a later call waits for it.
    pub fn wait_until(&self, moment: Instant) {
        self.patience.set(moment);
    }

    /// Returns true if judging needs no compiling. Loads plugins whose code is in the cache.
    pub fn is_ready(&self) -> bool {
        if self.loaded.get().is_some() {
            return true;
        }
        let _loading = match self.loading.try_lock() {
            Ok(loading) => loading,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread is compiling.
            Err(TryLockError::WouldBlock) => return false,
        };
        match self.origins.load(Compile::Never, self.monitoring()) {
            Ok(None) => false,
            Ok(Some(loaded)) => self.loaded.set(Ok(loaded)).is_ok(),
            Err(error) => self.loaded.set(Err(error.to_string())).is_ok(),
        }
    }

    /// The policies, as records name them. Reads their files the first time.
    pub fn chain(&self) -> &PolicyChain {
        self.origins.chain()
    }

    /// Loads everything now, within the time that [`wait_until`](Self::wait_until) sets. The next question returns an error of it.
    pub(crate) fn prepare(&self) {
        let _ = self.loaded();
    }

    /// Loads everything now, for a host that starts before its first run.
    ///
    /// # Errors
    /// [`NoVerdict::Failed`]: a plugin could not be loaded. Notifications are then recorded, and judged by a reporter that can.
    pub fn load(&self) -> Result<(), NoVerdict> {
        self.loaded().map(drop)
    }

    /// Asks the policies and the plugin.
    ///
    /// # Errors
    /// [`NoVerdict`]: the input is refused, or a plugin failed.
    pub fn ask(&self, question: &Question<'_>) -> Result<Verdict, NoVerdict> {
        Ok(self.loaded()?.chain.ask(question)?)
    }

    /// Asks the policies and the plugin, and also returns the notifications that the policies passed on.
    ///
    /// # Errors
    /// As [`Judge::ask`].
    pub fn ask_and_see(&self, question: &Question<'_>) -> Result<Answered, NoVerdict> {
        Ok(self.loaded()?.chain.ask_and_see(question)?)
    }

    /// Asks the policies and the plugin, and returns each call of one beside the answer. Waits for policies that only monitor.
    ///
    /// # Errors
    /// [`NoVerdict::Failed`]: a plugin could not be loaded.
    pub fn explain(&self, question: &Question<'_>) -> Result<Explained, NoVerdict> {
        Ok(self.loaded()?.chain.explain(question))
    }

    /// Asks the plugin alone, without any policy.
    ///
    /// # Errors
    /// As [`Judge::ask`].
    pub fn ask_plugin(&self, question: &Question<'_>) -> Result<Verdict, NoVerdict> {
        Ok(self.loaded()?.chain.ask_plugin(question)?)
    }

    /// Chooses whether monitored policies are asked: before the first question, after that it changes nothing.
    pub fn set_monitoring(&self, monitoring: Monitoring) {
        *self.monitoring.lock().unwrap_or_else(PoisonError::into_inner) = monitoring;
    }

    fn monitoring(&self) -> Monitoring {
        *self.monitoring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the monitored policies judge a question that is not asked, as there are no enforced ones; with these it does nothing.
    pub fn observe(&self, question: &Question<'_>) {
        if self.has_monitored()
            && let Ok(loaded) = self.loaded()
        {
            loaded.chain.observe(question);
        }
    }

    /// Loads the monitored policies. Returns false if one is still loading at this moment.
    pub fn load_monitored(&self, until: Instant) -> bool {
        let Ok(loaded) = self.loaded() else { return true };
        let mut monitored = loaded.policies.iter().filter_map(|(_, watch)| watch.monitored());
        monitored.all(|policy| policy.load(until))
    }

    /// Waits until the monitored policies that are loaded have answered. Returns false if one did not by this moment.
    pub fn settle(&self, until: Instant) -> bool {
        match self.loaded.get() {
            Some(Ok(loaded)) => loaded.chain.settle(until),
            _ => true,
        }
    }

    /// The work of each policy so far, outermost first.
    #[must_use]
    pub fn work(&self) -> Vec<PolicyWork> {
        let Some(Ok(loaded)) = self.loaded.get() else {
            return Vec::new();
        };
        let sources = self.origins.sources.iter().zip(&loaded.policies);
        sources
            .map(|(source, (policy, watch))| watch.work(&source.policy, policy.trouble.as_deref()))
            .collect()
    }

    /// Folds a history by DX's rule into its run and jobs.
    ///
    /// # Errors
    /// As [`Judge::ask`].
    pub fn merge(&self, history: &[Notification]) -> Result<Report, NoVerdict> {
        Ok(self.loaded()?.chain.merge(history)?)
    }

    /// The policies as they were loaded, outermost first.
    #[must_use]
    pub fn policies(&self) -> Vec<LoadedPolicy> {
        if self.origins.sources.is_empty() {
            return Vec::new();
        }
        match self.loaded() {
            Ok(loaded) => loaded.described(),
            Err(error) => self
                .origins
                .sources
                .iter()
                .map(|source| describe(source, Some(Err(error.to_string()))))
                .collect(),
        }
    }

    /// Remarks about loading, such as a damaged entry of the cache.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        match self.loaded.get() {
            Some(Ok(loaded)) => &loaded.notes,
            _ => &[],
        }
    }

    /// Judges one notification by its hook. A finish is judged alone here, which checks it; the whole run is judged when it is delivered,
    /// as other processes may still add to it.
    pub(crate) fn judge_notification(&self, hook: Hook, notification: &Notification) -> Result<Judgement, Refused> {
        settle(self.ask(&match hook {
            Hook::Start => Question::PipelineStart(notification),
            Hook::Step => Question::Step(notification),
            Hook::Finish => Question::PipelineFinish(std::slice::from_ref(notification)),
        }))
    }

    /// Judges the whole history of a run that ended.
    pub(crate) fn judge_history(&self, history: &[Notification]) -> Result<Judgement, Refused> {
        settle(self.ask(&Question::PipelineFinish(history)))
    }

    /// Returns true if there are policies before the default plugin that are enforced.
    #[must_use]
    pub fn has_policies(&self) -> bool {
        self.origins.enforced() > 0
    }

    /// Returns true if there are policies that are monitored.
    #[must_use]
    pub fn has_monitored(&self) -> bool {
        self.origins.sources.len() > self.origins.enforced()
    }

    /// The warning about a notification without a verdict: the reason, and the command that judges it again. A record is bound to its
    /// policies, so one that waits for a repaired policy is not judged by a plain flush.
    #[must_use]
    pub fn kept(&self, why: &str) -> String {
        match self.has_policies() {
            true => format!("{why}; it is kept; `flush` judges it again, `flush --rejudge` by changed policies"),
            false => format!("{why}; it is kept and judged again by the next flush"),
        }
    }

    /// The plugins, loaded by the first call that succeeds or fails for good.
    fn loaded(&self) -> Result<&Loaded, NoVerdict> {
        let _loading = match self.loaded.get() {
            Some(loaded) => return settled(loaded),
            None => self.loading.lock().unwrap_or_else(PoisonError::into_inner),
        };
        if let Some(loaded) = self.loaded.get() {
            return settled(loaded);
        }
        match self.origins.load(Compile::Until(&self.patience), self.monitoring()) {
            Err(NotLoaded::Unfinished(why)) => Err(NoVerdict::Failed(why)),
            loaded => settled(self.loaded.get_or_init(|| match loaded {
                Ok(Some(loaded)) => Ok(loaded),
                Ok(None) => Err("the rules and policies were not compiled".into()),
                Err(error) => Err(error.to_string()),
            })),
        }
    }
}

fn settled(loaded: &Result<Loaded, String>) -> Result<&Loaded, NoVerdict> {
    loaded.as_ref().map_err(|error| NoVerdict::Failed(error.clone()))
}

/// Turns a plugin's failure into [`Judgement::Unjudged`]: such a notification is recorded and judged again later. It is never sent
/// unjudged, since a redaction that fails must not become a leak.
fn settle(verdict: Result<Verdict, NoVerdict>) -> Result<Judgement, Refused> {
    match verdict {
        Ok(Verdict::Report(report)) => Ok(Judgement::Report(report)),
        Ok(Verdict::Hold) => Ok(Judgement::Hold),
        Ok(Verdict::Discard(reason)) => Ok(Judgement::Discard(reason)),
        Err(NoVerdict::Refused(refused)) => Err(refused),
        Err(NoVerdict::Failed(why)) => Ok(Judgement::Unjudged(why)),
    }
}
