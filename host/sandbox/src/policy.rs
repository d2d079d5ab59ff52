//! A policy: a component of someone else's that stands before the next plugin.

use crate::{
    chain::{OnFailure, link_next},
    digest,
    error::LoadError,
    fit::{self, Admission, Role},
    grants::Grants,
    limits::Limits,
    plugin::Link,
    sandbox::Sandbox,
};
use wasmtime::component::{Component, Linker};

/// How a policy is to be run.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How messages name it.
    pub name: String,
    /// What it may use in one call; the time of a whole chain is the sandbox's.
    pub limits: Limits,
    /// What it may use besides its arguments.
    pub grants: Grants,
    /// What becomes of a notification when it fails.
    pub on_failure: OnFailure,
}

impl Policy {
    /// A policy of this name with the default limits, no grants, and closed on failure.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            limits: Limits::default(),
            grants: Grants::default(),
            on_failure: OnFailure::Closed,
        }
    }
}

impl Sandbox {
    /// Compiles a policy in this process; see [`Sandbox::compile_here`] for what that means.
    ///
    /// # Errors
    /// [`LoadError`] if it is larger than its limit, no component, imports what is not granted, or lacks a hook.
    pub fn policy_compiled_here(&self, policy: &Policy, component: &[u8]) -> Result<Link, LoadError> {
        let fingerprint = blake3::hash(component);
        let title = Role::Policy.title(&policy.name);
        let admission = Admission::Policy(&policy.grants);
        let component = self.compile(&title, component, policy.limits.component_size, admission)?;
        self.policy_link(policy, &component, &fingerprint)
    }

    /// Links a compiled policy with what it is granted.
    pub(crate) fn policy_link(
        &self,
        policy: &Policy,
        component: &Component,
        fingerprint: &blake3::Hash,
    ) -> Result<Link, LoadError> {
        let core = self.core();
        let title = Role::Policy.title(&policy.name);
        fit::admit_compiled(&title, component, &core.engine, Admission::Policy(&policy.grants))?;
        let mut linker = Linker::new(&core.engine);
        link_next(&mut linker)
            .and_then(|()| policy.grants.link(&mut linker))
            .map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        let mut link = Link::new(&linker, component, policy, Role::Policy)?;
        link.digest = digest::link(policy, fingerprint.as_bytes());
        Ok(link)
    }
}
