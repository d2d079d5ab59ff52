//! A run's documents: `<pipeline>`, `<materials>`, `<stage>` and `<job>`.

use super::feed::{relation, self_link};
use super::markup::Markup;
use crate::Dialect;
use crate::address::Href;
use crate::documents::{Changeset, Job, Material, MaterialKind, Pipeline, Stage, StagePipeline, Urn};

/// Writes a pipeline's run.
#[must_use]
pub fn pipeline(pipeline: &Pipeline, dialect: Dialect) -> String {
    let mut markup = Markup::declared(dialect);
    let label = pipeline.label.as_deref().filter(|_| dialect == Dialect::Old);
    let counter = pipeline.counter.to_string();
    let attributes = [
        ("name", Some(pipeline.name.as_str())),
        ("counter", Some(counter.as_str())),
        ("label", label),
    ];
    markup.open("pipeline", &attributes);
    self_link(&mut markup, pipeline.self_link.as_ref());
    urn(&mut markup, pipeline.urn.as_ref());
    if dialect == Dialect::New {
        markup.time("scheduleTime", pipeline.scheduled, dialect);
    }
    relation(&mut markup, "insertedBefore", pipeline.inserted_before.as_ref());
    relation(&mut markup, "insertedAfter", pipeline.inserted_after.as_ref());
    if dialect == Dialect::Old {
        markup.time("scheduleTime", pipeline.scheduled, dialect);
    }
    materials(&mut markup, &pipeline.materials, dialect);
    markup.open("stages", &[]);
    for stage in &pipeline.stages {
        markup.empty("stage", &[("href", Some(stage.as_str()))]);
    }
    markup.close();
    markup.cdata("approvedBy", &[], pipeline.approved_by.as_deref());
    markup.finish()
}

/// A document's name for itself.
pub fn urn(markup: &mut Markup, urn: Option<&Urn>) {
    markup.cdata("id", &[], urn.map(Urn::as_str));
}

/// The `<pipeline>` within a stage or a job.
pub fn stage_pipeline(markup: &mut Markup, pipeline: &StagePipeline) {
    let counter = pipeline.counter.to_string();
    let attributes = [
        ("name", Some(pipeline.name.as_str())),
        ("counter", Some(counter.as_str())),
        ("label", pipeline.label.as_deref()),
        ("href", pipeline.href.as_ref().map(crate::Href::as_str)),
    ];
    markup.empty("pipeline", &attributes);
}

/// Writes materials. The new dialect has each within another `<material>`, and no more than one change of it.
pub fn materials(markup: &mut Markup, materials: &[Material], dialect: Dialect) {
    markup.open("materials", &[]);
    for material in materials {
        if dialect == Dialect::New {
            markup.open("material", &[]);
        }
        let flag = |flag: Option<bool>| flag.map(|flag| if flag { "true" } else { "false" });
        let (kind, of_kind) = match &material.kind {
            MaterialKind::Git {
                url,
                branch,
                shallow_clone,
            } => (
                "GitMaterial",
                [
                    ("url", Some(url.as_str())),
                    ("branch", branch.as_deref()),
                    ("shallowClone", flag(*shallow_clone)),
                    NONE,
                ],
            ),
            MaterialKind::Mercurial { url } => ("HgMaterial", [("url", Some(url.as_str())), NONE, NONE, NONE]),
            MaterialKind::Subversion {
                url,
                username,
                check_externals,
            } => (
                "SvnMaterial",
                [
                    ("url", Some(url.as_str())),
                    ("username", username.as_deref()),
                    ("checkExternals", flag(*check_externals)),
                    NONE,
                ],
            ),
            MaterialKind::Perforce { url, username, view } => (
                "P4Material",
                [
                    ("url", Some(url.as_str())),
                    ("username", username.as_deref()),
                    ("view", view.as_deref()),
                    NONE,
                ],
            ),
            MaterialKind::Tfs {
                url,
                username,
                domain,
                project_path,
            } => (
                "TfsMaterial",
                [
                    ("url", Some(url.as_str())),
                    ("username", username.as_deref()),
                    ("domain", domain.as_deref()),
                    ("projectPath", project_path.as_deref()),
                ],
            ),
            MaterialKind::Dependency { pipeline, stage } => (
                "DependencyMaterial",
                [
                    ("pipelineName", Some(pipeline.as_str())),
                    ("stageName", Some(stage.as_str())),
                    NONE,
                    NONE,
                ],
            ),
            MaterialKind::Package { repository, package } => (
                "PackageMaterial",
                [
                    ("repositoryName", Some(repository.as_str())),
                    ("packageName", Some(package.as_str())),
                    NONE,
                    NONE,
                ],
            ),
            MaterialKind::PluggableScm { name } => (
                "PluggableSCMMaterial",
                [("scmName", Some(name.as_str())), NONE, NONE, NONE],
            ),
            MaterialKind::Other(kind) => (kind.as_str(), [NONE; 4]),
        };
        let mut attributes = vec![
            ("materialUri", material.uri.as_ref().map(Href::as_str)),
            ("type", Some(kind)),
        ];
        attributes.extend(of_kind);
        markup.open("material", &attributes);
        markup.open("modifications", &[]);
        let kept = if dialect == Dialect::New {
            1
        } else {
            material.changesets.len()
        };
        for change in material.changesets.iter().take(kept) {
            changeset(markup, change, &material.kind, dialect);
        }
        markup.close();
        markup.close();
        if dialect == Dialect::New {
            markup.close();
        }
    }
    markup.close();
}

