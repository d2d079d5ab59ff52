//! A round over all pipelines.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::failure::{Failure, Halt, SyncError, is_no_answer, tolerated};
use super::options::Options;
use super::round::{Gone, Notice, Observer, Round, Sink};
use super::session::{Listed, Server, Session};
use super::state::{NewFeed, OldFeed, PipelineState, ServerState, Since, StateStore};
use crate::Dialect;
use crate::client::Source;
use crate::documents::Name;

/// Reads the pipelines of a GoCD server and reports what is new of their runs, round by round.
///
/// Between rounds only the [`StateStore`] keeps data, so that each round may run in another process.
pub struct Engine<'a> {
    source: &'a dyn Source,
    store: &'a dyn StateStore,
    sink: &'a mut dyn Sink,
    observer: &'a mut dyn Observer,
    options: Options,
    requests: u64,
}

impl<'a> Engine<'a> {
    /// Makes an engine. No request is sent yet.
    pub fn new(
        source: &'a dyn Source,
        store: &'a dyn StateStore,
        sink: &'a mut dyn Sink,
        observer: &'a mut dyn Observer,
        options: Options,
    ) -> Self {
        Self {
            source,
            store,
            sink,
            observer,
            options,
            requests: 0,
        }
    }

    /// The documents requested so far, without retries. Unlike [`Round::requests`] it includes failed rounds.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Reads what is new since the last round, and what that one left: at first all of the history back to [`Options::since`]. `stop` is
    /// called before each request; once it returns true the round ends, and the next goes on from there.
    ///
    /// Without news it requests the list of pipelines and one page of each; in the new dialect also one document of each run that may
    /// change, and once in [`Options::full_walk_every`] the whole feed.
    ///
    /// # Errors
    ///
    /// [`SyncError`] for a failure of all pipelines. Failures of one are in [`Round::failed`], and the others go on.
    pub fn round(&mut self, now: DateTime<Utc>, stop: &dyn Fn() -> bool) -> Result<Round, SyncError> {
        let mut server = Server {
            source: self.source,
            observer: &mut *self.observer,
            stop,
            round: Round::new(Dialect::Old),
            saved_at: 0,
            unanswered: 0,
        };
        let done = server
            .list(self.store, self.options.dialect)
            .and_then(|(listed, known)| {
                let mut pipelines = ChosenPipelines {
                    server: &mut server,
                    store: self.store,
                    sink: &mut *self.sink,
                    options: &self.options,
                    now,
                };
                pipelines.all(listed, known)
            });
        let mut round = server.round;
        self.requests += round.requests;
        match done {
            Ok(()) => Ok(round),
            Err(Halt::Stopped) => {
                round.stopped = true;
                Ok(round)
            }
            Err(Halt::Round(error)) => Err(error),
            // No request before the pipelines fails so.
            Err(Halt::Pipeline(failure)) => Err(SyncError::NoAnswer(failure)),
        }
    }
}

/// A round's pipelines.
struct ChosenPipelines<'p, 's> {
    server: &'p mut Server<'s>,
    store: &'p dyn StateStore,
    sink: &'p mut dyn Sink,
    options: &'p Options,
    now: DateTime<Utc>,
}

impl ChosenPipelines<'_, '_> {
    fn all(&mut self, listed: Listed, mut known: ServerState) -> Result<(), Halt> {
        let before = known.clone();
        self.server.round.dialect = listed.dialect;
        if listed.left_out > 0 {
            let notice = Notice::UnfitList(listed.left_out);
            self.server.round.count(&"the list of pipelines", &notice);
        }
        let chosen = self.chosen(listed.pipelines)?;
        self.server.round.pipelines = chosen.len();
        self.server.observer.pipelines(chosen.len());
        self.report_gone(&known, &chosen);
        known.pipelines = chosen.iter().map(|name| name.as_str().to_owned()).collect();
        known.slow.retain(|name| known.pipelines.contains(name));
        // Each may cost minutes in every round: the others do not wait for them.
        let (slow, quick): (Vec<Name>, Vec<Name>) =
            chosen.into_iter().partition(|name| known.slow.contains(name.as_str()));
        let mut done = Ok(());
        for pipeline in quick.into_iter().chain(slow) {
            done = self.one(pipeline, listed.dialect, &mut known);
            if done.is_err() {
                break;
            }
        }
        if known != before {
            let saved = self.store.save_server(&known);
            done = done.and(saved.map_err(|error| Halt::Round(error.into())));
        }
        done
    }

