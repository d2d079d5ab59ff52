//! Who watches a round.

use super::failure::Failure;
use super::notice::Notice;
use super::round::Gone;
use crate::documents::{Name, PipelineLocator};

/// Is told how a round gets on: a progress bar, a log, or nobody (`()`).
pub trait Observer {
    /// So many pipelines were chosen.
    fn pipelines(&mut self, _count: usize) {}

    /// A pipeline begins.
    fn pipeline(&mut self, _pipeline: &Name) {}

    /// A page of a pipeline's feed was read.
    fn page(&mut self, _pipeline: &Name) {}

    /// A document is asked for.
    fn request(&mut self) {}

    /// A run was looked at, of which so many attempts had something new. None is usual.
    fn run(&mut self, _run: &PipelineLocator, _attempts: usize) {}

    /// Something that people should know about a pipeline, or about one of its runs.
    fn notice(&mut self, _pipeline: &Name, _run: Option<&PipelineLocator>, _notice: &Notice) {}

    /// A pipeline is not listed any more.
    fn gone(&mut self, _gone: &Gone) {}

    /// A pipeline was left before its end. The next round goes on there.
    fn failed(&mut self, _pipeline: &Name, _failure: &Failure) {}
}

impl Observer for () {}
