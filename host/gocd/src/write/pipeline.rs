//! `<pipeline>`.

use super::markup::Markup;
use super::material::materials;
use super::pipelines::{relation, self_link};
use crate::Dialect;
use crate::documents::{Pipeline, StagePipeline, Urn};

/// Writes a pipeline's run.
#[must_use]
pub fn pipeline(pipeline: &Pipeline, dialect: Dialect) -> String {
    let mut markup = Markup::declared(dialect);
    let label = pipeline.label.as_deref().filter(|_| dialect == Dialect::C);
    let counter = pipeline.counter.to_string();
    let attributes = [
        ("name", Some(pipeline.name.as_str())),
        ("counter", Some(counter.as_str())),
        ("label", label),
    ];
    markup.open("pipeline", &attributes);
    self_link(&mut markup, pipeline.self_link.as_ref());
    urn(&mut markup, pipeline.urn.as_ref());
    if dialect == Dialect::D {
        markup.time("scheduleTime", pipeline.scheduled, dialect);
    }
    relation(&mut markup, "insertedBefore", pipeline.inserted_before.as_ref());
    relation(&mut markup, "insertedAfter", pipeline.inserted_after.as_ref());
    if dialect == Dialect::C {
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
pub(super) fn urn(markup: &mut Markup, urn: Option<&Urn>) {
    markup.cdata("id", &[], urn.map(Urn::as_str));
}

/// The `<pipeline>` within a stage or a job.
pub(super) fn stage_pipeline(markup: &mut Markup, pipeline: &StagePipeline) {
    let counter = pipeline.counter.to_string();
    let attributes = [
        ("name", Some(pipeline.name.as_str())),
        ("counter", Some(counter.as_str())),
        ("label", pipeline.label.as_deref()),
        ("href", pipeline.href.as_ref().map(crate::Href::as_str)),
    ];
    markup.empty("pipeline", &attributes);
}
