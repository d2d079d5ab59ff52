//! `--dry-run`: the upserts that would be sent, one a line; nothing is recorded, kept or sent.

use std::cell::RefCell;
use std::collections::HashMap;

use pipefold::dx::body;
use pipefold::{Hook, NoVerdict, Notification, Verdict, foreign};
use pipefold_gocd::documents::Name;
use pipefold_gocd::sync::{News, PipelineState, Reported, ServerState, Sink, SinkError, StateError, StateStore};
use pipefold_sandbox::Question;

use super::state::StateFiles;
use crate::commands::context::Context;
use crate::commands::print_lines;

/// What was read before, as far as it is on disk, and what is read now in memory alone.
#[derive(Default)]
pub(super) struct Rehearsal {
    files: Option<StateFiles>,
    pipelines: RefCell<HashMap<Name, PipelineState>>,
    server: RefCell<Option<ServerState>>,
}

impl Rehearsal {
    pub(super) fn over(files: Option<StateFiles>) -> Self {
        Self {
            files,
            ..Self::default()
        }
    }
}

impl StateStore for Rehearsal {
    fn load(&self, pipeline: &Name) -> Result<Option<PipelineState>, StateError> {
        match (self.pipelines.borrow().get(pipeline), &self.files) {
            (Some(state), _) => Ok(Some(state.clone())),
            (None, Some(files)) => files.load(pipeline),
            (None, None) => Ok(None),
        }
    }

    fn save(&self, pipeline: &Name, state: &PipelineState) -> Result<(), StateError> {
        self.pipelines.borrow_mut().insert(pipeline.clone(), state.clone());
        Ok(())
    }

    fn load_server(&self) -> Result<Option<ServerState>, StateError> {
        match (&*self.server.borrow(), &self.files) {
            (Some(state), _) => Ok(Some(state.clone())),
            (None, Some(files)) => files.load_server(),
            (None, None) => Ok(None),
        }
    }

    fn save_server(&self, state: &ServerState) -> Result<(), StateError> {
        *self.server.borrow_mut() = Some(state.clone());
        Ok(())
    }
}

/// The most remarks that are kept to be printed.
const MOST_NAMED: usize = 10;

/// Prints instead of recording.
pub(super) struct PrintSink<'a> {
    context: &'a Context,
    /// Notifications that would not be sent, and why.
    pub(super) remarks: Vec<String>,
}

impl<'a> PrintSink<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
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
            Ok(Verdict::Report(run)) => {
                // As it would be sent, its members in DX's order.
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

/// What the upsert of an attempt is made of; none if there is nothing to send.
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
