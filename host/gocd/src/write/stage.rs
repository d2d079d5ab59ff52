//! `<stage>`.

use super::markup::Markup;
use super::pipeline::{stage_pipeline, urn};
use super::pipelines::self_link;
use crate::Dialect;
use crate::documents::Stage;

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
