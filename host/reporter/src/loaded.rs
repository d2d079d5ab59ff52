//! The loading of a judge's plugins.

use crate::policy_source::{Compile, PolicySource, chain_of};
use crate::spool::PolicyChain;
use crate::watch::{Monitoring, Watch};
use pipefold_sandbox::{
    Cache, Chain, Compiler, Limits, Link, LoadError, LoadedDefault, Mode, OnFailure, PolicyComponent, Sandbox,
};
use serde::Serialize;
use std::sync::{Arc, OnceLock};

/// The plugins of a judge.
pub(crate) struct Loaded {
    pub chain: Chain,
    pub policies: Vec<(LoadedPolicy, Watch)>,
    pub notes: Vec<String>,
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

/// What the plugins of a judge are loaded from.
pub(crate) struct Origins {
    pub limits: Limits,
    pub sources: Vec<PolicySource>,
    pub cache: Option<Arc<Cache>>,
    pub compiler: Compiler,
    /// The enforced policies, as records name them.
    pub chain: OnceLock<PolicyChain>,
}

impl Origins {
    /// The enforced policies, as records name them. Reads their files the first time.
    pub fn chain(&self) -> &PolicyChain {
        self.chain.get_or_init(|| chain_of(&self.sources))
    }

    /// The number of enforced policies.
    pub fn enforced(&self) -> usize {
        let is_enforced = |source: &&PolicySource| source.policy.mode == Mode::Enforce;
        self.sources.iter().filter(is_enforced).count()
    }

    /// Loads the plugins; none if a policy would have to be compiled and must not be. A policy that cannot be loaded counts as one that
    /// crashed: closed, unless it is open.
    pub fn load(&self, compile: Compile<'_>, monitoring: Monitoring) -> Result<Option<Loaded>, NotLoaded> {
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
            match source.load(&sandbox, self.cache.as_deref(), &self.compiler, compile) {
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
    pub fn described(&self) -> Vec<LoadedPolicy> {
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

/// The reason why nothing is loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLoaded {
    /// There was no time left to compile a policy: it may be tried again.
    #[error("{0}")]
    Unfinished(String),
    #[error("{0}")]
    Failed(String),
}

/// Describes a policy with its sha256, or with the reason why it could not be loaded; `None` if it was not tried.
pub(crate) fn describe(source: &PolicySource, loaded: Option<Result<String, String>>) -> LoadedPolicy {
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
