//! A policy as it is configured: its component, settings and grants.

use crate::config::{Environment, Failure, Grant, LimitKeys, Places, PolicyKeys, RULES, variables};
use crate::rule_inputs;
use crate::spool::PolicyChain;
use pipefold_sandbox::{
    Access, Cache, ChainDigest, Compiler, ComponentFile, Deadline, Directory, DirectoryError, Grants, Limits,
    LoadError, LoadedPolicy, LogSink, Mode, OnFailure, Policy, PolicyComponent, Sandbox, Wasi,
};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

/// A policy and its component.
#[derive(Clone, Debug)]
pub struct PolicySource {
    /// The component.
    pub component: PolicyComponent,
    /// The policy's name, limits, grants and failure mode.
    pub policy: Policy,
    /// The lines of its settings.
    pub(crate) places: Places,
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

    /// The files of policies that the variable names.
    ///
    /// # Errors
    /// It is not UTF-8. Unlike other variables it cannot be ignored then: without its policy a run must not be sent.
    pub fn named_by_variable(environment: &Environment) -> Result<Vec<String>, String> {
        let list = match environment.get_os(variables::POLICY).map(OsStr::to_str) {
            Some(None) => return Err(format!("{} is not UTF-8; nothing is sent", variables::POLICY)),
            list => list.flatten().unwrap_or_default(),
        };
        // The list for a wrapped command has one file a line: a file's name may have a comma.
        let separator = if list.contains('\n') { '\n' } else { ',' };
        let files = list.split(separator).map(str::trim).filter(|file| !file.is_empty());
        Ok(files.map(str::to_owned).collect())
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
            on_failure: keys.failure.unwrap_or(failure).into(),
            mode: keys.mode,
            name,
        };
        Ok(Self {
            component,
            policy,
            places: keys.places.clone(),
        })
    }

    /// Loads it; none if it would have to be compiled and must not be.
    pub(crate) fn load(
        &self,
        sandbox: &Sandbox,
        cache: Option<&Cache>,
        compiler: &Compiler,
        compile: Compile<'_>,
    ) -> Result<Option<LoadedPolicy>, LoadError> {
        let policy = &self.policy;
        match (&self.component, compile, cache) {
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

    /// An error of loading it, with the line of the setting that is at fault.
    pub(crate) fn explain(&self, error: &LoadError) -> String {
        match error {
            LoadError::Settings { problems, .. } if self.places != Places::default() => self.places.explain(problems),
            error => error.to_string(),
        }
    }
}

impl From<Failure> for OnFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Closed => Self::Closed,
            Failure::Open => Self::Open,
        }
    }
}

/// Permission to compile a policy while loading.
#[derive(Clone, Copy)]
pub(crate) enum Compile<'a> {
    Never,
    Until(&'a Deadline),
}

/// The enforced policies as records name them. Reads the components' files, and compiles nothing.
pub(crate) fn chain_of(sources: &[PolicySource]) -> PolicyChain {
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
