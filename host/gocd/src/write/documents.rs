//! The documents, element by element: the list of pipelines, a page of a feed, a run's `<pipeline>`, `<stage>` and `<job>`, and refusals.

use super::markup::Markup;
use crate::Dialect;
use crate::address::Href;
use crate::documents::{
    Changeset, Job, Link, Material, MaterialKind, Pipeline, Pipelines, Stage, StageEntry, StageFeed, StagePipeline, Urn,
};

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

/// Writes a document's `<id>`.
fn urn(markup: &mut Markup, urn: Option<&Urn>) {
    markup.cdata("id", &[], urn.map(Urn::as_str));
}

/// Writes the `<pipeline>` within a stage or a job.
fn stage_pipeline(markup: &mut Markup, pipeline: &StagePipeline) {
    let counter = pipeline.counter.to_string();
    let attributes = [
        ("name", Some(pipeline.name.as_str())),
        ("counter", Some(counter.as_str())),
        ("label", pipeline.label.as_deref()),
        ("href", pipeline.href.as_ref().map(Href::as_str)),
    ];
    markup.empty("pipeline", &attributes);
}

/// Writes materials. The new dialect has each within another `<material>`, and no more than one change of it.
fn materials(markup: &mut Markup, materials: &[Material], dialect: Dialect) {
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

/// Writes the server's comment in place of omitted data. The old dialect has it from 18.1 on only.
fn left_blank(markup: &mut Markup, dialect: Dialect, words: &'static str) {
    if dialect == Dialect::New {
        markup.comment(words);
    }
}

/// Writes a page of a pipeline's feed.
#[must_use]
pub fn feed(feed: &StageFeed, dialect: Dialect) -> String {
    let mut markup = match dialect {
        Dialect::Old => Markup::bare(),
        Dialect::New => Markup::declared(dialect),
    };
    let namespaces = [
        ("xmlns", Some("http://www.w3.org/2005/Atom")),
        ("xmlns:go", Some("http://www.thoughtworks-studios.com/ns/go")),
    ];
    markup.open("feed", &namespaces);
    markup.cdata("title", &[], feed.title.as_deref());
    markup.text("id", feed.id.as_ref().map(Href::as_str));
    if feed.author.is_some() {
        markup.open("author", &[]);
        markup.text("name", feed.author.as_deref());
        markup.close();
    }
    markup.time("updated", feed.updated, dialect);
    self_link(&mut markup, feed.self_link.as_ref());
    relation(&mut markup, "previous", feed.previous.as_ref());
    relation(&mut markup, "next", feed.next.as_ref());
    for item in &feed.entries {
        entry(&mut markup, item, dialect);
    }
    markup.finish()
}

fn entry(markup: &mut Markup, entry: &StageEntry, dialect: Dialect) {
    markup.open("entry", &[]);
    markup.cdata("title", &[], entry.title.as_deref());
    markup.time("updated", entry.updated, dialect);
    markup.text("id", Some(entry.id.as_str()));
    person(markup, "go:author", entry.approver.as_deref());
    for author in &entry.authors {
        markup.open("author", &[]);
        markup.cdata("name", &[], Some(&author.name));
        markup.text("email", author.email.as_deref());
        markup.close();
    }
    // Servers have this element in Atom's namespace.
    person(markup, "cancelledBy", entry.cancelled_by.as_deref());
    for item in &entry.links {
        link(markup, item, dialect);
    }
    for category in &entry.categories {
        let attributes = [
            ("scheme", category.scheme.as_deref()),
            ("term", Some(&*category.term)),
            ("label", category.label.as_deref()),
        ];
        markup.empty("category", &attributes);
    }
    markup.close();
}

fn person(markup: &mut Markup, element: &'static str, name: Option<&str>) {
    if name.is_some() {
        markup.open(element, &[]);
        markup.cdata("go:name", &[], name);
        markup.close();
    }
}

fn link(markup: &mut Markup, link: &Link, dialect: Dialect) {
    let title = ("title", link.title.as_deref());
    let href = ("href", Some(link.href.as_str()));
    let relation = ("rel", Some(link.relation.as_str()));
    let media_type = ("type", link.media_type.as_deref());
    match dialect {
        Dialect::Old => markup.empty("link", &[title, href, relation, media_type]),
        Dialect::New => markup.empty("link", &[relation, href, title, media_type]),
    }
}

/// Writes the list of pipelines.
#[must_use]
pub fn pipelines(list: &Pipelines, dialect: Dialect) -> String {
    let mut markup = match dialect {
        Dialect::Old => Markup::bare(),
        Dialect::New => Markup::declared(dialect),
    };
    markup.open("pipelines", &[]);
    self_link(&mut markup, list.self_link.as_ref());
    for pipeline in &list.pipelines {
        markup.empty("pipeline", &[("href", Some(pipeline.feed.as_str()))]);
    }
    markup.finish()
}

/// Writes a document's link to itself.
fn self_link(markup: &mut Markup, href: Option<&Href>) {
    relation(markup, "self", href);
}

/// Writes a link with a relation only.
fn relation(markup: &mut Markup, relation: &str, href: Option<&Href>) {
    if let Some(href) = href {
        markup.empty("link", &[("rel", Some(relation)), ("href", Some(href.as_str()))]);
    }
}

/// Writes a refusal. `kind` is the name of its element, by the status, such as `not-found` or `bad-request`.
#[must_use]
pub fn refusal(kind: &'static str, message: &str) -> String {
    let mut markup = Markup::bare();
    markup.open(kind, &[]);
    markup.text("message", Some(message));
    markup.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_form_of_servers() {
        assert_eq!(
            refusal("not-found", "Pipeline with name 'a<b' was not found!"),
            "<not-found>\n  <message>Pipeline with name 'a&lt;b' was not found!</message>\n</not-found>\n"
        );
    }
}
