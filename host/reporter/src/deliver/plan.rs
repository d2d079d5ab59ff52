//! What of a run waits to be sent, and to whom it belongs.

use crate::spool::{Destination, Entry, EntryId, Hook, Judged, SpooledRun, Trouble};
use pipefold_sandbox::{Notification, Run};
use std::collections::BTreeSet;

/// The kind of trouble that says DX did not take the token.
pub(super) const UNAUTHORISED: &str = "unauthorised";

/// Digest of the token that DX did not take, if that is why the run waits.
pub(super) fn refused_token(trouble: &Trouble) -> Option<&str> {
    trouble.token.as_deref().filter(|_| trouble.kind == UNAUTHORISED)
}

/// Whose notifications a process may send (DESIGN: two accounts may share a machine).
#[derive(Clone, Debug)]
pub(crate) struct Own {
    /// The process's own DX and token.
    pub(crate) destination: Destination,
    /// Whether someone asked by name: then what was recorded without a token, or without a DX, is included.
    pub(crate) explicit: bool,
    /// Whether what was recorded for another token of the same DX is included.
    pub(crate) adopt: bool,
}

impl Own {
    /// Digest of the token that DX did not take for this run: another one than the process's own, for the same DX.
    pub(super) fn refused_in<'a>(&self, run: &'a SpooledRun) -> Option<&'a str> {
        let token = refused_token(run.trouble.as_ref()?)?;
        let is_replaced =
            |other: &Destination| other.url == self.destination.url && other.token.as_deref() == Some(token);
        let may_be = self.destination.token.as_deref() != Some(token);
        (may_be && run.entries.iter().any(|(_, entry)| is_replaced(&entry.destination))).then_some(token)
    }

    /// Whether this process may send the entry. `refused` holds digests of tokens that DX is known to have refused: the process's own, for
    /// the same DX, then takes their place.
    fn includes(&self, entry: &Entry, refused: &BTreeSet<String>) -> bool {
        let (own, other) = (&self.destination, &entry.destination);
        match (&other.url, &other.token) {
            (Some(url), _) if Some(url) != own.url.as_ref() => false,
            (None, _) | (_, None) => self.explicit,
            (_, Some(token)) => Some(token) == own.token.as_ref() || self.adopt || refused.contains(token),
        }
    }
}

/// What is to be done for a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    /// Judge the whole history, and send what it comes to in one request.
    Finish {
        /// Every notification of the run.
        history: Vec<Notification>,
        /// Those that DX has when it accepts.
        covers: BTreeSet<EntryId>,
    },
    /// Send one report.
    Report {
        /// What to send.
        run: Box<Run>,
        /// The notification it came from.
        id: EntryId,
    },
    /// Judge a notification for which its plugin failed, then look again.
    Judge {
        /// The notification.
        id: EntryId,
    },
}

/// The run as far as it is the process's own.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What is to be done, in order.
    pub(crate) work: Vec<Work>,
    /// Notifications that wait but belong to another destination.
    pub(crate) foreign: usize,
    /// Notifications left out, as the rules allow only so many in one run.
    pub(crate) left_out: usize,
}

/// Notifications and bytes of text that the rules allow in one history (DESIGN section 3, "Validate"). The plugin counts exactly; this
/// only keeps a run that grew too large from being refused whole.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 8 << 20;

/// Decides what of a run is to be sent.
pub(crate) fn plan(run: &SpooledRun, own: &Own, refused: &BTreeSet<String>) -> Plan {
    let (mine, others): (Vec<_>, Vec<_>) = run.entries.iter().partition(|(_, entry)| own.includes(entry, refused));
    let waits = |id: &EntryId| !run.sent.contains(id);
    let foreign = others.iter().filter(|(id, _)| waits(id)).count();
    let waiting: Vec<_> = mine.iter().filter(|(id, _)| waits(id)).collect();
    let finished = mine.iter().any(|(_, entry)| entry.hook == Hook::Finish);

    if !finished {
        let work = waiting.iter().filter_map(|(id, entry)| match &entry.verdict {
            Judged::Report(run) => Some(Work::Report {
                run: Box::new(run.clone()),
                id: *id,
            }),
            Judged::Unjudged(_) => Some(Work::Judge { id: *id }),
            Judged::Hold | Judged::Discard(_) => None,
        });
        return Plan {
            work: work.collect(),
            foreign,
            left_out: 0,
        };
    }
    if waiting.is_empty() {
        return Plan {
            work: Vec::new(),
            foreign,
            left_out: 0,
        };
    }
    if let Some((id, _)) = waiting
        .iter()
        .find(|(_, entry)| matches!(entry.verdict, Judged::Unjudged(_)) && entry.hook != Hook::Finish)
    {
        // A policy may yet want to discard it: the history is complete only when everything in it has been judged.
        return Plan {
            work: vec![Work::Judge { id: *id }],
            foreign,
            left_out: 0,
        };
    }
    let (history, left_out) = history(&mine);
    let covers = mine.iter().map(|(id, _)| *id).collect();
    Plan {
        work: vec![Work::Finish { history, covers }],
        foreign,
        left_out,
    }
}

/// The notifications of a run for `pipeline-finish`, as many as the rules allow: those about the whole run first, as they decide.
fn history(mine: &[&(EntryId, Entry)]) -> (Vec<Notification>, usize) {
    let mut all: Vec<&Entry> = mine
        .iter()
        .map(|(_, entry)| entry)
        .filter(|entry| !matches!(entry.verdict, Judged::Discard(_)))
        .collect();
    all.sort_by_key(|entry| entry.hook == Hook::Step);
    let mut bytes = 0;
    let fits = all
        .iter()
        .take(MOST)
        .take_while(|entry| {
            bytes += text_bytes(&entry.notification);
            bytes <= MOST_BYTES
        })
        .count();
    let left_out = all.len() - fits;
    (
        all[..fits].iter().map(|entry| entry.notification.clone()).collect(),
        left_out,
    )
}

/// Bytes of text in a notification.
fn text_bytes(notification: &Notification) -> usize {
    let n = notification;
    [
        &n.pipeline_name,
        &n.pipeline_source,
        &n.reference_id,
        &n.started_at,
        &n.finished_at,
        &n.status,
        &n.repository,
        &n.commit_sha,
        &n.source_url,
        &n.head_branch,
        &n.email,
        &n.github_username,
        &n.gitlab_username,
        &n.step,
    ]
    .iter()
    .filter_map(|field| field.as_ref())
    .map(String::len)
    .sum()
}
