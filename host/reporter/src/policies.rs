//! Policies as an embedder or the operator's file names them.

use crate::config::{Failure, Grant, LimitKeys, PolicyKeys};
use crate::spool::PolicyChain;
use pipefold_sandbox::{
    Access, ChainDigest, ComponentFile, Directory, DirectoryError, Grants, Limits, LogSink, OnFailure, Policy, Wasi,
};
use std::{path::Path, sync::Arc};

/// A policy and the file of its component.
#[derive(Clone, Debug)]
pub struct PolicySource {
    /// The component, perhaps pinned to a digest.
    pub file: ComponentFile,
    /// How it is run.
    pub policy: Policy,
}

impl PolicySource {
    /// A policy without grants, named after its file.
    #[must_use]
    pub fn new(file: ComponentFile) -> Self {
        let name = name_of(file.path());
        Self {
            file,
            policy: Policy::new(name),
        }
    }

    /// A policy as the operator's file has it, with `limits`, `failure` and `sink` for what it does not say itself.
    ///
    /// # Errors
    /// What is wrong with the name of its file, or with the directory that it is granted.
    pub fn from_keys(keys: &PolicyKeys, limits: &Limits, failure: Failure, sink: &LogSink) -> Result<Self, String> {
        let file: ComponentFile = keys
            .file
            .parse()
            .map_err(|error| format!("policy {}: {error}", keys.file))?;
        let name = keys.name.clone().unwrap_or_else(|| name_of(file.path()));
        let granted = |grant| keys.grants.contains(&grant);
        let policy = Policy {
            limits: keys.limits.over(limits),
            grants: Grants {
                log: granted(Grant::Log).then(|| Arc::clone(sink)),
                config: granted(Grant::Config).then(|| Arc::new(keys.config.clone())),
                wasi: wasi(keys).map_err(|error| format!("policy {name}: {error}"))?,
            },
            on_failure: match keys.failure.unwrap_or(failure) {
                Failure::Closed => OnFailure::Closed,
                Failure::Open => OnFailure::Open,
            },
            name,
        };
        Ok(Self { file, policy })
    }
}

/// What names policies in records. It reads the components' files, and compiles nothing.
pub(crate) fn chain_of(sources: &[PolicySource]) -> PolicyChain {
    PolicyChain {
        digest: ChainDigest::of(sources.iter().map(|source| (&source.policy, &source.file))),
        names: sources.iter().map(|source| source.policy.name.clone()).collect(),
    }
}

/// The system interface, if it is granted, by itself or for what stands behind it.
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
    /// The sandbox's limits: these, and `others` where these say nothing. A size beyond what this machine can address is as good as its
    /// largest.
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
