//! `<job>`.

use super::markup::Markup;
use super::pipeline::{stage_pipeline, urn};
use super::pipelines::self_link;
use crate::Dialect;
use crate::address::Href;
use crate::documents::Job;

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
    if dialect == Dialect::C {
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
        Dialect::C => markup.empty("environmentvariables", &[]),
        Dialect::D => markup.empty("environmentVariables", &[]),
    }
    markup.finish()
}

/// What the server says in place of what it leaves out. Dialect C had that from 18.1 on only.
fn left_blank(markup: &mut Markup, dialect: Dialect, words: &'static str) {
    if dialect == Dialect::D {
        markup.comment(words);
    }
}
