//! The feed of a pipeline's completed stages.

use super::{StageEntry, Timestamp};
use crate::Resource;
use crate::address::Href;

/// A page of a pipeline's feed: at most 25 stages that have ended, the last first. An empty page ends the feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageFeed {
    /// The pipeline's name; in dialect B the word `Stages`.
    pub title: Option<String>,
    /// The feed's address, the same on every page.
    pub id: Option<Href>,
    /// Who made the feed: `Go`.
    pub author: Option<String>,
    /// When the first entry was updated; on an empty page the time of the answer, so never a sign of news.
    pub updated: Option<Timestamp>,
    /// The feed's address, the same on every page.
    pub self_link: Option<Href>,
    /// The next, older page. In dialect D it leaves out the rest of the last run on this page: ask with [`StageFeed::oldest_counter`]
    /// there.
    pub next: Option<Href>,
    /// The previous, newer page. No server of a dialect that is read gives one.
    pub previous: Option<Href>,
    /// The entries.
    pub entries: Vec<StageEntry>,
}

impl StageFeed {
    /// The cursor of the next page as its link has it. None if there is no such link, or one that leads elsewhere than to a feed.
    #[must_use]
    pub fn next_before(&self) -> Option<u64> {
        match self.next.as_ref()?.resource()? {
            Resource::StageFeed { before, .. } => before,
            _ => None,
        }
    }

    /// The pipeline's counter of the oldest run on the page, by counter.
    #[must_use]
    pub fn oldest_counter(&self) -> Option<u64> {
        self.entries
            .iter()
            .map(|entry| entry.stage.pipeline.counter.get())
            .min()
    }
}
