//! Reading single runs, and reporting what is new of them.

use chrono::{DateTime, TimeDelta, Utc};

use super::assemble::{Assembled, Wanted};
use super::failure::{Failure, Halt, Lack};
use super::patience::{Patience, Without};
use super::round::{Notice, Reported, news};
use super::seen;
use super::session::Session;
use super::state::{Due, Open, PipelineState, RunState};
use crate::documents::{Counter, Name, PipelineLocator, StageLocator, StageState};
use crate::mapping::{Attempt, Reruns, RunHistory, StageRun};
use crate::{Dialect, Resource, read};

/// The number of unreadable runs in a row after which the server, and not the runs, counts as broken: two pages' worth.
const MAX_LACKS: u32 = 50;

/// The most runs that may wait to be read again. With the usual quiet times a pipeline has a handful.
const MAX_DUE: usize = 5000;

/// The most of them that may wait for additional data only: runs that are held back go before.
const MAX_ADDING: usize = MAX_DUE / 2;

/// The most of them whose entries in the feed are remembered: megabytes.
const MAX_REMEMBERED: usize = 1000;

/// The time for which a stage of unknown state may be about to start.
const MAY_BEGIN: TimeDelta = TimeDelta::days(1);

impl Session<'_, '_> {
    /// Reads a run, and reports its changes. An unreadable run is due again.
    pub fn read_run(&mut self, state: &mut PipelineState, wanted: Wanted<'_>) -> Result<(), Halt> {
        let counter = wanted.counter;
        let known = state.due.get(&counter.get()).cloned().unwrap_or_default();
        let remembered = seen::again(&self.pipeline, counter, &known.entries);
        let mut wanted = wanted.with(&remembered);
        wanted.id = wanted.id.or(known.id);
        let patience = Patience::new(known.failed, self.now);
        wanted.without = patience.without();
        let mut due = Due {
            at: self.now.timestamp(),
            id: wanted.id,
            failed: Some(patience.failed_again()),
            adds: false,
            entries: if state.due.len() < MAX_REMEMBERED {
                seen::remember(&wanted.entries)
            } else {
                Vec::new()
            },
        };
        self.server.round.looked_at += 1;
        match self.assemble(wanted, state.newest)? {
            Ok(found) => {
                self.lacks = 0;
                self.report(state, counter, due, &patience, found)
            }
            Err(lack) => {
                due.at = patience.held_until(lack.is_missing());
                self.lacking(state, counter, due, lack)
            }
        }
    }

    /// Records a run that cannot be read.
    fn lacking(&mut self, state: &mut PipelineState, counter: Counter, due: Due, lack: Lack) -> Result<(), Halt> {
        // A working server answers at once that a document is unknown.
        self.lacks += u32::from(!lack.is_missing());
        if self.lacks >= MAX_LACKS {
            return Err(lack.into_failure().into());
        }
        let why = format!("{}: {}", lack.what, lack.why());
        self.notice(None, &Notice::NotYet { counter, why });
        wait(state, counter, due)
    }

    /// Reports the changes of a run. `due` is the entry for reading it once more.
    fn report(
        &mut self,
        state: &mut PipelineState,
        counter: Counter,
        mut due: Due,
        patience: &Patience,
        found: Assembled,
    ) -> Result<(), Halt> {
        let Assembled {
            history,
            mut notices,
            wanting,
        } = found;
        if patience.without() == Without::Unreadable && history.stages.is_empty() {
            notices.push(Notice::GivenUp { counter });
        }
        let mapped = self.options.mapping.map(&history, self.now);
        notices.extend(mapped.warnings.into_iter().map(Notice::from));
        for notice in &notices {
            self.notice(Some(&history.run), notice);
        }
        let quiet_at = self.quiet_at(&history, &mapped.attempts);
        let unfinished = mapped.attempts.iter().any(|attempt| attempt.finish.is_none());
        let before = state.runs.get(&counter.get());
        let (attempts, told) = news(mapped.attempts, before.map_or(&[], |run| &run.told));
        let reported = Reported {
            run: history.run.clone(),
            attempts,
            notices,
        };
        self.server.observer.run(&reported.run, reported.attempts.len());
        if !reported.attempts.is_empty() {
            let taken = self.sink.take(&reported);
            taken.map_err(|error| Halt::Round(error.into()))?;
            self.server.round.runs += 1;
            self.server.round.attempts += reported.attempts.len() as u64;
            for attempt in &reported.attempts {
                let ends = usize::from(attempt.start.is_some()) + usize::from(attempt.finish.is_some());
                self.server.round.notifications += (attempt.steps.len() + ends) as u64;
            }
        }
        let run = RunState {
            seen: seen::of_run(counter, &history.stages),
            told,
            open: self.open(&history),
            unfinished,
        };
        state.runs.insert(counter.get(), run);
        state.trim();
        state.due.remove(&counter.get());
        if let Some(at) = wanting.and_then(|lack| patience.added_at(lack.is_missing()))
            && state.due.len() < MAX_ADDING
        {
            due.at = quiet_at.map_or(at, |quiet| at.min(quiet));
            due.adds = true;
            state.due.insert(counter.get(), due);
            return Ok(());
        }
        match quiet_at {
            Some(at) => wait(
                state,
                counter,
                Due {
                    at,
                    failed: None,
                    ..due
                },
            ),
            None => Ok(()),
        }
    }

