//! Asks the sandboxed plugin, and the policies before it, what a notification or the history of a run means.

use crate::{
    policies::{PolicySource, chain_of},
    spool::{Hook, Judged, PolicyChain},
};
use pipefold_sandbox::{
    Cache, Chain, Compiler, HookError, Limits, Link, Notification, OnFailure, Question, Run, Sandbox, Verdict,
    Violation,
};
use serde::Serialize;
use std::sync::OnceLock;

/// Policies and the default plugin, loaded when they are first needed.
pub struct Judge {
    limits: Limits,
    sources: Vec<PolicySource>,
    cache: Option<Cache>,
    compiler: Compiler,
    loaded: OnceLock<Result<Loaded, String>>,
    chain: OnceLock<PolicyChain>,
}

struct Loaded {
    chain: Chain,
    policies: Vec<LoadedPolicy>,
    notes: Vec<String>,
}

/// A policy as it was loaded, or why it was not.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct LoadedPolicy {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Hexadecimal sha256 of the component; none if it could not be loaded.
    pub sha256: Option<String>,
    /// What it is granted.
    pub grants: Vec<&'static str>,
    /// Whether it is passed over when it fails.
    pub open: bool,
    /// Why it could not be loaded.
    pub trouble: Option<String>,
}

/// The plugin looked at a notification and refused it. Nothing was recorded or sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines().join("; "))]
pub struct Refused {
    /// Everything that is wrong, each naming its field.
    pub violations: Vec<Violation>,
}

impl Refused {
    /// One line for each violation.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.violations.iter().map(Violation::to_string).collect()
    }
}

/// Why there is no verdict.
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
    /// A judge with policies, the first one outermost. Nothing is loaded yet.
    #[must_use]
    pub fn new(limits: Limits, policies: Vec<PolicySource>, cache: Option<Cache>, compiler: Compiler) -> Self {
        Self {
            limits,
            sources: policies,
            cache,
            compiler,
            loaded: OnceLock::new(),
            chain: OnceLock::new(),
        }
    }

    /// The policies, as records name them. Reads their files the first time.
    pub fn chain(&self) -> &PolicyChain {
        self.chain.get_or_init(|| chain_of(&self.sources))
    }

    /// Asks the policies and the plugin.
    ///
    /// # Errors
    /// [`NoVerdict`]: the input is refused, or a plugin failed.
    pub fn ask(&self, question: &Question<'_>) -> Result<Verdict, NoVerdict> {
        Ok(self.loaded()?.chain.ask(question)?)
    }

    /// Folds a history by DX's rule.
    ///
    /// # Errors
    /// As [`Judge::ask`].
    pub fn merge(&self, history: &[Notification]) -> Result<Run, NoVerdict> {
        Ok(self.loaded()?.chain.merge(history)?)
    }

    /// The policies as they were loaded, outermost first.
    #[must_use]
    pub fn policies(&self) -> Vec<LoadedPolicy> {
        if self.sources.is_empty() {
            return Vec::new();
        }
        match self.loaded() {
            Ok(loaded) => loaded.policies.clone(),
            Err(error) => self
                .sources
                .iter()
                .map(|source| describe(source, Err(error.to_string())))
                .collect(),
        }
    }

    /// What is worth telling of the loading, such as a damaged entry of the cache.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        match self.loaded.get() {
            Some(Ok(loaded)) => &loaded.notes,
            _ => &[],
        }
    }

    /// Judges one notification by its hook. A finish is judged by itself here, which checks it; what the whole run comes to is asked
    /// when the run is delivered, as other processes may still add to it.
    pub(crate) fn one(&self, hook: Hook, notification: &Notification) -> Result<Judged, Refused> {
        settle(self.ask(&match hook {
            Hook::Start => Question::PipelineStart(notification),
            Hook::Step => Question::Step(notification),
            Hook::Finish => Question::PipelineFinish(std::slice::from_ref(notification)),
        }))
    }

    /// Judges the whole history of a run that ended.
    pub(crate) fn finish(&self, history: &[Notification]) -> Result<Judged, Refused> {
        settle(self.ask(&Question::PipelineFinish(history)))
    }

    fn loaded(&self) -> Result<&Loaded, NoVerdict> {
        let loaded = self.loaded.get_or_init(|| self.load());
        loaded.as_ref().map_err(|error| NoVerdict::Failed(error.clone()))
    }

    /// Loads everything. A policy that cannot be loaded fails as one that crashes does: closed, unless it is open.
    fn load(&self) -> Result<Loaded, String> {
        let sandbox = Sandbox::new(self.limits.clone()).map_err(|error| error.to_string())?;
        let plugin = sandbox.default_plugin().map_err(|error| error.to_string())?;
        let (mut links, mut policies, mut notes): (Vec<Link>, _, _) = (Vec::new(), Vec::new(), Vec::new());
        for source in &self.sources {
            match sandbox.policy(&source.policy, &source.file, self.cache.as_ref(), &self.compiler) {
                Ok(loaded) => {
                    policies.push(describe(source, Ok(loaded.sha256)));
                    notes.extend(loaded.notes);
                    links.push(loaded.link);
                }
                Err(error) if source.policy.on_failure == OnFailure::Open => {
                    notes.push(format!("{error}; the policy is passed over"));
                    policies.push(describe(source, Err(error.to_string())));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        let chain = Chain::new(links, plugin).map_err(|count| {
            format!(
                "{count} policies are configured; {} are allowed",
                pipefold_sandbox::MOST_POLICIES
            )
        })?;
        Ok(Loaded { chain, policies, notes })
    }
}

fn describe(source: &PolicySource, loaded: Result<String, String>) -> LoadedPolicy {
    LoadedPolicy {
        name: source.policy.name.clone(),
        file: source.file.path().display().to_string(),
        sha256: loaded.as_ref().ok().cloned(),
        grants: source.policy.grants.names().collect(),
        open: source.policy.on_failure == OnFailure::Open,
        trouble: loaded.err(),
    }
}

/// A plugin that fails gives no verdict, which is no reason to lose the notification: it is kept, marked, and judged again later.
/// Nothing unjudged is ever sent, as a redaction that fails must not become a leak.
fn settle(verdict: Result<Verdict, NoVerdict>) -> Result<Judged, Refused> {
    match verdict {
        Ok(Verdict::Report(run)) => Ok(Judged::Report(run)),
        Ok(Verdict::Hold) => Ok(Judged::Hold),
        Ok(Verdict::Discard(reason)) => Ok(Judged::Discard(reason)),
        Err(NoVerdict::Refused(refused)) => Err(refused),
        Err(NoVerdict::Failed(why)) => Ok(Judged::Unjudged(why)),
    }
}
