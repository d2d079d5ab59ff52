//! What a host may grant a policy, by name. By default: nothing.

use crate::{call::State, error::LoadError, plugin::HOOKS};
use std::{collections::BTreeMap, fmt, sync::Arc};
use wasmtime::{
    Engine, StoreContextMut,
    component::{Component, ComponentType, Lift, Linker, Lower},
};

/// The interface for log lines.
const LOG: &str = "pipefold:ci/log@0.1.0";
/// The interface for a policy's own settings.
const CONFIG: &str = "pipefold:ci/config@0.1.0";
/// Types alone: importing them asks for nothing.
const TYPES: &str = "pipefold:ci/types@0.1.0";

/// Lines that one call may write: enough to debug a policy, and no flood in a build log.
const MOST_LINES: u32 = 50;
/// Bytes of one line; the rest of a longer one is cut off.
const LONGEST_LINE: usize = 1 << 10;

/// How much a line matters.
#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[component(enum)]
#[repr(u8)]
pub enum LogLevel {
    /// For the author of the policy.
    #[component(name = "debug")]
    Debug,
    /// For whoever reads along.
    #[component(name = "info")]
    Info,
    /// Something to look at.
    #[component(name = "warn")]
    Warn,
}

/// Takes the lines of a policy: its name, the level and the line, which is foreign text.
pub type LogSink = Arc<dyn Fn(&str, LogLevel, &str) + Send + Sync>;

/// What a policy may use besides its arguments.
#[derive(Clone, Default)]
pub struct Grants {
    /// Where its log lines go; none means that it may not log.
    pub log: Option<LogSink>,
    /// Its own settings; none means that it may not ask.
    pub config: Option<Arc<BTreeMap<String, String>>>,
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Grants {
    /// Names of what is granted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let log = self.log.is_some().then_some("log");
        log.into_iter().chain(self.config.is_some().then_some("config"))
    }

    /// Defines what is granted, and nothing else.
    pub(crate) fn link(&self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        if self.log.is_some() {
            linker.instance(LOG)?.func_wrap("write", write)?;
        }
        if self.config.is_some() {
            linker.instance(CONFIG)?.func_wrap("get", get)?;
        }
        Ok(())
    }

    /// Names the imports of a component that nothing provides, and the grant that would.
    pub(crate) fn check(
        &self,
        plugin: &str,
        component: &Component,
        engine: &Engine,
        is_policy: bool,
    ) -> Result<(), LoadError> {
        let ty = component.component_type();
        self.check_names(plugin, ty.imports(engine).map(|(name, _)| name), is_policy)
    }

    /// The same by the names of the imports.
    pub(crate) fn check_names<'a>(
        &self,
        plugin: &str,
        imports: impl Iterator<Item = &'a str>,
        is_policy: bool,
    ) -> Result<(), LoadError> {
        let granted = |import: &str| {
            (import == TYPES)
                || (import == HOOKS && is_policy)
                || (import == LOG && self.log.is_some())
                || (import == CONFIG && self.config.is_some())
        };
        let missing: Vec<String> = imports.filter(|name| !granted(name)).map(explain).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(LoadError::Import {
            plugin: plugin.into(),
            imports: missing.join("; "),
        })
    }
}

/// What an import takes to be provided.
pub(crate) enum Need {
    /// It asks for nothing.
    Nothing,
    /// A next plugin, which a policy has.
    Next,
    /// The grant of this name.
    Grant(&'static str),
    /// Nothing that there is; the text says so.
    Unknown(&'static str),
}

pub(crate) fn need(import: &str) -> Need {
    match import {
        TYPES => Need::Nothing,
        HOOKS => Need::Next,
        LOG => Need::Grant("log"),
        CONFIG => Need::Grant("config"),
        wasi if wasi.starts_with("wasi:") => Need::Unknown("no grant of this host provides it"),
        _ => Need::Unknown("nothing provides it"),
    }
}

fn explain(import: &str) -> String {
    let grant = match need(import) {
        Need::Grant(name) => format!("grant `{name}` to allow it"),
        Need::Next => "only a policy has a next plugin to call".to_owned(),
        Need::Unknown(why) => why.to_owned(),
        Need::Nothing => "nothing provides it".to_owned(),
    };
    format!("it imports {import}, which is not granted; {grant}")
}

fn write(mut store: StoreContextMut<'_, State>, (level, line): (LogLevel, String)) -> wasmtime::Result<()> {
    let state = store.data_mut();
    let Some(sink) = state.grants.log.clone() else {
        return Ok(());
    };
    state.lines += 1;
    if state.lines > MOST_LINES {
        return Ok(());
    }
    let end = (0..=LONGEST_LINE.min(line.len()))
        .rev()
        .find(|end| line.is_char_boundary(*end))
        .unwrap_or(0);
    sink(&state.plugin, level, &line[..end]);
    if state.lines == MOST_LINES {
        sink(&state.plugin, LogLevel::Warn, "further lines of this call are left out");
    }
    Ok(())
}

fn get(store: StoreContextMut<'_, State>, (key,): (String,)) -> wasmtime::Result<(Option<String>,)> {
    Ok((store
        .data()
        .grants
        .config
        .as_ref()
        .and_then(|table| table.get(&key).cloned()),))
}