    /// Returns the time at which the run was quiet for long enough to report its end; `None` if its end is reported, or a stage is in
    /// progress.
    fn quiet_at(&self, history: &RunHistory, attempts: &[Attempt]) -> Option<i64> {
        let Reruns::Latest { quiet } = self.options.mapping.reruns else {
            return None;
        };
        let is_active = history.stages.iter().any(|stage| stage.state.is_active());
        if is_active || attempts.iter().all(|attempt| attempt.finish.is_some()) {
            return None;
        }
        // A run without an end at the end of time waits for something else, such as a final stage.
        let later = self.options.mapping.map(history, DateTime::<Utc>::MAX_UTC).attempts;
        if later.iter().all(|attempt| attempt.finish.is_none()) {
            return None;
        }
        let last = history.stages.iter().filter_map(|stage| stage.updated).max();
        let at = last.and_then(|last| last.to_utc().checked_add_signed(quiet))?;
        Some(at.max(self.now).timestamp().saturating_add(1))
    }

    /// Returns what to poll of a run that may change. In the old dialect the feed shows changes.
    fn open(&self, history: &RunHistory) -> Option<Open> {
        if self.dialect == Dialect::Old || !history.is_open(self.now) {
            return None;
        }
        let pipeline = history.pipeline.as_ref()?;
        let active = history.stages.iter().find(|stage| is_active(stage, self.now));
        Some(Open {
            looked: self.now.timestamp_millis(),
            until: history.open_until().map(|until| until.timestamp()),
            links: links(&pipeline.stage_resources()),
            active: active.map(|stage| (stage.name.to_string(), stage.counter.get())),
        })
    }

    /// Reads the runs that are due.
    pub fn due(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        let now = self.now.timestamp();
        let due: Vec<u64> = state
            .due
            .iter()
            .filter(|(_, due)| due.at <= now)
            .map(|(counter, _)| *counter)
            .collect();
        for counter in due.into_iter().rev().filter_map(Counter::new) {
            self.read_run(state, Wanted::new(counter))?;
        }
        Ok(())
    }

    /// Polls the runs that may change, by one document each, and reads those that changed.
    pub fn poll(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        let now = self.now.timestamp();
        let mut polled = Vec::new();
        for (counter, run) in &mut state.runs {
            run.open = run.open.take().filter(|open| open.ends() > now);
            // An unreadable run is read when its pause is over.
            let is_pausing = state
                .due
                .get(counter)
                .is_some_and(|due| due.failed.is_some() && !due.adds);
            let is_due = |open: &&Open| !is_pausing && open.looked != self.now.timestamp_millis();
            if let Some(open) = run.open.as_ref().filter(is_due) {
                polled.push((*counter, open.clone()));
            }
        }
        for (counter, open) in polled.into_iter().rev() {
            let Some(counter) = Counter::new(counter) else { continue };
            let run = PipelineLocator {
                name: self.pipeline.clone(),
                counter,
            };
            let mut wanted = Wanted::new(counter);
            let active = open.active.as_ref().and_then(|(name, of)| {
                Some(StageLocator {
                    pipeline: run.clone(),
                    name: Name::new(name).ok()?,
                    counter: Counter::new(*of)?,
                })
            });
            let has_changed = match active {
                Some(stage) => match self.document(&Resource::Stage(stage), read::stage)? {
                    Ok(stage) => !is_active(&(&stage).into(), self.now),
                    Err(_) => true,
                },
                None => match self.document(&Resource::Pipeline(run), read::pipeline)? {
                    Ok(pipeline) => {
                        let has_changed = links(&pipeline.stage_resources()) != open.links;
                        wanted.document = Some(pipeline);
                        has_changed
                    }
                    Err(_) => true,
                },
            };
            if has_changed {
                self.read_run(state, wanted)?;
            }
        }
        Ok(())
    }
}

/// Records that a run is to be read again.
fn wait(state: &mut PipelineState, counter: Counter, due: Due) -> Result<(), Halt> {
    state.due.insert(counter.get(), due);
    if state.due.len() > MAX_DUE {
        return Err(Failure::TooManyWaiting(MAX_DUE).into());
    }
    Ok(())
}

/// Returns a hash of the stages' runs in a run's document, in any order.
pub(super) fn links(stages: &[Resource]) -> u64 {
    stages
        .iter()
        .map(|stage| seen::hash(&stage.path()))
        .fold(0, u64::wrapping_add)
}

/// Returns true if a stage is in progress, or may be about to start.
fn is_active(stage: &StageRun, now: DateTime<Utc>) -> bool {
    let is_recent = || {
        stage
            .updated
            .is_some_and(|updated| now.signed_duration_since(updated) < MAY_BEGIN)
    };
    stage.state.is_active() || stage.state == StageState::Unknown && is_recent()
}
