//! One import from its beginning to its end.

use super::mapping::Mapping;
use super::reading::{Content, Input, Mark, Row, Rows};
use super::refusals::{Form, Refusals};
use super::sending::{Line, RowOutcome, Task};
use super::state::{MOST_BEYOND, Saved, StateFile};
use super::{Format, ImportError, ImportOptions, MOST_AT_ONCE, Totals};
use crate::judge::NoVerdict;
use crate::kill_points;
use crate::reporter::Reporter;
use pipefold_sandbox::Notification;
use std::collections::VecDeque;
use std::hash::RandomState;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// Rows that are read ahead for each request under way: some wait for another of their run.
const AHEAD: usize = 4;
/// The most bytes of rows that are read ahead.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The time after which waiting looks at the stop.
const SLICE: Duration = Duration::from_millis(100);

/// What the caller shows meanwhile.
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
        let (sender, outcomes) = mpsc::channel();
        let totals = saved.as_ref().map(|saved| saved.totals.clone()).unwrap_or_default();
        let at_once = options.at_once.clamp(1, MOST_AT_ONCE);
        let mut course = Course {
            before: totals.rows,
            line: &line,
            mapping: &self.mapping,
            rows: self.rows,
            at: Mark::default(),
            window: at_once.saturating_mul(AHEAD).min(MOST_BEYOND),
            ahead: VecDeque::new(),
            bytes: 0,
            keys: RandomState::new(),
            outcomes,
            totals,
            state,
            saved,
            refusals,
            stop,
        };
        course.go_to_position()?;
        thread::scope(|scope| {
            let start = |sender| {
                let work = || {
                    let sender = sender;
                    line.work(&sender);
                };
                let thread = thread::Builder::new().name("import".into());
                thread.spawn_scoped(scope, work).is_ok()
            };
            let started = (0..at_once).filter(|_| start(sender.clone())).count();
            drop(sender);
            let done = if started > 0 {
                course.send_all(watcher)
            } else {
                Err(ImportError::Judge("the system has no thread to spare".into()))
            };
            line.close();
            // Requests under way are awaited, and their answers noted.
            let settled = course.settle_rest(watcher);
            done.and_then(|()| settled)
        })?;
        course.end(&line)
    }
}

/// The flags and the DX that an import belongs to.
fn identity(reporter: &Reporter, options: &ImportOptions) -> String {
    let to = reporter.destination().url.as_deref().unwrap_or_default();
    format!("{to}\n{:?} {} {:?}", options.format, options.delimiter, options.mapping)
}

/// A row that was read and is not behind the position.
struct Ahead {
    line: u64,
    end: Mark,
    /// Its content, until it is settled.
    content: Option<Content>,
    size: usize,
}

struct Course<'a> {
    line: &'a Line<'a>,
    mapping: &'a Mapping,
    rows: Rows,
    /// The position: all rows before it are settled.
    at: Mark,
    /// The rows behind the position.
    ahead: VecDeque<Ahead>,
    /// The most of them, and their bytes.
    window: usize,
    bytes: usize,
    keys: RandomState,
    outcomes: Receiver<(u64, RowOutcome)>,
    totals: Totals,
    /// The rows that earlier imports had settled.
    before: u64,
    state: Option<StateFile>,
    /// The state of the earlier import.
    saved: Option<Saved>,
    refusals: Option<Refusals>,
    stop: &'a AtomicBool,
}

