//! A build without a queue.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use pipefold::config::{QueueSettings, Sourced};
use pipefold::{Builder, Outlet};

use crate::args::{ForwardArgs, GlobalFlags, QueueArgs};
use crate::commands::trouble::Trouble;

const NONE: &str =
    "this build of pipefold knows no queue, as it was built without the feature `fleet`: use one that has it";

/// Nothing is sent to DX in its place: that was not asked for.
pub(in crate::commands) fn report_into(
    _: Builder,
    queue: &QueueSettings,
    _: Option<&Sourced<PathBuf>>,
) -> Result<Builder, Trouble> {
    Err(none(queue))
}

pub(in crate::commands) fn outlet(
    queue: &QueueSettings,
    _: Option<&Sourced<PathBuf>>,
) -> Result<Arc<dyn Outlet>, Trouble> {
    Err(none(queue))
}

pub(in crate::commands) fn probe(
    _: &QueueSettings,
    _: Option<&Sourced<PathBuf>>,
    _: Duration,
) -> Result<(String, Option<String>), String> {
    Err(NONE.to_owned())
}

pub(in crate::commands) fn forward(_: &GlobalFlags, _: &ForwardArgs) -> anyhow::Result<ExitCode> {
    bail!(NONE)
}

pub(in crate::commands) fn queue(_: &GlobalFlags, _: &QueueArgs) -> anyhow::Result<ExitCode> {
    bail!(NONE)
}

fn none(queue: &QueueSettings) -> Trouble {
    Trouble::input(format!("{}: {NONE}; nothing is sent", queue.url.origin))
}
