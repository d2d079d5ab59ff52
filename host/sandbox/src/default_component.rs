//! The default component: its bytes are in every program, and its compiled code in those prepared with [`embed`](crate::embed).

use crate::{
    cache::Cache,
    compile::{Compiler, Deadline},
    compiled,
    error::LoadError,
    fit::Role,
    loading::{ComponentSource, LoadedComponent, Loading, Precompiled, in_memory},
    plugin::Plugin,
    sandbox::Sandbox,
    slot::{COMPONENT, DEFAULT_COMPONENT_SHA256, DamagedSlot},
};
use wasmtime::component::Component;

/// The default plugin's name in messages.
pub const NAME: &str = "default";

/// The default plugin, loaded for a chain.
pub struct LoadedDefault {
    /// The plugin.
    pub plugin: Plugin,
    /// As in [`LoadedPolicy`](crate::LoadedPolicy).
    pub notes: Vec<String>,
    /// True if it was compiled now, and taken neither from this executable nor from the cache.
    pub compiled: bool,
}

/// Returns true if this executable has the default component's compiled code, undamaged. Then it needs no cache.
#[must_use]
pub fn default_is_embedded() -> bool {
    matches!(compiled::embedded_code(), Ok(Some(_)))
}

impl Sandbox {
    /// Loads the default plugin from the code in this executable, or compiles it in this process, once for all sandboxes. Takes about 0.3 ms,
    /// or 0.2 s if it is compiled; [`Sandbox::default_plugin_by`] stores the code for other processes.
    ///
    /// # Errors
    /// [`LoadError`] if its code does not fit this machine.
    pub fn default_plugin(&self) -> Result<Plugin, LoadError> {
        let loaded = self.default_plugin_by(None, &Compiler::Here, &Deadline::never())?;
        Ok(loaded.plugin)
    }

    /// Loads the default plugin from the code in this executable, else from the cache, else compiles it and stores the code there. Damaged code
    /// is never run, and causes a note.
    ///
    /// # Errors
    /// [`LoadError`] if it cannot be compiled within the compiler's limits, or before the deadline.
    pub fn default_plugin_by(
        &self,
        cache: Option<&Cache>,
        compiler: &Compiler,
        deadline: &Deadline,
    ) -> Result<LoadedDefault, LoadError> {
        let notes = match self.embedded_component() {
            Ok(Some(component)) => return self.loaded_default(&component, Vec::new(), false),
            Ok(None) => None,
            Err(note) => Some(note),
        };
        let loading = self.loading_default(compiler, deadline);
        let ready = match cache {
            Some(cache) => loading.load_through(cache)?,
            None => loading.without_cache()?,
        };
        let notes = notes.into_iter().chain(ready.notes).collect();
        self.loaded_default(&ready.component, notes, ready.compiled)
    }

    /// Loads the default plugin if its code exists; `None` if it is not compiled yet.
    ///
    /// # Errors
    /// As [`Sandbox::default_plugin_by`], including a recorded failure to compile it.
    pub fn default_plugin_if_compiled(
        &self,
        cache: Option<&Cache>,
        compiler: &Compiler,
    ) -> Result<Option<LoadedDefault>, LoadError> {
        let notes = match self.embedded_component() {
            Ok(Some(component)) => return self.loaded_default(&component, Vec::new(), false).map(Some),
            Ok(None) => None,
            Err(note) => Some(note),
        };
        let never = Deadline::never();
        let loading = self.loading_default(compiler, &never);
        let ready = match (in_memory(), cache) {
            (Some(code), _) => Some(loading.fresh(&code, blake3::hash(COMPONENT), DEFAULT_COMPONENT_SHA256.into())?),
            (None, Some(cache)) => loading.if_compiled(cache)?,
            (None, None) => None,
        };
        let loaded = ready.map(
            |LoadedComponent {
                 component, notes: told, ..
             }| {
                let notes = notes.into_iter().chain(told).collect();
                self.loaded_default(&component, notes, false)
            },
        );
        loaded.transpose()
    }

    /// Compiles the default component into a cache, as [`Sandbox::precompile`] does for a file.
    ///
    /// # Errors
    /// As [`Sandbox::precompile`].
    pub fn precompile_default(&self, cache: &Cache, compiler: &Compiler) -> Result<Precompiled, LoadError> {
        let never = Deadline::never();
        self.loading_default(compiler, &never).into_cache(cache)
    }

    /// The component from the code in this executable.
    ///
    /// # Errors
    /// A note with the reason why the code cannot be used.
    fn embedded_component(&self) -> Result<Option<Component>, String> {
        let instead = "the default component is compiled instead; to mend that, install pipefold again";
        let code = compiled::embedded_code()
            .map_err(|DamagedSlot| format!("the compiled code in this executable is damaged; {instead}"))?;
        let Some(code) = code else { return Ok(None) };
        let component = compiled::embedded(&self.core().engine, &code);
        let component = component.map_err(|error| {
            let reason = error.root_cause();
            format!("the compiled code in this executable does not fit this machine ({reason}); {instead}")
        })?;
        Ok(Some(component))
    }

    fn loading_default<'a>(&'a self, compiler: &'a Compiler, deadline: &'a Deadline) -> Loading<'a> {
        Loading::new(
            self.core(),
            Role::Plugin.title(NAME),
            ComponentSource::Default,
            compiler,
            deadline,
        )
    }

    fn loaded_default(
        &self,
        component: &Component,
        notes: Vec<String>,
        compiled: bool,
    ) -> Result<LoadedDefault, LoadError> {
        Ok(LoadedDefault {
            plugin: self.plugin(NAME, component)?.without_clock(),
            notes,
            compiled,
        })
    }
}
