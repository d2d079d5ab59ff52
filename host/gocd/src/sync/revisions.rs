//! What a run was made from, where its own document does not say.

use super::notice::Notice;
use super::server::{Halt, Lack};
use super::session::{Session, is_same};
use crate::documents::{Changeset, Counter, Material, MaterialKind, Name, Pipeline, PipelineLocator, StageLocator};
use crate::mapping::Revisions;
use crate::{Dialect, Href, Resource, read};

/// How many pipelines up a revision is looked for. Five stand between a commit and its release at most places.
const MAX_DEPTH: u32 = 5;

/// How many runs of other pipelines are looked at for one run, for pipelines that fan in.
const MAX_RUNS: usize = 16;

impl Session<'_, '_> {
    /// Completes a run's document: with the true revisions, and with the materials of the runs that it was made from if it was made from
    /// runs alone. Says what the revisions are then.
    pub(super) fn revisions(
        &mut self,
        pipeline: &mut Pipeline,
        run: &PipelineLocator,
        newest: u64,
        notices: &mut Vec<Notice>,
    ) -> Result<Result<Revisions, Lack>, Halt> {
        let mut revisions = match self.own(pipeline, run, newest, notices)? {
            Ok(revisions) => revisions,
            Err(lack) => return Ok(Err(lack)),
        };
        if !self.options.upstream || !is_made_of_runs(pipeline) {
            return Ok(Ok(revisions));
        }
        let mut visited = vec![run.clone()];
        let mut level: Vec<Changeset> = changes(&pipeline.materials);
        let mut found: Vec<Material> = Vec::new();
        for _ in 0..MAX_DEPTH {
            let mut next = Vec::new();
            for change in std::mem::take(&mut level) {
                if visited.len() > MAX_RUNS {
                    break;
                }
                let (above, is_of_run) = match self.above(&change, &mut visited, notices)? {
                    Ok(Some(above)) => above,
                    Ok(None) => continue,
                    Err(lack) => return Ok(Err(lack)),
                };
                if !is_of_run {
                    revisions = Revisions::LatestKnown { was_newest: false };
                }
                let is_code = |material: &&Material| !matches!(material.kind, MaterialKind::Dependency { .. });
                if is_made_of_runs(&above) {
                    next.extend(changes(&above.materials));
                } else {
                    found.extend(above.materials.iter().filter(is_code).cloned().map(without_people));
                }
            }
            level = next;
            if !found.is_empty() {
                break;
            }
        }
        pipeline.materials.extend(found);
        Ok(Ok(revisions))
    }

    /// What the revisions in a run's own document are, once they are the true ones if that was asked for.
    fn own(
        &mut self,
        pipeline: &mut Pipeline,
        run: &PipelineLocator,
        newest: u64,
        notices: &mut Vec<Notice>,
    ) -> Result<Result<Revisions, Lack>, Halt> {
        if self.dialect == Dialect::C {
            return Ok(Ok(Revisions::OfRun));
        }
        if self.options.enrich {
            match self.server.json(run)? {
                Ok(json) => match super::enrich::materials(&json) {
                    Ok(materials) => {
                        pipeline.materials = materials;
                        return Ok(Ok(Revisions::OfRun));
                    }
                    Err(error) => notices.push(Notice::NoRevisions(error.to_string())),
                },
                Err(lack) if lack.is_server_fault() => return Ok(Err(lack)),
                Err(lack) => notices.push(Notice::NoRevisions(lack.why())),
            }
        }
        let has_none = pipeline.materials.iter().all(|material| material.changesets.is_empty());
        if run.counter.get() < newest || has_none {
            return Ok(Ok(Revisions::LatestKnown { was_newest: false }));
        }
        let answer = self.is_newest(run)?;
        Ok(answer.map(|was_newest| Revisions::LatestKnown { was_newest }))
    }

    /// Whether no newer run is there. The feed would not show one whose first stage is under way.
    fn is_newest(&mut self, run: &PipelineLocator) -> Result<Result<bool, Lack>, Halt> {
        let Some(next) = run.counter.get().checked_add(1).and_then(Counter::new) else {
            return Ok(Ok(false));
        };
        let next = Resource::Pipeline(PipelineLocator {
            name: run.name.clone(),
            counter: next,
        });
        match self.document(&next, read::pipeline)? {
            Err(lack) if lack.is_server_fault() => Ok(Err(lack)),
            answer => Ok(Ok(answer.is_err_and(|lack| lack.is_final()))),
        }
    }

