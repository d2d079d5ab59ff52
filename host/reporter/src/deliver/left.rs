//! What of the command's own run is left, in words.

use super::plan::Ownership;
use crate::spool::{Entry, SpooledRun};
use std::collections::{BTreeMap, BTreeSet};

/// Of a run whose end says nothing of how it went, and whose steps say nothing either.
pub(super) const WITHOUT_A_STATUS: &str =
    "the run ends without a status, so DX goes on showing it as running: give `finish` a --status";

/// One line for each reason for which notifications of a run wait and do not count.
pub(super) fn left(run: &SpooledRun, own: &Ownership, refused: &BTreeSet<String>) -> impl Iterator<Item = String> {
    let mut counts = BTreeMap::new();
    for (_, entry) in run.waiting().filter(|(_, entry)| !own.includes(entry, refused)) {
        *counts.entry(reason(entry, own)).or_insert(0_usize) += 1;
    }
    counts.into_iter().map(|((why, sent_by), count)| {
        let (notifications, are) = if count == 1 {
            ("notification", "is")
        } else {
            ("notifications", "are")
        };
        format!("{count} {notifications} of this run {are} not counted, recorded {why}: {sent_by}")
    })
}

fn reason(entry: &Entry, own: &Ownership) -> (&'static str, &'static str) {
    let (other, own) = (&entry.destination, &own.destination);
    if other.url.is_some() && other.url != own.url {
        ("for another DX", "`pipefold flush` with its address sends them")
    } else if other.token.is_none() || other.url.is_none() {
        ("without a token", "`pipefold flush` sends them")
    } else {
        ("for another token", "`pipefold flush --other-tokens` sends them")
    }
}
