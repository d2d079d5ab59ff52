//! What is asked of a plugin: a hook and its argument.

use crate::types::Notification;

/// A hook and what it is asked.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// A run begins.
    PipelineStart(&'a Notification),
    /// A step began or ended.
    Step(&'a Notification),
    /// A run ended; every notification of it that is known, in any order.
    PipelineFinish(&'a [Notification]),
}

impl Question<'_> {
    /// Name of the hook, as the contract spells it.
    #[must_use]
    pub fn hook(&self) -> &'static str {
        match self {
            Self::PipelineStart(_) => "pipeline-start",
            Self::Step(_) => "step",
            Self::PipelineFinish(_) => "pipeline-finish",
        }
    }

    /// The notifications that are asked about.
    #[must_use]
    pub fn notifications(&self) -> &[Notification] {
        match self {
            Self::PipelineStart(event) | Self::Step(event) => std::slice::from_ref(*event),
            Self::PipelineFinish(history) => history,
        }
    }
}
