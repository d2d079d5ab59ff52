//! The grants of a policy, by name. By default it has none.
//!
//! - `log` and `config` are interfaces of the contract.
//! - `wasi` is the system interface that guests of many languages need, without access to the system; `clock`, `random` and `dir` each add one
//!   kind of access.

mod log;
mod wasi;

pub use log::LineMeter;
pub use log::{LogLevel, LogSink};
pub use wasi::MOST_RESOURCES;
pub use wasi::{Access, Directory, DirectoryError, Wasi};

use crate::{
    error::LoadError,
    types::{HOOKS, version, version_of},
};
use std::{collections::BTreeMap, fmt, sync::Arc};
use wasi::WasiState;
use wasmtime::{StoreContextMut, component::Linker};
use wasmtime_wasi::{WasiCtxView, WasiView};

/// The interface of types alone, which needs no grant.
const TYPES: &str = "pipefold:ci/types@0.2.0";

/// The access of a policy besides its arguments.
#[derive(Clone, Default)]
pub struct Grants {
    /// The sink of its log lines; `None` if it may not log.
    pub log: Option<LogSink>,
    /// Its settings; `None` if it may not read any.
    pub config: Option<Arc<BTreeMap<String, String>>>,
    /// The access behind the system interface WASI; `None` if it may not import WASI.
    pub wasi: Option<Wasi>,
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Grants {
    /// The names of the grants.
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

    /// Defines the granted interfaces, and no others.
    pub(crate) fn link<T: HasGrants>(&self, linker: &mut Linker<T>) -> wasmtime::Result<()> {
        if self.log.is_some() {
            log::link(linker)?;
        }
        if self.config.is_some() {
            link_config(linker)?;
        }
        if self.wasi.is_some() {
            wasi::link(linker)?;
        }
        Ok(())
    }

    /// Checks that all imports of a component are provided. Those of another version of the contract pass here, and are reported elsewhere.
    ///
    /// # Errors
    /// [`LoadError::Import`] with the missing imports, and the grant that would allow each.
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

/// The condition for an import to be provided.
pub enum Need {
    /// None.
    Nothing,
    /// A next plugin, which only policies have.
    Next,
    /// The grant of this name.
    Grant(&'static str),
    /// Another version of the contract.
    OtherVersion,
    /// None that can be met; with the reason.
    Unknown(&'static str),
}

pub fn need(import: &str) -> Need {
    match import {
        TYPES => Need::Nothing,
        HOOKS => Need::Next,
        log::INTERFACE => Need::Grant("log"),
        CONFIG => Need::Grant("config"),
        wasi if wasi::provides(wasi) => Need::Grant("wasi"),
        other if version_of(other).is_some_and(|found| found != version()) => Need::OtherVersion,
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

/// A host's state that has the grants of the called link.
pub trait HasGrants: WasiView + 'static {
    /// The grants of the called link.
    fn granted(&mut self) -> &mut GrantState;
}

/// The grants in one call, and the resources held by it.
pub struct GrantState {
    /// The link's name.
    link: Arc<str>,
    grants: Grants,
    /// The call's state of the system interface, created at the first use.
    wasi: Option<Box<WasiState>>,
    /// The meter of its log lines.
    meter: Arc<LineMeter>,
}

impl GrantState {
    pub fn new(link: &Arc<str>, grants: &Grants, meter: &Arc<LineMeter>) -> Self {
        Self {
            link: Arc::clone(link),
            grants: grants.clone(),
            wasi: None,
            meter: Arc::clone(meter),
        }
    }

    /// The call's state of the system interface; created at the first use, so that a policy without the grant does not pay for it.
    fn wasi(&mut self) -> &mut WasiState {
        let granted = &self.grants.wasi;
        self.wasi
            .get_or_insert_with(|| Box::new(WasiState::new(&granted.clone().unwrap_or_default())))
    }

    /// The system interface of the call, for wasmtime.
    pub fn wasi_view(&mut self) -> WasiCtxView<'_> {
        self.wasi().view()
    }
}

/// The interface for a policy's settings.
const CONFIG: &str = "pipefold:ci/config@0.2.0";

/// Defines the interface `config`.
fn link_config<T: HasGrants>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.instance(CONFIG)?.func_wrap("get", get_config::<T>)
}

fn get_config<T: HasGrants>(
    mut store: StoreContextMut<'_, T>,
    (key,): (String,),
) -> wasmtime::Result<(Option<String>,)> {
    Ok((store
        .data_mut()
        .granted()
        .grants
        .config
        .as_ref()
        .and_then(|table| table.get(&key).cloned()),))
}
