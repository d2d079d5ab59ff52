//! The sinks of the reader: the reporter's spool, many runs at a time, and stdout for a dry run.
//!
//! The engine counts a run as recorded once the sink has it, and saves that. [`FlushFirst`] saves the engine's state only after the sink has
//! recorded all its runs: so the state never names a run that is not on disk, and one sync serves many runs.

use std::cell::RefCell;
use std::time::Duration;

use pipefold::dx::body;
use pipefold::spool::SpoolError;
use pipefold::{BatchError, Hook, NoVerdict, Notification, Report, Verdict, foreign};
use pipefold_gocd::documents::Name;
use pipefold_gocd::sync::{News, PipelineState, Reported, ServerState, Sink, SinkError, StateError, StateStore};
use pipefold_sandbox::Question;

use super::StopFlag;
use super::delivery::BackgroundDelivery;
use super::state::StateFiles;
use crate::commands::context::Context;
use crate::commands::print_lines;
use crate::terminal::{neutral, say};

/// The pause between two tries to record into a full spool.
const RETRY: Duration = Duration::from_millis(500);

/// The part of the spool's limit that may be recorded between two housekeepings, each of which reads every file.
const HOUSEKEEPING: u64 = 16;

/// Size of a record on disk, in bytes: a block of most file systems.
const RECORD: u64 = 4096;

/// The most notifications that wait in memory: a page of the feed has 25 stages, of as many runs.
const MOST_PENDING: usize = 512;

/// The most reasons and remarks that are kept to be printed.
const MOST_NAMED: usize = 10;

/// The sink that records into the spool.
pub struct SpoolSink<'a> {
    context: &'a Context,
    deliverer: &'a BackgroundDelivery,
    stop: &'a StopFlag,
    quiet: bool,
    /// The notifications that are not recorded yet, by run.
    pending: Vec<Vec<(Hook, Notification)>>,
    /// Bytes that were recorded since the last housekeeping.
    recorded_bytes: u64,
    warned_of_full: bool,
    /// Notifications that the rules or a policy refused.
    unrecorded: Unrecorded,
}

/// Notifications that were not recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unrecorded {
    /// Notifications that were refused.
    pub refused: usize,
    /// Notifications that a policy dropped.
    pub dropped: usize,
    /// The first reasons.
    pub reasons: Vec<String>,
}

impl<'a> SpoolSink<'a> {
    pub fn new(context: &'a Context, deliverer: &'a BackgroundDelivery, stop: &'a StopFlag, quiet: bool) -> Self {
        Self {
            context,
            deliverer,
            stop,
            quiet,
            pending: Vec::new(),
            // Enough to cause one: the bytes of earlier processes are not known.
            recorded_bytes: u64::MAX,
            warned_of_full: false,
            unrecorded: Unrecorded::default(),
        }
    }

    /// Returns the notifications that were not recorded since the last call.
    pub fn take_unrecorded(&mut self) -> Unrecorded {
        std::mem::take(&mut self.unrecorded)
    }

    /// Records all pending runs.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.recorded_bytes >= self.context.settings.spool_limit / HOUSEKEEPING {
            self.recorded_bytes = 0;
            self.tidy();
        }
        let runs = std::mem::take(&mut self.pending);
        match self.record(runs.concat()) {
            Err(BatchError::Spool(SpoolError::TooMany { .. })) => {
                // One of the runs can never be recorded, and must not keep the others out.
                for run in runs {
                    let name = run
                        .first()
                        .and_then(|(_, first)| first.reference_id.clone())
                        .unwrap_or_default();
                    match self.record(run) {
                        Err(BatchError::Spool(error @ SpoolError::TooMany { .. })) => {
                            self.unrecorded.refused += 1;
                            self.note(format!("{name}: {error}"));
                        }
                        done => done.map_err(|error| SinkError(error.to_string()))?,
                    }
                }
            }
            done => done.map_err(|error| SinkError(error.to_string()))?,
        }
        self.deliverer.wake();
        Ok(())
    }

    /// Records, as soon as the spool has room.
    fn record(&mut self, notifications: Vec<(Hook, Notification)>) -> Result<(), BatchError> {
        let batch = loop {
            match self.context.reporter.record_all(notifications.iter().cloned()) {
                Ok(batch) => break batch,
                Err(full) if full.is_full() && self.waits_for_room(&full) => {}
                Err(error) => return Err(error),
            }
        };
        self.recorded_bytes = self.recorded_bytes.saturating_add(batch.recorded as u64 * RECORD);
        self.unrecorded.refused += batch.refused.len();
        self.unrecorded.dropped += batch.discarded;
        for (id, refused) in &batch.refused {
            self.note(format!("{id}: {refused}"));
        }
        if let Some(why) = batch.unjudged {
            self.note(self.context.reporter.plugins().kept(&why));
        }
        Ok(())
    }

    /// Waits until the spool may have room again. False if nothing can be delivered, or the reading is to stop.
    fn waits_for_room(&mut self, full: &BatchError) -> bool {
        if self.deliverer.impossible().is_some() {
            return false;
        }
        if !self.warned_of_full {
            self.warned_of_full = true;
            if !self.quiet {
                say(&format!(
                    "pipefold: warning: {}; reading goes on as soon as DX has taken something",
                    neutral(&full.to_string())
                ));
            }
        }
        self.deliverer.wake();
        if !self.stop.sleep(RETRY) {
            return false;
        }
        self.tidy();
        true
    }

    fn tidy(&self) {
        if let Ok(spool) = self.context.reporter.spool()
            && let Err(error) = spool.prune()
        {
            tracing::info!(%error, "housekeeping of the spool failed");
        }
    }

    fn note(&mut self, reason: String) {
        if self.unrecorded.reasons.len() < MOST_NAMED && !self.unrecorded.reasons.contains(&reason) {
            self.unrecorded.reasons.push(reason);
        }
    }
}

