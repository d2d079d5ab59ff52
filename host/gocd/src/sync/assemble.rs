//! A run, put together from its documents.
//!
//! The feed only says which runs to look at: what it lists of a run depends on when and where in it one looks. The documents do not, so
//! that a run that is met while it goes on, and again years later, is the same.

use super::failure::{Halt, Lack};
use super::patience::Without;
use super::round::{MAX_RERUNS, Notice};
use super::session::{OwnDocument, Session};
use crate::documents::{Counter, JobState, Name, Pipeline, PipelineLocator, Stage, StageEntry, StageLocator};
use crate::mapping::{Revisions, RunHistory, StageRun};
use crate::{Dialect, Href, Resource, read};

/// A run to be looked at.
pub struct Wanted<'e> {
    /// Which.
    pub counter: Counter,
    /// Its database id (the old dialect).
    pub id: Option<u64>,
    /// What the feed has of it, as far as it is at hand.
    pub entries: Vec<&'e StageEntry>,
    /// Its own document, if that is at hand.
    pub document: Option<Pipeline>,
    /// What to do without.
    pub without: Without,
}

impl<'e> Wanted<'e> {
    /// A run with nothing at hand.
    pub fn new(counter: Counter) -> Self {
        Self {
            counter,
            id: None,
            entries: Vec::new(),
            document: None,
            without: Without::Nothing,
        }
    }

    /// The same with what the feed had of it before, as far as it is not at hand.
    pub fn with(mut self, remembered: &'e [StageEntry]) -> Self {
        let is_new = |old: &&StageEntry| !self.entries.iter().any(|entry| entry.stage == old.stage);
        let more: Vec<&StageEntry> = remembered.iter().filter(is_new).collect();
        self.entries.extend(more);
        self
    }

    /// A run with what a page of the feed has of it.
    pub fn on_page(counter: Counter, entries: &'e [StageEntry]) -> Self {
        let of_run = |entry: &&StageEntry| entry.stage.pipeline.counter == counter;
        let entries: Vec<&StageEntry> = entries.iter().filter(of_run).collect();
        let id = |entry: &&StageEntry| match entry.pipeline_link()?.resource()? {
            Resource::PipelineById { id, .. } => Some(id),
            _ => None,
        };
        Self {
            id: entries.iter().find_map(id),
            entries,
            ..Self::new(counter)
        }
    }
}

/// A run with what came up.
pub struct Found {
    pub history: RunHistory,
    pub notices: Vec<Notice>,
    /// What it lacks, and may get when it is looked at again.
    pub wanting: Option<Lack>,
}

/// A stage's run to be asked for.
struct WantedStage {
    resource: Resource,
    /// Which it is, where that is known beforehand.
    stage: Option<StageLocator>,
}

