//! The requests of a round: the server's list of pipelines, a pipeline's pages and documents, and the operator's options.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::failure::{Failure, Halt, Lack, SyncError, Why, is_no_answer};
use super::options::Options;
use super::round::{Notice, Observer, Round, Sink};
use super::seen;
use super::state::{Held, PipelineState, ServerState, StateError, StateStore};
use crate::client::{FetchError, Source};
use crate::documents::{Name, Pipeline, PipelineLocator, Pipelines, StageEntry, StageFeed};
use crate::read::{self, ReadError};
use crate::{Dialect, Resource};

/// The most pages that are read in a round: a million stages. The next round goes on behind them.
pub const MAX_PAGES: u64 = 40_000;

/// The number of entries of a page in every version. A run that fills one may have more.
pub const PAGE: usize = 25;

/// The most entries of the first page that are remembered. A page has 25, and any one that did not change shows where the known part
/// starts; on a longer page, entries behind these are known by their place.
pub const MAX_MARKS: usize = 1024;

/// The number of requests in a row without an answer after which the list of pipelines is requested, to distinguish a server that is down
/// from documents that it cannot make: each request costs the client's patience, and two may be one run's.
const MAX_UNANSWERED: u32 = 3;

/// A server in a round.
pub struct Server<'s> {
    pub source: &'s dyn Source,
    pub observer: &'s mut dyn Observer,
    pub stop: &'s dyn Fn() -> bool,
    pub round: Round,
    /// The number of requests when a pipeline's state was last saved.
    pub saved_at: u64,
    /// The number of requests in a row without an answer.
    pub unanswered: u32,
}

impl Server<'_> {
    /// Requests a document. The inner error concerns this document only.
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

    /// Requests the JSON document of a run.
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
                // Further requests with a refused password lock the account out.
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

/// The pipelines of a server.
pub struct Listed {
    pub pipelines: Vec<Name>,
    /// The number of entries without a valid name.
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
    /// Requests the pipelines in the known dialect, else finds the dialect. Returns the server's state too.
    pub fn list(&mut self, store: &dyn StateStore, asked: Option<Dialect>) -> Result<(Listed, ServerState), Halt> {
        let state = |error: StateError| Halt::Round(error.into());
        let known = store.load_server().map_err(state)?;
        if let Some(known) = known.as_ref()
            && asked.is_none_or(|asked| asked == known.dialect())
        {
            match self.pipelines(known.dialect())? {
                Ok(list) => return Ok((Listed::new(list, known.dialect()), known.clone())),
                // The server has another version now, or there is none at this address.
                Err(lack) if lack.is_other_dialect() && asked.is_none() => {}
                Err(lack) => return Err(fatal(lack)),
            }
        }
        let listed = self.find(asked)?;
        let found = match &known {
            Some(known) => known.clone().with_dialect(listed.dialect),
            None => ServerState::new(listed.dialect),
        };
        if known.as_ref() != Some(&found) {
            store.save_server(&found).map_err(state)?;
        }
        Ok((listed, found))
    }

    /// Finds the server's dialect. Where it has both (20.1 to 20.3), the older has data that the newer lost.
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

/// A failed list ends the round.
fn fatal(lack: Lack) -> Halt {
    Halt::Round(lack.into_sync_error())
}

/// The number of requests within a page or a span after which the state is saved: seconds of a slow server's time, and on a fast one a
/// tenth more.
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
    /// The number of runs in a row that could not be read.
    pub lacks: u32,
}

impl Session<'_, '_> {
    /// Requests a document. The inner error concerns this document only.
    pub fn document<T>(
        &mut self,
        resource: &Resource,
        parse: fn(&[u8]) -> Result<T, ReadError>,
    ) -> Result<Result<T, Lack>, Halt> {
        self.server.document(resource, parse)
    }

    /// Requests a page of the pipeline's feed.
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

    /// Holds the pipeline back if its counters started again. `is_back` is true if a page with lower counters alone can mean nothing else.
    /// A page with a known entry is from the same server, which lacks its newest runs or was repaired.
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

    /// Returns true if an entry is from before the time that the operator set.
    pub fn is_before_since(&self, entry: &StageEntry) -> bool {
        let before = |since: DateTime<Utc>| entry.updated.is_some_and(|updated| updated < since);
        self.options.since.is_some_and(before)
    }

    /// Requests the run's own document.
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
            // The old dialect ignores the name: an id leads to the run that has it.
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

    /// Saves the progress within a page or a span, if it took long enough: the next process may not live longer.
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
    /// It is missing, at least at present.
    Lacking(Lack),
    /// There is no usable one.
    None(Notice),
}
