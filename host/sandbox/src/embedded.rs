//! The default component, compiled ahead of time by this crate's build script and embedded in the binary.

use crate::{compiled, error::LoadError, fit::Role};
use wasmtime::{Engine, component::Component};

/// How messages name the default plugin.
pub(crate) const NAME: &str = "default";

/// Hexadecimal sha256 of the component file from which the embedded code was compiled.
pub const DEFAULT_COMPONENT_SHA256: &str = env!("PIPEFOLD_COMPONENT_SHA256");

/// Size in bytes of the component file from which the embedded code was compiled.
pub const DEFAULT_COMPONENT_SIZE: &str = env!("PIPEFOLD_COMPONENT_SIZE");

/// The compiled code as it is embedded, for tests that look at what CPU it needs.
#[doc(hidden)]
#[must_use]
pub fn default_compiled_code() -> &'static [u8] {
    compiled::bytes()
}

pub(crate) fn component(engine: &Engine) -> Result<Component, LoadError> {
    compiled::embedded(engine).map_err(|error| LoadError::Code {
        plugin: Role::Plugin.title(NAME),
        reason: format!("{error:#}"),
    })
}
