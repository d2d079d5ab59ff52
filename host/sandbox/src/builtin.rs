//! The components in this program: the default one with the rules, the built-in policy, and the built-in sources where a collector calls them.
//!
//! Their bytes are in every such program, and their compiled code in those prepared with [`embed`](crate::embed()).

use crate::{
    cache::Cache,
    compile::{Compiler, Deadline, FreshCode},
    compiled::{self, OwnSlot},
    error::LoadError,
    loading::{ComponentSource, LoadedComponent, Loading},
    sandbox::Sandbox,
    slot::DamagedSlot,
};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::Component;

/// A component in this program.
pub struct Builtin {
    /// The title in notes.
    pub title: &'static str,
    /// The component's file.
    pub bytes: &'static [u8],
    /// Hexadecimal sha256 of the file.
    pub sha256: &'static str,
    /// The place for its compiled code.
    pub slot: &'static OwnSlot,
    /// Its code, if this process compiled it without a cache. All its sandboxes share it: their engines' settings are the same where they
    /// concern the code.
    in_memory: Mutex<Option<Arc<FreshCode>>>,
}

/// Hexadecimal sha256 of the default component's file.
pub const DEFAULT_COMPONENT_SHA256: &str = env!("PIPEFOLD_DEFAULT_SHA256");

/// Size in bytes of the default component's file.
pub const DEFAULT_COMPONENT_SIZE: usize = include_bytes!(concat!(env!("OUT_DIR"), "/default.wasm")).len();

/// Hexadecimal sha256 of the built-in policy's file.
pub const BUILT_IN_POLICY_SHA256: &str = env!("PIPEFOLD_POLICY_SHA256");

/// Hexadecimal sha256 of the built-in sources' file.
#[cfg(feature = "sources")]
pub const SOURCES_SHA256: &str = env!("PIPEFOLD_SOURCES_SHA256");

/// The default component.
pub static DEFAULT: Builtin = Builtin {
    title: "the default component",
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/default.wasm")),
    sha256: DEFAULT_COMPONENT_SHA256,
    slot: &compiled::OF_DEFAULT,
    in_memory: Mutex::new(None),
};

/// The built-in policy.
pub static POLICY: Builtin = Builtin {
    title: "the built-in policy",
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/policy.wasm")),
    sha256: BUILT_IN_POLICY_SHA256,
    slot: &compiled::OF_POLICY,
    in_memory: Mutex::new(None),
};

/// The component of the built-in sources.
#[cfg(feature = "sources")]
pub static SOURCES: Builtin = Builtin {
    title: "the component of the built-in sources",
    bytes: include_bytes!(concat!(env!("OUT_DIR"), "/sources.wasm")),
    sha256: SOURCES_SHA256,
    slot: &compiled::OF_SOURCES,
    in_memory: Mutex::new(None),
};

/// All components in this program, the default one first.
pub fn all() -> impl Iterator<Item = &'static Builtin> {
    [
        &DEFAULT,
        &POLICY,
        #[cfg(feature = "sources")]
        &SOURCES,
    ]
    .into_iter()
}

impl Builtin {
    /// Returns true if this executable has its compiled code, undamaged. Then it needs no cache.
    pub fn is_embedded(&self) -> bool {
        matches!(self.slot.code(), Ok(Some(_)))
    }

    /// Its code in memory; `None` if there is none, or while another thread compiles it.
    pub fn in_memory(&self) -> Option<Arc<FreshCode>> {
        self.in_memory.try_lock().ok()?.clone()
    }

    /// Its code in memory, or the result of `compile`, and true if it was compiled now. Other threads wait for it.
    pub fn in_memory_or<E>(&self, compile: impl FnOnce() -> Result<FreshCode, E>) -> Result<(Arc<FreshCode>, bool), E> {
        let mut kept = self.in_memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = &*kept {
            return Ok((Arc::clone(code), false));
        }
        let code = Arc::new(compile()?);
        *kept = Some(Arc::clone(&code));
        Ok((code, true))
    }
}

/// A built-in component that wasmtime has loaded.
pub struct LoadedBuiltin {
    pub component: Component,
    pub notes: Vec<String>,
    pub compiled: bool,
}

impl Sandbox {
    /// Loads a built-in component from the code in this executable, else from the cache, else compiles it and stores the code there.
    /// Damaged code is never run, and causes a note.
    pub(crate) fn load_builtin(
        &self,
        builtin: &'static Builtin,
        title: String,
        cache: Option<&Cache>,
        compiler: &Compiler,
        deadline: &Deadline,
    ) -> Result<LoadedBuiltin, LoadError> {
        let note = match self.embedded_component(builtin) {
            Ok(Some(component)) => return Ok(LoadedBuiltin::of_executable(component)),
            Ok(None) => None,
            Err(note) => Some(note),
        };
        let loading = self.loading_builtin(builtin, title, compiler, deadline);
        let ready = match cache {
            Some(cache) => loading.load_through(cache)?,
            None => loading.without_cache()?,
        };
        Ok(LoadedBuiltin::new(note, ready))
    }

    /// Loads a built-in component if its code exists; `None` if it is not compiled yet.
    pub(crate) fn load_builtin_if_compiled(
        &self,
        builtin: &'static Builtin,
        title: String,
        cache: Option<&Cache>,
        compiler: &Compiler,
    ) -> Result<Option<LoadedBuiltin>, LoadError> {
        let note = match self.embedded_component(builtin) {
            Ok(Some(component)) => return Ok(Some(LoadedBuiltin::of_executable(component))),
            Ok(None) => None,
            Err(note) => Some(note),
        };
        let never = Deadline::never();
        let loading = self.loading_builtin(builtin, title, compiler, &never);
        let ready = match (builtin.in_memory(), cache) {
            (Some(code), _) => Some(loading.fresh(&code, blake3::hash(builtin.bytes), builtin.sha256.into())?),
            (None, Some(cache)) => loading.if_compiled(cache)?,
            (None, None) => None,
        };
        Ok(ready.map(|ready| LoadedBuiltin::new(note, ready)))
    }

    /// The loading of a built-in component, by its bytes.
    pub(crate) fn loading_builtin<'a>(
        &'a self,
        builtin: &'static Builtin,
        title: String,
        compiler: &'a Compiler,
        deadline: &'a Deadline,
    ) -> Loading<'a> {
        Loading::new(
            self.core(),
            title,
            ComponentSource::Builtin(builtin),
            compiler,
            deadline,
        )
    }

    /// The component from the code in this executable.
    ///
    /// # Errors
    /// A note with the reason why the code cannot be used.
    fn embedded_component(&self, builtin: &Builtin) -> Result<Option<Component>, String> {
        let instead = || {
            format!(
                "{} is compiled instead; to mend that, install pipefold again",
                builtin.title
            )
        };
        let code = builtin
            .slot
            .code()
            .map_err(|DamagedSlot| format!("the compiled code in this executable is damaged; {}", instead()))?;
        let Some(code) = code else { return Ok(None) };
        let component = compiled::embedded(&self.core().engine, &code);
        let component = component.map_err(|error| {
            let reason = error.root_cause();
            format!(
                "the compiled code in this executable does not fit this machine ({reason}); {}",
                instead()
            )
        })?;
        Ok(Some(component))
    }
}

impl LoadedBuiltin {
    fn of_executable(component: Component) -> Self {
        Self {
            component,
            notes: Vec::new(),
            compiled: false,
        }
    }

    fn new(note: Option<String>, ready: LoadedComponent) -> Self {
        Self {
            component: ready.component,
            notes: note.into_iter().chain(ready.notes).collect(),
            compiled: ready.compiled,
        }
    }
}
