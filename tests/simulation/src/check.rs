//! The comparison of each record at DX with the fold of the published upserts.

use std::collections::BTreeMap;

use pipefold::Job;
use pipefold::dx::{body, job_body};
use pipefold_tests::fold;
use serde_json::Value;

use crate::dx::{JobRecord, Jobs, Record, Records};
use crate::load::Message;

/// The results of the comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Runs whose record and jobs are the fold of everything that was published of them.
    pub right: u32,
    /// Jobs of these.
    pub jobs: usize,
    /// Runs that are missing at DX.
    pub missing: u32,
    /// Runs that DX has another record of.
    pub different: u32,
    /// The first of either, with both records.
    pub example: Option<String>,
}

/// Compares every run; `published` returns the messages of one.
#[must_use]
pub fn check(records: &Records, runs: u32, published: impl Fn(u32) -> Vec<Message>) -> Found {
    let mut found = Found::default();
    for run in 0..runs {
        let messages = published(run);
        let (known, expected) = (records.record(run), expected(&messages));
        let (known_jobs, expected_jobs) = (records.jobs(run), expected_jobs(&messages));
        if expected.as_ref() == Ok(&known) && expected_jobs.as_ref() == Ok(&known_jobs) {
            found.right += 1;
            found.jobs += known_jobs.len();
            continue;
        }
        if known.is_known() {
            found.different += 1;
        } else {
            found.missing += 1;
        }
        found.example.get_or_insert_with(|| {
            format!("run {run}: DX has {known:?} {known_jobs:?}, and not {expected:?} {expected_jobs:?}")
        });
    }
    found
}

/// The record that these upserts make, by the oracle of all tests.
fn expected(messages: &[Message]) -> Result<Record, String> {
    let runs = messages.iter().filter(|message| message.job.is_none());
    let upserts: Result<Vec<Value>, _> = runs
        .map(|message| serde_json::from_slice(&body(&message.upsert)))
        .collect();
    let folded = fold(&upserts.map_err(|why| why.to_string())?);
    let mut record = Record::default();
    record.take(folded.as_object().ok_or("a record is an object")?)?;
    Ok(record)
}

/// The jobs that these messages make: of each the state with the latest start, and among equal starts the highest status.
fn expected_jobs(messages: &[Message]) -> Result<Jobs, String> {
    let mut last: BTreeMap<&str, (&Message, &Job)> = BTreeMap::new();
    for (message, job) in messages
        .iter()
        .filter_map(|message| Some((message, message.job.as_ref()?)))
    {
        let rank = |job: &Job| (job.started_at.clone(), job.status);
        let known = last.entry(&job.reference_id).or_insert((message, job));
        if rank(job) > rank(known.1) {
            *known = (message, job);
        }
    }
    let jobs = last.into_iter().map(|(name, (message, job))| {
        let given = serde_json::from_slice(&job_body(&message.upsert, job)).map_err(|why| why.to_string())?;
        Ok((name.to_owned(), JobRecord::of(&given)?))
    });
    jobs.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::load::{Day, messages};

    #[test]
    fn one_notification_that_is_left_out_is_seen() {
        let day = Day::of(300, 1_000_000);
        let published = |run| {
            let mut messages = messages(3, day, run);
            messages.retain(|message| message.job.is_none());
            messages
        };
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
