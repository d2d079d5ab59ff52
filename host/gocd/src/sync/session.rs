//! A pipeline's part of a round, and the operator's options.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::failure::Failure;
use super::round::Notice;
use super::seen;
use super::server::{Halt, Lack, Server};
use super::sink::Sink;
use super::state::{Held, PipelineState, StateStore};
use crate::documents::{Name, PipelineLocator, StageEntry, StageFeed};
use crate::mapping::{Mapping, Pattern};
use crate::read::{self, ReadError};
use crate::{Dialect, Resource, ServerUrl};

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
