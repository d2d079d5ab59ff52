//! Assembly of a run from its documents.
//!
//! The feed only names the runs to read: its entries of a run depend on the time and the page. The documents do not, so that a run read
//! while it goes on, and again years later, is the same.

use super::failure::{Halt, Lack};
use super::patience::Without;
use super::round::{MAX_RERUNS, Notice};
use super::session::{OwnDocument, Session};
use crate::documents::{Counter, JobState, Name, Pipeline, PipelineLocator, Stage, StageEntry, StageLocator};
use crate::mapping::{Revisions, RunHistory, StageRun};
use crate::{Dialect, Href, Resource, read};

/// A run to be read.
pub struct Wanted<'e> {
    /// The run's counter.
    pub counter: Counter,
    /// The run's database id (the old dialect).
    pub id: Option<u64>,
    /// The feed's entries of the run that are at hand.
    pub entries: Vec<&'e StageEntry>,
    /// The run's own document, if it is at hand.
    pub document: Option<Pipeline>,
    /// The documents that the run is assembled without.
    pub without: Without,
}

impl<'e> Wanted<'e> {
    /// Returns a run with nothing at hand.
    pub fn new(counter: Counter) -> Self {
        Self {
            counter,
            id: None,
            entries: Vec::new(),
            document: None,
            without: Without::Nothing,
        }
    }

    /// Adds the remembered entries of the feed that are not at hand.
    pub fn with(mut self, remembered: &'e [StageEntry]) -> Self {
        let is_new = |old: &&StageEntry| !self.entries.iter().any(|entry| entry.stage == old.stage);
        let more: Vec<&StageEntry> = remembered.iter().filter(is_new).collect();
        self.entries.extend(more);
        self
    }

    /// Returns a run with its entries on a page of the feed.
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

/// An assembled run with its notices.
pub struct Assembled {
    pub history: RunHistory,
    pub notices: Vec<Notice>,
    /// The missing document that a later read may get.
    pub wanting: Option<Lack>,
}

/// A stage's run to be requested.
struct WantedStage {
    resource: Resource,
    /// The run's names and counters, if they are known beforehand.
    stage: Option<StageLocator>,
}

impl Session<'_, '_> {
    /// Assembles a run. The inner error: a document is missing that may come.
    pub fn assemble(&mut self, mut wanted: Wanted<'_>, newest: u64) -> Result<Result<Assembled, Lack>, Halt> {
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
                // The page is requested for this run only: its failure is not the feed's.
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
                Err(lack) if !lack.is_done_without(wanted.without) && !is_in_feed(entry, &lack) => {
                    return Ok(Err(lack));
                }
                without => {
                    let mut may_come = false;
                    if let Err(lack) = without {
                        may_come = lack.may_come(wanted.without);
                        if entry.is_none() {
                            notices.push(no_stage(known.as_ref(), &latest.resource, &lack));
                        }
                        lack.want(&mut wanting);
                    }
                    stages.extend(entry.map(|entry| self.listed(entry, may_come)));
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
        Ok(Ok(Assembled {
            history,
            notices,
            wanting,
        }))
    }

    /// Returns the latest run of each stage, from the run's document or else from the feed.
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

    /// Adds the runs of a stage before its latest.
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
                Ok(None) => stages.extend(entry.map(|entry| self.listed(entry, false))),
                Err(lack) => {
                    // Without it the attempts are counted wrongly: a transient failure is waited for, also if it is the new dialect's
                    // answer for an unknown stage.
                    if !lack.is_done_without(without) && !is_in_feed(entry.copied(), &lack) {
                        return Ok(Err(lack));
                    }
                    match entry {
                        Some(entry) => stages.push(self.listed(entry, lack.may_come(without))),
                        None => notices.push(no_stage(Some(&stage), &resource, &lack)),
                    }
                    lack.want(wanting);
                }
            }
        }
        Ok(Ok(()))
    }

    /// Returns a stage's document; `None` if it is about another run.
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

    /// Adds the documents of a stage's jobs, where these may have times. An unknown job holds nothing back: until it is certain that its
    /// document does not come, the stage has no jobs' times, by which stages would be ordered.
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
                    // From GoCD 19.10 on no job has properties, so one shows it; a job that was copied into a re-run has none before that
                    // either.
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
            stage.lacks_jobs = true;
            if !is_done_without {
                stage.jobs.clear();
                break;
            }
        }
        Ok(Ok(stage))
    }

    /// Returns a stage's run as the feed has it. The feed names the approver of manual stages only, and people also start other stages.
    fn listed(&self, entry: &StageEntry, document_may_come: bool) -> StageRun {
        StageRun {
            approver_may_come: document_may_come && entry.approver.is_none(),
            // No others are requested.
            lacks_jobs: self.dialect == Dialect::Old,
            ..StageRun::from(entry)
        }
    }
}

/// Returns true if a feed's entry is about the wanted stage.
fn is_about(entry: &StageEntry, wanted: &WantedStage) -> bool {
    match &wanted.stage {
        Some(stage) => entry.stage.name.is_same(&stage.name) && entry.stage.counter == stage.counter,
        None => entry.stage_link().and_then(Href::resource).as_ref() == Some(&wanted.resource),
    }
}

/// Returns true if the feed has enough of a stage's run whose document is unknown to the server: all but its jobs.
fn is_in_feed(entry: Option<&StageEntry>, lack: &Lack) -> bool {
    entry.is_some() && lack.is_missing()
}

fn no_stage(known: Option<&StageLocator>, resource: &Resource, lack: &Lack) -> Notice {
    Notice::NoStage {
        stage: known.map_or_else(|| resource.path(), |stage| stage.name.to_string()),
        counter: known.map_or(1, |stage| stage.counter.get()),
        why: lack.why(),
    }
}
