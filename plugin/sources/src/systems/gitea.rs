//! Gitea Actions: the events of GitHub with other names of times, and no name of the workflow (`services/convert/action.go` in Gitea's source).
//!
//! A pipeline is called by its workflow's file, as `GITHUB_WORKFLOW` is in its jobs. An event of a job does not name the workflow: it is ignored.

use super::System;
use super::actions::{Server, translate};

pub(super) const GITEA: System = System {
    name: "gitea",
    translate: |event| translate(event, SERVER),
};

const SERVER: Server = Server {
    name: "Gitea Actions",
    id: "gitea",
    headers: &["x-gitea-event", "x-github-event"],
    is_github: false,
};
