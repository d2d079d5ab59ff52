//! A run in GoCD's terms: an instance of a pipeline with one stage, and its material.

use crate::store::RunSummary;
use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pipefold_gocd::documents::{
    Changeset, Counter, JobState, Material, MaterialKind, Name, PipelineLocator, StageLocator, StagePipeline,
    StageResult, StageState, Timestamp,
};
use pipefold_gocd::write::Links;
use pipefold_sandbox::{Run, Status};
use sha2::{Digest, Sha256};

/// The name of a run's one stage.
pub const STAGE: &str = "run";

/// The trigger of a run, in GoCD's terms: a change of the material. The person is in the material.
pub const APPROVED_BY: &str = "changes";

/// A run as the instance of a pipeline, with one stage.
pub struct Instance<'r> {
    pub run: &'r RunSummary,
    pub stage: StageLocator,
}

impl<'r> Instance<'r> {
    /// Returns `None` if the pipeline's name has a character that XML cannot carry: then it has no documents.
    pub fn of(run: &'r RunSummary) -> Option<Self> {
        let pipeline = PipelineLocator {
            name: Name::new(&run.pipeline).ok()?,
            counter: Counter::new(run.counter)?,
        };
        let stage = StageLocator {
            pipeline,
            name: Name::new(STAGE).ok()?,
            counter: Counter::FIRST,
        };
        Some(Self { run, stage })
    }

    /// Returns the result of the stage.
    pub fn result(&self) -> StageResult {
        result(self.run.record.status)
    }

    /// Returns the state. A run with an end but without a result is not in progress.
    pub fn state(&self) -> StageState {
        match self.run.record.status {
            Status::Success | Status::Failure | Status::Cancelled => StageState::Completed,
            Status::Unknown if self.run.record.finished_at.is_some() => StageState::Unknown,
            Status::Running | Status::Unknown => StageState::Building,
        }
    }

    /// Returns the state of a job that is as the whole stage.
    pub fn job_state(&self) -> JobState {
        match self.state() {
            StageState::Completed => JobState::Completed,
            StageState::Building | StageState::Failing => JobState::Building,
            StageState::Unknown => JobState::Unknown,
        }
    }

    /// Returns the start.
    pub fn scheduled(&self) -> Timestamp {
        self.run.started.fixed_offset()
    }

    /// Returns the last change: the end, or else the arrival of the latest notification.
    pub fn updated(&self) -> Timestamp {
        let heard = || self.run.last_arrived.max(self.run.started);
        let ended = self.run.finished.filter(|_| self.state() == StageState::Completed);
        ended.unwrap_or_else(heard).fixed_offset()
    }

    /// Returns the exact end.
    pub fn finish(&self) -> Option<DateTime<Utc>> {
        self.run.record.finished_at.as_deref().and_then(time)
    }

    /// Returns a label of the run for people: the counter, as usual in GoCD.
    pub fn label(&self) -> String {
        self.run.counter.to_string()
    }

    /// Returns the pipeline, as stages and jobs refer to it.
    pub fn pipeline(&self, links: &Links) -> StagePipeline {
        let run = &self.stage.pipeline;
        StagePipeline {
            name: run.name.clone(),
            counter: run.counter,
            label: Some(self.label()),
            href: Some(links.pipeline(run, self.run.id)),
        }
    }
}

/// Returns GoCD's result for DX's status.
pub fn result(status: Status) -> StageResult {
    match status {
        Status::Success => StageResult::Passed,
        Status::Failure => StageResult::Failed,
        Status::Cancelled => StageResult::Cancelled,
        Status::Running | Status::Unknown => StageResult::Unknown,
    }
}

/// Parses a time of a record, which the rules have made RFC 3339.
pub fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// All characters but the unreserved ones of RFC 3986, section 2.3.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The host of a repository's address: DX knows its name alone. A name under `invalid` has no owner (RFC 2606, section 2), so that no
/// reader calls it; parsed as the address of a repository it gives the name.
const NOWHERE: &str = "https://repository.invalid";

/// The address of a Bitbucket Cloud repository in an unknown workspace: DX has such a repository under its name alone.
const WITHOUT_OWNER: &str = "https://bitbucket.org/-";