impl Course<'_> {
    /// Reads up to the position of the earlier import, and checks that the bytes are the same.
    fn go_to_position(&mut self) -> Result<(), ImportError> {
        let Some(saved) = &self.saved else { return Ok(()) };
        while self.at.rows < saved.rows() && !self.stop.load(SeqCst) {
            let row = self.rows.next()?.ok_or(ImportError::Changed)?;
            self.at = row.end;
        }
        // Before the first row the digest would be that of the header.
        let is_same = saved.rows() == 0 || saved.is_at(&self.at) || self.stop.load(SeqCst);
        if is_same { Ok(()) } else { Err(ImportError::Changed) }
    }

    fn send_all(&mut self, watcher: &mut dyn Watcher) -> Result<(), ImportError> {
        let mut is_first = true;
        while !self.line.is_stopped() {
            self.settle(watcher)?;
            if self.ahead.len() >= self.window || self.bytes > MOST_BYTES {
                self.wait(watcher)?;
                continue;
            }
            let Some(row) = self.rows.next()? else { return Ok(()) };
            if std::mem::take(&mut is_first)
                && let Some(remark) = self.mapping.remark_on(&row.content)
            {
                watcher.remark(&remark);
            }
            self.take(row, watcher)?;
        }
        Ok(())
    }

    /// Takes a row to be sent.
    fn take(&mut self, row: Row, watcher: &mut dyn Watcher) -> Result<(), ImportError> {
        let Row { line, end, content } = row;
        let number = end.rows - 1;
        let is_settled = self.saved.as_ref().is_some_and(|saved| saved.is_settled(number));
        let mapped = if is_settled {
            None
        } else {
            Some(self.mapping.map(&content))
        };
        let size = content.size();
        self.bytes += size;
        self.ahead.push_back(Ahead {
            line,
            end,
            content: Some(content).filter(|_| !is_settled),
            size,
        });
        match mapped {
            // Counted by the earlier import.
            None => self.move_on(),
            Some(Ok(mapped)) => self.line.add(Task { number, mapped }, &self.keys),
            Some(Err(why)) => {
                self.note(number, RowOutcome::Refused(why), watcher)?;
                self.save()?;
            }
        }
        Ok(())
    }

    /// Notes the outcomes that are there.
    fn settle(&mut self, watcher: &mut dyn Watcher) -> Result<(), ImportError> {
        let mut any = false;
        while let Ok((number, outcome)) = self.outcomes.try_recv() {
            self.note(number, outcome, watcher)?;
            any = true;
        }
        if any { self.saved_and_shown(watcher) } else { Ok(()) }
    }

    /// Waits for an outcome.
    fn wait(&mut self, watcher: &mut dyn Watcher) -> Result<(), ImportError> {
        if let Ok((number, outcome)) = self.outcomes.recv_timeout(SLICE) {
            self.note(number, outcome, watcher)?;
            return self.saved_and_shown(watcher);
        }
        watcher.progress(&self.totals, self.at.bytes);
        Ok(())
    }

    /// Notes the outcomes of the rows under way, until the threads have ended.
    fn settle_rest(&mut self, watcher: &mut dyn Watcher) -> Result<(), ImportError> {
        loop {
            match self.outcomes.recv_timeout(SLICE) {
                Ok((number, outcome)) => {
                    self.note(number, outcome, watcher)?;
                    self.saved_and_shown(watcher)?;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => watcher.progress(&self.totals, self.at.bytes),
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.saved_and_shown(watcher),
            }
        }
    }

    fn saved_and_shown(&mut self, watcher: &mut dyn Watcher) -> Result<(), ImportError> {
        self.save()?;
        watcher.progress(&self.totals, self.at.bytes);
        Ok(())
    }

    /// Notes the outcome of a row.
    fn note(&mut self, number: u64, outcome: RowOutcome, watcher: &mut dyn Watcher) -> Result<(), ImportError> {
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
                watcher.refused(ahead.line, &why);
            }
        }
        self.totals.rows += 1;
        ahead.content = None;
        self.bytes -= std::mem::take(&mut ahead.size);
        self.move_on();
        Ok(())
    }

    /// Moves the position over settled rows.
    fn move_on(&mut self) {
        while let Some(ahead) = self.ahead.pop_front_if(|ahead| ahead.content.is_none()) {
            self.at = ahead.end;
            self.bytes -= ahead.size;
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

    fn end(self, line: &Line<'_>) -> Result<Ended, ImportError> {
        let is_whole = self.ahead.is_empty() && !line.is_stopped();
        if let Some(state) = self.state.filter(|_| is_whole) {
            state.remove()?;
        }
        Ok(Ended {
            totals: self.totals,
            before: self.before,
            unfinished: (!is_whole).then(|| line.over()),
            lacks_jobs: line.lacks_jobs(),
        })
    }
}
