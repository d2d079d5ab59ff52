//! The sandbox: an engine that loads plugins and policies.

use crate::{
    cache::Cache,
    chain_digest, checking,
    compile::{Compiler, Deadline},
    compiled,
    component_file::ComponentFile,
    engine::{Core, Watchdog},
    engine_config::{Traps, engine_config},
    error::LoadError,
    fit::{self, Admission, Role},
    limits::Limits,
    link::{Link, link_next},
    loading::{ComponentSource, LoadedComponent, Loading, Precompiled},
    plugin::Plugin,
    policy::Policy,
};
use std::sync::Arc;
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

/// The largest stack of a call in bytes: threads have 2 MiB by default, of which the host needs some, and an overflow of a thread's stack
/// ends the process.
const MOST_STACK: usize = 1 << 20;

/// An engine, its watchdog and the limits that plugins are held to. Cheap to clone; clones share everything.
///
/// ```
/// use pipefold_sandbox::{Limits, Notification, Sandbox, Verdict};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let plugin = Sandbox::new(Limits::default())?.default_plugin()?;
/// let verdict = plugin.pipeline_start(&Notification {
///     pipeline_name: Some("integration_tests".into()),
///     pipeline_source: Some("Tekton".into()),
///     reference_id: Some("AA713E04".into()),
///     started_at: Some("2025-01-01T12:05:00".into()),
///     ..Notification::default()
/// })?;
/// assert!(matches!(verdict, Verdict::Report(report) if report.run.started_at == "2025-01-01T12:05:00Z"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sandbox {
    core: Arc<Core>,
}

impl Sandbox {
    /// Starts an engine. About 0.2 ms.
    ///
    /// # Errors
    /// [`LoadError::Engine`] if this machine cannot run one.
    pub fn new(mut limits: Limits) -> Result<Self, LoadError> {
        limits.stack = limits.stack.min(MOST_STACK);
        let mut config = engine_config(Traps::of_process());
        config.max_wasm_stack(limits.stack);
        compiled::in_place(&mut config);
        let engine = Engine::new(&config).map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        let watchdog = Watchdog::new(&engine);
        Ok(Self {
            core: Arc::new(Core {
                engine,
                watchdog,
                limits,
            }),
        })
    }

    /// Compiles a component in this process and loads it. Nothing bounds or stops the compilation's time and memory: only for components that
    /// the caller trusts.
    ///
    /// # Errors
    /// [`LoadError`] if the file is larger than the limit, not a component, or not of the world `plugin`.
    pub fn compile_here(&self, name: &str, component: &[u8]) -> Result<Plugin, LoadError> {
        let title = Role::Plugin.title(name);
        let component = self.compile(&title, component, self.core.limits.component_size, Admission::Plugin)?;
        self.plugin(name, &component)
    }

    pub(crate) fn plugin(&self, name: &str, component: &Component) -> Result<Plugin, LoadError> {
        Plugin::new(Arc::clone(&self.core), name, component)
    }

    pub(crate) fn compile(
        &self,
        title: &str,
        component: &[u8],
        limit: u64,
        admission: Admission<'_>,
    ) -> Result<Component, LoadError> {
        if component.len() as u64 > limit {
            return Err(LoadError::TooLarge {
                plugin: title.into(),
                limit,
            });
        }
        fit::admit(title, component, admission)?;
        let engine = &self.core.engine;
        let code = Compiler::Here.compile(engine, &Arc::new(component.to_vec()), &Deadline::never());
        let code = code.map_err(|error| LoadError::not_compiled(title.into(), None, error))?;
        compiled::fresh(engine, &code).map_err(|error| LoadError::Code {
            plugin: title.into(),
            reason: format!("{error:#}"),
        })
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    #[cfg(feature = "sources")]
    pub(crate) fn shared_core(&self) -> Arc<Core> {
        Arc::clone(&self.core)
    }

    /// The limits that plugins are held to.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.core.limits
    }
}

/// A policy that is loaded for a chain.
pub struct LoadedPolicy {
    /// The policy.
    pub link: Link,
    /// Notes for the operator that did not prevent loading: cache entries that were damaged, or could not be written.
    pub notes: Vec<String>,
    /// True if it was compiled now, and not taken from the cache.
    pub compiled: bool,
    /// Hexadecimal sha256 of the component.
    pub sha256: String,
}

