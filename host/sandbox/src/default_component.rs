//! The default plugin: the component with the rules.

use crate::{
    builtin::{DEFAULT, LoadedBuiltin},
    cache::Cache,
    compile::{Compiler, Deadline},
    error::LoadError,
    fit::Role,
    loading::Precompiled,
    plugin::Plugin,
    sandbox::Sandbox,
};

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
    DEFAULT.is_embedded()
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
        let loaded = self.load_builtin(&DEFAULT, title(), cache, compiler, deadline)?;
        self.loaded_default(loaded)
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
        let loaded = self.load_builtin_if_compiled(&DEFAULT, title(), cache, compiler)?;
        loaded.map(|loaded| self.loaded_default(loaded)).transpose()
    }

    /// Compiles the default component into a cache, as [`Sandbox::precompile`] does for a file.
    ///
    /// # Errors
    /// As [`Sandbox::precompile`].
    pub fn precompile_default(&self, cache: &Cache, compiler: &Compiler) -> Result<Precompiled, LoadError> {
        let never = Deadline::never();
        self.loading_builtin(&DEFAULT, title(), compiler, &never)
            .into_cache(cache)
    }

    fn loaded_default(&self, loaded: LoadedBuiltin) -> Result<LoadedDefault, LoadError> {
        Ok(LoadedDefault {
            plugin: self.plugin(NAME, &loaded.component)?.trusted(),
            notes: loaded.notes,
            compiled: loaded.compiled,
        })
    }
}

fn title() -> String {
    Role::Plugin.title(NAME)
}
