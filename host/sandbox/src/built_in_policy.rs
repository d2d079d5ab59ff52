//! The built-in policy: the component that applies an operator's rules.

use crate::{
    builtin::{BUILT_IN_POLICY_SHA256, LoadedBuiltin, POLICY},
    cache::Cache,
    compile::{Compiler, Deadline},
    error::LoadError,
    fit::Role,
    loading::Precompiled,
    policy::Policy,
    sandbox::{LoadedPolicy, Sandbox},
};

/// Its identity in the digest of a chain: the version of the language of its rules. It is not the component's own digest, so that records stay
/// bound to the same rules when pipefold is replaced by another version.
pub const IDENTITY: &[u8] = b"pipefold rules 1";

/// Its name in the cache's messages.
const NAME: &str = "rules";

/// Returns true if this executable has the built-in policy's compiled code, undamaged. Then it needs no cache.
#[must_use]
pub fn built_in_policy_is_embedded() -> bool {
    POLICY.is_embedded()
}

impl Sandbox {
    /// Loads the built-in policy from the code in this executable, else from the cache, else compiles it and stores the code there. Damaged
    /// code is never run, and causes a note. The rules are in the policy's settings: `docs/rules.md` says under which keys.
    ///
    /// # Errors
    /// [`LoadError`] if it cannot be compiled within the compiler's limits, or before the deadline; [`LoadError::Settings`] with the faults
    /// of the rules.
    pub fn built_in_policy_by(
        &self,
        policy: &Policy,
        cache: Option<&Cache>,
        compiler: &Compiler,
        deadline: &Deadline,
    ) -> Result<LoadedPolicy, LoadError> {
        let title = Role::Policy.title(&policy.name);
        let loaded = self.load_builtin(&POLICY, title, cache, compiler, deadline)?;
        self.loaded_built_in(policy, loaded)
    }

    /// Loads the built-in policy if its code exists; `None` if it is not compiled yet.
    ///
    /// # Errors
    /// As [`Sandbox::built_in_policy_by`], including a recorded failure to compile it.
    pub fn built_in_policy_if_compiled(
        &self,
        policy: &Policy,
        cache: Option<&Cache>,
        compiler: &Compiler,
    ) -> Result<Option<LoadedPolicy>, LoadError> {
        let title = Role::Policy.title(&policy.name);
        let loaded = self.load_builtin_if_compiled(&POLICY, title, cache, compiler)?;
        loaded.map(|loaded| self.loaded_built_in(policy, loaded)).transpose()
    }

    /// Compiles the built-in policy into a cache, as [`Sandbox::precompile`] does for a file.
    ///
    /// # Errors
    /// As [`Sandbox::precompile`].
    pub fn precompile_built_in_policy(&self, cache: &Cache, compiler: &Compiler) -> Result<Precompiled, LoadError> {
        let never = Deadline::never();
        self.loading_builtin(&POLICY, Role::Policy.title(NAME), compiler, &never)
            .into_cache(cache)
    }

    fn loaded_built_in(&self, policy: &Policy, loaded: LoadedBuiltin) -> Result<LoadedPolicy, LoadError> {
        Ok(LoadedPolicy {
            link: self.policy_link(policy, &loaded.component, IDENTITY)?,
            notes: loaded.notes,
            compiled: loaded.compiled,
            sha256: BUILT_IN_POLICY_SHA256.into(),
        })
    }
}
