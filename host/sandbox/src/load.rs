//! From a component's file to something that can be called, compiled at most once.

use crate::{
    cache::{Cache, CacheError, Failure, Flaw, Key, Lock},
    compile::{CompileError, Compiler},
    compiled,
    component_file::{ComponentBytes, ComponentFile, ComponentFileError},
    deadline::Deadline,
    error::LoadError,
    fit::{self, Admission, Role},
    plugin::Link,
    policy::Policy,
    sandbox::Sandbox,
};
use std::sync::Arc;
use wasmtime::{Engine, component::Component};

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
        let title = Role::Policy.title(&policy.name);
        let loading = Loading {
            engine: &self.core().engine,
            title: &title,
            file,
            limit: policy.limits.component_size,
            compiler,
            deadline,
            again: false,
            admission: Admission::Policy(&policy.grants),
            notes: Vec::new(),
        };
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
        let loading = Loading {
            engine: &self.core().engine,
            title: &Role::Policy.title(&policy.name),
            file,
            limit: policy.limits.component_size,
            compiler,
            deadline: &Deadline::never(),
            again: false,
            admission: Admission::Policy(&policy.grants),
            notes: Vec::new(),
        };
        let ready = loading.if_compiled(cache)?;
        ready.map(|ready| self.loaded(policy, ready)).transpose()
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
        let loading = Loading {
            engine: &self.core().engine,
            title: &name,
            file,
            limit: self.limits().component_size,
            compiler,
            deadline: &Deadline::never(),
            again: true,
            admission: Admission::Any,
            notes: Vec::new(),
        };
        let ready = loading.through(cache)?;
        match ready.kept {
            Some(code_size) => Ok(Precompiled {
                notes: ready.notes,
                compiled: ready.compiled,
                sha256: ready.sha256,
                code_size,
            }),
            None => Err(LoadError::NotKept {
                plugin: name,
                reason: ready.notes.join("; "),
            }),
        }
    }
}

/// A component that wasmtime has taken.
struct Ready {
    component: Component,
    notes: Vec<String>,
    compiled: bool,
    sha256: String,
    /// The digest by which a cache knows it.
    fingerprint: blake3::Hash,
    /// Bytes of code in the cache, if it is there.
    kept: Option<u64>,
}

/// Why an entry was not made.
enum NotMade {
    Compile(CompileError),
    Cache(CacheError),
}

/// One component on its way.
struct Loading<'a> {
    engine: &'a Engine,
    title: &'a str,
    file: &'a ComponentFile,
    limit: u64,
    compiler: &'a Compiler,
    deadline: &'a Deadline,
    /// It is compiled even if that failed before.
    again: bool,
    /// What it may import, which is looked at before seconds are spent on it.
    admission: Admission<'a>,
    notes: Vec<String>,
}

