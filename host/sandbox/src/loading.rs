//! Loading of one component: from its file or this program, through the cache or the compiler, to code that can run.

use crate::{
    builtin::Builtin,
    cache::{Cache, CacheError, CacheKey, EntryFlaw, Failure, Lock},
    compile::{CompileError, Compiler, Deadline, FreshCode},
    compiled,
    component_file::{ComponentBytes, ComponentFile, ComponentFileError},
    engine::Core,
    error::LoadError,
    fit::{self, Admission},
};
use std::{path::PathBuf, sync::Arc};
use wasmtime::{Engine, component::Component};

/// A component whose code is in a cache.
#[derive(Clone, Debug)]
pub struct Precompiled {
    /// As in [`LoadedPolicy`](crate::LoadedPolicy).
    pub notes: Vec<String>,
    /// As in [`LoadedPolicy`](crate::LoadedPolicy).
    pub compiled: bool,
    /// As in [`LoadedPolicy`](crate::LoadedPolicy).
    pub sha256: String,
    /// Bytes of compiled code.
    pub code_size: u64,
}

/// A component that wasmtime has loaded.
pub struct LoadedComponent {
    pub component: Component,
    pub notes: Vec<String>,
    pub compiled: bool,
    pub sha256: String,
    /// The digest for the cache's key.
    pub fingerprint: blake3::Hash,
    /// Bytes of its code in the cache, if it is there.
    cached_size: Option<u64>,
}

/// The source of a component.
#[derive(Clone, Copy)]
pub enum ComponentSource<'a> {
    File(&'a ComponentFile),
    /// A component in this program.
    Builtin(&'static Builtin),
}

impl ComponentSource<'_> {
    /// The digest for the cache's key.
    fn fingerprint(self, limit: u64) -> Result<blake3::Hash, ComponentFileError> {
        match self {
            Self::File(file) => file.fingerprint(limit),
            Self::Builtin(builtin) => Ok(blake3::hash(builtin.bytes)),
        }
    }

    fn read(self, limit: u64) -> Result<ComponentBytes, ComponentFileError> {
        match self {
            Self::File(file) => file.read(limit),
            Self::Builtin(builtin) => Ok(ComponentBytes {
                bytes: builtin.bytes.to_vec(),
                sha256: builtin.sha256.into(),
            }),
        }
    }

    fn check_pin(self, sha256: &str) -> Result<(), ComponentFileError> {
        match self {
            Self::File(file) => file.check_pin(sha256),
            Self::Builtin(_) => Ok(()),
        }
    }

    /// Its file, as an argument of `component compile`; none for a component in this program.
    fn path(self) -> Option<PathBuf> {
        match self {
            Self::File(file) => Some(file.path().into()),
            Self::Builtin(_) => None,
        }
    }
}

/// The error of a new cache entry.
enum NotMade {
    Compile(CompileError),
    Cache(CacheError),
}

/// The loading of one component.
pub struct Loading<'a> {
    engine: &'a Engine,
    title: String,
    source: ComponentSource<'a>,
    pub limit: u64,
    compiler: &'a Compiler,
    deadline: &'a Deadline,
    /// True if a recorded failure to compile it is ignored.
    again: bool,
    /// The imports that it may have, which are checked before seconds are spent on compiling.
    pub admission: Admission<'a>,
    notes: Vec<String>,
}

impl<'a> Loading<'a> {
    /// A loading with the sandbox's size limit and any imports, that obeys recorded failures.
    pub fn new(
        core: &'a Core,
        title: String,
        source: ComponentSource<'a>,
        compiler: &'a Compiler,
        deadline: &'a Deadline,
    ) -> Self {
        Self {
            engine: &core.engine,
            title,
            source,
            limit: core.limits.component_size,
            compiler,
            deadline,
            again: false,
            admission: Admission::Any,
            notes: Vec::new(),
        }
    }

