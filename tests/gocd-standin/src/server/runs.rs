//! Documents of pipelines' runs.

use chrono::{DateTime, Utc};
use pipefold_gocd::documents::{Changeset, Material as Written, MaterialKind, Pipeline, Timestamp, Urn};
use pipefold_gocd::{Dialect, Href, write};

use super::routes::Asked;
use crate::history::{Change, Kind, Material, PipelineHistory, PipelineRun};

pub(super) fn old(asked: &Asked<'_>, pipeline: &PipelineHistory, run: &PipelineRun) -> String {
    let neighbour = |run: Option<&PipelineRun>| {
        let run = run.filter(|run| asked.has_begun(run))?;
        Some(
            asked
                .server
                .links(&asked.base, Dialect::Old)
                .pipeline(&run.locator(pipeline), run.id),
        )
    };
    let materials = pipeline.materials.iter().zip(&run.revisions).enumerate();
    let materials = materials.map(|(place, (material, changes))| {
        let uri = format!("{}/api/materials/{}.xml", asked.base, 300 + place);
        let changes: Vec<&Change> = changes.iter().map(|change| &material.changes[*change]).collect();
        written(asked, pipeline, material, &uri, &changes, Dialect::Old)
    });
    let document = Pipeline {
        inserted_before: neighbour(pipeline.runs.iter().find(|other| other.counter > run.counter)),
        inserted_after: neighbour(pipeline.runs.iter().rev().find(|other| other.counter < run.counter)),
        materials: materials.collect(),
        ..common(asked, pipeline, run, Dialect::Old)
    };
    write::pipeline(&document, Dialect::Old)
}

/// Materials have the newest changes that are known, whichever run is asked for.
pub(super) fn new(asked: &Asked<'_>, pipeline: &PipelineHistory, run: &PipelineRun) -> String {
    // An id where a counter belongs.
    let neighbour = |run: Option<&PipelineRun>| {
        let run = run.filter(|run| asked.has_begun(run))?;
        Href::new(&format!(
            "{}/api/feed/pipelines/{}/{}.xml",
            asked.base, pipeline.name, run.id
        ))
    };
    let materials = pipeline.materials.iter().enumerate().map(|(place, material)| {
        let fingerprint = format!("{place:02x}").repeat(32);
        let uri = format!(
            "{}/api/feed/materials/{}/{}/{fingerprint}.xml",
            asked.base, pipeline.name, run.counter
        );
        let changes: Vec<&Change> = material.newest(asked.server.events).into_iter().collect();
        written(asked, pipeline, material, &uri, &changes, Dialect::New)
    });
    let document = Pipeline {
        inserted_before: neighbour(pipeline.runs.iter().find(|other| other.counter > run.counter)),
        inserted_after: neighbour(pipeline.runs.iter().rev().find(|other| other.counter < run.counter)),
        materials: materials.collect(),
        ..common(asked, pipeline, run, Dialect::New)
    };
    write::pipeline(&document, Dialect::New)
}

fn common(asked: &Asked<'_>, pipeline: &PipelineHistory, run: &PipelineRun, dialect: Dialect) -> Pipeline {
    let links = asked.server.links(&asked.base, dialect);
    let locator = run.locator(pipeline);
    let mut latest = run.latest(asked.server.events);
    latest.sort_by_key(|stage| pipeline.stages.iter().position(|name| *name == stage.name));
    // It moves when stages are run again.
    let scheduled = latest.iter().map(|stage| stage.scheduled.time).min();
    Pipeline {
        label: Some(format!("1.0-{}", run.counter)),
        self_link: Some(links.pipeline(&locator, run.id)),
        urn: Some(Urn::pipeline(&locator)),
        inserted_before: None,
        inserted_after: None,
        scheduled: scheduled.map(|time| zoned(pipeline, time)),
        materials: Vec::new(),
        stages: latest
            .iter()
            .map(|stage| links.stage(&stage.locator(&locator), stage.id))
            .collect(),
        approved_by: latest.first().map(|stage| stage.approved_by.clone()),
        name: locator.name,
        counter: locator.counter,
    }
}

/// A time in the server's zone, which the new documents' writer does not keep.
pub(super) fn zoned(pipeline: &PipelineHistory, time: DateTime<Utc>) -> Timestamp {
    time.with_timezone(&pipeline.zone)
}

fn written(
    asked: &Asked<'_>,
    pipeline: &PipelineHistory,
    material: &Material,
    uri: &str,
    changes: &[&Change],
    dialect: Dialect,
) -> Written {
    let kind = match material.kind {
        Kind::Git { url, branch } => MaterialKind::Git {
            url: url.to_owned(),
            branch: Some(branch.to_owned()),
            shallow_clone: Some(false),
        },
        Kind::Mercurial { url } => MaterialKind::Mercurial { url: url.to_owned() },
        Kind::Dependency { pipeline, stage } => MaterialKind::Dependency {
            pipeline: pipeline.to_owned(),
            stage: stage.to_owned(),
        },
        Kind::Package { repository, package } => MaterialKind::Package {
            repository: repository.to_owned(),
            package: package.to_owned(),
        },
    };
    let changeset = |change: &&Change| Changeset {
        uri: match material.kind {
            Kind::Dependency { .. } if dialect == Dialect::New => {
                Href::new(&format!("{}/api/feed/pipelines/{}.xml", asked.base, change.revision))
            }
            Kind::Dependency { .. } => Href::new(&format!("{}/api/stages/{}.xml", asked.base, 11)),
            _ => Href::new(&format!(
                "{}/changeset/{}.xml",
                uri.trim_end_matches(".xml"),
                change.revision
            )),
        },
        user: change.author.map(|author| author.text.to_owned()),
        checked_in: Some(zoned(pipeline, change.checked_in)),
        revision: Some(change.revision.clone()),
        message: change.author.map(|_| "A change & what it is <for>".to_owned()),
    };
    Written {
        uri: Href::new(uri),
        kind,
        changesets: changes.iter().map(changeset).collect(),
    }
}
