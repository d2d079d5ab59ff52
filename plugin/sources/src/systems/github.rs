//! GitHub Actions ("Webhook events and payloads" in GitHub's documentation). Each attempt is a run, and each job a step of it.

use super::System;
use super::actions::{Server, translate};

pub(super) const GITHUB: System = System {
    name: "github",
    translate: |event| translate(event, SERVER),
};

const SERVER: Server = Server {
    name: "GitHub Actions",
    id: "github",
    headers: &["x-github-event"],
    is_github: true,
};
