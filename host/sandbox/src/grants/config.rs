//! The grant `config`: a policy's own settings, and no one else's.

use crate::call::State;
use wasmtime::{StoreContextMut, component::Linker};

/// The interface for a policy's own settings.
pub(super) const INTERFACE: &str = "pipefold:ci/config@0.1.0";

/// Defines the interface.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.func_wrap("get", get)
}

fn get(store: StoreContextMut<'_, State>, (key,): (String,)) -> wasmtime::Result<(Option<String>,)> {
    Ok((store
        .data()
        .grants
        .config
        .as_ref()
        .and_then(|table| table.get(&key).cloned()),))
}
