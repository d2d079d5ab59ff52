//! The event that started a workflow run of GitHub, and of Gitea and Forgejo, which write the same file.

use std::ffi::OsStr;
use std::path::Path;

use serde::Deserialize;

use crate::detect::ReadFile;

/// What is needed of the event ("Webhook events and payloads" in GitHub's documentation). All else is skipped without being kept.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Event {
    /// The pull request, if the event is about one.
    pub(crate) pull_request: Option<PullRequest>,
    /// Who caused the event.
    pub(crate) sender: Option<Person>,
}

/// A pull request.
#[derive(Debug, Deserialize)]
pub(crate) struct PullRequest {
    /// Its number.
    pub(crate) number: Option<u64>,
    /// What is to be merged.
    pub(crate) head: Option<Head>,
}

/// The branch and commit that are to be merged.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    /// The commit.
    pub(crate) sha: Option<String>,
    /// Name of the branch.
    #[serde(rename = "ref")]
    pub(crate) branch: Option<String>,
}

/// A user.
#[derive(Debug, Deserialize)]
pub(crate) struct Person {
    /// E-mail address, which Gitea and Forgejo give and GitHub does not.
    pub(crate) email: Option<String>,
}

impl Event {
    /// The variable that names the file.
    pub(crate) const VARIABLE: &str = "GITHUB_EVENT_PATH";

    /// Reads the file, or says what is wrong with it.
    pub(crate) fn read(path: &OsStr, read: ReadFile<'_>) -> Result<Self, String> {
        let bytes = read(Path::new(path)).map_err(|error| format!("the event's file cannot be read: {error}"))?;
        // serde_json stops at 128 levels of what is wanted, and skips what is not wanted without recursion. Its message would quote the file.
        serde_json::from_slice(&bytes)
            .map_err(|error| format!("the event's file is not as expected in line {}", error.line()))
    }

    /// What is to be merged.
    pub(crate) fn head(&self) -> Option<&Head> {
        self.pull_request.as_ref()?.head.as_ref()
    }
}
