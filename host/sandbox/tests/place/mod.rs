//! A folder with a policy's file and a cache, and loading from them.
#![allow(dead_code, reason = "not every test file asks everything")]

use crate::guests;
use pipefold_sandbox::{
    Cache, Chain, Compiler, ComponentFile, Limits, LoadError, LoadedPolicy, Notification, Policy, Question, Sandbox,
    Verdict,
};
use std::{fs, path::PathBuf};
use tempfile::TempDir;

pub const FORWARD: &str = "(call $next (local.get 0) (i32.const 1024)) (i32.const 1024)";
/// A verdict by itself: hold.
pub const HOLD: &str = "(i32.store8 (i32.const 1032) (i32.const 1)) (i32.const 1024)";

pub struct Place {
    pub folder: TempDir,
    pub sandbox: Sandbox,
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            sandbox: Sandbox::new(Limits::default()).unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn cache(&self) -> Cache {
        Cache::open(&self.path("cache")).unwrap()
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> ComponentFile {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name).into()
    }

    pub fn policy(&self) -> ComponentFile {
        self.write("policy.wasm", &guests::policy(FORWARD, "", ""))
    }

    pub fn load(&self, file: &ComponentFile, compiler: &Compiler) -> Result<LoadedPolicy, LoadError> {
        self.sandbox
            .policy(&Policy::new("p"), file, Some(&self.cache()), compiler)
    }

    pub fn load_here(&self, file: &ComponentFile) -> LoadedPolicy {
        self.load(file, &Compiler::Here).unwrap()
    }

    pub fn error(&self, file: &ComponentFile, compiler: &Compiler) -> String {
        match self.load(file, compiler) {
            Ok(loaded) => panic!("it was loaded; {:?}", loaded.notes),
            Err(error) => error
                .to_string()
                .replace(&self.folder.path().display().to_string(), "FOLDER"),
        }
    }

    /// The entries of the cache.
    pub fn entries(&self) -> Vec<PathBuf> {
        let mut entries: Vec<PathBuf> = fs::read_dir(self.path("cache"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
            .collect();
        entries.sort();
        entries
    }

    pub fn step(&self, loaded: LoadedPolicy) -> Verdict {
        let chain = Chain::new(vec![loaded.link], self.sandbox.default_plugin().unwrap()).unwrap();
        let event = Notification {
            pipeline_name: Some("build".into()),
            pipeline_source: Some("Tekton".into()),
            reference_id: Some("r/1".into()),
            started_at: Some("2025-01-01T12:05:00Z".into()),
            urgent: true,
            ..Notification::default()
        };
        chain.ask(&Question::Step(&event)).unwrap()
    }
}
