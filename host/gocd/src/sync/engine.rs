//! A round over all pipelines.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::failure::{Failure, SyncError};
use super::list::Listed;
use super::observer::Observer;
use super::options::Options;
use super::round::Round;
use super::server::{Halt, Server, tolerated};
use super::session::Session;
use super::sink::Sink;
use super::state::{NewFeed, OldFeed, PipelineState, Since};
use super::store::StateStore;
use crate::Dialect;
use crate::client::{FetchError, Source};
use crate::documents::Name;

/// After how many pipelines in a row that got no answer the server is taken to be down: each costs the client's patience.
const MAX_UNANSWERED: u32 = 3;

/// Reads the pipelines of a GoCD server and tells what is new of their runs, round by round.
///
/// Between rounds nothing is kept but what the [`StateStore`] has, so that a round may as well be another process's.
pub struct Engine<'a> {
    source: &'a dyn Source,
    store: &'a dyn StateStore,
    sink: &'a mut dyn Sink,
    observer: &'a mut dyn Observer,
    options: Options,
}

impl<'a> Engine<'a> {
    /// Asks nothing yet.
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
        }
    }

    /// Reads what is new since the last round, and what that one left: at first all of the history back to [`Options::since`]. `stop` is
    /// asked before each request; once it says so the round ends, and the next goes on where it was.
    ///
    /// Without news it asks for the list of pipelines and one page of each; in dialect D also for one document of each run that is still
    /// open, and once in [`Options::full_walk_every`] for the whole feed.
    ///
    /// # Errors
    ///
    /// [`SyncError`] for what concerns all pipelines. What concerns one is in [`Round::failed`], and the others go on.
    pub fn round(&mut self, now: DateTime<Utc>, stop: &dyn Fn() -> bool) -> Result<Round, SyncError> {
        let mut server = Server {
            source: self.source,
            observer: &mut *self.observer,
            stop,
            round: Round::new(Dialect::C),
            saved_at: 0,
        };
        let done = server.list(self.store, self.options.dialect).and_then(|listed| {
            let mut pipelines = Pipelines {
                server: &mut server,
                store: self.store,
                sink: &mut *self.sink,
                options: &self.options,
                now,
            };
            pipelines.all(listed)
        });
        match done {
            Ok(()) => {}
            Err(Halt::Stopped) => server.round.stopped = true,
            Err(Halt::Round(error)) => return Err(error),
            Err(Halt::Pipeline(failure)) => return Err(SyncError::NoAnswer(failure)),
        }
        Ok(server.round)
    }
}

/// A round's pipelines.
struct Pipelines<'p, 's> {
    server: &'p mut Server<'s>,
    store: &'p dyn StateStore,
    sink: &'p mut dyn Sink,
    options: &'p Options,
    now: DateTime<Utc>,
}

impl Pipelines<'_, '_> {
    fn all(&mut self, listed: Listed) -> Result<(), Halt> {
        let patterns = &self.options.pipelines;
        let is_chosen =
            |name: &Name| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name.as_str()));
        let mut seen = HashSet::new();
        let mut chosen = listed.pipelines;
        chosen.retain(|name| is_chosen(name) && seen.insert(name.clone()));
        self.server.round.dialect = listed.dialect;
        self.server.round.pipelines = chosen.len();
        self.server.observer.pipelines(chosen.len());
        let mut unanswered = 0;
        for pipeline in chosen {
            self.server.observer.pipeline(&pipeline);
            let mut session = Session {
                server: &mut *self.server,
                store: self.store,
                sink: &mut *self.sink,
                options: self.options,
                now: self.now,
                dialect: listed.dialect,
                pipeline,
                lacks: 0,
            };
            let failure = match session.run() {
                Ok(()) => {
                    unanswered = 0;
                    continue;
                }
                Err(Halt::Pipeline(failure)) => failure,
                Err(halt) => return Err(halt),
            };
            let pipeline = session.pipeline;
            self.server.observer.failed(&pipeline, &failure);
            let is_unanswered = matches!(
                failure,
                Failure::Fetch {
                    error: FetchError::Unavailable { status: None, .. },
                    ..
                }
            );
            unanswered = if is_unanswered { unanswered + 1 } else { 0 };
            if unanswered >= MAX_UNANSWERED {
                return Err(Halt::Pipeline(failure));
            }
            self.server.round.failed.push((pipeline, failure));
        }
        Ok(())
    }
}

impl Session<'_, '_> {
    /// The pipeline's part of the round. Whatever ends it, what was done is saved, except where that itself is in trouble.
    fn run(&mut self) -> Result<(), Halt> {
        let loaded = self.store.load(&self.pipeline).map_err(Failure::State)?;
        let mut state = loaded.clone().unwrap_or_default();
        self.widen(&mut state);
        let read = match self.dialect {
            Dialect::C => self.old_feed(&mut state),
            Dialect::D => self.new_feed(&mut state),
        };
        // The first failure is the one to tell; a stop is none.
        let read = tolerated(read).and_then(|failure| {
            self.lacks = 0;
            let failure = failure.or(tolerated(self.due(&mut state))?);
            failure.map_or(Ok(()), |failure| Err(failure.into()))
        });
        if let Err(Halt::Round(SyncError::Sink(_) | SyncError::State(_))) = read {
            // What was taken may not be kept after all: it is told again.
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

    /// Begins anew if the operator wants more of the history than before.
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
