//! What a host may grant a policy, by name. By default: nothing.
//!
//! - `log` and `config` are interfaces of the contract.
//! - `wasi` is the system interface that guests of many languages are built on, with nothing behind it; `clock`, `random` and `dir` each put
//!   one thing behind it.

mod clock;
mod config;
mod log;
mod wasi;

pub(crate) use log::Meter;
pub use log::{LogLevel, LogSink};
pub use wasi::{Access, Directory, DirectoryError, Wasi};

use crate::{call::State, error::LoadError, fit, plugin::HOOKS};
use std::{collections::BTreeMap, fmt, sync::Arc};
use wasmtime::component::Linker;

pub(crate) use wasi::{MOST_RESOURCES, WasiState};

/// Types alone: importing them asks for nothing.
const TYPES: &str = "pipefold:ci/types@0.1.0";

/// What a policy may use besides its arguments.
#[derive(Clone, Default)]
pub struct Grants {
    /// Where its log lines go; none means that it may not log.
    pub log: Option<LogSink>,
    /// Its own settings; none means that it may not ask.
    pub config: Option<Arc<BTreeMap<String, String>>>,
    /// The system interface WASI, and what is behind it; none means that it may not import it.
    pub wasi: Option<Wasi>,
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Grants {
    /// Names of what is granted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let wasi = self.wasi.as_ref();
        let given = [
            ("log", self.log.is_some()),
            ("config", self.config.is_some()),
            ("wasi", wasi.is_some()),
            ("clock", wasi.is_some_and(|wasi| wasi.clock)),
            ("random", wasi.is_some_and(|wasi| wasi.random)),
            ("dir", wasi.is_some_and(|wasi| wasi.directory.is_some())),
        ];
        given
            .into_iter()
            .filter_map(|(name, is_given)| is_given.then_some(name))
    }

    /// Defines what is granted, and nothing else.
    pub(crate) fn link(&self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        if self.log.is_some() {
            log::link(linker)?;
        }
        if self.config.is_some() {
            config::link(linker)?;
        }
        if self.wasi.is_some() {
            wasi::link(linker)?;
        }
        Ok(())
    }

    /// Names the imports of a component that nothing provides, and the grant that would. Those of another version of the contract are for
    /// its reader to tell of.
    pub(crate) fn check<'a>(
        &self,
        plugin: &str,
        imports: impl Iterator<Item = &'a str>,
        is_policy: bool,
    ) -> Result<(), LoadError> {
        let granted = |import: &str| match need(import) {
            Need::Nothing | Need::OtherVersion => true,
            Need::Next => is_policy,
            Need::Grant(grant) => self.names().any(|name| name == grant),
            Need::Unknown(_) => false,
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
    /// Another version of the contract.
    OtherVersion,
    /// Nothing that there is; the text says so.
    Unknown(&'static str),
}

pub(crate) fn need(import: &str) -> Need {
    match import {
        TYPES => Need::Nothing,
        HOOKS => Need::Next,
        log::INTERFACE => Need::Grant("log"),
        config::INTERFACE => Need::Grant("config"),
        wasi if wasi::provides(wasi) => Need::Grant("wasi"),
        other if fit::version_of(other).is_some_and(|found| found != fit::version()) => Need::OtherVersion,
        wasi if wasi.starts_with("wasi:") => Need::Unknown("no grant of this host provides it"),
        _ => Need::Unknown("nothing provides it"),
    }
}

fn explain(import: &str) -> String {
    let grant = match need(import) {
        Need::Grant(_) if wasi::provides(import) => wasi::advice(import).to_owned(),
        Need::Grant(name) => format!("grant `{name}` to allow it"),
        Need::Next => "only a policy has a next plugin to call".to_owned(),
        Need::Unknown(why) => why.to_owned(),
        Need::Nothing | Need::OtherVersion => "nothing provides it".to_owned(),
    };
    format!("it imports {import}, which is not granted; {grant}")
}
