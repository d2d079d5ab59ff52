//! A walk through all of dialect D's feed, by spans of counters: one in which no entry changed is passed over.

use super::assemble::Wanted;
use super::failure::Failure;
use super::hash;
use super::look::links;
use super::new_feed::{descending, range};
use super::old_feed::MAX_PAGES;
use super::server::Halt;
use super::session::Session;
use super::state::{FullWalk, PipelineState};
use crate::documents::{Counter, PipelineLocator, StageFeed};
use crate::{Resource, read};

/// How many counters make a span: the state of 20,000 runs has 313 digests, and a re-run of an old one has at most as many looked at.
pub(super) const SPAN: u64 = 64;

/// How many entries a page has in every version. A run that fills one may have more.
pub(super) const PAGE: usize = 25;

/// A run in the feed.
struct Passed {
    counter: Counter,
    /// Its entries in sum.
    digest: u64,
    /// Whether one of them is from after the time that the operator set.
    is_wanted: bool,
}

impl Session<'_, '_> {
    /// Begins the walk or goes on with it, to the end of the feed.
    ///
    /// A page's last run may have more entries than it shows, and `next` leads past these. So the next page begins with that run again, and a
    /// run is counted where it is shown whole. One that fills a page by itself is not; its own document stands for its entries.
    pub(super) fn full_walk(&mut self, state: &mut PipelineState, first: StageFeed) -> Result<(), Halt> {
        let Some(walk) = state.new.walk else {
            return Ok(());
        };
        let mut before = walk.before;
        let mut pending: Vec<Passed> = Vec::new();
        let mut last: Option<Passed> = None;
        for _ in 0..MAX_PAGES {
            let page = match before {
                Some(before) => self.page_below(before)?,
                None => first.clone(),
            };
            let range = range(&page);
            // If the next page does not have it, what the last one had of it is all there is.
            let is_there = |run: &Passed| range.is_some_and(|(_, newest)| newest == run.counter.get());
            let mut passed: Vec<Passed> = last.take().into_iter().filter(|run| !is_there(run)).collect();
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

    /// Adds runs to those of the span that is being read, and looks at it once it is whole.
    fn gather(
        &mut self,
        state: &mut PipelineState,
        walk: FullWalk,
        pending: &mut Vec<Passed>,
        passed: Vec<Passed>,
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

    /// The end of the feed.
    fn arrive(&mut self, state: &mut PipelineState, walk: FullWalk, pending: &[Passed]) -> Result<(), Halt> {
        self.span(state, pending)?;
        state.new.walk = None;
        state.new.walked = Some(walk.began);
        self.save(state)
    }

    /// What a page has of a run.
    fn passed(&mut self, page: &StageFeed, counter: Counter) -> Result<Passed, Halt> {
        let mut marks: Vec<u64> = Vec::new();
        let mut is_wanted = false;
        for entry in page
            .entries
            .iter()
            .filter(|entry| entry.stage.pipeline.counter == counter)
        {
            is_wanted |= !self.is_before_since(entry);
            marks.push(hash::of_entry(entry));
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
        Ok(Passed {
            counter,
            digest,
            is_wanted,
        })
    }

    /// Looks at the runs of a span in which something changed.
    fn span(&mut self, state: &mut PipelineState, runs: &[Passed]) -> Result<(), Halt> {
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
            self.look(state, Wanted::new(run.counter))?;
            state.new.looked.insert(counter, run.digest);
            self.save_now_and_then(state)?;
        }
        state.new.looked.clear();
        state.new.spans.insert(span, digest);
        Ok(())
    }
}
