//! A fleet's queue: reporting into it, its creation and check, and forwarding from it.
//!
//! All of it needs the feature `fleet`. Without it, every request for a queue is an error.

#[cfg(feature = "fleet")]
mod forward;
#[cfg(feature = "fleet")]
mod queue;

#[cfg(feature = "fleet")]
pub use self::{
    forward::forward,
    queue::{probe, queue, report_into},
};

#[cfg(all(feature = "fleet", feature = "collector"))]
pub use self::queue::outlet;

#[cfg(not(feature = "fleet"))]
pub use self::without_queue::{forward, probe, queue, report_into};

#[cfg(all(not(feature = "fleet"), feature = "collector"))]
pub use self::without_queue::outlet;

#[cfg(not(feature = "fleet"))]
mod without_queue {
    use std::path::PathBuf;
    use std::process::ExitCode;
    use std::time::Duration;

    use anyhow::bail;
    use pipefold::Builder;
    use pipefold::config::{QueueSettings, Sourced};

    use crate::args::{ForwardArgs, GlobalFlags, QueueArgs};
    use crate::commands::diagnostic::Diagnostic;

    const NO_QUEUE: &str =
        "this build of pipefold knows no queue, as it was built without the feature `fleet`: use one that has it";

    /// An error. Nothing is sent to DX instead: the user named a queue.
    pub fn report_into(_: Builder, queue: &QueueSettings, _: Option<&Sourced<PathBuf>>) -> Result<Builder, Diagnostic> {
        Err(no_queue(queue))
    }

    #[cfg(feature = "collector")]
    pub fn outlet(
        queue: &QueueSettings,
        _: Option<&Sourced<PathBuf>>,
    ) -> Result<std::sync::Arc<dyn pipefold::Outlet>, Diagnostic> {
        Err(no_queue(queue))
    }

    pub fn probe(
        _: &QueueSettings,
        _: Option<&Sourced<PathBuf>>,
        _: Duration,
    ) -> Result<(String, Option<String>), String> {
        Err(NO_QUEUE.to_owned())
    }

    pub fn forward(_: &GlobalFlags, _: &ForwardArgs) -> anyhow::Result<ExitCode> {
        bail!(NO_QUEUE)
    }

    pub fn queue(_: &GlobalFlags, _: &QueueArgs) -> anyhow::Result<ExitCode> {
        bail!(NO_QUEUE)
    }

    fn no_queue(queue: &QueueSettings) -> Diagnostic {
        Diagnostic::input(format!("{}: {NO_QUEUE}; nothing is sent", queue.url.origin))
    }
}
