//! The new dialect's feed, in the order of the pipeline's counter: new runs, and the daily walk through all of it.

use std::collections::BTreeSet;

use super::assemble::Wanted;
use super::failure::{Failure, Halt, tolerated};
use super::look::links;
use super::seen;
use super::session::{MAX_MARKS, MAX_PAGES, PAGE, Session};
use super::state::{FullWalk, PipelineState, SPAN, Stretch};
use crate::documents::{Counter, PipelineLocator, StageEntry, StageFeed};
use crate::{Resource, read};

impl Session<'_, '_> {
    /// Reads what is new, polls runs that may change, and walks through the whole feed if it is time.
    pub fn new_feed(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        let now = self.now.timestamp();
        let every = self.options.full_walk_every.num_seconds();
        let is_time = state
            .new
            .walked
            .is_none_or(|walked| now.saturating_sub(walked) >= every);
        // A walk that did not get to its first page starts now.
        if is_time && state.new.walk.is_none_or(|walk| walk.before.is_none()) {
            state.new.walk = Some(FullWalk {
                began: now,
                before: None,
            });
        }
        let first = self.top(state)?;
        // A part that cannot be read does not keep the others from it.
        let mut failure = tolerated(self.news(state))?;
        failure = failure.or(tolerated(self.full_walk(state, first))?);
        failure = failure.or(tolerated(self.poll(state))?);
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Reads the first page: its new runs, and how far back new runs go.
    fn top(&mut self, state: &mut PipelineState) -> Result<StageFeed, Halt> {
        let page = self.page(None)?;
        self.check_restart(state, &page, true)?;
        let Some((oldest, newest)) = range(&page) else {
            return Ok(page);
        };
        let newest = newest.max(state.newest);
        let marks: Vec<u64> = page.entries.iter().map(seen::of_entry).collect();
        let known = std::mem::replace(&mut state.newest, newest);
        // The first walk is about to read all of this.
        let is_first = known == 0 && matches!(state.new.walk, Some(FullWalk { before: None, .. }));
        if !is_first {
            let seen: BTreeSet<u64> = state.new.marks.iter().copied().collect();
            let is_news = |(place, (entry, mark)): &(usize, (&StageEntry, &u64))| {
                let is_new = entry.stage.pipeline.counter.get() > known || *place < MAX_MARKS && !seen.contains(mark);
                is_new && !self.is_before_since(entry)
            };
            let news = page.entries.iter().zip(&marks).enumerate().filter(is_news);
            let counters = descending(news.map(|(_, (entry, _))| entry));
            if let Err(halt) = self.read_runs(state, counters, &page) {
                state.newest = known;
                return Err(halt);
            }
            if oldest > known {
                // The rest of earlier new runs is below.
                let floor = state.new.news.map_or(known, |news| news.floor.min(known));
                state.new.news = Some(Stretch { before: oldest, floor });
            }
        }
        state.new.marks = marks.into_iter().take(MAX_MARKS).collect();
        Ok(page)
    }

    /// Reads the new runs behind the first page.
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
            self.read_runs(state, counters, &page)?;
            state.new.news = range(&page)
                .filter(|(oldest, _)| *oldest > floor && !is_end)
                .map(|(oldest, _)| Stretch { before: oldest, floor });
        }
        Err(Failure::TooManyPages(MAX_PAGES).into())
    }

    fn read_runs(&mut self, state: &mut PipelineState, counters: Vec<Counter>, page: &StageFeed) -> Result<(), Halt> {
        for counter in counters {
            self.read_run(state, Wanted::on_page(counter, &page.entries))?;
        }
        Ok(())
    }

    /// Returns a page, none of whose runs is from above it.
    fn page_below(&mut self, before: u64) -> Result<StageFeed, Halt> {
        let page = self.page(Some(before))?;
        match range(&page) {
            Some((_, found)) if found >= before => Err(Failure::PageAstray { before, found }.into()),
            _ => Ok(page),
        }
    }
}

/// Returns the lowest and the highest counter on a page; `None` if it is empty.
fn range(page: &StageFeed) -> Option<(u64, u64)> {
    let newest = page
        .entries
        .iter()
        .map(|entry| entry.stage.pipeline.counter.get())
        .max()?;
    Some((page.oldest_counter()?, newest))
}

/// Returns the runs of entries, the newest first.
fn descending<'e>(entries: impl Iterator<Item = &'e StageEntry>) -> Vec<Counter> {
    let mut counters: Vec<Counter> = entries.map(|entry| entry.stage.pipeline.counter).collect();
    counters.sort_unstable_by(|one, other| other.cmp(one));
    counters.dedup();
    counters
}

/// A run in the feed that the walk passed.
struct WalkedRun {
    counter: Counter,
    /// The sum of its entries' hashes.
    digest: u64,
    /// True if one of its entries is from after the time that the operator set.
    is_wanted: bool,
}

