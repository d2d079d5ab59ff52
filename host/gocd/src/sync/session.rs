//! Requests of a round: the server's list of pipelines, a pipeline's pages and documents, and the operator's options.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::failure::{Failure, Halt, Lack, SyncError, Why, is_no_answer};
use super::round::{Notice, Observer, Round, Sink};
use super::seen;
use super::state::{Held, PipelineState, ServerState, StateError, StateStore};
use crate::client::{FetchError, Source};
use crate::documents::{Name, Pipeline, PipelineLocator, Pipelines, StageEntry, StageFeed};
use crate::mapping::{Mapping, Pattern};
use crate::read::{self, ReadError};
use crate::{Dialect, Resource, ServerUrl};

/// How many pages are read in a round: a million stages. The next round goes on behind them.
pub const MAX_PAGES: u64 = 40_000;

/// How many entries a page has in every version. A run that fills one may have more.
pub const PAGE: usize = 25;

/// How many entries of the first page are remembered. A page has 25, and any one of them that did not change shows where the known begins;
/// on a longer one, what is behind these is known by where it stands.
pub const MAX_MARKS: usize = 1024;

/// After how many requests in a row without an answer the list of pipelines is asked for, to tell a server that is down from documents that
/// it cannot make: each costs the client's patience, and two may be one run's.
const MAX_UNANSWERED: u32 = 3;

/// A server, and what was asked of it in a round.
pub struct Server<'s> {
    pub source: &'s dyn Source,
    pub observer: &'s mut dyn Observer,
    pub stop: &'s dyn Fn() -> bool,
    pub round: Round,
    /// How many requests there had been when a pipeline's state was last saved.
    pub saved_at: u64,
    /// How many requests in a row had no answer.
    pub unanswered: u32,
}

impl Server<'_> {
    /// Asks for a document. What is only about this one is the inner error.
    pub fn document<T>(
        &mut self,
        resource: &Resource,
        parse: fn(&[u8]) -> Result<T, ReadError>,
    ) -> Result<Result<T, Lack>, Halt> {
        let what = resource.path();
        // A document that was cut off on its way is whole the next time.
        let mut is_second = false;
        loop {
            let answer = self.answer(|source| source.get(resource), &what)?;
            match answer.map(|bytes| parse(&bytes)) {
                Ok(Ok(document)) => return Ok(Ok(document)),
                Ok(Err(error)) if is_second => {
                    let why = Why::Read(Box::new(error));
                    return Ok(Err(Lack { what, why }));
                }
                Ok(Err(_)) => is_second = true,
                Err(lack) => return Ok(Err(lack)),
            }
        }
    }

    /// Asks for the JSON document of a run.
    pub fn json(&mut self, run: &PipelineLocator) -> Result<Result<Vec<u8>, Lack>, Halt> {
        let what = format!("/api/pipelines/{}/{}", run.name, run.counter);
        self.answer(|source| source.get_json(run), &what)
    }

    fn answer(
        &mut self,
        ask: impl FnOnce(&dyn Source) -> Result<Vec<u8>, FetchError>,
        what: &str,
    ) -> Result<Result<Vec<u8>, Lack>, Halt> {
        if (self.stop)() {
            return Err(Halt::Stopped);
        }
        self.round.requests += 1;
        self.observer.request();
        let answer = ask(self.source);
        match answer {
            Ok(bytes) => {
                self.unanswered = 0;
                Ok(Ok(bytes))
            }
            Err(error) => {
                let what = what.to_owned();
                // Asking on with a password that is not taken locks the account out.
                if error == FetchError::BadCredentials {
                    return Err(Halt::Round(SyncError::Fetch { what, error }));
                }
                let lack = Lack {
                    what,
                    why: Why::Fetch(error),
                };
                self.count(&lack)?;
                Ok(Err(lack))
            }
        }
    }

    /// Counts requests without an answer, and ends the round if the server is down.
    fn count(&mut self, lack: &Lack) -> Result<(), Halt> {
        let is_unanswered = matches!(&lack.why, Why::Fetch(error) if is_no_answer(error));
        self.unanswered = if is_unanswered { self.unanswered + 1 } else { 0 };
        if self.unanswered < MAX_UNANSWERED {
            return Ok(());
        }
        self.unanswered = 0;
        let list = Resource::Pipelines(self.round.dialect);
        let what = list.path();
        match self.answer(|source| source.get(&list), &what)? {
            Err(lack) if lack.may_pass() => Err(Halt::Round(SyncError::NoAnswer(lack.into_failure()))),
            _ => Ok(()),
        }
    }
}

/// What a server lists.
pub struct Listed {
    pub pipelines: Vec<Name>,
    /// Entries that name none.
    pub left_out: u64,
    pub dialect: Dialect,
}

impl Listed {
    fn new(list: Pipelines, dialect: Dialect) -> Self {
        Self {
            pipelines: list.pipelines.into_iter().map(|pipeline| pipeline.name).collect(),
            left_out: list.left_out,
            dialect,
        }
    }
}

