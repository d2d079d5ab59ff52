//! Looking at runs, and telling what is new of them.

use chrono::{DateTime, TimeDelta, Utc};

use super::assemble::{Found, Wanted};
use super::failure::{Failure, Halt, Lack};
use super::patience::{Patience, Without};
use super::round::{Notice, Reported, news};
use super::seen;
use super::session::Session;
use super::state::{Due, Open, PipelineState, RunState};
use crate::documents::{Counter, Name, PipelineLocator, StageLocator, StageState};
use crate::mapping::{Attempt, Reruns, RunHistory, StageRun};
use crate::{Dialect, Resource, read};

/// After how many runs in a row that could not be read the server, and not the runs, is taken for ill: two pages' worth.
const MAX_LACKS: u32 = 50;

/// How many runs may wait to be looked at again. With the usual quiet times a pipeline has a handful.
const MAX_DUE: usize = 5000;

/// How many of them may be waiting for what would only be added: runs that are held back go before.
const MAX_ADDING: usize = MAX_DUE / 2;

/// Of how many of them the feed's entries are remembered: megabytes.
const MAX_REMEMBERED: usize = 1000;

/// For how long a stage of which the server does not know where it is may be about to begin.
const MAY_BEGIN: TimeDelta = TimeDelta::days(1);

impl Session<'_, '_> {
    /// Looks at a run, and tells what is new of it. A run that cannot be read now is due again.
    pub fn look(&mut self, state: &mut PipelineState, wanted: Wanted<'_>) -> Result<(), Halt> {
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
                self.tell(state, counter, due, &patience, found)
            }
            Err(lack) => {
                due.at = patience.held_until(lack.is_missing());
                self.lacking(state, counter, due, lack)
            }
        }
    }

    /// Remembers a run that cannot be read.
    fn lacking(&mut self, state: &mut PipelineState, counter: Counter, due: Due, lack: Lack) -> Result<(), Halt> {
        // What the server does not know it says at once, and as well as ever.
        self.lacks += u32::from(!lack.is_missing());
        if self.lacks >= MAX_LACKS {
            return Err(lack.into_failure().into());
        }
        let why = format!("{}: {}", lack.what, lack.why());
        self.notice(None, &Notice::NotYet { counter, why });
        wait(state, counter, due)
    }

    /// Tells what is new of a run. `due` is for looking at it once more.
    fn tell(
        &mut self,
        state: &mut PipelineState,
        counter: Counter,
        mut due: Due,
        patience: &Patience,
        found: Found,
    ) -> Result<(), Halt> {
        let Found {
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

    /// When the run was quiet for long enough to say how it went; none if that is said, or a stage is under way.
    fn quiet_at(&self, history: &RunHistory, attempts: &[Attempt]) -> Option<i64> {
        let Reruns::Latest { quiet } = self.options.mapping.reruns else {
            return None;
        };
        let is_active = history.stages.iter().any(|stage| stage.state.is_active());
        if is_active || attempts.iter().all(|attempt| attempt.finish.is_some()) {
            return None;
        }
        // What is not said at the end of time either waits for something else, such as a final stage.
        let later = self.options.mapping.map(history, DateTime::<Utc>::MAX_UTC).attempts;
        if later.iter().all(|attempt| attempt.finish.is_none()) {
            return None;
        }
        let last = history.stages.iter().filter_map(|stage| stage.updated).max();
        let at = last.and_then(|last| last.to_utc().checked_add_signed(quiet))?;
        Some(at.max(self.now).timestamp().saturating_add(1))
    }

    /// What more may come of a run. The old dialect's feed shows it.
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

    /// Looks at the runs that are due.
    pub fn due(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        let now = self.now.timestamp();
        let due: Vec<u64> = state
            .due
            .iter()
            .filter(|(_, due)| due.at <= now)
            .map(|(counter, _)| *counter)
            .collect();
        for counter in due.into_iter().rev().filter_map(Counter::new) {
            self.look(state, Wanted::new(counter))?;
        }
        Ok(())
    }

    /// Asks whether something came of the runs that are open, by one document each, and looks at those of which something did.
    pub fn poll(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        let now = self.now.timestamp();
        let mut polled = Vec::new();
        for (counter, run) in &mut state.runs {
            run.open = run.open.take().filter(|open| open.ends() > now);
            // One that could not be read is looked at when its pause is over.
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
                self.look(state, wanted)?;
            }
        }
        Ok(())
    }
}

/// Remembers that a run is to be looked at again.
fn wait(state: &mut PipelineState, counter: Counter, due: Due) -> Result<(), Halt> {
    state.due.insert(counter.get(), due);
    if state.due.len() > MAX_DUE {
        return Err(Failure::TooManyWaiting(MAX_DUE).into());
    }
    Ok(())
}

/// The runs of stages that a run's document names, in any order.
pub(super) fn links(stages: &[Resource]) -> u64 {
    stages
        .iter()
        .map(|stage| seen::hash(&stage.path()))
        .fold(0, u64::wrapping_add)
}

/// Whether a stage is under way, or may be about to be.
fn is_active(stage: &StageRun, now: DateTime<Utc>) -> bool {
    let is_recent = || {
        stage
            .updated
            .is_some_and(|updated| now.signed_duration_since(updated) < MAY_BEGIN)
    };
    stage.state.is_active() || stage.state == StageState::Unknown && is_recent()
}