impl Loading<'_> {
    fn through(mut self, cache: &Cache) -> Result<Ready, LoadError> {
        let fingerprint = self.fingerprint()?;
        let key = Key::new(self.engine, fingerprint);
        if let Some(ready) = self.kept(cache, &key, fingerprint, false)? {
            return Ok(self.done(ready));
        }
        let ComponentBytes { bytes, sha256 } = self.read()?;
        // What is compiled is what was read now, whatever the file held a moment ago.
        let fingerprint = blake3::hash(&bytes);
        let key = Key::new(self.engine, fingerprint);
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
        // Whoever held the lock before may have made it, or have failed to.
        if let Some(ready) = self.kept(cache, &key, fingerprint, true)? {
            return Ok(self.done(ready));
        }
        let component = Arc::new(bytes);
        match self.make(cache, &key, &component, &sha256) {
            Ok(()) => {
                cache.forget(&key);
                cache.prune(&key);
                if let Some(ready) = self.find(cache, &key, fingerprint, true)? {
                    return Ok(self.done(Ready {
                        compiled: true,
                        ..ready
                    }));
                }
            }
            Err(NotMade::Compile(error)) => {
                if let Some(bound) = error.lasts() {
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

    fn if_compiled(mut self, cache: &Cache) -> Result<Option<Ready>, LoadError> {
        let fingerprint = self.fingerprint()?;
        let key = Key::new(self.engine, fingerprint);
        let ready = self.kept(cache, &key, fingerprint, false)?;
        Ok(ready.map(|ready| self.done(ready)))
    }

    fn fingerprint(&self) -> Result<blake3::Hash, LoadError> {
        self.file.fingerprint(self.limit).map_err(|error| self.bad_file(error))
    }

    /// What the cache has of it: its code, or why there is none.
    fn kept(
        &mut self,
        cache: &Cache,
        key: &Key,
        fingerprint: blake3::Hash,
        note: bool,
    ) -> Result<Option<Ready>, LoadError> {
        if let Some(ready) = self.find(cache, key, fingerprint, note)? {
            return Ok(Some(ready));
        }
        let failure = cache
            .failure(key)
            .filter(|failure| !self.again && !self.compiler.exceeds(&failure.bound));
        let Some(Failure { sha256, reason, .. }) = failure else {
            return Ok(None);
        };
        self.file.check_pin(&sha256).map_err(|error| self.bad_file(error))?;
        Err(LoadError::Remembered {
            plugin: self.title.into(),
            reason,
            path: self.file.path().into(),
        })
    }

    fn without_cache(self) -> Result<Ready, LoadError> {
        let ComponentBytes { bytes, sha256 } = self.read()?;
        self.in_memory(Arc::new(bytes), sha256)
    }

    /// Takes it from the cache, if it is there and as it should be.
    fn find(
        &mut self,
        cache: &Cache,
        key: &Key,
        fingerprint: blake3::Hash,
        note: bool,
    ) -> Result<Option<Ready>, LoadError> {
        let found = cache.find(key).and_then(|entry| {
            let Some(entry) = entry else { return Ok(None) };
            let component = compiled::entry(self.engine, &entry);
            // The words around the cause name the file by a number.
            let component = component.map_err(|error| Flaw::Refused(error.root_cause().to_string()))?;
            Ok(Some(Ready {
                component,
                notes: Vec::new(),
                compiled: false,
                sha256: entry.sha256().into(),
                fingerprint,
                kept: Some(entry.code_size()),
            }))
        });
        match found {
            Ok(Some(ready)) => {
                // The entry was made from exactly these bytes, and knows their sha256.
                let pinned = self.file.check_pin(&ready.sha256);
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

    /// Reads the file, and looks at what can be seen without compiling it.
    fn read(&self) -> Result<ComponentBytes, LoadError> {
        let component = self.file.read(self.limit).map_err(|error| self.bad_file(error))?;
        fit::admit(self.title, &component.bytes, self.admission)?;
        Ok(component)
    }

    /// Compiles it into the cache.
    fn make(&self, cache: &Cache, key: &Key, component: &Arc<Vec<u8>>, sha256: &str) -> Result<(), NotMade> {
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

    /// Compiles it for this process alone.
    fn in_memory(self, component: Arc<Vec<u8>>, sha256: String) -> Result<Ready, LoadError> {
        let fingerprint = blake3::hash(&component);
        let code = self.compiler.compile(self.engine, &component, self.deadline);
        let code = code.map_err(|error| self.not_compiled(error))?;
        let component = compiled::fresh(self.engine, &code).map_err(|error| LoadError::Code {
            plugin: self.title.into(),
            reason: format!("{error:#}"),
        })?;
        Ok(self.done(Ready {
            component,
            notes: Vec::new(),
            compiled: true,
            sha256,
            fingerprint,
            kept: None,
        }))
    }

    fn done(self, ready: Ready) -> Ready {
        Ready {
            notes: self.notes,
            ..ready
        }
    }

    fn bad_file(&self, error: ComponentFileError) -> LoadError {
        let plugin = self.title.into();
        match error {
            ComponentFileError::TooLarge { limit, .. } => LoadError::TooLarge { plugin, limit },
            reason => LoadError::File { plugin, reason },
        }
    }

    fn not_compiled(&self, error: CompileError) -> LoadError {
        let plugin = self.title.into();
        match error {
            CompileError::Unfinished => LoadError::Unfinished {
                plugin,
                path: self.file.path().into(),
            },
            CompileError::Refused(reason) => LoadError::Code { plugin, reason },
            reason => LoadError::Compile { plugin, reason },
        }
    }
}