    /// The run that a change of a dependency names, and whether its revisions are its own. None if it cannot be had, or was met before.
    fn above(
        &mut self,
        change: &Changeset,
        visited: &mut Vec<PipelineLocator>,
        notices: &mut Vec<Notice>,
    ) -> Result<Result<Option<(Pipeline, bool)>, Lack>, Halt> {
        let linked = change.uri.as_ref().and_then(Href::resource);
        let named = change.revision.as_deref().and_then(locator);
        let mut id = None;
        let stage = match (self.dialect, linked, named) {
            (Dialect::C, Some(resource @ Resource::StageById(_)), _) => Err(resource),
            (Dialect::C, _, Some(stage)) => Err(Resource::StageByName(stage)),
            (Dialect::D, Some(Resource::Stage(stage)), _) | (Dialect::D, _, Some(stage)) => Ok(stage.pipeline),
            _ => {
                notices.push(Notice::NoUpstream("its change names none".into()));
                return Ok(Ok(None));
            }
        };
        let run = match stage {
            Ok(run) => run,
            // Only the stage's document knows the id of its pipeline's run.
            Err(resource) => match self.document(&resource, read::stage)? {
                Ok(stage) => {
                    id = match stage.pipeline.href.as_ref().and_then(Href::resource) {
                        Some(Resource::PipelineById { id, .. }) => Some(id),
                        _ => None,
                    };
                    stage.pipeline.locator()
                }
                Err(lack) => return Ok(unless_there(lack, notices)),
            },
        };
        let is_it = |other: &PipelineLocator| is_same(&other.name, &run.name) && other.counter == run.counter;
        if visited.iter().any(is_it) {
            return Ok(Ok(None));
        }
        visited.push(run.clone());
        let mut pipeline = match self.pipeline_document(&run, id, notices)? {
            Ok(Some(pipeline)) => pipeline,
            Ok(None) => return Ok(Ok(None)),
            Err(lack) => return Ok(unless_there(lack, notices)),
        };
        let revisions = match self.own(&mut pipeline, &run, 0, notices)? {
            Ok(revisions) => revisions,
            Err(lack) => return Ok(Err(lack)),
        };
        let is_of_run = revisions != Revisions::LatestKnown { was_newest: false };
        Ok(Ok(Some((pipeline, is_of_run))))
    }
}

/// A user may see a pipeline, and not the one above it.
fn unless_there<T>(lack: Lack, notices: &mut Vec<Notice>) -> Result<Option<T>, Lack> {
    if lack.is_server_fault() {
        return Err(lack);
    }
    notices.push(Notice::NoUpstream(lack.why()));
    Ok(None)
}

/// Whether a run has materials, and all of them are other pipelines' runs.
fn is_made_of_runs(pipeline: &Pipeline) -> bool {
    let is_run = |material: &Material| matches!(material.kind, MaterialKind::Dependency { .. });
    !pipeline.materials.is_empty() && pipeline.materials.iter().all(is_run)
}

/// The change of each material that was used.
fn changes(materials: &[Material]) -> Vec<Changeset> {
    materials
        .iter()
        .filter_map(|material| material.changesets.first().cloned())
        .collect()
}

/// Who made a change that another pipeline built did not start this run.
fn without_people(mut material: Material) -> Material {
    for change in &mut material.changesets {
        change.user = None;
    }
    material
}

/// `PIPELINE/COUNTER/STAGE/COUNTER`.
fn locator(revision: &str) -> Option<StageLocator> {
    let parts: Vec<&str> = revision.split('/').collect();
    let &[pipeline, of, stage, counter] = parts.as_slice() else {
        return None;
    };
    Some(StageLocator {
        pipeline: PipelineLocator {
            name: Name::new(pipeline).ok()?,
            counter: Counter::parse(of)?,
        },
        name: Name::new(stage).ok()?,
        counter: Counter::parse(counter)?,
    })
}