impl Session<'_, '_> {
    /// Starts the walk or continues it, to the end of the feed.
    ///
    /// A page's last run may have more entries than the page shows, and `next` leads past these. So the next page starts with that run
    /// again, and a run is counted on the page that shows it whole. A run that fills a page by itself is not counted so; its own document
    /// replaces its entries.
    fn full_walk(&mut self, state: &mut PipelineState, first: StageFeed) -> Result<(), Halt> {
        let Some(walk) = state.new.walk else {
            return Ok(());
        };
        let mut before = walk.before;
        let mut pending: Vec<WalkedRun> = Vec::new();
        let mut last: Option<WalkedRun> = None;
        for _ in 0..MAX_PAGES {
            let page = match before {
                Some(before) => self.page_below(before)?,
                None => first.clone(),
            };
            let range = range(&page);
            // If the next page does not have the run, the last page had all of it.
            let is_there = |run: &WalkedRun| range.is_some_and(|(_, newest)| newest == run.counter.get());
            let mut passed: Vec<WalkedRun> = last.take().into_iter().filter(|run| !is_there(run)).collect();
            for counter in descending(page.entries.iter()) {
                passed.push(self.passed(&page, counter)?);
            }
            let Some((oldest, newest)) = range else {
                self.gather(state, walk, &mut pending, passed)?;
                return self.arrive(state, walk, &pending);
            };
            if oldest != newest {
                last = passed.pop();
            }
            self.gather(state, walk, &mut pending, passed)?;
            if page.entries.iter().all(|entry| self.is_before_since(entry)) {
                return self.arrive(state, walk, &pending);
            }
            before = Some(if oldest == newest {
                oldest
            } else {
                oldest.saturating_add(1)
            });
        }
        Err(Failure::TooManyPages(MAX_PAGES).into())
    }

    /// Adds runs to those of the current span, and reads the span's changes once it is whole.
    fn gather(
        &mut self,
        state: &mut PipelineState,
        walk: FullWalk,
        pending: &mut Vec<WalkedRun>,
        passed: Vec<WalkedRun>,
    ) -> Result<(), Halt> {
        for run in passed {
            let span = run.counter.get() / SPAN;
            if pending.last().is_some_and(|last| last.counter.get() / SPAN != span) {
                self.span(state, pending)?;
                pending.clear();
                state.new.walk = Some(FullWalk {
                    before: Some((span + 1) * SPAN),
                    ..walk
                });
                self.save(state)?;
            }
            pending.push(run);
        }
        Ok(())
    }

    /// Ends the walk.
    fn arrive(&mut self, state: &mut PipelineState, walk: FullWalk, pending: &[WalkedRun]) -> Result<(), Halt> {
        self.span(state, pending)?;
        state.new.walk = None;
        state.new.walked = Some(walk.began);
        self.save(state)
    }

    /// Returns a page's summary of a run.
    fn passed(&mut self, page: &StageFeed, counter: Counter) -> Result<WalkedRun, Halt> {
        let mut marks: Vec<u64> = Vec::new();
        let mut is_wanted = false;
        for entry in page
            .entries
            .iter()
            .filter(|entry| entry.stage.pipeline.counter == counter)
        {
            is_wanted |= !self.is_before_since(entry);
            marks.push(seen::of_entry(entry));
        }
        let is_cut = marks.len() >= PAGE;
        marks.sort_unstable();
        marks.dedup();
        let mut digest = marks.into_iter().fold(0, u64::wrapping_add);
        if is_cut {
            let run = PipelineLocator {
                name: self.pipeline.clone(),
                counter,
            };
            is_wanted = true;
            if let Ok(pipeline) = self.document(&Resource::Pipeline(run), read::pipeline)? {
                digest = links(&pipeline.stage_resources());
            }
        }
        Ok(WalkedRun {
            counter,
            digest,
            is_wanted,
        })
    }

    /// Reads the runs of a span that changed.
    fn span(&mut self, state: &mut PipelineState, runs: &[WalkedRun]) -> Result<(), Halt> {
        let Some(first) = runs.first() else {
            return Ok(());
        };
        let span = first.counter.get() / SPAN;
        let digest = runs.iter().map(|run| run.digest).fold(0, u64::wrapping_add);
        if state.new.spans.get(&span) == Some(&digest) {
            return Ok(());
        }
        for run in runs.iter().filter(|run| run.is_wanted) {
            let counter = run.counter.get();
            let is_known = state.runs.get(&counter).is_some_and(|known| known.seen == run.digest)
                || state.new.looked.get(&counter) == Some(&run.digest);
            if is_known {
                continue;
            }
            self.read_run(state, Wanted::new(run.counter))?;
            state.new.looked.insert(counter, run.digest);
            self.save_now_and_then(state)?;
        }
        state.new.looked.clear();
        state.new.spans.insert(span, digest);
        Ok(())
    }
}
