//! The old dialect's feed, in the order of completion: new entries are at its top.

use std::collections::BTreeSet;

use super::assemble::Wanted;
use super::failure::{Failure, Halt, tolerated};
use super::seen;
use super::session::{MAX_MARKS, MAX_PAGES, PAGE, Session};
use super::state::{Gap, PipelineState};
use crate::Resource;
use crate::documents::{StageEntry, StageFeed};

/// The most stretches that are kept apart. A second one comes of being stopped again before the first was read; more than these are read as
/// one.
const MAX_GAPS: usize = 8;

/// The most runs that are remembered as read within a walk. Entries of a run are close together.
const MAX_LOOKED: usize = 4096;

/// A page's part of the walk.
struct PassedPage {
    /// The hashes of its entries.
    marks: Vec<u64>,
    /// True if the entries behind it are known, or too old, or none.
    is_end: bool,
}

impl Session<'_, '_> {
    /// Reads what is new, then the stretches that were not read to their end.
    pub fn old_feed(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        let mut looked = BTreeSet::new();
        let page = self.page(None)?;
        let is_back = is_back(state, &page);
        self.check_restart(state, &page, is_back)?;
        let until = state.old.marks.clone();
        let passed = self.pass(state, None, &page, &until, &mut looked)?;
        state.old.looked.clear();
        state.old.marks = passed.marks.iter().copied().take(MAX_MARKS).collect();
        state.old.cursor = page.next_before().or(state.old.cursor);
        if let (false, Some(before)) = (passed.is_end, page.next_before()) {
            let looked = Vec::new();
            state.old.gaps.push(Gap { before, until, looked });
            join(&mut state.old.gaps);
        }
        self.save_if_walking(state)?;
        self.gaps(state, passed.marks, &mut looked)
    }

    /// The first page alone is saved with what follows it: a round without news writes nothing.
    fn save_if_walking(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        if state.old.gaps.is_empty() {
            Ok(())
        } else {
            self.save(state)
        }
    }

    /// Reads the stretches that are left, the newest first. An unreadable one does not keep the others from it.
    fn gaps(&mut self, state: &mut PipelineState, first: Vec<u64>, looked: &mut BTreeSet<u64>) -> Result<(), Halt> {
        let mut failure = None;
        for place in (0..state.old.gaps.len()).rev() {
            failure = failure.or(tolerated(self.gap(state, place, first.clone(), looked))?);
        }
        state.old.gaps.retain(|gap| gap.before > 0);
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Reads a stretch. A finished one has the cursor 0.
    fn gap(
        &mut self,
        state: &mut PipelineState,
        place: usize,
        mut previous: Vec<u64>,
        looked: &mut BTreeSet<u64>,
    ) -> Result<(), Halt> {
        for _ in 0..MAX_PAGES {
            let Some(Gap { before, until, .. }) = state.old.gaps.get(place).cloned() else {
                return Ok(());
            };
            if before == 0 {
                return Ok(());
            }
            let page = self.page(Some(before))?;
            let passed = self.pass(state, Some(place), &page, &until, looked)?;
            if !passed.marks.is_empty() && passed.marks == previous {
                return Err(Failure::PageRepeated { before }.into());
            }
            previous = passed.marks;
            let next = match page.next_before() {
                Some(next) if !passed.is_end => next,
                _ => 0,
            };
            if next >= before {
                return Err(Failure::CursorStuck { before, next }.into());
            }
            if let Some(gap) = state.old.gaps.get_mut(place) {
                gap.before = next;
                gap.looked.clear();
            }
            self.save(state)?;
        }
        Err(Failure::TooManyPages(MAX_PAGES).into())
    }

    /// Reads the runs with new entries on a page: the first one, or the next one of a stretch.
    fn pass(
        &mut self,
        state: &mut PipelineState,
        gap: Option<usize>,
        page: &StageFeed,
        until: &[u64],
        looked: &mut BTreeSet<u64>,
    ) -> Result<PassedPage, Halt> {
        let marks: Vec<u64> = page.entries.iter().map(seen::of_entry).collect();
        let counters = page.entries.iter().map(|entry| entry.stage.pipeline.counter.get());
        state.newest = counters.fold(state.newest, u64::max);
        let mut of_newest = page
            .entries
            .iter()
            .filter(|entry| entry.stage.pipeline.counter.get() == state.newest);
        state.old.newest_id = of_newest.find_map(run_id).or(state.old.newest_id);
        let known: BTreeSet<u64> = until.iter().copied().collect();
        // Not the first known entry: a stage that ended again within the same second looks unchanged, and is above what is new.
        let end = marks.iter().rposition(|mark| known.contains(mark));
        let of_interest: Vec<&StageEntry> = page
            .entries
            .iter()
            .zip(&marks)
            .take(end.unwrap_or(marks.len()))
            .filter(|(entry, mark)| !known.contains(mark) && !self.is_before_since(entry))
            .map(|(entry, _)| entry)
            .collect();
        for entry in &of_interest {
            let counter = entry.stage.pipeline.counter;
            if !looked.insert(counter.get()) {
                continue;
            }
            let of_run = page.entries.iter().zip(&marks);
            let of_run: Vec<u64> = of_run
                .filter(|(entry, _)| entry.stage.pipeline.counter == counter)
                .map(|(_, mark)| *mark)
                .collect();
            let known = state.old.looked(gap);
            if of_run.iter().all(|mark| known.contains(mark)) {
                continue;
            }
            self.read_run(state, Wanted::on_page(counter, &page.entries))?;
            state.old.looked(gap).extend(of_run);
            self.save_now_and_then(state)?;
            if looked.len() > MAX_LOOKED {
                looked.pop_last();
            }
        }
        let is_too_old = page.entries.iter().all(|entry| self.is_before_since(entry));
        Ok(PassedPage {
            marks,
            is_end: end.is_some() || is_too_old,
        })
    }
}

/// Returns true if a first page without known entries is that of a restarted feed. It need not be: re-runs of old runs' stages may fill it.
fn is_back(state: &PipelineState, page: &StageFeed) -> bool {
    let before = state.old.cursor.zip(page.next_before());
    // The server's ids start from 1 again.
    before.is_some_and(|(known, next)| next < known)
        // All of a short feed is on its page, and its entries stay there.
        || page.entries.len() < PAGE
        // The pipeline was created again: its runs are younger than those with higher counters.
        || page.entries.iter().any(|entry| {
            let is_lower = entry.stage.pipeline.counter.get() < state.newest;
            is_lower && run_id(entry).zip(state.old.newest_id).is_some_and(|(id, newest)| id > newest)
        })
}

/// Returns the database id of an entry's run.
fn run_id(entry: &StageEntry) -> Option<u64> {
    match entry.pipeline_link()?.resource()? {
        Resource::PipelineById { id, .. } => Some(id),
        _ => None,
    }
}

/// Keeps the number of stretches within its bound by joining the newest two, which reads what is between them once more.
fn join(gaps: &mut Vec<Gap>) {
    while gaps.len() > MAX_GAPS {
        let Some(newest) = gaps.pop() else { return };
        if let Some(gap) = gaps.last_mut() {
            gap.before = newest.before;
            gap.looked = newest.looked;
        }
    }
}
