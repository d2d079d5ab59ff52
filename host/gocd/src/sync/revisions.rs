//! The revisions of a run: its own, those of the upstream run, and those of the JSON API.

use chrono::DateTime;
use serde::Deserialize;

use super::failure::{Halt, Lack};
use super::round::Notice;
use super::session::{OwnDocument, Session};
use crate::documents::{Changeset, Counter, Material, MaterialKind, Name, Pipeline, PipelineLocator, StageLocator};
use crate::mapping::Revisions;
use crate::{Dialect, Href, Resource, read};

/// The most upstream pipelines in a chain that are searched for a revision. Most places have five between a commit and its release.
const MAX_DEPTH: u32 = 5;

/// The most runs of other pipelines that are read for one run, for pipelines that fan in.
const MAX_RUNS: usize = 16;

impl Session<'_, '_> {
    /// Completes a run's document with the true revisions, and with the materials of its upstream runs if it was made from runs alone.
    /// Returns the meaning of the revisions then. Missing data is left out, and recorded in `wanting` if it may come: it only adds to the
    /// run.
    pub fn revisions(
        &mut self,
        pipeline: &mut Pipeline,
        run: &PipelineLocator,
        newest: u64,
        (notices, wanting): (&mut Vec<Notice>, &mut Option<Lack>),
    ) -> Result<Revisions, Halt> {
        let mut revisions = self.own(pipeline, run, newest, (&mut *notices, &mut *wanting))?;
        if !self.options.upstream || !is_made_of_runs(pipeline) {
            return Ok(revisions);
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
                let above = self.above(&change, &mut visited, (&mut *notices, &mut *wanting))?;
                let Some((above, is_of_run)) = above else { continue };
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
        Ok(revisions)
    }

    /// Returns the meaning of the revisions in a run's own document, after it got the true ones if that is configured.
    fn own(
        &mut self,
        pipeline: &mut Pipeline,
        run: &PipelineLocator,
        newest: u64,
        (notices, wanting): (&mut Vec<Notice>, &mut Option<Lack>),
    ) -> Result<Revisions, Halt> {
        if self.dialect == Dialect::Old {
            return Ok(Revisions::OfRun);
        }
        if self.options.enrich {
            match self.server.json(run)? {
                Ok(json) => match materials(&json) {
                    Ok(materials) => {
                        pipeline.materials = materials;
                        return Ok(Revisions::OfRun);
                    }
                    Err(error) => notices.push(Notice::NoRevisions(error.to_string())),
                },
                Err(lack) => {
                    notices.push(Notice::NoRevisions(lack.why()));
                    want(wanting, lack, Lack::may_pass);
                }
            }
        }
        let has_none = pipeline.materials.iter().all(|material| material.changesets.is_empty());
        let was_newest = run.counter.get() >= newest && !has_none && self.is_newest(run, wanting)?;
        Ok(Revisions::LatestKnown { was_newest })
    }

    /// Returns true if there is no newer run. The feed would not show one whose first stage is in progress.
    fn is_newest(&mut self, run: &PipelineLocator, wanting: &mut Option<Lack>) -> Result<bool, Halt> {
        let Some(next) = run.counter.get().checked_add(1).and_then(Counter::new) else {
            return Ok(false);
        };
        let next = Resource::Pipeline(PipelineLocator {
            name: run.name.clone(),
            counter: next,
        });
        let Err(lack) = self.document(&next, read::pipeline)? else {
            return Ok(false);
        };
        let is_newest = lack.is_missing();
        want(wanting, lack, Lack::may_pass);
        Ok(is_newest)
    }

    /// Returns the run that a change of a dependency names, and whether its revisions are its own. `None` if it cannot be read, or was read
    /// before.
    fn above(
        &mut self,
        change: &Changeset,
        visited: &mut Vec<PipelineLocator>,
        (notices, wanting): (&mut Vec<Notice>, &mut Option<Lack>),
    ) -> Result<Option<(Pipeline, bool)>, Halt> {
        let linked = change.uri.as_ref().and_then(Href::resource);
        let named = change.revision.as_deref().and_then(locator);
        let mut id = None;
        let stage = match (self.dialect, linked, named) {
            (Dialect::Old, Some(resource @ Resource::StageById(_)), _) => Err(resource),
            (Dialect::Old, _, Some(stage)) => Err(Resource::StageByName(stage)),
            (Dialect::New, Some(Resource::Stage(stage)), _) | (Dialect::New, _, Some(stage)) => Ok(stage.pipeline),
            _ => {
                notices.push(Notice::NoUpstream("its change names none".into()));
                return Ok(None);
            }
        };
        let run = match stage {
            Ok(run) => run,
            // Only the stage's document has the id of its pipeline's run.
            Err(resource) => match self.document(&resource, read::stage)? {
                Ok(stage) => {
                    id = match stage.pipeline.href.as_ref().and_then(Href::resource) {
                        Some(Resource::PipelineById { id, .. }) => Some(id),
                        _ => None,
                    };
                    stage.pipeline.locator()
                }
                Err(lack) => {
                    notices.push(Notice::NoUpstream(lack.why()));
                    want(wanting, lack, may_come);
                    return Ok(None);
                }
            },
        };
        let is_it = |other: &PipelineLocator| other.name.is_same(&run.name) && other.counter == run.counter;
        if visited.iter().any(is_it) {
            return Ok(None);
        }
        visited.push(run.clone());
        let mut pipeline = match self.pipeline_document(&run, id)? {
            OwnDocument::Found(pipeline) => pipeline,
            OwnDocument::Lacking(lack) => {
                notices.push(Notice::NoUpstream(lack.why()));
                want(wanting, lack, may_come);
                return Ok(None);
            }
            OwnDocument::None(notice) => {
                notices.push(match notice {
                    Notice::NoPipeline(why) => Notice::NoUpstream(why),
                    notice => notice,
                });
                return Ok(None);
            }
        };
        let revisions = self.own(&mut pipeline, &run, 0, (notices, wanting))?;
        let is_of_run = revisions != Revisions::LatestKnown { was_newest: false };
        Ok(Some((pipeline, is_of_run)))
    }
}

/// A user may see a pipeline and not its upstream one: that does not pass.
fn may_come(lack: &Lack) -> bool {
    lack.may_pass() || lack.is_missing()
}

/// Records what a run lacks, if it may come.
fn want(wanting: &mut Option<Lack>, lack: Lack, may_come: fn(&Lack) -> bool) {
    if may_come(&lack) {
        lack.want(wanting);
    }
}

/// Returns true if a run has materials, and all of them are other pipelines' runs.
fn is_made_of_runs(pipeline: &Pipeline) -> bool {
    let is_run = |material: &Material| matches!(material.kind, MaterialKind::Dependency { .. });
    !pipeline.materials.is_empty() && pipeline.materials.iter().all(is_run)
}

/// Returns the used change of each material.
fn changes(materials: &[Material]) -> Vec<Changeset> {
    materials
        .iter()
        .filter_map(|material| material.changesets.first().cloned())
        .collect()
}

/// Removes the authors: the author of a change that another pipeline built did not start this run.
fn without_people(mut material: Material) -> Material {
    for change in &mut material.changesets {
        change.user = None;
    }
    material
}

/// Parses `PIPELINE/COUNTER/STAGE/COUNTER`.
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

/// The part of the JSON document that is used.
#[derive(Deserialize)]
struct Instance {
    build_cause: BuildCause,
}

#[derive(Deserialize)]
struct BuildCause {
    material_revisions: Vec<MaterialRevision>,
}

#[derive(Deserialize)]
struct MaterialRevision {
    material: MaterialOf,
    #[serde(default)]
    modifications: Vec<Modification>,
}

#[derive(Deserialize)]
struct MaterialOf {
    #[serde(rename = "type")]
    kind: String,
    /// A text for people, and the only place of a repository's address: `URL: https://host/owner/name, Branch: main`.
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
struct Modification {
    #[serde(default)]
    revision: Option<String>,
    #[serde(default)]
    user_name: Option<String>,
    #[serde(default)]
    comment: Option<String>,
    /// Milliseconds since 1970.
    #[serde(default)]
    modified_time: Option<i64>,
}

/// Returns the materials with the revisions that the run used, the used one first.
pub fn materials(json: &[u8]) -> Result<Vec<Material>, serde_json::Error> {
    let instance: Instance = serde_json::from_slice(json)?;
    Ok(instance
        .build_cause
        .material_revisions
        .into_iter()
        .map(material)
        .collect())
}

fn material(given: MaterialRevision) -> Material {
    let description = given.material.description.unwrap_or_default();
    let kind = match given.material.kind.as_str() {
        "Git" | "GitMaterial" => git(&description),
        "Pipeline" | "DependencyMaterial" => MaterialKind::Dependency {
            pipeline: description,
            stage: String::new(),
        },
        "Package" | "PackageMaterial" => MaterialKind::Package {
            repository: String::new(),
            package: description,
        },
        "Mercurial" | "HgMaterial" => MaterialKind::Mercurial { url: description },
        other => MaterialKind::Other(other.to_owned()),
    };
    Material {
        uri: None,
        kind,
        changesets: given.modifications.into_iter().map(changeset).collect(),
    }
}

fn git(description: &str) -> MaterialKind {
    let address = description.strip_prefix("URL: ").unwrap_or(description);
    let (url, branch) = match address.rsplit_once(", Branch: ") {
        // Some versions name a sub-module after it.
        Some((url, branch)) => (url, branch.split(", ").next().map(str::to_owned)),
        None => (address, None),
    };
    MaterialKind::Git {
        url: url.to_owned(),
        branch,
        shallow_clone: None,
    }
}

fn changeset(given: Modification) -> Changeset {
    Changeset {
        uri: None,
        user: given.user_name,
        checked_in: given
            .modified_time
            .and_then(DateTime::from_timestamp_millis)
            .map(|time| time.fixed_offset()),
        revision: given.revision,
        message: given.comment,
    }
}