/// Returns the repository with its branch, and once more with its pull request, for a material has one of them; none if nothing is known of
/// either.
pub fn materials(instance: &Instance<'_>, links: &Links) -> Vec<Material> {
    let (run, record) = (instance.run, &instance.run.record);
    let user = author(record);
    let pull_request = record.pr_number.map(|number| format!("refs/pull/{number}/head"));
    let branches = match (record.head_branch.clone(), pull_request) {
        (Some(branch), Some(pull_request)) => vec![Some(branch), Some(pull_request)],
        (branch, pull_request) => vec![branch.or(pull_request)],
    };
    if record.repository.is_none() && branches == [None] && user.is_none() {
        return Vec::new();
    }
    let url = url(record.repository.as_deref());
    // Clients fail on a change without a revision.
    let revision = record.commit_sha.clone().unwrap_or_default();
    let ids = [run.id, run.stage_id];
    let material = |(id, branch): (u64, Option<String>)| {
        let fingerprint = fingerprint(&url, branch.as_deref());
        let uri = links.material(&instance.stage.pipeline, id, &fingerprint);
        let changeset = Changeset {
            uri: Some(Links::change(&uri, &revision)),
            user: user.clone(),
            // The change was there when the run started, and not after.
            checked_in: Some(instance.scheduled()),
            revision: Some(revision.clone()),
            message: None,
        };
        Material {
            uri: Some(uri),
            kind: MaterialKind::Git {
                url: url.clone(),
                branch,
                shallow_clone: None,
            },
            changesets: vec![changeset],
        }
    };
    ids.into_iter().zip(branches).map(material).collect()
}

/// Returns the new dialect's identifier of a material in its address: 64 hexadecimal digits.
fn fingerprint(url: &str, branch: Option<&str>) -> String {
    let digest = Sha256::digest(format!("{url}\n{}", branch.unwrap_or_default()));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the author of the change, as git has it: an e-mail address, or the one under which GitHub hides it. A name on GitLab stays a
/// name.
pub fn author(record: &Run) -> Option<String> {
    let github = record.github_username.as_ref();
    let hidden = || github.map(|login| format!("{login} <{login}@users.noreply.github.com>"));
    let email = record.email.clone();
    email.or_else(hidden).or_else(|| record.gitlab_username.clone())
}

fn url(repository: Option<&str>) -> String {
    let Some(repository) = repository else {
        return format!("{NOWHERE}/");
    };
    let base = if repository.contains('/') {
        NOWHERE
    } else {
        WITHOUT_OWNER
    };
    let mut url = base.to_owned();
    for segment in repository.split('/') {
        url.push('/');
        url.extend(utf8_percent_encode(segment, SEGMENT));
    }
    // Readers remove one `.git`, which may be the name's own.
    url.push_str(".git");
    url
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    /// A run without optional fields.
    fn nothing() -> Run {
        serde_json::from_str(
            r#"{"pipeline_name":"p","pipeline_source":"s","reference_id":"r","started_at":"2025-01-01T12:05:00Z","status":"running"}"#,
        )
        .unwrap()
    }

    #[test]
    fn people() {
        let mut record = nothing();
        assert_eq!(author(&record), None);
        record.gitlab_username = Some("g".into());
        assert_eq!(author(&record).as_deref(), Some("g"));
        record.github_username = Some("octocat".into());
        assert_eq!(
            author(&record).as_deref(),
            Some("octocat <octocat@users.noreply.github.com>")
        );
        record.email = Some("a@example.com".into());
        assert_eq!(author(&record).as_deref(), Some("a@example.com"));
    }

    #[test]
    fn addresses() {
        for (repository, address) in [
            (Some("o/n"), "https://repository.invalid/o/n.git"),
            (Some("g/s/n.git"), "https://repository.invalid/g/s/n.git.git"),
            (
                Some("My Project/é"),
                "https://repository.invalid/My%20Project/%C3%A9.git",
            ),
            (Some("n"), "https://bitbucket.org/-/n.git"),
            (None, "https://repository.invalid/"),
        ] {
            assert_eq!(url(repository), address);
        }
    }
}
