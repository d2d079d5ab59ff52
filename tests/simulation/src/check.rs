//! The comparison of each record at DX with the fold of the published upserts.

use pipefold::dx::body;
use pipefold_tests::fold;
use serde_json::Value;

use crate::dx::{Record, Records};
use crate::load::Message;

/// The results of the comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Runs whose record is the fold of everything that was published of them.
    pub right: u32,
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

/// The record that these upserts make, by the oracle of all tests.
fn expected(messages: &[Message]) -> Result<Record, String> {
    let upserts: Result<Vec<Value>, _> = messages
        .iter()
        .map(|message| serde_json::from_slice(&body(&message.upsert)))
        .collect();
    let folded = fold(&upserts.map_err(|why| why.to_string())?);
    let mut record = Record::default();
    record.take(folded.as_object().ok_or("a record is an object")?)?;
    Ok(record)
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
