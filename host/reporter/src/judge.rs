//! Judges notifications and histories of runs by the policies and the default plugin.

use crate::config::{Failure, Grant, LimitKeys, Places, PolicyKeys, RULES};
use crate::rule_inputs;
use crate::spool::{Hook, Judgement, PolicyChain};
use crate::watch::{Monitoring, PolicyWork, Watch};
use pipefold_sandbox::{
    Access, Answered, Cache, Chain, ChainDigest, Compiler, ComponentFile, Deadline, Directory, DirectoryError,
    Explained, Grants, HookError, Limits, Link, LoadError, LoadedDefault, LogSink, Mode, Notification, OnFailure,
    Policy, PolicyComponent, Question, Report, Sandbox, Verdict, Violation, Wasi, default_is_embedded, foreign,
};
use serde::Serialize;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::time::Instant;

/// Policies and the default plugin, loaded when they are first needed.
pub struct Judge {
    limits: Limits,
    sources: Vec<PolicySource>,
    cache: Option<Arc<Cache>>,
    compiler: Compiler,
    /// The deadline for compiling policies.
    patience: Deadline,
    monitoring: Mutex<Monitoring>,
    /// The loaded plugins, or why they cannot be loaded.
    loaded: OnceLock<Result<Loaded, String>>,
    /// Held while one thread loads, so that others wait for it.
    loading: Mutex<()>,
    chain: OnceLock<PolicyChain>,
}

struct Loaded {
    chain: Chain,
    policies: Vec<(LoadedPolicy, Watch)>,
    notes: Vec<String>,
}

/// A loaded policy, or why it could not be loaded.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct LoadedPolicy {
    /// The policy's name.
    pub name: String,
    /// The component's file; for the built-in policy the place of its rules.
    pub file: String,
    /// Hexadecimal sha256 of the component; none if it could not be loaded.
    pub sha256: Option<String>,
    /// The id of the key that must have signed it, and that did if it is loaded; none if no signature is demanded.
    pub key: Option<String>,
    /// The names of its grants.
    pub grants: Vec<&'static str>,
    /// True if the policy is skipped when it fails.
    pub open: bool,
    /// `enforce` or `monitor`.
    pub mode: &'static str,
    /// The reason why it could not be loaded.
    pub trouble: Option<String>,
}

