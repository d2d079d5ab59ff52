//! One import from its beginning to its end.

use super::ledger::Ledger;
use super::mapping::Mapping;
use super::reading::{Input, Mark, Row, Rows};
use super::refusals::{Form, Refusals};
use super::sending::{Line, RowOutcome, Task};
use super::state::{MOST_BEYOND, Saved, StateFile};
use super::{Format, ImportError, ImportOptions, MOST_AT_ONCE, Totals};
use crate::judge::NoVerdict;
use crate::reporter::Reporter;
use pipefold_sandbox::Notification;
use std::hash::RandomState;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

/// Rows that are read ahead for each request under way: some wait for another of their run.
const AHEAD: usize = 4;
/// The rows after which the progress is shown, if nothing is waited for.
const SHOWN: u64 = 64;

/// The progress that the caller shows meanwhile.
pub trait Watcher {
    /// Rows are settled; `bytes` of the input are behind the position.
    fn progress(&mut self, totals: &Totals, bytes: u64);

    /// A row, which begins in this line, is refused.
    fn refused(&mut self, line: u64, why: &str);

    /// A remark about the whole input.
    fn remark(&mut self, text: &str);
}

/// The end of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The results, with those of the imports that it went on from.
    pub totals: Totals,
    /// The rows that earlier imports had settled.
    pub before: u64,
    /// The reason why rows are left, if any are; none for a signal.
    pub unfinished: Option<Option<String>>,
    /// True if the server has no method for jobs.
    pub lacks_jobs: bool,
}

/// An import.
pub struct Import<'a> {
    reporter: &'a Reporter,
    options: &'a ImportOptions,
    mapping: Mapping,
    rows: Rows,
    form: Form,
}

impl<'a> Import<'a> {
    /// Reads the header, and checks the options.
    ///
    /// # Errors
    /// [`ImportError`].
    pub fn new(
        reporter: &'a Reporter,
        options: &'a ImportOptions,
        input: Box<dyn Input>,
        watcher: &mut dyn Watcher,
    ) -> Result<Self, ImportError> {
        let mut mapping = Mapping::new(&options.mapping)?;
        let mut rows = Rows::new(input, options.format, options.delimiter);
        let header = match options.format {
            Format::Jsonl => None,
            Format::Csv => rows.header()?,
        };
        if let Some(header) = &header
            && let Some(remark) = mapping.take_header(header, &options.mapping)?
        {
            watcher.remark(&remark);
        }
        // A policy that cannot be loaded would refuse each row.
        if let Err(NoVerdict::Failed(why)) = reporter.merge(&[Notification::default()]) {
            return Err(ImportError::Judge(why));
        }
        let form = Form::new(options.format, header, options.delimiter);
        Ok(Self {
            reporter,
            options,
            mapping,
            rows,
            form,
        })
    }

    /// Sends the rows, until all are settled, DX does not answer or `stop` is raised.
    ///
    /// # Errors
    /// [`ImportError`]: then the state has the position.
    pub fn run(self, stop: &AtomicBool, watcher: &mut dyn Watcher) -> Result<Ended, ImportError> {
        let options = self.options;
        let place = options.state.as_deref().filter(|_| !options.is_dry);
        let opened = place.map(|path| StateFile::open(path, &identity(self.reporter, options), options.restart));
        let (state, saved) = opened
            .transpose()?
            .map_or((None, None), |(state, saved)| (Some(state), saved));
        let refusals = match &saved {
            _ if options.is_dry => None,
            Some(saved) => Some(Refusals::again(&options.refused, self.form, saved.refused_bytes)?),
            None => Some(Refusals::new(&options.refused, self.form, options.restart)?),
        };
        let line = Line::new(
            self.reporter,
            options.per_second,
            options.patience,
            options.is_dry,
            stop,
        );
        let totals = saved.as_ref().map(|saved| saved.totals.clone()).unwrap_or_default();
        let before = totals.rows;
        let at_once = options.at_once.clamp(1, MOST_AT_ONCE);
        let mut rows = self.rows;
        let at = go_to_position(&mut rows, saved.as_ref(), stop)?;
        let ledger = Ledger::new(at, totals, state, refusals);
        let course = Course {
            line: &line,
            ledger: &ledger,
            mapping: &self.mapping,
            window: at_once.saturating_mul(AHEAD).min(MOST_BEYOND),
            saved,
            keys: RandomState::new(),
        };
        let done = thread::scope(|scope| {
            let start = |_| {
                let work = || line.work(|number, outcome| course.settle(number, outcome));
                let thread = thread::Builder::new().name("import".into());
                thread.spawn_scoped(scope, work).ok()
            };
            let threads: Vec<_> = (0..at_once).filter_map(start).collect();
            if threads.is_empty() {
                line.stop("the system has no thread to spare".into());
            }
            let done = course.send_all(rows, watcher);
            line.close();
            // Requests under way are awaited, and their answers noted.
            while threads.iter().any(|thread| !thread.is_finished()) {
                ledger.wait_and_show(0, watcher);
            }
            done
        });
        ledger.show(watcher);
        done?;
        ledger.end(&line, before)
    }
}