impl Session<'_, '_> {
    /// Puts a run together. The inner error: a document is missing that may come.
    pub fn assemble(&mut self, mut wanted: Wanted<'_>, newest: u64) -> Result<Result<Found, Lack>, Halt> {
        let asked = PipelineLocator {
            name: self.pipeline.clone(),
            counter: wanted.counter,
        };
        let mut notices = Vec::new();
        let mut wanting = None;
        let own = match wanted.document.take() {
            Some(pipeline) => OwnDocument::Found(pipeline),
            None => self.pipeline_document(&asked, wanted.id)?,
        };
        let mut pipeline = match own {
            OwnDocument::Found(pipeline) => Some(pipeline),
            OwnDocument::Lacking(lack) => {
                if !lack.is_done_without(wanted.without) {
                    return Ok(Err(lack));
                }
                notices.push(Notice::NoPipeline(lack.why()));
                lack.want(&mut wanting);
                None
            }
            OwnDocument::None(notice) => {
                notices.push(notice);
                None
            }
        };
        let mut revisions = Revisions::OfRun;
        if let Some(pipeline) = &mut pipeline {
            revisions = self.revisions(pipeline, &asked, newest, (&mut notices, &mut wanting))?;
        }
        let mut entries = std::mem::take(&mut wanted.entries);
        let feed;
        if pipeline.is_none() && entries.is_empty() && self.dialect == Dialect::New {
            match self.page(asked.counter.get().checked_add(1)) {
                Ok(page) => {
                    feed = page;
                    entries = Wanted::on_page(asked.counter, &feed.entries).entries;
                }
                // It is one run's look, and not the feed's part of the round.
                Err(Halt::Pipeline(_)) => {}
                Err(halt) => return Err(halt),
            }
        }
        let mut stages = Vec::new();
        let mut stored: Option<Name> = entries.first().map(|entry| entry.stage.pipeline.name.clone());
        for latest in self.latest(pipeline.as_ref(), &entries) {
            let entry = entries.iter().find(|entry| is_about(entry, &latest)).copied();
            let known = latest.stage.clone().or_else(|| entry.map(|entry| entry.stage.clone()));
            let (name, counter) = match self.stage(&latest.resource, known.as_ref(), &asked, &mut notices)? {
                Ok(Some((stage, document))) => {
                    stored = Some(document.pipeline.name.clone());
                    let key = (stage.name.clone(), stage.counter);
                    match self.with_jobs(stage, &document, wanted.without, (&mut notices, &mut wanting))? {
                        Ok(stage) => stages.push(stage),
                        Err(lack) => return Ok(Err(lack)),
                    }
                    key
                }
                Err(lack) if !lack.is_done_without(wanted.without) && !is_told_by(entry, &lack) => {
                    return Ok(Err(lack));
                }
                without => {
                    if let Err(lack) = without {
                        if entry.is_none() {
                            notices.push(no_stage(known.as_ref(), &latest.resource, &lack));
                        }
                        lack.want(&mut wanting);
                    }
                    stages.extend(entry.map(StageRun::from));
                    match known {
                        Some(known) => (known.name, known.counter),
                        None => continue,
                    }
                }
            };
            let lack = self.earlier(
                &asked,
                (&name, counter),
                (&entries, wanted.without),
                &mut stages,
                (&mut notices, &mut wanting),
            )?;
            if let Err(lack) = lack {
                return Ok(Err(lack));
            }
        }
        let run = PipelineLocator {
            name: stored.unwrap_or(asked.name),
            counter: asked.counter,
        };
        let history = RunHistory {
            run,
            pipeline,
            revisions,
            stages,
        };
        Ok(Ok(Found {
            history,
            notices,
            wanting,
        }))
    }

    /// The latest run of each stage: as the run's document has them, else as the feed has.
    fn latest(&self, pipeline: Option<&Pipeline>, entries: &[&StageEntry]) -> Vec<WantedStage> {
        if let Some(pipeline) = pipeline {
            let stage = |resource: &Resource| match resource {
                Resource::Stage(stage) => Some(stage.clone()),
                _ => None,
            };
            let resources = pipeline.stage_resources().into_iter();
            return resources
                .map(|resource| WantedStage {
                    stage: stage(&resource),
                    resource,
                })
                .collect();
        }
        let is_latest = |entry: &&&StageEntry| {
            let later = |other: &&StageEntry| {
                other.stage.name.is_same(&entry.stage.name) && other.stage.counter > entry.stage.counter
            };
            !entries.iter().any(later)
        };
        let mut latest: Vec<WantedStage> = Vec::new();
        for entry in entries.iter().filter(is_latest) {
            let linked = entry.stage_link().and_then(Href::resource);
            let resource = match (self.dialect, linked) {
                (Dialect::Old, Some(resource @ Resource::StageById(_))) => resource,
                (Dialect::Old, _) => Resource::StageByName(entry.stage.clone()),
                (Dialect::New, _) => Resource::Stage(entry.stage.clone()),
            };
            if !latest.iter().any(|other| other.resource == resource) {
                latest.push(WantedStage {
                    resource,
                    stage: Some(entry.stage.clone()),
                });
            }
        }
        latest
    }