impl LoadedPolicy {
    /// Returns true if it is asked beside the chain.
    #[must_use]
    pub fn is_monitored(&self) -> bool {
        self.mode == Mode::Monitor.as_str()
    }
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
            limits,
            sources: policies,
            cache: cache.map(Arc::new),
            compiler,
            patience: Deadline::never(),
            monitoring: Mutex::default(),
            loaded: OnceLock::new(),
            loading: Mutex::default(),
            chain: OnceLock::new(),
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
        match self.load(Compile::Never) {
            Ok(None) => false,
            Ok(Some(loaded)) => self.loaded.set(Ok(loaded)).is_ok(),
            Err(error) => self.loaded.set(Err(error.to_string())).is_ok(),
        }
    }

    /// The policies, as records name them. Reads their files the first time.
    pub fn chain(&self) -> &PolicyChain {
        self.chain.get_or_init(|| chain_of(&self.sources))
    }

    /// Loads everything now, within the time that [`wait_until`](Self::wait_until) sets. The next question returns an error of it.
    pub(crate) fn prepare(&self) {
        let _ = self.loaded();
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
        let sources = self.sources.iter().zip(&loaded.policies);
        sources
            .map(|(source, (policy, watch))| watch.work(&policy.name, source.policy.mode, policy.trouble.as_deref()))
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
        if self.sources.is_empty() {
            return Vec::new();
        }
        match self.loaded() {
            Ok(loaded) => loaded.described(),
            Err(error) => self
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
        self.enforced() > 0
    }

    /// Returns true if there are policies that are monitored.
    #[must_use]
    pub fn has_monitored(&self) -> bool {
        self.sources.len() > self.enforced()
    }

    fn enforced(&self) -> usize {
        let is_enforced = |source: &&PolicySource| source.policy.mode == Mode::Enforce;
        self.sources.iter().filter(is_enforced).count()
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
        match self.load(Compile::Until(&self.patience)) {
            Err(NotLoaded::Unfinished(why)) => Err(NoVerdict::Failed(why)),
            loaded => settled(self.loaded.get_or_init(|| match loaded {
                Ok(Some(loaded)) => Ok(loaded),
                Ok(None) => Err("the rules and policies were not compiled".into()),
                Err(error) => Err(error.to_string()),
            })),
        }
    }

    /// Loads the plugins; none if a policy would have to be compiled and must not be. A policy that cannot be loaded counts as one that
    /// crashed: closed, unless it is open.
    fn load(&self, compile: Compile<'_>) -> Result<Option<Loaded>, NotLoaded> {
        let failed = |error: LoadError| NotLoaded::Failed(error.to_string());
        let sandbox = Sandbox::new(self.limits.clone()).map_err(failed)?;
        let default = match compile {
            Compile::Until(deadline) => sandbox
                .default_plugin_by(self.cache.as_deref(), &self.compiler, deadline)
                .map(Some),
            Compile::Never => sandbox.default_plugin_if_compiled(self.cache.as_deref(), &self.compiler),
        };
        let LoadedDefault { plugin, mut notes, .. } = match default {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return Ok(None),
            Err(error) if error.is_unfinished() => return Err(NotLoaded::Unfinished(error.to_string())),
            Err(error) => return Err(failed(error)),
        };
        let (mut links, mut policies): (Vec<Link>, Vec<_>) = (Vec::new(), Vec::new());
        // The places of monitored policies: they are loaded beside the chain, which waits for none.
        let mut places = Vec::new();
        for source in &self.sources {
            places.push(links.len());
            if source.policy.mode == Mode::Monitor {
                policies.push((describe(source, None), Watch::Nothing));
                continue;
            }
            match load_policy(&sandbox, source, self.cache.as_deref(), &self.compiler, compile) {
                Ok(None) => return Ok(None),
                Ok(Some(loaded)) => {
                    let watch = Watch::Enforced(loaded.link.tally());
                    policies.push((describe(source, Some(Ok(loaded.sha256))), watch));
                    notes.extend(loaded.notes);
                    links.push(loaded.link);
                }
                Err(error) if source.policy.on_failure == OnFailure::Open => {
                    let error = source.explain(&error);
                    notes.push(format!("{error}; the policy is skipped"));
                    policies.push((describe(source, Some(Err(error))), Watch::Nothing));
                }
                Err(error) if error.is_unfinished() => return Err(NotLoaded::Unfinished(error.to_string())),
                Err(error) => return Err(NotLoaded::Failed(source.explain(&error))),
            }
        }
        let all = links.len() == self.enforced();
        let chain = Chain::new(links, plugin).map_err(|count| {
            NotLoaded::Failed(format!(
                "{count} policies are configured; {} are allowed",
                pipefold_sandbox::MOST_POLICIES
            ))
        })?;
        // A record must not name other policies than those that judged it.
        if all && chain.digest() != self.chain().digest {
            let why = "a policy's file was changed while it was read; run the command again";
            return Err(NotLoaded::Failed(why.into()));
        }
        let monitoring = self.monitoring();
        for ((source, place), (policy, watch)) in self.sources.iter().zip(places).zip(&mut policies) {
            if source.policy.mode == Mode::Enforce || monitoring == Monitoring::Off {
                continue;
            }
            let tools = (self.cache.clone(), self.compiler.clone());
            match Watch::monitor(&chain, place, source, &sandbox, tools, monitoring) {
                Ok(monitored) => *watch = monitored,
                Err(trouble) => policy.trouble = Some(trouble),
            }
        }
        Ok(Some(Loaded { chain, policies, notes }))
    }
}