    fn one(&mut self, pipeline: Name, dialect: Dialect, known: &mut ServerState) -> Result<(), Halt> {
        self.server.observer.pipeline(&pipeline);
        let mut session = Session {
            server: &mut *self.server,
            store: self.store,
            sink: &mut *self.sink,
            options: self.options,
            now: self.now,
            dialect,
            pipeline,
            lacks: 0,
        };
        let done = session.run();
        let pipeline = session.pipeline;
        let failure = match done {
            Ok(()) => {
                known.slow.remove(pipeline.as_str());
                return Ok(());
            }
            Err(Halt::Pipeline(failure)) => failure,
            Err(halt) => return Err(halt),
        };
        if matches!(&failure, Failure::Fetch { error, .. } if is_no_answer(error)) {
            known.slow.insert(pipeline.as_str().to_owned());
        }
        self.server.observer.failed(&pipeline, &failure);
        self.server.round.failed.push((pipeline, failure));
        Ok(())
    }

    /// Returns the pipelines that the operator wants, each once.
    fn chosen(&mut self, listed: Vec<Name>) -> Result<Vec<Name>, Halt> {
        let patterns = &self.options.pipelines;
        let count = listed.len();
        let mut fitted = vec![false; patterns.len()];
        let mut is_chosen = |name: &Name| {
            let mut fits = patterns.is_empty();
            for (pattern, fitted) in patterns.iter().zip(&mut fitted) {
                if pattern.matches_name(name) {
                    fits = true;
                    *fitted = true;
                }
            }
            fits
        };
        let mut seen = HashSet::new();
        let mut chosen = listed;
        chosen.retain(|name| is_chosen(name) && seen.insert(name.clone()));
        let unfitted = patterns.iter().zip(fitted).filter(|(_, fitted)| !fitted);
        let unfitted: Vec<String> = unfitted.map(|(pattern, _)| pattern.as_str().to_owned()).collect();
        if chosen.is_empty() && !unfitted.is_empty() {
            return Err(Halt::Round(SyncError::NoneChosen {
                patterns: unfitted.join(", "),
                listed: count,
            }));
        }
        self.server.round.unfitted = unfitted;
        Ok(chosen)
    }

    /// Reports the pipelines of the last round that are not listed any more.
    fn report_gone(&mut self, known: &ServerState, chosen: &[Name]) {
        let lower = |name: &str| name.to_ascii_lowercase();
        let listed: HashSet<String> = chosen.iter().map(|name| lower(name.as_str())).collect();
        let patterns = &self.options.pipelines;
        let gone = known.pipelines.iter().filter(|name| !listed.contains(&lower(name)));
        for pipeline in gone.filter_map(|name| Name::new(name).ok()) {
            // Not a pipeline that the operator no longer wants.
            if !patterns.is_empty() && !patterns.iter().any(|pattern| pattern.matches_name(&pipeline)) {
                continue;
            }
            let state = self.store.load(&pipeline).ok().flatten().unwrap_or_default();
            let runs = state.runs.iter().filter(|(_, run)| run.unfinished);
            let gone = Gone {
                under_way: runs.map(|(counter, _)| *counter).collect(),
                pipeline,
            };
            self.server.observer.gone(&gone);
            self.server.round.gone.push(gone);
        }
    }
}

impl Session<'_, '_> {
    /// Runs the pipeline's part of the round. Whatever ends it, the progress is saved, unless saving itself failed.
    fn run(&mut self) -> Result<(), Halt> {
        let loaded = self.store.load(&self.pipeline).map_err(Failure::State)?;
        let mut state = loaded.clone().unwrap_or_default();
        self.widen(&mut state);
        let read = match self.dialect {
            Dialect::Old => self.old_feed(&mut state),
            Dialect::New => self.new_feed(&mut state),
        };
        // The first failure is reported; a stop is not a failure.
        let read = tolerated(read).and_then(|failure| {
            self.lacks = 0;
            let failure = match state.held {
                Some(_) => failure,
                None => failure.or(tolerated(self.due(&mut state))?),
            };
            failure.map_or(Ok(()), |failure| Err(failure.into()))
        });
        if let Err(Halt::Round(SyncError::Sink(_) | SyncError::State(_))) = read {
            // The sink may not have kept the runs after all: they are reported again.
            return read;
        }
        state.trim();
        let has_changed = loaded.as_ref() != Some(&state);
        let saved = if has_changed { self.save(&mut state) } else { Ok(()) };
        match saved {
            Ok(()) => read,
            saved => saved,
        }
    }

    /// Starts again if the operator wants more of the history than before.
    fn widen(&self, state: &mut PipelineState) {
        let wanted = self.options.since.map(|since| since.timestamp());
        let is_wider = match state.since {
            None => true,
            Some(Since { at: known }) => known.is_some_and(|known| wanted.is_none_or(|wanted| wanted < known)),
        };
        if is_wider {
            state.since = Some(Since { at: wanted });
            state.old = OldFeed::default();
            state.new = NewFeed::default();
        }
    }
}
