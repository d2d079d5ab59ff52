//! The plan of a run's delivery: which notifications a process may send, and how.

use crate::clock;
use crate::spool::{Destination, Entry, EntryId, Hook, Judgement, PolicyChain, SpooledRun, Trouble};
use crate::steps::{fill_in_starts, has_ended};
use pipefold_sandbox::{Notification, Status};
use std::collections::{BTreeMap, BTreeSet};

/// The kind of a note that DX refused the token.
pub const UNAUTHORISED: &str = "unauthorised";

/// The digest of the token that DX refused, if that is why the run waits.
pub fn refused_token(trouble: &Trouble) -> Option<&str> {
    trouble.token.as_deref().filter(|_| trouble.kind == UNAUTHORISED)
}

/// The notifications that a process may send (DESIGN: two accounts may share a machine).
#[derive(Clone, Debug)]
pub struct Ownership {
    /// The process's own DX and token.
    pub destination: Destination,
    /// True in a flush: notifications recorded without a token, or without a DX, are included.
    pub explicit: bool,
    /// True to include notifications recorded for another token of the same DX.
    pub adopt: bool,
    /// The process's own policies.
    pub policies: PolicyChain,
    /// True if these policies replace those that a notification was recorded under (DESIGN section 11).
    pub rejudge: bool,
}

/// The relation of an entry's policies to those of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    /// The policies are the same.
    Own,
    /// This process may judge the entry by its own policies: it was recorded without any, and policies only take away, or the operator
    /// named this process's in their place.
    Adopted,
    /// The entry may leave this machine only through other policies.
    Foreign,
}

impl Ownership {
    /// The digest of the token that DX refused for this run, if it is another than the process's own, for the same DX.
    pub fn refused_in<'a>(&self, run: &'a SpooledRun) -> Option<&'a str> {
        let token = refused_token(run.trouble.as_ref()?)?;
        let is_replaced =
            |other: &Destination| other.url == self.destination.url && other.token.as_deref() == Some(token);
        let may_be = self.destination.token.as_deref() != Some(token);
        (may_be && run.entries.iter().any(|(_, entry)| is_replaced(&entry.destination))).then_some(token)
    }

    /// Returns true if this process may send the entry. `refused` holds digests of tokens that DX has refused: the process's own, for the
    /// same DX, replaces them.
    pub fn includes(&self, entry: &Entry, refused: &BTreeSet<String>) -> bool {
        let (own, other) = (&self.destination, &entry.destination);
        match (&other.url, &other.token) {
            (Some(url), _) if Some(url) != own.url.as_ref() => false,
            (None, _) | (_, None) => self.explicit,
            (_, Some(token)) => Some(token) == own.token.as_ref() || self.adopt || refused.contains(token),
        }
    }

    /// The binding of an entry of a run that is bound to these policies.
    fn binding(&self, entry: &Entry, of_run: &BTreeSet<&PolicyChain>) -> Binding {
        let is_free = entry.policies.is_empty();
        if is_free && !of_run.is_empty() && !self.rejudge {
            // Recorded by a build without the policies of the `exec` around it, which may have been killed meanwhile.
            let is_ours = of_run.iter().any(|policies| policies.is_same(&self.policies));
            return if is_ours { Binding::Adopted } else { Binding::Foreign };
        }
        if entry.policies.is_same(&self.policies) {
            Binding::Own
        } else if !self.policies.is_empty() && (is_free || self.rejudge) {
            Binding::Adopted
        } else {
            Binding::Foreign
        }
    }

    /// Returns true if this process may send any entry of a run, by its policies.
    fn has_policies_of(&self, run: &SpooledRun) -> bool {
        let of_run = policies_of(run);
        let mut entries = run.entries.iter();
        entries.any(|(_, entry)| self.binding(entry, &of_run) != Binding::Foreign)
    }
}

/// The policies that a run is bound to: its entries without policies are sent only through these, too.
fn policies_of(run: &SpooledRun) -> BTreeSet<&PolicyChain> {
    let all = run.entries.iter().map(|(_, entry)| &entry.policies);
    all.filter(|policies| !policies.is_empty()).collect()
}

