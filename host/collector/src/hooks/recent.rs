//! The last deliveries of a source, and what became of them. Bodies are not kept.

use crate::access::Access;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The deliveries that are remembered.
const MOST: usize = 100;

/// Those among them without a good signature. They have places of their own: a stranger must not make the others be forgotten.
const MOST_UNSIGNED: usize = 20;

/// A delivery, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The time of its receipt.
    pub at: DateTime<Utc>,
    /// The kind of event, as its header names it.
    pub event: Option<String>,
    /// The id of the delivery, as its header names it.
    pub id: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// The outcome in words.
    pub outcome: String,
    /// The stored runs that it is about.
    pub runs: Vec<RunName>,
}

/// The names of a stored run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunName {
    /// Its pipeline.
    pub pipeline: String,
    /// Its `reference_id`.
    pub reference_id: String,
}

/// The last deliveries of a source.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Rings>);

#[derive(Debug, Default)]
struct Rings {
    signed: VecDeque<Seen>,
    unsigned: VecDeque<Seen>,
}

impl Recent {
    /// Remembers a delivery.
    pub fn add(&self, seen: Seen, is_signed: bool) {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ring, most) = if is_signed {
            (&mut rings.signed, MOST)
        } else {
            (&mut rings.unsigned, MOST_UNSIGNED)
        };
        if ring.len() == most {
            ring.pop_front();
        }
        ring.push_back(seen);
    }

    /// Returns them, newest first. An access to some pipelines shows deliveries about their runs alone.
    pub fn seen_by(&self, access: &Access) -> Vec<Seen> {
        let mut all: Vec<Seen> = {
            let rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            rings.signed.iter().chain(&rings.unsigned).cloned().collect()
        };
        if !access.sees_everything() {
            all = all.into_iter().filter_map(|seen| part(seen, access)).collect();
        }
        all.sort_by_key(|seen| std::cmp::Reverse(seen.at));
        all
    }
}

/// Returns the part of a delivery that `access` may see.
fn part(mut seen: Seen, access: &Access) -> Option<Seen> {
    seen.runs.retain(|run| access.may_see(&run.pipeline));
    (!seen.runs.is_empty()).then_some(seen)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::access::Rights;

    fn seen(at: i64, pipelines: &[&str]) -> Seen {
        let run = |pipeline: &&str| RunName {
            pipeline: (*pipeline).to_owned(),
            reference_id: format!("{pipeline}-1"),
        };
        Seen {
            at: DateTime::from_timestamp(at, 0).unwrap(),
            event: None,
            id: None,
            status: 200,
            outcome: String::new(),
            runs: pipelines.iter().map(run).collect(),
        }
    }

    #[test]
    fn strangers_do_not_make_others_be_forgotten() {
        let recent = Recent::default();
        for at in 0..150 {
            recent.add(seen(at, &["p"]), true);
        }
        for at in 200..900 {
            recent.add(seen(at, &[]), false);
        }
        let all = recent.seen_by(&Access::everything());
        let times: Vec<i64> = all.iter().map(|seen| seen.at.timestamp()).collect();
        let expected: Vec<i64> = (880..900).rev().chain((50..150).rev()).collect();
        assert_eq!(times, expected);
    }

    #[test]
    fn runs_of_other_pipelines_are_not_shown() {
        let recent = Recent::default();
        recent.add(seen(1, &["web", "secret"]), true);
        recent.add(seen(2, &["secret"]), true);
        recent.add(seen(3, &[]), true);
        let shown = recent.seen_by(&Access::new(Rights::Read, vec!["web".parse().unwrap()]));
        assert_eq!(
            (shown.len(), shown[0].runs.len(), &*shown[0].runs[0].pipeline),
            (1, 1, "web")
        );
        assert!(
            recent
                .seen_by(&Access::new(Rights::Write, vec!["*".parse().unwrap()]))
                .is_empty()
        );
    }
}
