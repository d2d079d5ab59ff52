//! Each record at DX, beside the fold of what was published.

use pipefold::Run;
use pipefold::dx::body;
use pipefold_plugin::{Notification, merge};

use crate::dx::{Record, Records};
use crate::load::Message;

/// What the comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Runs whose record is the fold of everything that was published of them.
    pub right: u32,
    /// Runs that DX never heard of.
    pub missing: u32,
    /// Runs that DX has another record of.
    pub different: u32,
    /// The first of either, with both records.
    pub example: Option<String>,
}

/// Compares every run; `published` gives everything that was published of one.
#[must_use]
pub fn check(records: &Records, runs: u32, published: impl Fn(u32) -> Vec<Message>) -> Found {
    let mut found = Found::default();
    for run in 0..runs {
        let (known, expected) = (records.record(run), expected(&published(run)));
        if expected.as_ref() == Ok(&known) {
            found.right += 1;
            continue;
        }
        if known.is_known() {
            found.different += 1;
        } else {
            found.missing += 1;
        }
        found
            .example
            .get_or_insert_with(|| format!("run {run}: DX has {known:?}, and not {expected:?}"));
    }
    found
}

/// The record that these upserts make: the plugin's own rule, called natively.
fn expected(messages: &[Message]) -> Result<Record, String> {
    let history: Vec<_> = messages.iter().map(|message| notification(&message.upsert)).collect();
    let merged = merge(&history).map_err(|violations| format!("{violations:?}"))?;
    let run = Run {
        pipeline_name: merged.pipeline_name,
        pipeline_source: merged.pipeline_source,
        reference_id: merged.reference_id,
        started_at: merged.started_at,
        finished_at: merged.finished_at,
        status: match merged.status {
            pipefold_plugin::Status::Unknown => pipefold::Status::Unknown,
            pipefold_plugin::Status::Running => pipefold::Status::Running,
            pipefold_plugin::Status::Success => pipefold::Status::Success,
            pipefold_plugin::Status::Cancelled => pipefold::Status::Cancelled,
            pipefold_plugin::Status::Failure => pipefold::Status::Failure,
        },
        repository: merged.repository,
        commit_sha: merged.commit_sha,
        pr_number: merged.pr_number,
        source_url: merged.source_url,
        head_branch: merged.head_branch,
        email: merged.email,
        github_username: merged.github_username,
        gitlab_username: merged.gitlab_username,
    };
    let given = serde_json::from_slice(&body(&run)).map_err(|why| why.to_string())?;
    let mut record = Record::default();
    record.take(&given)?;
    Ok(record)
}

fn notification(run: &Run) -> Notification {
    let run = run.clone();
    Notification {
        pipeline_name: Some(run.pipeline_name),
        pipeline_source: Some(run.pipeline_source),
        reference_id: Some(run.reference_id),
        started_at: Some(run.started_at),
        finished_at: run.finished_at,
        status: Some(run.status.as_str().to_owned()),
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::load::{Day, messages};

    #[test]
    fn one_notification_that_is_left_out_is_seen() {
        let day = Day::of(300, 1_000_000);
        let published = |run| messages(3, day, run);
        let told = |leave_out: bool| {
            let records = Records::of(300, None);
            for run in 0..300 {
                let mut upserts = published(run);
                if leave_out && run == 17 {
                    upserts.retain(|message| message.upsert.finished_at.is_none());
                }
                for message in upserts {
                    let given = serde_json::from_slice(&body(&message.upsert)).unwrap();
                    records.accept(&given).unwrap();
                }
            }
            check(&records, 300, published)
        };
        let all = told(false);
        assert_eq!((all.right, all.missing, all.different), (300, 0, 0), "{all:?}");
        let one_less = told(true);
        assert_eq!((one_less.right, one_less.different), (299, 1));
        assert!(one_less.example.unwrap().starts_with("run 17: "));
    }
}
