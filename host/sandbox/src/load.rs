//! Policies from their files, and caches filled ahead.

use crate::{
    cache::Cache,
    compile::Compiler,
    component_file::ComponentFile,
    deadline::Deadline,
    error::LoadError,
    fit::{Admission, Role},
    loading::{Loading, Ready, Source},
    plugin::Link,
    policy::Policy,
    sandbox::Sandbox,
};

/// A policy that is ready for a chain.
pub struct Loaded {
    /// The policy.
    pub link: Link,
    /// What the operator should know, though it was no obstacle: entries of the cache that were damaged, or could not be written.
    pub notes: Vec<String>,
    /// It was compiled now, and not taken from the cache.
    pub compiled: bool,
    /// Hexadecimal sha256 of the component.
    pub sha256: String,
}

/// A component whose code is in a cache.
#[derive(Clone, Debug)]
pub struct Precompiled {
    /// As in [`Loaded`].
    pub notes: Vec<String>,
    /// As in [`Loaded`].
    pub compiled: bool,
    /// As in [`Loaded`].
    pub sha256: String,
    /// Bytes of compiled code.
    pub code_size: u64,
}

impl Sandbox {
    /// Makes a policy ready: from the cache, or compiled and then kept there. Without a cache it is compiled each time.
    ///
    /// A cache that cannot be written to is a note and no error.
    ///
    /// # Errors
    /// [`LoadError`] if the file cannot be read, is not the pinned one or is too large; if it cannot be compiled within the compiler's
    /// limits; if it imports what is not granted, which is found before it is compiled; or if it lacks a hook.
    pub fn policy(
        &self,
        policy: &Policy,
        file: &ComponentFile,
        cache: Option<&Cache>,
        compiler: &Compiler,
    ) -> Result<Loaded, LoadError> {
        self.policy_by(policy, file, cache, compiler, &Deadline::never())
    }

    /// The same, up to a deadline. A compilation that is under way then is ended, and is not remembered as failed.
    ///
    /// # Errors
    /// As [`Sandbox::policy`]; and [`LoadError::Unfinished`] if the deadline passed first, here or while another process compiled it.
    pub fn policy_by(
        &self,
        policy: &Policy,
        file: &ComponentFile,
        cache: Option<&Cache>,
        compiler: &Compiler,
        deadline: &Deadline,
    ) -> Result<Loaded, LoadError> {
        let loading = self.loading_policy(policy, file, compiler, deadline);
        let ready = match cache {
            Some(cache) => loading.through(cache)?,
            None => loading.without_cache()?,
        };
        self.loaded(policy, ready)
    }

    /// Makes a policy ready if its code is in the cache; none if it is yet to be compiled. Nothing is waited for: as quick as reading the
    /// file and the entry.
    ///
    /// # Errors
    /// As [`Sandbox::policy`]; among them a failure to compile it that is remembered.
    pub fn policy_if_compiled(
        &self,
        policy: &Policy,
        file: &ComponentFile,
        cache: &Cache,
        compiler: &Compiler,
    ) -> Result<Option<Loaded>, LoadError> {
        let never = Deadline::never();
        let loading = self.loading_policy(policy, file, compiler, &never);
        let ready = loading.if_compiled(cache)?;
        ready.map(|ready| self.loaded(policy, ready)).transpose()
    }

    fn loading_policy<'a>(
        &'a self,
        policy: &'a Policy,
        file: &'a ComponentFile,
        compiler: &'a Compiler,
        deadline: &'a Deadline,
    ) -> Loading<'a> {
        let title = Role::Policy.title(&policy.name);
        let mut loading = Loading::new(self, title, Source::File(file), compiler, deadline);
        loading.limit = policy.limits.component_size;
        loading.admission = Admission::Policy(&policy.grants);
        loading
    }

    fn loaded(&self, policy: &Policy, ready: Ready) -> Result<Loaded, LoadError> {
        Ok(Loaded {
            link: self.policy_link(policy, &ready.component, &ready.fingerprint)?,
            notes: ready.notes,
            compiled: ready.compiled,
            sha256: ready.sha256,
        })
    }

    /// Fills a cache: afterwards [`Sandbox::policy`] finds the component there. What failed before is tried again.
    ///
    /// # Errors
    /// As [`Sandbox::policy`], but for what it imports and exports; and if the cache cannot be written to.
    pub fn precompile(
        &self,
        file: &ComponentFile,
        cache: &Cache,
        compiler: &Compiler,
    ) -> Result<Precompiled, LoadError> {
        let name = file.path().display().to_string();
        let never = Deadline::never();
        Loading::new(self, name, Source::File(file), compiler, &never).into_cache(cache)
    }
}