const NONE: (&str, Option<&str>) = ("", None);

fn changeset(markup: &mut Markup, change: &Changeset, kind: &MaterialKind, dialect: Dialect) {
    let is_dependency = matches!(kind, MaterialKind::Dependency { .. });
    let uri = change
        .uri
        .as_ref()
        .map(Href::as_str)
        .filter(|_| dialect == Dialect::Old || is_dependency);
    markup.open("changeset", &[("changesetUri", uri)]);
    let is_package = matches!(kind, MaterialKind::Package { .. });
    markup.cdata("user", &[], change.user.as_deref());
    if !is_package {
        markup.time("checkinTime", change.checked_in, dialect);
    }
    if is_dependency {
        markup.text("revision", change.revision.as_deref());
    } else {
        markup.cdata("revision", &[], change.revision.as_deref());
    }
    markup.cdata("message", &[], change.message.as_deref());
    if is_package {
        markup.time("checkinTime", change.checked_in, dialect);
    }
    markup.close();
}

/// Writes a stage's run.
#[must_use]
pub fn stage(stage: &Stage, dialect: Dialect) -> String {
    let mut markup = Markup::declared(dialect);
    let counter = stage.counter.to_string();
    markup.open(
        "stage",
        &[("name", Some(stage.name.as_str())), ("counter", Some(counter.as_str()))],
    );
    self_link(&mut markup, stage.self_link.as_ref());
    urn(&mut markup, stage.urn.as_ref());
    stage_pipeline(&mut markup, &stage.pipeline);
    markup.time("updated", stage.updated, dialect);
    markup.text("result", Some(stage.result.as_str()));
    markup.text("state", Some(stage.state.as_str()));
    markup.cdata("approvedBy", &[], stage.approved_by.as_deref());
    markup.open("jobs", &[]);
    for job in &stage.jobs {
        markup.empty("job", &[("href", Some(job.as_str()))]);
    }
    markup.close();
    markup.finish()
}

/// Writes a job. Resources and variables are never listed, as GoCD does since 18.1.
#[must_use]
pub fn job(job: &Job, dialect: Dialect) -> String {
    let mut markup = Markup::declared(dialect);
    markup.open("job", &[("name", Some(job.name.as_str()))]);
    self_link(&mut markup, job.self_link.as_ref());
    urn(&mut markup, job.urn.as_ref());
    stage_pipeline(&mut markup, &job.pipeline);
    let counter = job.stage.counter.to_string();
    let attributes = [
        ("name", Some(job.stage.name.as_str())),
        ("counter", Some(counter.as_str())),
        ("href", job.stage.href.as_ref().map(Href::as_str)),
    ];
    markup.empty("stage", &attributes);
    markup.text("result", Some(job.result.as_str()));
    markup.text("state", Some(job.state.as_str()));
    if dialect == Dialect::Old {
        markup.open("properties", &[]);
        for property in &job.properties {
            markup.cdata("property", &[("name", Some(&property.name))], Some(&property.value));
        }
        markup.close();
    }
    if let Some(agent) = &job.agent {
        markup.empty("agent", &[("uuid", Some(agent))]);
    }
    left_blank(
        &mut markup,
        dialect,
        "Artifacts of type `file` will not be shown. See https://github.com/gocd/gocd/pull/2875",
    );
    if let Some(artifacts) = &job.artifacts {
        let path = ("pathFromArtifactRoot", artifacts.path.as_deref());
        markup.empty("artifacts", &[("baseUri", Some(artifacts.base_uri.as_str())), path]);
    }
    left_blank(
        &mut markup,
        dialect,
        "Resources are now intentionally left blank. See https://github.com/gocd/gocd/pull/2875",
    );
    markup.empty("resources", &[]);
    left_blank(
        &mut markup,
        dialect,
        "Environment variables are now intentionally left blank. See https://github.com/gocd/gocd/pull/2875",
    );
    match dialect {
        Dialect::Old => markup.empty("environmentvariables", &[]),
        Dialect::New => markup.empty("environmentVariables", &[]),
    }
    markup.finish()
}

/// What the server says in place of what it leaves out. The old dialect had that from 18.1 on only.
fn left_blank(markup: &mut Markup, dialect: Dialect, words: &'static str) {
    if dialect == Dialect::New {
        markup.comment(words);
    }
}