/// The sink as the engine has it, which shares it with [`FlushFirst`].
pub struct EngineSink<'s, 'a>(pub &'s RefCell<SpoolSink<'a>>);

impl Sink for EngineSink<'_, '_> {
    fn take(&mut self, run: &Reported) -> Result<(), SinkError> {
        let mut sink = self.0.borrow_mut();
        sink.pending.push(notifications(run));
        if sink.pending.iter().map(Vec::len).sum::<usize>() >= MOST_PENDING {
            sink.flush()?;
        }
        Ok(())
    }
}

/// The store of the engine's state, which flushes the sink first.
pub struct FlushFirst<'s, 'a> {
    pub files: StateFiles,
    pub sink: &'s RefCell<SpoolSink<'a>>,
}

impl StateStore for FlushFirst<'_, '_> {
    fn load(&self, pipeline: &Name) -> Result<Option<PipelineState>, StateError> {
        self.files.load(pipeline)
    }

    fn save(&self, pipeline: &Name, state: &PipelineState) -> Result<(), StateError> {
        let recorded = self.sink.borrow_mut().flush();
        recorded.map_err(|error| StateError::Storage(error.to_string()))?;
        self.files.save(pipeline, state)
    }

    fn load_server(&self) -> Result<Option<ServerState>, StateError> {
        self.files.load_server()
    }

    fn save_server(&self, state: &ServerState) -> Result<(), StateError> {
        self.files.save_server(state)
    }
}

/// A run's notifications with their hooks, the end of each attempt last: a delivery that looks in between does not see an attempt end
/// before its steps are there.
fn notifications(run: &Reported) -> Vec<(Hook, Notification)> {
    let of_attempt = |attempt: &News| {
        let start = attempt.start.iter().map(|start| (Hook::Start, start.clone()));
        let steps = attempt.steps.iter().map(|step| (Hook::Step, step.clone()));
        let finish = attempt.finish.iter().map(|finish| (Hook::Finish, finish.clone()));
        start.chain(steps).chain(finish).collect::<Vec<_>>()
    };
    run.attempts.iter().flat_map(of_attempt).collect()
}

/// The sink of a dry run: prints upserts, one a line, and records nothing.
pub struct PrintSink<'a> {
    context: &'a Context,
    /// Notifications that would not be sent, with the reasons.
    pub remarks: Vec<String>,
}

impl<'a> PrintSink<'a> {
    pub fn new(context: &'a Context) -> Self {
        Self {
            context,
            remarks: Vec::new(),
        }
    }

    fn remark(&mut self, remark: String) {
        if self.remarks.len() < MOST_NAMED {
            self.remarks.push(remark);
        }
    }

    fn print(&mut self, attempt: &News) -> anyhow::Result<()> {
        let Some((hook, history)) = history(attempt) else {
            return Ok(());
        };
        let question = match (hook, history.first()) {
            (Hook::Start, Some(start)) => Question::PipelineStart(start),
            _ => Question::PipelineFinish(&history),
        };
        match self.context.reporter.plugins().ask(&question) {
            Ok(Verdict::Report(Report { run, .. })) => {
                // As the request would have it, its members in DX's order.
                return print_lines(&(foreign::json(&String::from_utf8_lossy(&body(&run))) + "\n"));
            }
            Ok(Verdict::Hold) => {}
            Ok(Verdict::Discard(reason)) => {
                self.remark(format!("{}: a policy drops it: {reason}", attempt.reference_id));
            }
            Err(NoVerdict::Refused(refused)) => self.remark(format!("{}: {refused}", attempt.reference_id)),
            Err(NoVerdict::Failed(why)) => self.remark(format!("{}: {why}", attempt.reference_id)),
        }
        Ok(())
    }
}

/// The notifications of an attempt's upsert; none if there is nothing to send.
fn history(attempt: &News) -> Option<(Hook, Vec<Notification>)> {
    match (&attempt.start, &attempt.finish) {
        (_, Some(finish)) => {
            let whole = attempt.steps.iter().chain(&attempt.start).chain([finish]);
            Some((Hook::Finish, whole.cloned().collect()))
        }
        (Some(start), None) => Some((Hook::Start, vec![start.clone()])),
        (None, None) => None,
    }
}

impl Sink for PrintSink<'_> {
    fn take(&mut self, run: &Reported) -> Result<(), SinkError> {
        for attempt in &run.attempts {
            self.print(attempt).map_err(|error| SinkError(format!("{error:#}")))?;
        }
        Ok(())
    }
}
