//! A policy in Rust: no e-mail address leaves.
//!
//! The field `email` is dropped, and an address in any other free text becomes `[redacted]`, also in the names of steps and in attributes.

mod redact;

use exports::pipefold::ci::hooks::Guest;
use pipefold::ci::hooks as next;
use pipefold::ci::types::{Attribute, Notification, Verdict, Violation};

wit_bindgen::generate!({ path: "../../../wit", world: "policy" });

struct Policy;

/// The next plugin in line sees what this one passes on, and its answer goes back unchanged.
impl Guest for Policy {
    fn pipeline_start(event: Notification) -> Result<Verdict, Vec<Violation>> {
        next::pipeline_start(&redacted(event))
    }

    fn step(event: Notification) -> Result<Verdict, Vec<Violation>> {
        next::step(&redacted(event))
    }

    fn pipeline_finish(history: Vec<Notification>) -> Result<Verdict, Vec<Violation>> {
        next::pipeline_finish(&history.into_iter().map(redacted).collect::<Vec<_>>())
    }
}

fn redacted(said: Notification) -> Notification {
    Notification {
        email: None,
        head_branch: said.head_branch.map(redact::emails),
        source_url: said.source_url.map(redact::emails),
        github_username: said.github_username.map(redact::emails),
        gitlab_username: said.gitlab_username.map(redact::emails),
        step: said.step.map(redact::emails),
        step_id: said.step_id.map(redact::emails),
        attributes: said.attributes.into_iter().map(redacted_attribute).collect(),
        ..said
    }
}

fn redacted_attribute(said: Attribute) -> Attribute {
    Attribute {
        value: redact::emails(said.value),
        ..said
    }
}

export!(Policy);