impl Loaded {
    fn described(&self) -> Vec<LoadedPolicy> {
        let described = self.policies.iter().map(|(policy, watch)| {
            let mut policy = policy.clone();
            if let Watch::Monitored {
                policy: monitored,
                sha256,
            } = watch
            {
                policy.sha256 = sha256.get().cloned();
                policy.trouble = monitored.trouble().map(str::to_owned);
            }
            policy
        });
        described.collect()
    }
}

/// Loads a policy; none if it would have to be compiled and must not be.
pub(crate) fn load_policy(
    sandbox: &Sandbox,
    source: &PolicySource,
    cache: Option<&Cache>,
    compiler: &Compiler,
    compile: Compile<'_>,
) -> Result<Option<pipefold_sandbox::LoadedPolicy>, LoadError> {
    let policy = &source.policy;
    match (&source.component, compile, cache) {
        (PolicyComponent::BuiltIn, Compile::Until(deadline), cache) => {
            sandbox.built_in_policy_by(policy, cache, compiler, deadline).map(Some)
        }
        (PolicyComponent::BuiltIn, Compile::Never, cache) => {
            sandbox.built_in_policy_if_compiled(policy, cache, compiler)
        }
        (PolicyComponent::File(file), Compile::Until(deadline), cache) => {
            sandbox.policy_by(policy, file, cache, compiler, deadline).map(Some)
        }
        (PolicyComponent::File(file), Compile::Never, Some(cache)) => {
            sandbox.policy_if_compiled(policy, file, cache, compiler)
        }
        (PolicyComponent::File(_), Compile::Never, None) => Ok(None),
    }
}

/// Permission to compile a policy while loading.
#[derive(Clone, Copy)]
pub(crate) enum Compile<'a> {
    Never,
    Until(&'a Deadline),
}

/// The reason why nothing is loaded.
#[derive(Debug, thiserror::Error)]
enum NotLoaded {
    /// There was no time left to compile a policy: it may be tried again.
    #[error("{0}")]
    Unfinished(String),
    #[error("{0}")]
    Failed(String),
}

fn settled(loaded: &Result<Loaded, String>) -> Result<&Loaded, NoVerdict> {
    loaded.as_ref().map_err(|error| NoVerdict::Failed(error.clone()))
}

