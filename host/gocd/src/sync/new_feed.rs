//! Dialect D's feed: in the order of the pipeline's counter, so that only new runs are at its top. What comes of known ones is asked for run
//! by run while they are open, and found by a walk through all of the feed once a day after that.

use std::collections::BTreeSet;

use super::assemble::Wanted;
use super::failure::Failure;
use super::hash;
use super::old_feed::{MAX_MARKS, MAX_PAGES};
use super::server::{Halt, tolerated};
use super::session::Session;
use super::state::{FullWalk, PipelineState, Stretch};
use crate::documents::{Counter, StageEntry, StageFeed};

impl Session<'_, '_> {
    /// Reads what is new, asks after what is open, and walks through the whole feed if it is time.
    pub(super) fn new_feed(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        let now = self.now.timestamp();
        let every = self.options.full_walk_every.num_seconds();
        let is_time = state
            .new
            .walked
            .is_none_or(|walked| now.saturating_sub(walked) >= every);
        // One that did not get to its first page begins now.
        if is_time && state.new.walk.is_none_or(|walk| walk.before.is_none()) {
            state.new.walk = Some(FullWalk {
                began: now,
                before: None,
            });
        }
        let first = self.top(state)?;
        // What cannot be read does not keep the rest from it.
        let mut failure = tolerated(self.news(state))?;
        failure = failure.or(tolerated(self.full_walk(state, first))?);
        failure = failure.or(tolerated(self.poll(state))?);
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// The first page: runs that it has news of, and how far back new runs go.
    fn top(&mut self, state: &mut PipelineState) -> Result<StageFeed, Halt> {
        let page = self.page(None)?;
        self.check_restart(state, &page, true)?;
        let Some((oldest, newest)) = range(&page) else {
            return Ok(page);
        };
        let newest = newest.max(state.newest);
        let marks: Vec<u64> = page.entries.iter().map(hash::of_entry).collect();
        let known = std::mem::replace(&mut state.newest, newest);
        // The first walk is about to see all of this.
        let is_first = known == 0 && matches!(state.new.walk, Some(FullWalk { before: None, .. }));
        if !is_first {
            let seen: BTreeSet<u64> = state.new.marks.iter().copied().collect();
            let is_news = |(place, (entry, mark)): &(usize, (&StageEntry, &u64))| {
                let is_new = entry.stage.pipeline.counter.get() > known || *place < MAX_MARKS && !seen.contains(mark);
                is_new && !self.is_before_since(entry)
            };
            let news = page.entries.iter().zip(&marks).enumerate().filter(is_news);
            let counters = descending(news.map(|(_, (entry, _))| entry));
            if let Err(halt) = self.look_at(state, counters, &page) {
                state.newest = known;
                return Err(halt);
            }
            if oldest > known {
                // What was left of earlier news is below.
                let floor = state.new.news.map_or(known, |news| news.floor.min(known));
                state.new.news = Some(Stretch { before: oldest, floor });
            }
        }
        state.new.marks = marks.into_iter().take(MAX_MARKS).collect();
        Ok(page)
    }

    /// New runs behind the first page.
    fn news(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        for _ in 0..MAX_PAGES {
            let Some(Stretch { before, floor }) = state.new.news else {
                return Ok(());
            };
            self.save(state)?;
            let page = self.page_below(before)?;
            let is_news =
                |entry: &&StageEntry| entry.stage.pipeline.counter.get() > floor && !self.is_before_since(entry);
            let counters = descending(page.entries.iter().filter(is_news));
            let is_end = counters.is_empty();
            self.look_at(state, counters, &page)?;
            state.new.news = range(&page)
                .filter(|(oldest, _)| *oldest > floor && !is_end)
                .map(|(oldest, _)| Stretch { before: oldest, floor });
        }
        Err(Failure::TooManyPages(MAX_PAGES).into())
    }

    fn look_at(&mut self, state: &mut PipelineState, counters: Vec<Counter>, page: &StageFeed) -> Result<(), Halt> {
        for counter in counters {
            self.look(state, Wanted::on_page(counter, &page.entries))?;
        }
        Ok(())
    }

    /// A page, none of whose runs is from above it.
    pub(super) fn page_below(&mut self, before: u64) -> Result<StageFeed, Halt> {
        let page = self.page(Some(before))?;
        match range(&page) {
            Some((_, found)) if found >= before => Err(Failure::PageAstray { before, found }.into()),
            _ => Ok(page),
        }
    }
}

/// The lowest and the highest counter on a page; none if it is empty.
pub(super) fn range(page: &StageFeed) -> Option<(u64, u64)> {
    let newest = page
        .entries
        .iter()
        .map(|entry| entry.stage.pipeline.counter.get())
        .max()?;
    Some((page.oldest_counter()?, newest))
}

/// The runs of entries, the newest first.
pub(super) fn descending<'e>(entries: impl Iterator<Item = &'e StageEntry>) -> Vec<Counter> {
    let mut counters: Vec<Counter> = entries.map(|entry| entry.stage.pipeline.counter).collect();
    counters.sort_unstable_by(|one, other| other.cmp(one));
    counters.dedup();
    counters
}