/// One task in delivering a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Judge the whole history, and send the resulting run in one request.
    Finish {
        /// Every notification of the run.
        history: Vec<Notification>,
        /// The entries that DX has after it accepted the run.
        covers: BTreeSet<EntryId>,
    },
    /// Judge a notification by this process's policies, and send the run that they report. The recorded verdict is not sent: another
    /// process wrote it, perhaps a build's own.
    Report {
        /// The notification.
        id: EntryId,
    },
    /// Send the jobs of steps that ended, of a run that goes on.
    Steps {
        /// The notifications of the steps.
        ids: BTreeSet<EntryId>,
    },
    /// Judge a notification that has no verdict by this process's policies, then plan again.
    Judge {
        /// The notification.
        id: EntryId,
    },
    /// Send nothing of the run: a policy discarded its start.
    Drop {
        /// The policy's reason.
        reason: String,
        /// All waiting entries of the run.
        covers: BTreeSet<EntryId>,
    },
}

/// The tasks for a run, and the entries that this process may not send.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The tasks, in order.
    pub work: Vec<Task>,
    /// The number of notifications that wait for another destination.
    pub foreign: usize,
    /// The number of notifications left out because a run may have only [`MOST`].
    pub left_out: usize,
    /// The number of notifications that wait for policies which this process does not have, by chain.
    pub other_policies: BTreeMap<PolicyChain, usize>,
}

/// The most notifications and bytes of text in one history (DESIGN section 3, "Validate"). The plugin counts exactly; these bounds only
/// keep a run that grew too large from being refused whole.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 8 << 20;

/// Plans the delivery of a run. `steps`: true to send the steps that ended, of a run that goes on.
pub fn plan(run: &SpooledRun, own: &Ownership, refused: &BTreeSet<String>, steps: bool) -> Plan {
    let waits = |id: &EntryId| !run.sent.contains(id);
    let of_run = policies_of(run);
    let (mut plan, mut mine) = (Plan::default(), Vec::new());
    for kept in &run.entries {
        let (id, entry) = kept;
        if !own.includes(entry, refused) {
            plan.foreign += usize::from(waits(id));
        } else if own.binding(entry, &of_run) != Binding::Foreign {
            mine.push(kept);
        } else if waits(id) && !is_discard(entry) {
            let theirs = of_run.first().filter(|_| entry.policies.is_empty());
            let policies = theirs.map_or(&entry.policies, |policies| *policies);
            *plan.other_policies.entry(policies.clone()).or_default() += 1;
        }
    }
    let waiting: Vec<_> = mine.iter().filter(|(id, _)| waits(id)).collect();
    if waiting.is_empty() {
        return plan;
    }
    // Whatever the policies of the start were: a discard only takes away.
    if let Some(reason) = dropped(run) {
        let covers = waiting.iter().map(|(id, _)| *id).collect();
        plan.work = vec![Task::Drop { reason, covers }];
        return plan;
    }
    if !mine.iter().any(|(_, entry)| entry.hook == Hook::Finish) {
        let reports = waiting
            .iter()
            .filter(|(_, entry)| matches!(entry.verdict, Judgement::Report(_) | Judgement::Unjudged(_)));
        plan.work = reports.map(|(id, _)| Task::Report { id: *id }).collect();
        let ended = waiting.iter().filter(|(_, entry)| steps && is_ended_step(entry));
        let ids: BTreeSet<EntryId> = ended.map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            plan.work.push(Task::Steps { ids });
        }
        return plan;
    }
    let unjudged = waiting.iter().find(|(_, entry)| {
        let is_new = matches!(entry.verdict, Judgement::Unjudged(_));
        is_new || (entry.hook != Hook::Finish && own.binding(entry, &of_run) != Binding::Own)
    });
    if let Some((id, _)) = unjudged {
        // A policy may yet discard it, and an invalid one must not have the others rejected: the history is complete only when each entry
        // in it has been judged.
        plan.work = vec![Task::Judge { id: *id }];
        return plan;
    }
    let (history, left_out) = history(&mine);
    let covers = mine.iter().map(|(id, _)| *id).collect();
    plan.work = vec![Task::Finish { history, covers }];
    plan.left_out = left_out;
    plan
}