/// Describes a policy with its sha256, or with the reason why it could not be loaded; `None` if it was not tried.
fn describe(source: &PolicySource, loaded: Option<Result<String, String>>) -> LoadedPolicy {
    let (sha256, trouble) = match loaded {
        Some(Ok(sha256)) => (Some(sha256), None),
        Some(Err(trouble)) => (None, Some(trouble)),
        None => (None, None),
    };
    LoadedPolicy {
        name: source.policy.name.clone(),
        file: match &source.component {
            PolicyComponent::File(file) => file.path().display().to_string(),
            PolicyComponent::BuiltIn => source.places.of(""),
        },
        sha256,
        key: match &source.component {
            PolicyComponent::File(file) => file.key().and_then(|place| Some(place.key().ok()?.id().to_string())),
            PolicyComponent::BuiltIn => None,
        },
        grants: source.policy.grants.names().collect(),
        open: source.policy.on_failure == OnFailure::Open,
        mode: source.policy.mode.as_str(),
        trouble,
    }
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

/// A policy and its component.
#[derive(Clone, Debug)]
pub struct PolicySource {
    /// The component.
    pub component: PolicyComponent,
    /// The policy's name, limits, grants and failure mode.
    pub policy: Policy,
    /// The lines of its settings.
    places: Places,
}

impl PolicySource {
    /// A policy without grants, named after its file.
    #[must_use]
    pub fn new(file: ComponentFile) -> Self {
        let name = name_of(file.path());
        Self {
            component: file.into(),
            policy: Policy::new(name),
            places: Places::default(),
        }
    }

    /// A policy of the operator's file, with `limits`, `failure` and `sink` as the defaults.
    ///
    /// # Errors
    /// The fault of its file's name, of its granted directory, or of a file that its rules name.
    pub fn from_keys(keys: &PolicyKeys, limits: &Limits, failure: Failure, sink: &LogSink) -> Result<Self, String> {
        let (component, its_name, config) = match &keys.rules {
            None => {
                let file: ComponentFile = keys
                    .file
                    .parse()
                    .map_err(|error| format!("policy {}: {error}", keys.file))?;
                let file = file.signed_by(keys.key.clone());
                let config = keys.grants.contains(&Grant::Config).then(|| keys.config.clone());
                let name = name_of(file.path());
                (PolicyComponent::File(file), name, config)
            }
            Some(rules) => {
                let settings = rule_inputs::settings(rules)
                    .map_err(|fault| format!("{}: `{}`: {}", keys.places.of(&fault.key), fault.key, fault.message))?;
                (PolicyComponent::BuiltIn, RULES.to_owned(), Some(settings))
            }
        };
        let name = keys.name.clone().unwrap_or(its_name);
        let granted = |grant| keys.grants.contains(&grant);
        let policy = Policy {
            limits: keys.limits.over(limits),
            grants: Grants {
                log: granted(Grant::Log).then(|| Arc::clone(sink)),
                config: config.map(Arc::new),
                wasi: wasi(keys).map_err(|error| format!("policy {name}: {error}"))?,
            },
            on_failure: match keys.failure.unwrap_or(failure) {
                Failure::Closed => OnFailure::Closed,
                Failure::Open => OnFailure::Open,
            },
            mode: keys.mode,
            name,
        };
        Ok(Self {
            component,
            policy,
            places: keys.places.clone(),
        })
    }

    /// An error of loading it, with the line of the setting that is at fault.
    pub(crate) fn explain(&self, error: &LoadError) -> String {
        match error {
            LoadError::Settings { problems, .. } if self.places != Places::default() => self.places.explain(problems),
            error => error.to_string(),
        }
    }
}

/// The enforced policies as records name them. Reads the components' files, and compiles nothing.
fn chain_of(sources: &[PolicySource]) -> PolicyChain {
    let enforced = || sources.iter().filter(|source| source.policy.mode == Mode::Enforce);
    PolicyChain {
        digest: ChainDigest::of(enforced().map(|source| (&source.policy, &source.component))),
        names: enforced().map(|source| source.policy.name.clone()).collect(),
    }
}

/// The system interface, if it or a part of it is granted.
fn wasi(keys: &PolicyKeys) -> Result<Option<Wasi>, DirectoryError> {
    let granted = |grant| keys.grants.contains(&grant);
    let directory = keys.directory.as_ref().map(|directory| {
        let access = if directory.writable {
            Access::ReadWrite
        } else {
            Access::ReadOnly
        };
        Directory::open(&directory.path, access)
    });
    let wasi = Wasi {
        clock: granted(Grant::Clock),
        random: granted(Grant::Random),
        directory: directory.transpose()?,
    };
    let asked = granted(Grant::Wasi) || wasi.clock || wasi.random || wasi.directory.is_some();
    Ok(asked.then_some(wasi))
}

/// The name of the file without its ending.
fn name_of(path: &Path) -> String {
    path.file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

impl LimitKeys {
    /// The sandbox's limits: these, and `others` for the rest. A size beyond this machine's address space becomes its largest.
    #[must_use]
    pub fn over(&self, others: &Limits) -> Limits {
        let size = |key: Option<u64>, other| key.map_or(other, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        Limits {
            component_size: self.component_size.unwrap_or(others.component_size),
            memory: size(self.memory, others.memory),
            table_elements: size(self.table_elements, others.table_elements),
            core_instances: size(self.instances, others.core_instances),
            hook: self.hook.unwrap_or(others.hook),
            chain: self.chain.unwrap_or(others.chain),
            copied_out: size(self.hostcall_fuel, others.copied_out),
            stack: size(self.stack, others.stack),
        }
    }
}