impl Server<'_> {
    /// Asks for the pipelines in the dialect that is known, else finds out which it is. Gives what is known of the server too.
    pub fn list(&mut self, store: &dyn StateStore, asked: Option<Dialect>) -> Result<(Listed, ServerState), Halt> {
        let state = |error: StateError| Halt::Round(error.into());
        let known = store.load_server().map_err(state)?;
        if let Some(known) = known.as_ref()
            && asked.is_none_or(|asked| asked == known.dialect())
        {
            match self.pipelines(known.dialect())? {
                Ok(list) => return Ok((Listed::new(list, known.dialect()), known.clone())),
                // The server is another version now, or there is none at this address.
                Err(lack) if lack.is_other_dialect() && asked.is_none() => {}
                Err(lack) => return Err(fatal(lack)),
            }
        }
        let listed = self.find(asked)?;
        let found = match &known {
            Some(known) => known.clone().speaking(listed.dialect),
            None => ServerState::new(listed.dialect),
        };
        if known.as_ref() != Some(&found) {
            store.save_server(&found).map_err(state)?;
        }
        Ok((listed, found))
    }

    /// Finds out how the server speaks. Where it does both ways (20.1 to 20.3), the older has what the newer lost.
    fn find(&mut self, asked: Option<Dialect>) -> Result<Listed, Halt> {
        if let Some(dialect) = asked {
            return match self.pipelines(dialect)? {
                Ok(list) => Ok(Listed::new(list, dialect)),
                Err(lack) if lack.is_missing() => Err(Halt::Round(SyncError::NoSuchFeeds {
                    kind: match dialect {
                        Dialect::Old => "old",
                        Dialect::New => "new",
                    },
                    what: lack.what,
                })),
                Err(lack) => Err(fatal(lack)),
            };
        }
        let old = match self.pipelines(Dialect::Old)? {
            Ok(list) => return Ok(Listed::new(list, Dialect::Old)),
            Err(lack) if lack.is_other_dialect() => lack,
            Err(lack) => return Err(fatal(lack)),
        };
        match self.pipelines(Dialect::New)? {
            Ok(list) => Ok(Listed::new(list, Dialect::New)),
            Err(new) => match (old.into_fetch_error(), new.into_fetch_error()) {
                (Ok(old), Ok(new)) => Err(Halt::Round(SyncError::NotGocd {
                    old: Box::new(old),
                    new: Box::new(new),
                })),
                (Err(lack), _) | (_, Err(lack)) => Err(fatal(lack)),
            },
        }
    }

    fn pipelines(&mut self, dialect: Dialect) -> Result<Result<Pipelines, Lack>, Halt> {
        self.document(&Resource::Pipelines(dialect), read::pipelines)
    }
}

/// A list that cannot be had ends the round.
fn fatal(lack: Lack) -> Halt {
    Halt::Round(lack.into_sync_error())
}

/// After how many requests within a page or a span the state is saved: seconds of a slow server's time, and on a fast one a tenth more.
const SAVED_EVERY: u64 = 50;

/// A pipeline in a round.
pub struct Session<'p, 's> {
    pub server: &'p mut Server<'s>,
    pub store: &'p dyn StateStore,
    pub sink: &'p mut dyn Sink,
    pub options: &'p Options,
    pub now: DateTime<Utc>,
    pub dialect: Dialect,
    /// The pipeline, as the list of pipelines has it.
    pub pipeline: Name,
    /// How many looks in a row failed.
    pub lacks: u32,
}

impl Session<'_, '_> {
    /// Asks for a document. What is only about this one is the inner error.
    pub fn document<T>(
        &mut self,
        resource: &Resource,
        parse: fn(&[u8]) -> Result<T, ReadError>,
    ) -> Result<Result<T, Lack>, Halt> {
        self.server.document(resource, parse)
    }

    /// A page of the pipeline's feed.
    pub fn page(&mut self, before: Option<u64>) -> Result<StageFeed, Halt> {
        let resource = Resource::StageFeed {
            dialect: self.dialect,
            pipeline: self.pipeline.clone(),
            before,
        };
        let mut page = match self.document(&resource, read::feed)? {
            Ok(page) => page,
            Err(lack) if lack.is_missing() => return Err(Failure::Vanished.into()),
            Err(lack) => return Err(lack.into_failure().into()),
        };
        self.server.round.pages += 1;
        self.server.observer.page(&self.pipeline);
        let links = page
            .entries
            .iter()
            .flat_map(|entry| [entry.stage_link(), entry.pipeline_link()]);
        let is_foreign = |link: &&crate::Href| self.options.server.is_foreign(link);
        self.server.round.foreign_links += links.flatten().filter(is_foreign).count() as u64;
        let mut entries = Vec::new();
        for entry in page.entries.drain(..) {
            let name = &entry.stage.pipeline.name;
            if name.is_same(&self.pipeline) {
                entries.push(entry);
            } else {
                let notice = Notice::OtherDocument {
                    asked: resource.path(),
                    found: format!("an entry of pipeline {name}"),
                };
                self.notice(None, &notice);
            }
        }
        page.entries = entries;
        Ok(page)
    }

