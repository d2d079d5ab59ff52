//! The grant `log`: lines for whoever reads the build's log.

use crate::call::State;
use std::sync::Arc;
use wasmtime::{
    StoreContextMut,
    component::{ComponentType, Lift, Linker, Lower},
};

/// The interface for log lines.
pub(super) const INTERFACE: &str = "pipefold:ci/log@0.1.0";

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

/// Defines the interface.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.func_wrap("write", write)
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
    sink(&state.link, level, &line[..end]);
    if state.lines == MOST_LINES {
        sink(&state.link, LogLevel::Warn, "further lines of this call are left out");
    }
    Ok(())
}
