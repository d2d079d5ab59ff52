//! Completed runs in the orders of the GoCD feeds.

/// Which page of a pipeline's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedQuery {
    /// The pipeline, as it is spelt.
    pub pipeline: String,
    /// By what the runs are ordered, greatest first.
    pub order: FeedOrder,
    /// Only those below; `None` for the first page.
    pub before: Option<u64>,
    /// How many at most. GoCD's pages have 25.
    pub limit: u16,
}

/// What a feed is ordered by, and what its cursor means. Both are exclusive, and strictly descending along the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedOrder {
    /// By [`RunSummary::completion`](super::RunSummary::completion), as up to GoCD 20.3: what changes comes to the top.
    Completion,
    /// By [`RunSummary::counter`](super::RunSummary::counter), as since GoCD 20.1.
    Counter,
}
