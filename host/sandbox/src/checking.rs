//! The check of a policy's settings by the policy itself, when it is loaded (`wit/checking.wit`).

use crate::{
    call::{Call, CallFailure, Callee},
    engine::Core,
    error::LoadError,
    foreign::cut,
    question::Asking,
    types::CHECKING,
};
use serde::Serialize;
use std::{fmt, sync::Arc};
use wasmtime::component::{Component, ComponentType, Lift};

/// Problems of one policy that are kept. An operator mends them one by one.
const MOST_PROBLEMS: usize = 20;
/// Characters of a problem's key, and of its message. A key is the path of a setting, and a message one line.
const MOST_KEY: usize = 100;
const MOST_MESSAGE: usize = 300;

/// A fault in a policy's settings, in the policy's words.
#[derive(ComponentType, Lift, Serialize, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub struct Problem {
    /// The place of the fault: a key of the settings, perhaps with a path below it, such as `rules[2].glob`.
    pub key: String,
    /// The fault and a correct value.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// Has a policy check its settings, if it exports the interface.
///
/// # Errors
/// [`LoadError::Settings`] with its problems; [`LoadError::Unchecked`] if the call failed; [`LoadError::Export`] if the export has another type.
pub fn check(core: &Core, callee: &Callee, component: &Component) -> Result<(), LoadError> {
    if component.get_export_index(None, CHECKING).is_none() {
        return Ok(());
    }
    let export = callee.find::<(), (Vec<Problem>,)>(component, CHECKING, "check")?;
    let call = Call {
        core,
        callee,
        hook: "check",
        next: None,
        // It is in no chain: its own time is over first.
        asking: Arc::new(Asking::new(callee.limits.hook.saturating_mul(2), false)),
    };
    let (called, _) = call.run::<(), (Vec<Problem>,)>(&export, ());
    let (problems,) = called.map_err(CallFailure::into_error).map_err(LoadError::Unchecked)?;
    if problems.is_empty() {
        return Ok(());
    }
    let kept = problems.into_iter().take(MOST_PROBLEMS);
    Err(LoadError::Settings {
        plugin: callee.title(),
        problems: kept
            .map(|problem| Problem {
                key: cut(&problem.key, MOST_KEY),
                message: cut(&problem.message, MOST_MESSAGE),
            })
            .collect(),
    })
}