    /// Loads it from the cache, or compiles it and stores the code there.
    pub fn load_through(mut self, cache: &Cache) -> Result<LoadedComponent, LoadError> {
        let fingerprint = self.fingerprint()?;
        let key = CacheKey::new(fingerprint);
        if let Some(ready) = self.load_cached(cache, &key, fingerprint, false)? {
            return Ok(self.with_notes(ready));
        }
        let ComponentBytes { bytes, sha256 } = self.read()?;
        // The file may have changed since: these bytes are compiled.
        let fingerprint = blake3::hash(&bytes);
        let key = CacheKey::new(fingerprint);
        let lock = cache.lock(&key, self.compiler.time(), self.deadline);
        match &lock {
            Lock::Over => return Err(self.not_compiled(CompileError::Unfinished)),
            Lock::Busy => {
                let path = cache.path().display();
                self.notes.push(format!(
                    "cache {path}: another process has been compiling this component for too long; compiled it here as well"
                ));
            }
            Lock::Held(_) | Lock::None => {}
        }
        // The previous holder of the lock may have stored an entry or a failure.
        if let Some(ready) = self.load_cached(cache, &key, fingerprint, true)? {
            return Ok(self.with_notes(ready));
        }
        let component = Arc::new(bytes);
        match self.compile_to_cache(cache, &key, &component, &sha256) {
            Ok(()) => {
                cache.forget(&key);
                cache.prune(&key);
                if let Some(ready) = self.load_entry(cache, &key, fingerprint, true)? {
                    return Ok(self.with_notes(LoadedComponent {
                        compiled: true,
                        ..ready
                    }));
                }
            }
            Err(NotMade::Compile(error)) => {
                if let Some(bound) = error.lasting_bound() {
                    let reason = error.to_string();
                    cache.remember(&key, &Failure { sha256, bound, reason });
                }
                return Err(self.not_compiled(error));
            }
            Err(NotMade::Cache(error)) => self.notes.push(format!(
                "{error}; it is compiled again by each process until that is mended"
            )),
        }
        self.in_memory(component, sha256)
    }

    /// Loads it from the cache, if it is there.
    pub fn if_compiled(mut self, cache: &Cache) -> Result<Option<LoadedComponent>, LoadError> {
        let fingerprint = self.fingerprint()?;
        let key = CacheKey::new(fingerprint);
        let ready = self.load_cached(cache, &key, fingerprint, false)?;
        Ok(ready.map(|ready| self.with_notes(ready)))
    }

    /// Loads it through the cache, and fails if the code is not stored there. Ignores a recorded failure.
    pub fn into_cache(mut self, cache: &Cache) -> Result<Precompiled, LoadError> {
        self.again = true;
        let plugin = self.title.clone();
        let ready = self.load_through(cache)?;
        match ready.cached_size {
            Some(code_size) => Ok(Precompiled {
                notes: ready.notes,
                compiled: ready.compiled,
                sha256: ready.sha256,
                code_size,
            }),
            None => Err(LoadError::NotKept {
                plugin,
                reason: ready.notes.join("; "),
            }),
        }
    }

    fn fingerprint(&self) -> Result<blake3::Hash, LoadError> {
        let fingerprint = self.source.fingerprint(self.limit);
        fingerprint.map_err(|error| self.bad_file(error))
    }

    /// Loads it from the cache. A recorded failure is an error.
    fn load_cached(
        &mut self,
        cache: &Cache,
        key: &CacheKey,
        fingerprint: blake3::Hash,
        note: bool,
    ) -> Result<Option<LoadedComponent>, LoadError> {
        if let Some(ready) = self.load_entry(cache, key, fingerprint, note)? {
            return Ok(Some(ready));
        }
        let failure = cache
            .failure(key)
            .filter(|failure| !self.again && !self.compiler.exceeds(&failure.bound));
        let Some(Failure { sha256, reason, .. }) = failure else {
            return Ok(None);
        };
        self.source.check_pin(&sha256).map_err(|error| self.bad_file(error))?;
        Err(LoadError::Remembered {
            plugin: self.title.clone(),
            reason,
            path: self.source.path(),
        })
    }

    /// Compiles it for this process alone.
    pub fn without_cache(self) -> Result<LoadedComponent, LoadError> {
        let ComponentBytes { bytes, sha256 } = self.read()?;
        self.in_memory(Arc::new(bytes), sha256)
    }

