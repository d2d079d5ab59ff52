//! What is sent of a run.

use crate::server::App;
use crate::store::FoldError;
use pipefold_sandbox::{Notification, Run, Status, Verdict};
use std::sync::Arc;

/// What there is to send.
pub(super) enum Parcel {
    Run(Box<Run>),
    /// A policy keeps it here.
    Kept(String),
    /// The rules do not take it any more; it is no use to DX.
    Unfit(String),
    /// It was removed.
    Gone,
}

/// What a run is to DX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// What its notifications say.
    AsItIs,
    /// Nothing is heard of it any more, and nobody will say how it ended.
    AsCancelled,
}

impl Parcel {
    /// What the history comes to, policies and all. In a thread that may wait: ten thousand notifications take a while.
    pub(super) async fn of(app: &Arc<App>, history: Vec<Notification>, told: Told) -> Result<Self, String> {
        if history.is_empty() {
            return Ok(Self::Gone);
        }
        let app = Arc::clone(app);
        let judge = move || match told {
            Told::AsItIs => app.rules.judge(&history),
            Told::AsCancelled => {
                let run = app.rules.merge(&history)?;
                app.rules.judge(&[cancelled(run)])
            }
        };
        let judged = tokio::task::spawn_blocking(judge).await;
        match judged.map_err(|_| "judging it panicked".to_owned())? {
            Ok(Verdict::Report(run)) => Ok(Self::Run(Box::new(run))),
            Ok(Verdict::Hold) => Ok(Self::Kept("nothing to send yet".to_owned())),
            Ok(Verdict::Discard(why)) => Ok(Self::Kept(why)),
            Err(error @ FoldError::Refused(_)) => Ok(Self::Unfit(error.to_string())),
            Err(FoldError::Failed(why)) => Err(why),
        }
    }
}

/// A notification that says everything that is known of a run, so that policies judge it as they would the run, and that it was cancelled. It
/// has no finish: nobody knows one, and DX would not take back one that is too late.
fn cancelled(run: Run) -> Notification {
    Notification {
        pipeline_name: Some(run.pipeline_name),
        pipeline_source: Some(run.pipeline_source),
        reference_id: Some(run.reference_id),
        started_at: Some(run.started_at),
        status: Some(Status::Cancelled.as_str().to_owned()),
        repository: run.repository,
        commit_sha: run.commit_sha,
        pr_number: run.pr_number,
        source_url: run.source_url,
        head_branch: run.head_branch,
        email: run.email,
        github_username: run.github_username,
        gitlab_username: run.gitlab_username,
        ..Notification::default()
    }
}
