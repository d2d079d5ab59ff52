//! Sources: components that make notifications of the webhook deliveries of one CI system.
//!
//! A source imports nothing. It gets a delivery, and its answer is checked by the host; policies and rules judge the notifications.

use crate::{
    answer,
    builtin::{SOURCES, SOURCES_SHA256},
    cache::Cache,
    call::{Call, CallFailure, Callee},
    compile::{Compiler, Deadline},
    component_file::ComponentFile,
    engine::Core,
    error::{HookError, LoadError},
    fit::{self, Admission, Role},
    foreign::cut,
    grants::Grants,
    limits::Limits,
    loading::{ComponentSource, Loading, Precompiled},
    question::Asking,
    sandbox::Sandbox,
    types::{Delivery, TRANSLATING, Translation},
};
use std::sync::Arc;
use wasmtime::component::{Component, ComponentExportIndex, Linker};

/// The function that a source exports.
const TRANSLATE: &str = "translate";
/// The name of the built-in sources in messages.
const BUILT_IN: &str = "built-in";
/// Characters of an error: a line of an answer and of a log.
const MOST_ERROR: usize = 159;

/// The settings of a source.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// The name in messages.
    pub name: String,
    /// The limits of one call; its time is `hook`.
    pub limits: Limits,
}

impl SourceSpec {
    /// A source of this name with [`Limits::of_sources`].
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            limits: Limits::of_sources(),
        }
    }
}

/// A source that is ready to be called, from any thread. Every call gets a fresh instance, so calls share nothing.
pub struct Source {
    core: Arc<Core>,
    callee: Callee,
    translate: ComponentExportIndex,
}

/// A delivery without a translation.
#[derive(Debug, thiserror::Error)]
pub enum TranslateError {
    /// The source says what is wrong with the delivery, in one line of at most 1 KiB.
    #[error("{}", cut(.0, MOST_ERROR))]
    Refused(String),
    /// The source failed: it crashed, reached a limit or gave a bad answer. It may translate the same delivery later, when it is mended.
    #[error("{}", cut(&.0.to_string(), MOST_ERROR))]
    Failed(HookError),
}

/// A source that is loaded.
pub struct LoadedSource {
    /// The source.
    pub source: Source,
    /// As in [`LoadedPolicy`](crate::LoadedPolicy).
    pub notes: Vec<String>,
    /// As in [`LoadedPolicy`](crate::LoadedPolicy).
    pub compiled: bool,
    /// As in [`LoadedPolicy`](crate::LoadedPolicy).
    pub sha256: String,
}

impl Source {
    fn new(core: Arc<Core>, spec: &SourceSpec, component: &Component) -> Result<Self, LoadError> {
        let title = Role::Source.title(&spec.name);
        fit::admit_compiled(&title, component, &core.engine, Admission::Source)?;
        // Nothing is defined in it: a source that imports a function does not load.
        let linker = Linker::new(&core.engine);
        let grants = Grants::default();
        let callee = Callee::new(&linker, component, (Role::Source, &spec.name), &spec.limits, &grants)?;
        let translate = callee.find::<(&Delivery,), Translated>(component, TRANSLATING, TRANSLATE)?;
        Ok(Self {
            core,
            callee,
            translate,
        })
    }

    /// The name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.callee.name
    }

    /// Translates a delivery (`translating.translate`). The notifications are not judged, and may be of several runs.
    ///
    /// # Errors
    /// [`TranslateError`], in one line of less than 160 characters.
    pub fn translate(&self, delivery: &Delivery) -> Result<Translation, TranslateError> {
        let call = Call {
            core: &self.core,
            callee: &self.callee,
            hook: TRANSLATE,
            next: None,
            // It is in no chain: its own time is over first.
            asking: Arc::new(Asking::new(self.callee.limits.hook.saturating_mul(2), false)),
        };
        let (called, _) = call.run::<_, Translated>(&self.translate, (delivery,));
        let (answer,) = called
            .map_err(CallFailure::into_error)
            .map_err(TranslateError::Failed)?;
        let checked = match &answer {
            Ok(translation) => answer::check_translation(translation),
            Err(refusal) => answer::check_refused_delivery(refusal),
        };
        checked.map_err(|reason| TranslateError::Failed(self.callee.bad_answer(TRANSLATE, reason)))?;
        answer.map_err(TranslateError::Refused)
    }
}

/// The results of `translate`.
type Translated = (Result<Translation, String>,);

impl Sandbox {
    /// Compiles a source in this process, with the risk of [`Sandbox::compile_here`].
    ///
    /// # Errors
    /// [`LoadError`] if the file is larger than its limit, not a component, or not of the world `source`.
    pub fn source_compiled_here(&self, spec: &SourceSpec, component: &[u8]) -> Result<Source, LoadError> {
        let title = Role::Source.title(&spec.name);
        let component = self.compile(&title, component, spec.limits.component_size, Admission::Source)?;
        Source::new(self.shared_core(), spec, &component)
    }

    /// Loads a source from the cache, or compiles it and stores the code there. Without a cache it is compiled each time.
    ///
    /// A cache that cannot be written to causes a note and no error.
    ///
    /// # Errors
    /// [`LoadError`] if the file cannot be read, is not the pinned one or is too large; if it has an import or lacks the export, which is
    /// checked before compiling; if it cannot be compiled within the compiler's limits, or before the deadline.
    pub fn source_by(
        &self,
        spec: &SourceSpec,
        file: &ComponentFile,
        cache: Option<&Cache>,
        compiler: &Compiler,
        deadline: &Deadline,
    ) -> Result<LoadedSource, LoadError> {
        let title = Role::Source.title(&spec.name);
        let mut loading = Loading::new(self.core(), title, ComponentSource::File(file), compiler, deadline);
        loading.limit = spec.limits.component_size;
        loading.admission = Admission::Source;
        let ready = match cache {
            Some(cache) => loading.load_through(cache)?,
            None => loading.without_cache()?,
        };
        Ok(LoadedSource {
            source: Source::new(self.shared_core(), spec, &ready.component)?,
            notes: ready.notes,
            compiled: ready.compiled,
            sha256: ready.sha256,
        })
    }

    /// Loads the built-in sources from the code in this executable, else from the cache, else compiles them and stores the code there. Damaged
    /// code is never run, and causes a note. The setting `use` of a delivery names the mapping.
    ///
    /// # Errors
    /// [`LoadError`] if they cannot be compiled within the compiler's limits, or before the deadline.
    pub fn built_in_sources_by(
        &self,
        cache: Option<&Cache>,
        compiler: &Compiler,
        deadline: &Deadline,
    ) -> Result<LoadedSource, LoadError> {
        let spec = SourceSpec::new(BUILT_IN);
        let title = Role::Source.title(BUILT_IN);
        let loaded = self.load_builtin(&SOURCES, title, cache, compiler, deadline)?;
        Ok(LoadedSource {
            source: Source::new(self.shared_core(), &spec, &loaded.component)?,
            notes: loaded.notes,
            compiled: loaded.compiled,
            sha256: SOURCES_SHA256.into(),
        })
    }

    /// Compiles the built-in sources into a cache, as [`Sandbox::precompile`] does for a file.
    ///
    /// # Errors
    /// As [`Sandbox::precompile`].
    pub fn precompile_built_in_sources(&self, cache: &Cache, compiler: &Compiler) -> Result<Precompiled, LoadError> {
        let never = Deadline::never();
        self.loading_builtin(&SOURCES, Role::Source.title(BUILT_IN), compiler, &never)
            .into_cache(cache)
    }
}