    /// Loads it from the cache, if its entry is there and intact; `note` adds a note if the entry is not.
    fn load_entry(
        &mut self,
        cache: &Cache,
        key: &CacheKey,
        fingerprint: blake3::Hash,
        note: bool,
    ) -> Result<Option<LoadedComponent>, LoadError> {
        let found = cache.find(key).and_then(|entry| {
            let Some(entry) = entry else { return Ok(None) };
            let component = compiled::entry(self.engine, &entry);
            // The error's other levels name the file by a number.
            let component = component.map_err(|error| EntryFlaw::Refused(error.root_cause().to_string()))?;
            Ok(Some(LoadedComponent {
                component,
                notes: Vec::new(),
                compiled: false,
                sha256: entry.sha256().into(),
                fingerprint,
                cached_size: Some(entry.code_size()),
            }))
        });
        match found {
            Ok(Some(ready)) => {
                // The entry was made from exactly these bytes, and has their sha256.
                let pinned = self.source.check_pin(&ready.sha256);
                pinned.map_err(|error| self.bad_file(error))?;
                Ok(Some(ready))
            }
            Ok(None) => Ok(None),
            Err(flaw) => {
                if note {
                    let (path, entry) = (cache.path().display(), key.file_name());
                    self.notes.push(format!(
                        "cache {path}: entry {entry} {flaw}; the component is compiled again"
                    ));
                }
                Ok(None)
            }
        }
    }

    /// Reads the component, and checks what can be checked before compiling.
    fn read(&self) -> Result<ComponentBytes, LoadError> {
        let component = self.source.read(self.limit).map_err(|error| self.bad_file(error))?;
        fit::admit(&self.title, &component.bytes, self.admission)?;
        Ok(component)
    }

    /// Compiles it into the cache.
    fn compile_to_cache(
        &self,
        cache: &Cache,
        key: &CacheKey,
        component: &Arc<Vec<u8>>,
        sha256: &str,
    ) -> Result<(), NotMade> {
        let mut aside = cache.begin(key).map_err(NotMade::Cache)?;
        let keep = |reason| NotMade::Cache(cache.failed("write to", reason));
        match self
            .compiler
            .compile_to(self.engine, component, &mut aside, self.deadline)
        {
            Ok(()) => aside.finish(key, sha256).map_err(keep),
            Err(CompileError::Output(reason)) => Err(keep(reason)),
            Err(error) => Err(NotMade::Compile(error)),
        }
    }

    fn in_memory(self, component: Arc<Vec<u8>>, sha256: String) -> Result<LoadedComponent, LoadError> {
        let compile = || self.compiler.compile(self.engine, &component, self.deadline);
        let (code, compiled) = match self.source {
            ComponentSource::File(_) => compile().map(|code| (Arc::new(code), true)),
            ComponentSource::Builtin(builtin) => builtin.in_memory_or(compile),
        }
        .map_err(|error| self.not_compiled(error))?;
        let ready = self.fresh(&code, blake3::hash(&component), sha256)?;
        Ok(self.with_notes(LoadedComponent { compiled, ..ready }))
    }

    /// Loads code that this process compiled.
    pub fn fresh(
        &self,
        code: &FreshCode,
        fingerprint: blake3::Hash,
        sha256: String,
    ) -> Result<LoadedComponent, LoadError> {
        let component = compiled::fresh(self.engine, code).map_err(|error| LoadError::Code {
            plugin: self.title.clone(),
            reason: format!("{error:#}"),
        })?;
        Ok(LoadedComponent {
            component,
            notes: Vec::new(),
            compiled: false,
            sha256,
            fingerprint,
            cached_size: None,
        })
    }

    fn with_notes(self, ready: LoadedComponent) -> LoadedComponent {
        LoadedComponent {
            notes: self.notes,
            ..ready
        }
    }

    fn bad_file(&self, error: ComponentFileError) -> LoadError {
        let plugin = self.title.clone();
        match error {
            ComponentFileError::TooLarge { limit, .. } => LoadError::TooLarge { plugin, limit },
            reason => LoadError::File { plugin, reason },
        }
    }

    fn not_compiled(&self, error: CompileError) -> LoadError {
        LoadError::not_compiled(self.title.clone(), self.source.path(), error)
    }
}
