//! From a component's file to something that can be called, compiled at most once.

use crate::{
    cache::{Cache, CacheError, Flaw, Key, Lock},
    compile::{CompileError, Compiler},
    compiled,
    component_file::{ComponentBytes, ComponentFile, ComponentFileError},
    error::LoadError,
    inspect, outline,
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
        let check = |imports: &[String]| {
            let imports = imports.iter().map(String::as_str);
            policy.grants.check_names(&policy.name, imports, true)
        };
        let loading = Loading {
            engine: &self.core().engine,
            name: &policy.name,
            file,
            limit: policy.limits.component_size,
            compiler,
            check: &check,
            notes: Vec::new(),
        };
        let ready = match cache {
            Some(cache) => loading.through(cache)?,
            None => loading.without_cache()?,
        };
        Ok(Loaded {
            link: self.policy_link(policy, &ready.component)?,
            notes: ready.notes,
            compiled: ready.compiled,
            sha256: ready.sha256,
        })
    }

    /// Fills a cache: afterwards [`Sandbox::policy`] finds the component there.
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
            name: &name,
            file,
            limit: self.limits().component_size,
            compiler,
            check: &|_| Ok(()),
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
    name: &'a str,
    file: &'a ComponentFile,
    limit: u64,
    compiler: &'a Compiler,
    /// Looks at its imports, before seconds are spent on it.
    check: &'a dyn Fn(&[String]) -> Result<(), LoadError>,
    notes: Vec<String>,
}

impl Loading<'_> {
    fn through(mut self, cache: &Cache) -> Result<Ready, LoadError> {
        let fingerprint = self.file.fingerprint(self.limit);
        let key = Key::new(self.engine, fingerprint.map_err(|error| self.bad_file(error))?);
        if let Some(ready) = self.find(cache, &key, false)? {
            return Ok(self.done(ready));
        }
        let ComponentBytes { bytes, sha256 } = self.read()?;
        // What is compiled is what was read now, whatever the file held a moment ago.
        let key = Key::new(self.engine, blake3::hash(&bytes));
        let lock = cache.lock(&key, self.compiler.time());
        if let Lock::Busy = lock {
            let path = cache.path().display();
            self.notes.push(format!(
                "cache {path}: another process has been compiling this component for too long; compiled it here as well"
            ));
        }
        // Whoever held the lock before may have made it.
        if let Some(ready) = self.find(cache, &key, true)? {
            return Ok(self.done(ready));
        }
        let component = Arc::new(bytes);
        match self.make(cache, &key, &component, &sha256) {
            Ok(()) => {
                cache.prune(&key);
                if let Some(ready) = self.find(cache, &key, true)? {
                    return Ok(self.done(Ready {
                        compiled: true,
                        ..ready
                    }));
                }
            }
            Err(NotMade::Compile(error)) => return Err(self.not_compiled(error)),
            Err(NotMade::Cache(error)) => self.notes.push(format!(
                "{error}; it is compiled again by each process until that is mended"
            )),
        }
        self.in_memory(component, sha256)
    }

    fn without_cache(self) -> Result<Ready, LoadError> {
        let ComponentBytes { bytes, sha256 } = self.read()?;
        self.in_memory(Arc::new(bytes), sha256)
    }

    /// Takes it from the cache, if it is there and as it should be.
    fn find(&mut self, cache: &Cache, key: &Key, note: bool) -> Result<Option<Ready>, LoadError> {
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
        outline::check(&component.bytes).map_err(|refused| LoadError::Code {
            plugin: self.name.into(),
            reason: refused.to_string(),
        })?;
        (self.check)(&inspect::import_names(&component.bytes))?;
        Ok(component)
    }

    /// Compiles it into the cache.
    fn make(&self, cache: &Cache, key: &Key, component: &Arc<Vec<u8>>, sha256: &str) -> Result<(), NotMade> {
        let mut aside = cache.begin(key).map_err(NotMade::Cache)?;
        let keep = |reason| NotMade::Cache(cache.failed("write to", reason));
        match self.compiler.compile_to(self.engine, component, &mut aside) {
            Ok(()) => aside.finish(key, sha256).map_err(keep),
            Err(CompileError::Output(reason)) => Err(keep(reason)),
            Err(error) => Err(NotMade::Compile(error)),
        }
    }

    /// Compiles it for this process alone.
    fn in_memory(self, component: Arc<Vec<u8>>, sha256: String) -> Result<Ready, LoadError> {
        let code = self.compiler.compile(self.engine, &component);
        let code = code.map_err(|error| self.not_compiled(error))?;
        let component = compiled::fresh(self.engine, &code).map_err(|error| LoadError::Code {
            plugin: self.name.into(),
            reason: format!("{error:#}"),
        })?;
        Ok(self.done(Ready {
            component,
            notes: Vec::new(),
            compiled: true,
            sha256,
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
        let plugin = self.name.into();
        match error {
            ComponentFileError::TooLarge { limit, .. } => LoadError::TooLarge { plugin, limit },
            reason => LoadError::File { plugin, reason },
        }
    }

    fn not_compiled(&self, error: CompileError) -> LoadError {
        let plugin = self.name.into();
        match error {
            CompileError::Refused(reason) => LoadError::Code { plugin, reason },
            reason => LoadError::Compile { plugin, reason },
        }
    }
}
