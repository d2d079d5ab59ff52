//! Policies as an embedder or the operator's file names them.

use crate::config::{Failure, Grant, LimitKeys, PolicyKeys};
use crate::spool::PolicyChain;
use pipefold_sandbox::{
    Access, ComponentFile, Directory, DirectoryError, Grants, Limits, LogSink, OnFailure, Policy, Wasi,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{path::Path, sync::Arc};

/// Hexadecimal digits of a chain's digest: 128 bits, as for the names of runs.
const DIGEST_LENGTH: usize = 32;

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

/// What identifies policies in records: a digest over the links in order. It reads the components' files, and compiles nothing. A file that
/// cannot be read stands for itself by its name: what was recorded then is bound to a policy that has not been seen yet.
pub(crate) fn chain_of(sources: &[PolicySource]) -> PolicyChain {
    if sources.is_empty() {
        return PolicyChain::default();
    }
    let links: Vec<_> = sources.iter().map(identity).collect();
    let digest = Sha256::digest(serde_json::Value::from(links).to_string());
    PolicyChain {
        digest: format!("{digest:x}").chars().take(DIGEST_LENGTH).collect(),
        names: sources.iter().map(|source| source.policy.name.clone()).collect(),
    }
}

/// All of a policy that decides what it does: DESIGN section 11.
fn identity(source: &PolicySource) -> serde_json::Value {
    let Policy {
        limits,
        grants,
        on_failure,
        name: _,
    } = &source.policy;
    let component = match source.file.read(limits.component_size) {
        Ok(read) => json!({ "sha256": read.sha256 }),
        Err(_) => json!({ "unread": source.file.to_string() }),
    };
    let directory = grants.wasi.as_ref().and_then(|wasi| wasi.directory.as_ref());
    json!({
        "component": component,
        "grants": grants.names().collect::<Vec<_>>(),
        "config": grants.config.as_deref(),
        "directory": directory.map(|directory| format!("{directory:?}")),
        "open": *on_failure == OnFailure::Open,
    })
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