    /// Holds the pipeline back if its counters began again. `is_back` is whether a page with lower counters alone can mean nothing else. A page that has something
    /// that was seen before is the same server's, which lacks its newest runs or has been set right.
    pub fn check_restart(&self, state: &mut PipelineState, page: &StageFeed, is_back: bool) -> Result<(), Halt> {
        let counters = page.entries.iter().map(|entry| entry.stage.pipeline.counter.get());
        let found = counters.max().filter(|found| is_back && *found < state.newest);
        if found.is_none() && state.held.is_none() {
            return Ok(());
        }
        let marks: HashSet<u64> = state.old.marks.iter().chain(&state.new.marks).copied().collect();
        let is_known = |entry: &StageEntry| marks.contains(&seen::of_entry(entry));
        if page.entries.iter().any(is_known) {
            state.held = None;
            return Ok(());
        }
        let said = self.options.mapping.restarted(&self.pipeline);
        let said = said.map(|id| id.as_str().to_owned());
        if said.is_some() && said != state.said {
            state.forget();
            state.said = said;
            return Ok(());
        }
        let known = state.newest;
        let held = state.held.get_or_insert(Held {
            found: found.unwrap_or_default(),
        });
        Err(Failure::Restarted {
            pipeline: self.pipeline.clone(),
            known,
            found: held.found,
        }
        .into())
    }

    /// Whether an entry is from before the time that the operator set.
    pub fn is_before_since(&self, entry: &StageEntry) -> bool {
        let before = |since: DateTime<Utc>| entry.updated.is_some_and(|updated| updated < since);
        self.options.since.is_some_and(before)
    }

    /// The run's own document.
    pub fn pipeline_document(&mut self, asked: &PipelineLocator, id: Option<u64>) -> Result<OwnDocument, Halt> {
        let resource = match (self.dialect, id) {
            (Dialect::New, _) => Resource::Pipeline(asked.clone()),
            (Dialect::Old, Some(id)) => Resource::PipelineById {
                pipeline: asked.name.clone(),
                id,
            },
            (Dialect::Old, None) => {
                let notice = Notice::NoPipeline("the feed does not link to it".into());
                return Ok(OwnDocument::None(notice));
            }
        };
        Ok(match self.document(&resource, read::pipeline)? {
            // The old dialect does not look at the name: an id leads to whatever run has it.
            Ok(found) if found.name.is_same(&asked.name) && found.counter == asked.counter => OwnDocument::Found(found),
            Ok(found) => OwnDocument::None(Notice::OtherDocument {
                asked: format!("run {} of {}", asked.counter, asked.name),
                found: format!("run {} of {}", found.counter, found.name),
            }),
            Err(lack) => OwnDocument::Lacking(lack),
        })
    }

    pub fn notice(&mut self, run: Option<&PipelineLocator>, notice: &Notice) {
        match run {
            Some(run) => self
                .server
                .round
                .count(&format_args!("{} {}", run.name, run.counter), notice),
            None => self.server.round.count(&self.pipeline, notice),
        }
        self.server.observer.notice(&self.pipeline, run, notice);
    }

    /// Saves what was looked at within a page or a span, if it took long enough: the next reader may not live longer.
    pub fn save_now_and_then(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        if self.server.round.requests.saturating_sub(self.server.saved_at) < SAVED_EVERY {
            return Ok(());
        }
        self.save(state)
    }

    pub fn save(&mut self, state: &mut PipelineState) -> Result<(), Halt> {
        state.trim();
        let saved = self.store.save(&self.pipeline, state);
        self.server.saved_at = self.server.round.requests;
        saved.map_err(|error| Halt::Round(error.into()))
    }
}

/// A run's own document.
pub enum OwnDocument {
    Found(Pipeline),
    /// It cannot be had, at least at present.
    Lacking(Lack),
    /// There is none.
    None(Notice),
}

/// What is read, and how far back.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's address as configured, to tell links to other hosts. They are counted, and never followed there.
    pub server: ServerUrl,
    /// How runs become runs of DX.
    pub mapping: Mapping,
    /// Which pipelines, by name; none means all that the user may see.
    pub pipelines: Vec<Pattern>,
    /// How far back: runs of which every stage ended earlier are passed over.
    pub since: Option<DateTime<Utc>>,
    /// The dialect; none means to find out.
    pub dialect: Option<Dialect>,
    /// Whether to ask the new dialect's servers for each run's true revisions, by one more request a run.
    pub enrich: bool,
    /// Whether a run that was made from other pipelines' runs alone takes repository and commit from theirs.
    pub upstream: bool,
    /// How often the new dialect's feed is read to its end, for stages of old runs that were run again: they do not come to its top.
    pub full_walk_every: TimeDelta,
}

impl Options {
    /// The defaults: all pipelines, the whole history, a full walk a day.
    #[must_use]
    pub fn new(server: ServerUrl, mapping: Mapping) -> Self {
        Self {
            server,
            mapping,
            pipelines: Vec::new(),
            since: None,
            dialect: None,
            enrich: false,
            upstream: true,
            full_walk_every: TimeDelta::days(1),
        }
    }
}