impl Sandbox {
    /// Compiles a policy in this process, with the risk of [`Sandbox::compile_here`].
    ///
    /// # Errors
    /// [`LoadError`] if the file is larger than its limit, not a component, has an import that is not granted, or lacks a hook.
    pub fn policy_compiled_here(&self, policy: &Policy, component: &[u8]) -> Result<Link, LoadError> {
        let fingerprint = blake3::hash(component);
        let title = Role::Policy.title(&policy.name);
        let admission = Admission::Policy(&policy.grants);
        let component = self.compile(&title, component, policy.limits.component_size, admission)?;
        self.policy_link(policy, &component, fingerprint.as_bytes())
    }

    /// Links a compiled policy with its grants. `identity` is the component's in the digest of a chain.
    pub(crate) fn policy_link(
        &self,
        policy: &Policy,
        component: &Component,
        identity: &[u8],
    ) -> Result<Link, LoadError> {
        let core = self.core();
        let title = Role::Policy.title(&policy.name);
        fit::admit_compiled(&title, component, &core.engine, Admission::Policy(&policy.grants))?;
        let mut linker = Linker::new(&core.engine);
        link_next(&mut linker)
            .and_then(|()| policy.grants.link(&mut linker))
            .map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        let mut link = Link::new(&linker, component, policy, Role::Policy)?;
        checking::check(core, &link.callee, component)?;
        link.digest = chain_digest::digest(policy, identity);
        Ok(link)
    }

    /// Loads a policy from the cache, or compiles it and stores the code there. Without a cache it is compiled each time.
    ///
    /// A cache that cannot be written to causes a note and no error.
    ///
    /// # Errors
    /// [`LoadError`] if the file cannot be read, is not the pinned one or is too large; if it cannot be compiled within the compiler's
    /// limits; if an import is not granted, which is checked before compiling; or if it lacks a hook.
    pub fn policy(
        &self,
        policy: &Policy,
        file: &ComponentFile,
        cache: Option<&Cache>,
        compiler: &Compiler,
    ) -> Result<LoadedPolicy, LoadError> {
        self.policy_by(policy, file, cache, compiler, &Deadline::never())
    }

    /// As [`Sandbox::policy`], up to a deadline. It ends a compilation under way, which is not recorded as failed.
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
    ) -> Result<LoadedPolicy, LoadError> {
        let loading = self.loading_policy(policy, file, compiler, deadline);
        let ready = match cache {
            Some(cache) => loading.load_through(cache)?,
            None => loading.without_cache()?,
        };
        self.loaded(policy, ready)
    }

    /// Loads a policy if its code is in the cache; `None` if it is not compiled yet. Never waits: it takes the time to read the file and the
    /// entry.
    ///
    /// # Errors
    /// As [`Sandbox::policy`], including a recorded failure to compile it.
    pub fn policy_if_compiled(
        &self,
        policy: &Policy,
        file: &ComponentFile,
        cache: &Cache,
        compiler: &Compiler,
    ) -> Result<Option<LoadedPolicy>, LoadError> {
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
        let mut loading = Loading::new(self.core(), title, ComponentSource::File(file), compiler, deadline);
        loading.limit = policy.limits.component_size;
        loading.admission = Admission::Policy(&policy.grants);
        loading
    }

    fn loaded(&self, policy: &Policy, ready: LoadedComponent) -> Result<LoadedPolicy, LoadError> {
        Ok(LoadedPolicy {
            link: self.policy_link(policy, &ready.component, ready.fingerprint.as_bytes())?,
            notes: ready.notes,
            compiled: ready.compiled,
            sha256: ready.sha256,
        })
    }

    /// Compiles a component into a cache, where [`Sandbox::policy`] finds it. A recorded failure is tried again.
    ///
    /// # Errors
    /// As [`Sandbox::policy`] without the checks of imports and exports; and if the cache cannot be written to.
    pub fn precompile(
        &self,
        file: &ComponentFile,
        cache: &Cache,
        compiler: &Compiler,
    ) -> Result<Precompiled, LoadError> {
        let name = file.path().display().to_string();
        let never = Deadline::never();
        Loading::new(self.core(), name, ComponentSource::File(file), compiler, &never).into_cache(cache)
    }
}