/// Returns true for the record of a step that ended, and that waits for the end of its run.
fn is_ended_step(entry: &Entry) -> bool {
    entry.hook == Hook::Step && entry.verdict == Judgement::Hold && has_ended(&entry.notification)
}

/// The reason why a policy dropped the run: every start of it on this machine was discarded.
fn dropped(run: &SpooledRun) -> Option<String> {
    let mut reason = None;
    for (_, entry) in run.entries.iter().filter(|(_, entry)| entry.hook == Hook::Start) {
        match &entry.verdict {
            Judgement::Discard(why) => reason = Some(why.clone()),
            _ => return None,
        }
    }
    reason
}

fn is_discard(entry: &Entry) -> bool {
    matches!(entry.verdict, Judgement::Discard(_))
}

/// The notifications of a run for `pipeline-finish`, as many as the rules allow: its ends and starts first, which decide, then the steps
/// whose status outranks the others'.
fn history(mine: &[&(EntryId, Entry)]) -> (Vec<Notification>, usize) {
    let mut all: Vec<&Entry> = mine
        .iter()
        .map(|(_, entry)| entry)
        .filter(|entry| !is_discard(entry))
        .collect();
    let place = |hook| {
        [Hook::Finish, Hook::Start, Hook::Step]
            .iter()
            .position(|other| *other == hook)
    };
    all.sort_by_key(|entry| (place(entry.hook), std::cmp::Reverse(rank(entry))));
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
    let mut history: Vec<Notification> = all[..fits].iter().map(|entry| entry.notification.clone()).collect();
    fill_in_starts(&mut history);
    (history, left_out)
}

/// The rank of an entry's status in DX's order, the lowest for none.
fn rank(entry: &Entry) -> usize {
    let order = [
        Status::Unknown,
        Status::Running,
        Status::Success,
        Status::Cancelled,
        Status::Failure,
    ];
    let given = entry.notification.status.as_deref();
    order
        .iter()
        .position(|status| Some(status.as_str()) == given)
        .unwrap_or_default()
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

/// A notification that the run was cancelled, with the names from its other notifications. None if this process may send none of them.
///
/// It has no finish: the time of the end is unknown, and DX does not take back a finish that is too late.
pub fn abandoned(run: &SpooledRun, own: &Ownership) -> Option<Notification> {
    // Its values come from the other records: a process without their policies must not send them.
    if !own.has_policies_of(run) {
        return None;
    }
    let mine: Vec<&Entry> = run
        .entries
        .iter()
        .map(|(_, entry)| entry)
        .filter(|entry| own.includes(entry, &BTreeSet::new()))
        .collect();
    let any =
        |field: fn(&Notification) -> &Option<String>| mine.iter().find_map(|entry| field(&entry.notification).clone());
    Some(Notification {
        pipeline_name: Some(any(|n| &n.pipeline_name)?),
        pipeline_source: Some(any(|n| &n.pipeline_source)?),
        reference_id: Some(any(|n| &n.reference_id)?),
        // The fold keeps the earliest start, so any recorded one changes nothing.
        started_at: any(|n| &n.started_at).or_else(|| Some(clock::now())),
        status: Some(Status::Cancelled.as_str().to_owned()),
        ..Notification::default()
    })
}

/// The remark for a run whose end and steps have no status.
pub const WITHOUT_A_STATUS: &str =
    "the run ends without a status, so DX still shows it as running: give `finish` a --status";

/// One line for each reason why notifications of a run wait and do not count.
pub fn left(run: &SpooledRun, own: &Ownership, refused: &BTreeSet<String>) -> impl Iterator<Item = String> {
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