    /// The runs of a stage before its latest.
    fn earlier(
        &mut self,
        run: &PipelineLocator,
        (name, latest): (&Name, Counter),
        (entries, without): (&[&StageEntry], Without),
        stages: &mut Vec<StageRun>,
        (notices, wanting): (&mut Vec<Notice>, &mut Option<Lack>),
    ) -> Result<Result<(), Lack>, Halt> {
        let first = latest.get().saturating_sub(MAX_RERUNS).max(1);
        if first > 1 {
            notices.push(Notice::TooManyReruns {
                stage: name.clone(),
                count: latest.get(),
            });
        }
        for counter in (first..latest.get()).filter_map(Counter::new) {
            let stage = StageLocator {
                pipeline: run.clone(),
                name: name.clone(),
                counter,
            };
            let entry = entries
                .iter()
                .find(|entry| entry.stage.name.is_same(name) && entry.stage.counter == counter);
            let resource = match self.dialect {
                Dialect::Old => Resource::StageByName(stage.clone()),
                Dialect::New => Resource::Stage(stage.clone()),
            };
            match self.stage(&resource, Some(&stage), run, notices)? {
                Ok(Some((stage, document))) => match self.with_jobs(stage, &document, without, (notices, wanting))? {
                    Ok(stage) => stages.push(stage),
                    Err(lack) => return Ok(Err(lack)),
                },
                Ok(None) => stages.extend(entry.map(|entry| StageRun::from(*entry))),
                Err(lack) => {
                    // Without it the attempts are counted wrongly: a failure that may pass is waited for, also where it is how the new dialect
                    // says that it knows no such stage.
                    if !lack.is_done_without(without) && !is_told_by(entry.copied(), &lack) {
                        return Ok(Err(lack));
                    }
                    match entry {
                        Some(entry) => stages.push(StageRun::from(*entry)),
                        None => notices.push(no_stage(Some(&stage), &resource, &lack)),
                    }
                    lack.want(wanting);
                }
            }
        }
        Ok(Ok(()))
    }

    /// A stage's document; none if it is about another run.
    fn stage(
        &mut self,
        resource: &Resource,
        known: Option<&StageLocator>,
        run: &PipelineLocator,
        notices: &mut Vec<Notice>,
    ) -> Result<Result<Option<(StageRun, Stage)>, Lack>, Halt> {
        let document = match self.document(resource, read::stage)? {
            Ok(document) => document,
            Err(lack) => return Ok(Err(lack)),
        };
        let found = document.locator();
        let is_asked = found.pipeline.name.is_same(&run.name)
            && found.pipeline.counter == run.counter
            && known.is_none_or(|known| known.name.is_same(&found.name) && known.counter == found.counter);
        if is_asked {
            return Ok(Ok(Some((StageRun::from(&document), document))));
        }
        notices.push(Notice::OtherDocument {
            asked: resource.path(),
            found: Resource::StagePage(found).path(),
        });
        Ok(Ok(None))
    }

    /// A stage's run with its jobs' documents, where these may have times. One that the server does not know holds nothing back: until it
    /// is certain that it does not come, the stage is without jobs' times, by which stages would be put in order.
    fn with_jobs(
        &mut self,
        mut stage: StageRun,
        document: &Stage,
        without: Without,
        (notices, wanting): (&mut Vec<Notice>, &mut Option<Lack>),
    ) -> Result<Result<StageRun, Lack>, Halt> {
        if self.dialect == Dialect::New {
            return Ok(Ok(stage));
        }
        for resource in document.job_resources() {
            let lack = match self.document(&resource, read::job)? {
                Ok(job) => {
                    // From GoCD 19.10 on none has any, so one shows it; a job that was copied into a re-run has none before that either.
                    let has_none = job.properties.is_empty() && job.state == JobState::Completed;
                    stage.jobs.push(job);
                    if has_none && stage.counter == Counter::FIRST {
                        break;
                    }
                    continue;
                }
                Err(lack) => lack,
            };
            let is_done_without = lack.is_done_without(without);
            if !is_done_without && !lack.is_missing() {
                return Ok(Err(lack));
            }
            notices.push(Notice::NoJob {
                stage: stage.name.clone(),
                why: lack.why(),
            });
            lack.want(wanting);
            if !is_done_without {
                stage.jobs.clear();
                break;
            }
        }
        Ok(Ok(stage))
    }
}

/// Whether a feed's entry is about what is asked for.
fn is_about(entry: &StageEntry, wanted: &WantedStage) -> bool {
    match &wanted.stage {
        Some(stage) => entry.stage.name.is_same(&stage.name) && entry.stage.counter == stage.counter,
        None => entry.stage_link().and_then(Href::resource).as_ref() == Some(&wanted.resource),
    }
}

/// Whether the feed says enough of a stage's run whose document the server does not know: all but its jobs.
fn is_told_by(entry: Option<&StageEntry>, lack: &Lack) -> bool {
    entry.is_some() && lack.is_missing()
}

fn no_stage(known: Option<&StageLocator>, resource: &Resource, lack: &Lack) -> Notice {
    Notice::NoStage {
        stage: known.map_or_else(|| resource.path(), |stage| stage.name.to_string()),
        counter: known.map_or(1, |stage| stage.counter.get()),
        why: lack.why(),
    }
}
