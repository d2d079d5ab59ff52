//! The rows that are read and not yet behind the position, and what became of those before.

use super::course::{Ended, Watcher};
use super::reading::{Content, Mark, Row};
use super::refusals::Refusals;
use super::sending::{Line, RowOutcome, lock};
use super::state::{Saved, StateFile};
use super::{ImportError, Totals};
use crate::kill_points;
use std::collections::VecDeque;
use std::mem;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The most bytes of rows that are read ahead.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The time after which a wait ends, for the progress and the stop.
const SLICE: Duration = Duration::from_millis(100);

/// The account of an import, shared by its threads.
pub struct Ledger {
    pages: Mutex<Pages>,
    changed: Condvar,
}

struct Pages {
    /// The position: all rows before it are settled.
    at: Mark,
    /// The rows behind the position.
    ahead: VecDeque<Ahead>,
    /// The size of those that are not settled.
    bytes: usize,
    /// The number of rows ahead that [`Ledger::wait_and_show`] waits for.
    awaited: usize,
    totals: Totals,
    state: Option<StateFile>,
    refusals: Option<Refusals>,
    /// Refused rows that the caller has not shown yet.
    news: Vec<(u64, String)>,
}

/// A row that is not behind the position.
struct Ahead {
    line: u64,
    end: Mark,
    /// Its content, until it is settled.
    content: Option<Content>,
}

impl Ledger {
    pub fn new(at: Mark, totals: Totals, state: Option<StateFile>, refusals: Option<Refusals>) -> Self {
        Self {
            pages: Mutex::new(Pages {
                at,
                ahead: VecDeque::new(),
                bytes: 0,
                awaited: 0,
                totals,
                state,
                refusals,
                news: Vec::new(),
            }),
            changed: Condvar::new(),
        }
    }

    /// Returns true if another row may be read.
    pub fn has_room(&self, window: usize) -> bool {
        let pages = lock(&self.pages);
        pages.ahead.len() < window && pages.bytes < MOST_BYTES
    }

    /// Adds a row; its number follows that of the last one.
    pub fn add(&self, row: Row, is_settled: bool) {
        let Row { line, end, content } = row;
        let mut pages = lock(&self.pages);
        let content = Some(content).filter(|_| !is_settled);
        pages.bytes += content.as_ref().map_or(0, Content::size);
        pages.ahead.push_back(Ahead { line, end, content });
        pages.move_on();
    }

    /// Notes the outcome of a row, on disk.
    ///
    /// # Errors
    /// The error of the disk. Then the row is not settled.
    pub fn settle(&self, number: u64, outcome: RowOutcome) -> Result<(), ImportError> {
        let mut pages = lock(&self.pages);
        let noted = pages.settle(number, outcome);
        if pages.ahead.len() <= pages.awaited {
            self.changed.notify_all();
        }
        noted
    }

    /// Waits until so many rows are ahead, but not long, and shows the progress.
    pub fn wait_and_show(&self, awaited: usize, watcher: &mut dyn Watcher) {
        let mut pages = lock(&self.pages);
        pages.awaited = awaited;
        let is_above = |pages: &mut Pages| pages.ahead.len() > awaited;
        let waited = self.changed.wait_timeout_while(pages, SLICE, is_above);
        waited.unwrap_or_else(PoisonError::into_inner).0.awaited = 0;
        self.show(watcher);
    }

    /// Shows the progress.
    pub fn show(&self, watcher: &mut dyn Watcher) {
        let mut pages = lock(&self.pages);
        let (totals, bytes) = (pages.totals.clone(), pages.at.bytes);
        let news = mem::take(&mut pages.news);
        drop(pages);
        for (line, why) in news {
            watcher.refused(line, &why);
        }
        watcher.progress(&totals, bytes);
    }

    /// Ends the import. If all is settled, the state is removed.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn end(self, line: &Line<'_>, before: u64) -> Result<Ended, ImportError> {
        let pages = self.pages.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_whole = pages.ahead.is_empty() && !line.is_stopped();
        if let Some(state) = pages.state.filter(|_| is_whole) {
            kill_points::pass("import.end");
            state.remove()?;
        }
        Ok(Ended {
            totals: pages.totals,
            before,
            unfinished: (!is_whole).then(|| line.over()),
            lacks_jobs: line.lacks_jobs(),
        })
    }
}

impl Pages {
    fn settle(&mut self, number: u64, outcome: RowOutcome) -> Result<(), ImportError> {
        let place = number
            .checked_sub(self.at.rows)
            .and_then(|place| usize::try_from(place).ok());
        let Some(ahead) = place.and_then(|place| self.ahead.get_mut(place)) else {
            return Ok(());
        };
        match outcome {
            RowOutcome::Unsent => return Ok(()),
            RowOutcome::Accepted { runs, jobs } => {
                self.totals.runs += runs;
                self.totals.jobs += jobs;
            }
            RowOutcome::Dropped => self.totals.dropped += 1,
            RowOutcome::LeftOut => self.totals.left_out += 1,
            RowOutcome::Refused(why) => {
                if let (Some(refusals), Some(content)) = (&mut self.refusals, &ahead.content) {
                    kill_points::pass("import.refuse");
                    refusals.add(content, &why)?;
                }
                self.totals.refused += 1;
                self.news.push((ahead.line, why));
            }
        }
        self.totals.rows += 1;
        self.bytes -= ahead.content.take().map_or(0, |content| content.size());
        self.move_on();
        self.save()
    }

    /// Moves the position over settled rows.
    fn move_on(&mut self) {
        while let Some(ahead) = self.ahead.pop_front_if(|ahead| ahead.content.is_none()) {
            self.at = ahead.end;
        }
    }

    fn save(&mut self) -> Result<(), ImportError> {
        let Some(state) = &mut self.state else { return Ok(()) };
        let beyond = self.ahead.iter().map(|ahead| ahead.content.is_none());
        let refused = self.refusals.as_ref().map_or(0, Refusals::bytes);
        kill_points::pass("import.save");
        state.save(Saved::new(&self.at, beyond, refused, &self.totals))?;
        kill_points::pass("import.saved");
        Ok(())
    }
}