/// Reads up to the position of the earlier import, and checks that the bytes are the same.
fn go_to_position(rows: &mut Rows, saved: Option<&Saved>, stop: &AtomicBool) -> Result<Mark, ImportError> {
    let mut at = Mark::default();
    let Some(saved) = saved else { return Ok(at) };
    while at.rows < saved.rows() && !stop.load(SeqCst) {
        at = rows.next()?.ok_or(ImportError::Changed)?.end;
    }
    // Before the first row there is nothing to compare.
    let is_same = saved.rows() == 0 || saved.is_at(&at) || stop.load(SeqCst);
    if is_same { Ok(at) } else { Err(ImportError::Changed) }
}

/// The flags and the DX that an import belongs to.
fn identity(reporter: &Reporter, options: &ImportOptions) -> String {
    let to = reporter.destination().url.as_deref().unwrap_or_default();
    format!("{to}\n{:?} {} {:?}", options.format, options.delimiter, options.mapping)
}

/// The sending of all rows.
struct Course<'a> {
    line: &'a Line<'a>,
    ledger: &'a Ledger,
    mapping: &'a Mapping,
    /// The most rows that are read ahead.
    window: usize,
    /// The state of the earlier import.
    saved: Option<Saved>,
    keys: RandomState,
}

impl Course<'_> {
    fn send_all(&self, mut rows: Rows, watcher: &mut dyn Watcher) -> Result<(), ImportError> {
        let mut is_first = true;
        while !self.line.is_stopped() {
            if !self.ledger.has_room(self.window) {
                // Not for one row: the threads have others meanwhile.
                self.ledger.wait_and_show(self.window / 2, watcher);
                continue;
            }
            let Some(row) = rows.next()? else { break };
            if std::mem::take(&mut is_first)
                && let Some(remark) = self.mapping.remark_on(&row.content)
            {
                watcher.remark(&remark);
            }
            let number = row.end.rows;
            self.take(row);
            if number.is_multiple_of(SHOWN) {
                self.ledger.show(watcher);
            }
        }
        Ok(())
    }

    /// Takes a row to be sent.
    fn take(&self, row: Row) {
        let number = row.end.rows - 1;
        // Counted by the earlier import.
        if self.saved.as_ref().is_some_and(|saved| saved.is_settled(number)) {
            self.ledger.add(row, true);
            return;
        }
        let mapped = self.mapping.map(&row.content);
        self.ledger.add(row, false);
        match mapped {
            Ok(mapped) => self.line.add(Task { number, mapped }, &self.keys),
            Err(why) => self.settle(number, RowOutcome::Refused(why)),
        }
    }

    /// Notes the outcome of a row.
    fn settle(&self, number: u64, outcome: RowOutcome) {
        if let Err(error) = self.ledger.settle(number, outcome) {
            self.line.stop(error.to_string());
        }
    }
}
