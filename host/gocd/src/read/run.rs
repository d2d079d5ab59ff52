//! A run's documents: `<pipeline>`, `<materials>`, `<stage>` and `<job>`.

use super::element::{Attributes, Element};
use super::error::{ReadError, ReadFault};
use super::feed::link;
use super::scanner::Scanner;
use crate::documents::{
    ArtifactRoot, Changeset, Job, JobStage, JobState, Material, MaterialKind, Pipeline, Property, Relation, Stage,
    StagePipeline, StageResult, StageState, Urn, timestamp,
};

pub(super) fn pipeline(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Pipeline, ReadError> {
    let attributes = at.attributes(root)?;
    let mut pipeline = Pipeline {
        name: at.within(root, attributes.needed_name("name"))?,
        counter: at.within(root, attributes.needed_counter("counter"))?,
        label: attributes.text("label"),
        self_link: None,
        urn: None,
        inserted_before: None,
        inserted_after: None,
        scheduled: None,
        materials: Vec::new(),
        stages: Vec::new(),
        approved_by: None,
    };
    while let Some(child) = at.child(root)? {
        match child.name() {
            "link" => {
                if let Some(link) = link(at, &child)? {
                    let place = match &link.relation {
                        Relation::SelfLink => &mut pipeline.self_link,
                        Relation::Other(name) if name == "insertedBefore" => &mut pipeline.inserted_before,
                        Relation::Other(name) if name == "insertedAfter" => &mut pipeline.inserted_after,
                        _ => continue,
                    };
                    *place = Some(link.href);
                }
            }
            "id" => pipeline.urn = at.text(&child)?.as_deref().map(Urn::new),
            "scheduleTime" => pipeline.scheduled = at.text(&child)?.as_deref().and_then(timestamp),
            "materials" => pipeline.materials = materials(at, &child)?,
            "stages" => {
                while let Some(stage) = at.child(&child)? {
                    if stage.name() == "stage" {
                        pipeline
                            .stages
                            .push(at.within(&stage, at.attributes(&stage)?.needed_href("href"))?);
                    }
                    at.skip(&stage)?;
                }
            }
            "approvedBy" => pipeline.approved_by = at.line(&child)?,
            _ => at.skip(&child)?,
        }
    }
    Ok(pipeline)
}

pub fn materials(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Vec<Material>, ReadError> {
    let mut materials = Vec::new();
    while let Some(child) = at.child(root)? {
        match child.name() {
            "material" => material(at, &child, &mut materials)?,
            _ => at.skip(&child)?,
        }
    }
    Ok(materials)
}

/// Reads a material, or the ones within: the new dialect wraps each in another `<material>`.
pub fn material(at: &mut Scanner<'_>, root: &Element<'_>, into: &mut Vec<Material>) -> Result<(), ReadError> {
    let attributes = at.attributes(root)?;
    let mut changesets = Vec::new();
    let mut is_wrapper = false;
    while let Some(child) = at.child(root)? {
        match child.name() {
            "modifications" => {
                while let Some(change) = at.child(&child)? {
                    match change.name() {
                        "changeset" => changesets.push(changeset(at, &change)?),
                        _ => at.skip(&change)?,
                    }
                }
            }
            "material" => {
                is_wrapper = true;
                material(at, &child, into)?;
            }
            _ => at.skip(&child)?,
        }
    }
    if !is_wrapper {
        into.push(Material {
            uri: attributes.href("materialUri"),
            kind: kind(&attributes),
            changesets,
        });
    }
    Ok(())
}

fn kind(attributes: &Attributes<'_>) -> MaterialKind {
    let text = |name| attributes.text(name);
    let needed = |name| attributes.text(name).unwrap_or_default();
    match attributes.get("type").unwrap_or_default() {
        "GitMaterial" => MaterialKind::Git {
            url: needed("url"),
            branch: text("branch"),
            shallow_clone: attributes.flag("shallowClone"),
        },
        "HgMaterial" => MaterialKind::Mercurial { url: needed("url") },
        "SvnMaterial" => MaterialKind::Subversion {
            url: needed("url"),
            username: text("username"),
            check_externals: attributes.flag("checkExternals"),
        },
        "P4Material" => MaterialKind::Perforce {
            url: needed("url"),
            username: text("username"),
            view: text("view"),
        },
        "TfsMaterial" => MaterialKind::Tfs {
            url: needed("url"),
            username: text("username"),
            domain: text("domain"),
            project_path: text("projectPath"),
        },
        "DependencyMaterial" => MaterialKind::Dependency {
            pipeline: needed("pipelineName"),
            stage: needed("stageName"),
        },
        "PackageMaterial" => MaterialKind::Package {
            repository: needed("repositoryName"),
            package: needed("packageName"),
        },
        "PluggableSCMMaterial" => MaterialKind::PluggableScm {
            name: needed("scmName"),
        },
        other => MaterialKind::Other(other.to_owned()),
    }
}

fn changeset(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Changeset, ReadError> {
    let mut changeset = Changeset {
        uri: at.attributes(root)?.href("changesetUri"),
        ..Changeset::default()
    };
    while let Some(child) = at.child(root)? {
        match child.name() {
            "user" => changeset.user = at.line(&child)?,
            "checkinTime" => changeset.checked_in = at.text(&child)?.as_deref().and_then(timestamp),
            "revision" => changeset.revision = at.line(&child)?,
            "message" => changeset.message = at.long_text(&child)?,
            _ => at.skip(&child)?,
        }
    }
    Ok(changeset)
}

pub(super) fn stage(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Stage, ReadError> {
    let attributes = at.attributes(root)?;
    let name = at.within(root, attributes.needed_name("name"))?;
    let counter = at.within(root, attributes.needed_counter("counter"))?;
    let (mut self_link, mut urn, mut pipeline, mut updated) = (None, None, None, None);
    let (mut result, mut state, mut approved_by, mut jobs) = (None, None, None, Vec::new());
    while let Some(child) = at.child(root)? {
        match child.name() {
            "link" => {
                let link = link(at, &child)?.filter(|link| link.relation == Relation::SelfLink);
                self_link = link.map(|link| link.href).or(self_link);
            }
            "id" => urn = at.text(&child)?.as_deref().map(Urn::new),
            "pipeline" => pipeline = Some(stage_pipeline(at, &child)?),
            "updated" => updated = at.text(&child)?.as_deref().and_then(timestamp),
            "result" => result = at.text(&child)?.as_deref().map(StageResult::parse),
            "state" => state = at.text(&child)?.as_deref().map(StageState::parse),
            "approvedBy" => approved_by = at.line(&child)?,
            "jobs" => {
                while let Some(job) = at.child(&child)? {
                    if job.name() == "job" {
                        jobs.push(at.within(&job, at.attributes(&job)?.needed_href("href"))?);
                    }
                    at.skip(&job)?;
                }
            }
            _ => at.skip(&child)?,
        }
    }
    Ok(Stage {
        name,
        counter,
        self_link,
        urn,
        pipeline: pipeline.ok_or_else(|| at.error_in(root, ReadFault::Missing("<pipeline>")))?,
        updated,
        result: result.unwrap_or_default(),
        state: state.unwrap_or_default(),
        approved_by,
        jobs,
    })
}

/// Reads the `<pipeline>` within a stage or a job.
pub fn stage_pipeline(at: &mut Scanner<'_>, element: &Element<'_>) -> Result<StagePipeline, ReadError> {
    let attributes = at.attributes(element)?;
    let pipeline = StagePipeline {
        name: at.within(element, attributes.needed_name("name"))?,
        counter: at.within(element, attributes.needed_counter("counter"))?,
        label: attributes.text("label"),
        href: attributes.href("href"),
    };
    at.skip(element)?;
    Ok(pipeline)
}

pub(super) fn job(at: &mut Scanner<'_>, root: &Element<'_>) -> Result<Job, ReadError> {
    let name = at.within(root, at.attributes(root)?.needed_name("name"))?;
    let (mut self_link, mut urn, mut pipeline, mut stage) = (None, None, None, None);
    let (mut result, mut state, mut agent, mut artifacts) = (None, None, None, None);
    let mut properties = Vec::new();
    while let Some(child) = at.child(root)? {
        match child.name() {
            "link" => {
                let link = link(at, &child)?.filter(|link| link.relation == Relation::SelfLink);
                self_link = link.map(|link| link.href).or(self_link);
            }
            "id" => urn = at.text(&child)?.as_deref().map(Urn::new),
            "pipeline" => pipeline = Some(stage_pipeline(at, &child)?),
            "stage" => stage = Some(job_stage(at, &child)?),
            "result" => result = at.text(&child)?.as_deref().map(StageResult::parse),
            "state" => state = at.text(&child)?.as_deref().map(JobState::parse),
            "properties" => {
                while let Some(element) = at.child(&child)? {
                    match element.name() {
                        "property" => properties.extend(property(at, &element)?),
                        _ => at.skip(&element)?,
                    }
                }
            }
            "agent" => {
                agent = at.attributes(&child)?.text("uuid");
                at.skip(&child)?;
            }
            "artifacts" => {
                let attributes = at.attributes(&child)?;
                let path = attributes.text("pathFromArtifactRoot");
                artifacts = attributes
                    .href("baseUri")
                    .map(|base_uri| ArtifactRoot { base_uri, path });
                at.skip(&child)?;
            }
            _ => at.skip(&child)?,
        }
    }
    Ok(Job {
        name,
        self_link,
        urn,
        pipeline: pipeline.ok_or_else(|| at.error_in(root, ReadFault::Missing("<pipeline>")))?,
        stage: stage.ok_or_else(|| at.error_in(root, ReadFault::Missing("<stage>")))?,
        result: result.unwrap_or_default(),
        state: state.unwrap_or_default(),
        properties,
        agent,
        artifacts,
    })
}

fn job_stage(at: &mut Scanner<'_>, element: &Element<'_>) -> Result<JobStage, ReadError> {
    let attributes = at.attributes(element)?;
    let stage = JobStage {
        name: at.within(element, attributes.needed_name("name"))?,
        counter: at.within(element, attributes.needed_counter("counter"))?,
        href: attributes.href("href"),
    };
    at.skip(element)?;
    Ok(stage)
}

/// Reads a property; `None` without a name or a value. The documentation's page has a `>` behind some numbers, which no server sends.
fn property(at: &mut Scanner<'_>, element: &Element<'_>) -> Result<Option<Property>, ReadError> {
    let name = at.attributes(element)?.text("name");
    let value = at.long_text(element)?;
    let (Some(name), Some(value)) = (name, value) else {
        return Ok(None);
    };
    let is_known = name.starts_with("cruise_") || name.starts_with("tests_");
    let number = value
        .strip_suffix('>')
        .filter(|text| is_known && text.parse::<f64>().is_ok());
    let value = number.map_or_else(|| value.clone(), str::to_owned);
    Ok(Some(Property { name, value }))
}
