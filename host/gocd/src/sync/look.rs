//! Looking at runs, and telling what is new of them.

use chrono::{DateTime, TimeDelta, Utc};

use super::assemble::{Found, Wanted};
use super::failure::Failure;
use super::hash;
use super::notice::Notice;
use super::server::{Halt, Lack};
use super::session::Session;
use super::sink::Reported;
use super::state::{Due, Open, PipelineState, RunState};
use super::told::news;
use crate::documents::{Counter, Name, PipelineLocator, StageLocator, StageState};
use crate::mapping::{Attempt, Reruns, RunHistory, StageRun};
use crate::{Dialect, Resource, read};

/// After how many runs in a row that could not be read the server, and not the runs, is taken for ill: two pages' worth.
const MAX_LACKS: u32 = 50;

/// How often, and for how long, a run that cannot be read is tried: a server that is repaired within a working day loses nothing.
const MAX_TRIES: u32 = 5;
const TRIED_FOR: TimeDelta = TimeDelta::hours(6);

/// How many runs may wait to be looked at again. With the usual quiet times a pipeline has a handful.
const MAX_DUE: usize = 5000;

/// For how long a stage of which the server does not know where it is may be about to begin.
const MAY_BEGIN: TimeDelta = TimeDelta::days(1);

impl Session<'_, '_> {
    /// Looks at a run, and tells what is new of it. A run that cannot be read now is due again.
    pub(super) fn look(&mut self, state: &mut PipelineState, mut wanted: Wanted<'_>) -> Result<(), Halt> {
        let counter = wanted.counter;
        let known = state.due.get(&counter.get()).copied();
        let id = wanted.id.or(known.and_then(|due| due.id));
        wanted.id = id;
        let failed = known.and_then(|due| due.failed);
        let now = self.now.timestamp();
        let is_last =
            |(tries, first): (u32, i64)| tries >= MAX_TRIES && now.saturating_sub(first) >= TRIED_FOR.num_seconds();
        wanted.is_last_try = failed.is_some_and(is_last);
        let is_last_try = wanted.is_last_try;
        self.server.round.looked_at += 1;
        let found = match self.assemble(wanted, state.newest)? {
            Ok(found) => found,
            Err(lack) => {
                if is_last_try {
                    let why = lack.why();
                    self.notice(None, &Notice::GivenUp { counter, why });
                    state.due.remove(&counter.get());
                    return Ok(());
                }
                let (tries, first) = failed.unwrap_or((0, now));
                let due = Due {
                    at: now,
                    id,
                    failed: Some((tries.saturating_add(1), first)),
                };
                return self.lacking(state, counter, due, lack);
            }
        };
        self.lacks = 0;
        self.tell(state, counter, id, found)
    }

    /// Remembers a run that cannot be read.
    fn lacking(&mut self, state: &mut PipelineState, counter: Counter, due: Due, lack: Lack) -> Result<(), Halt> {
        self.lacks += 1;
        if self.lacks >= MAX_LACKS {
            return Err(lack.into_failure().into());
        }
        let why = format!("{}: {}", lack.what, lack.why());
        self.notice(None, &Notice::NotYet { counter, why });
        wait(state, counter, due)
    }

    fn tell(&mut self, state: &mut PipelineState, counter: Counter, id: Option<u64>, found: Found) -> Result<(), Halt> {
        let Found { history, mut notices } = found;
        let mapped = self.options.mapping.map(&history, self.now);
        notices.extend(mapped.warnings.into_iter().map(Notice::from));
        for notice in &notices {
            self.notice(Some(&history.run), notice);
        }
        let quiet_at = self.quiet_at(&history, &mapped.attempts);
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
            seen: hash::of_run(counter, &history.stages),
            told,
            open: self.open(&history),
        };
        state.runs.insert(counter.get(), run);
        state.trim();
        match quiet_at {
            Some(at) => wait(state, counter, Due { at, id, failed: None }),
            None => {
                state.due.remove(&counter.get());
                Ok(())
            }
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

    /// What more may come of a run. Dialect C's feed shows it.
    fn open(&self, history: &RunHistory) -> Option<Open> {
        if self.dialect == Dialect::C || !history.is_open(self.now) {
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
    pub(super) fn due(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
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
    pub(super) fn poll(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        let now = self.now.timestamp();
        let mut polled = Vec::new();
        for (counter, run) in &mut state.runs {
            if run
                .open
                .as_ref()
                .and_then(|open| open.until)
                .is_some_and(|until| until <= now)
            {
                run.open = None;
            }
            if let Some(open) = run
                .open
                .as_ref()
                .filter(|open| open.looked != self.now.timestamp_millis())
            {
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
                    // It was removed with its history, and nothing more comes.
                    Err(lack) if lack.is_final() => {
                        if let Some(run) = state.runs.get_mut(&counter.get()) {
                            run.open = None;
                        }
                        false
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
        .map(|stage| hash::hash(&stage.path()))
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
