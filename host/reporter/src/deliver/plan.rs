//! What of a run waits to be sent, and to whom it belongs.

use crate::clock;
use crate::spool::{Destination, Entry, EntryId, Hook, Judgement, PolicyChain, SpooledRun, Trouble};
use pipefold_sandbox::{Notification, Status};
use std::collections::{BTreeMap, BTreeSet};

/// The kind of trouble that says DX did not take the token.
pub const UNAUTHORISED: &str = "unauthorised";

/// Digest of the token that DX did not take, if that is why the run waits.
pub fn refused_token(trouble: &Trouble) -> Option<&str> {
    trouble.token.as_deref().filter(|_| trouble.kind == UNAUTHORISED)
}

/// Whose notifications a process may send (DESIGN: two accounts may share a machine).
#[derive(Clone, Debug)]
pub struct Ownership {
    /// The process's own DX and token.
    pub destination: Destination,
    /// Whether someone asked by name: then what was recorded without a token, or without a DX, is included.
    pub explicit: bool,
    /// Whether what was recorded for another token of the same DX is included.
    pub adopt: bool,
    /// The process's own policies.
    pub policies: PolicyChain,
    /// Whether they take the place of the policies that a notification was recorded under (DESIGN section 11).
    pub rejudge: bool,
}

/// What the policies that an entry was recorded under have to do with those of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    /// They are the same.
    Own,
    /// This process may judge the entry by its own: it was recorded without any, which own ones only take away from, or the operator
    /// named this process's in their place.
    Adopted,
    /// The entry leaves this machine only through others.
    Foreign,
}

impl Ownership {
    /// Digest of the token that DX did not take for this run: another one than the process's own, for the same DX.
    pub fn refused_in<'a>(&self, run: &'a SpooledRun) -> Option<&'a str> {
        let token = refused_token(run.trouble.as_ref()?)?;
        let is_replaced =
            |other: &Destination| other.url == self.destination.url && other.token.as_deref() == Some(token);
        let may_be = self.destination.token.as_deref() != Some(token);
        (may_be && run.entries.iter().any(|(_, entry)| is_replaced(&entry.destination))).then_some(token)
    }

    /// Whether this process may send the entry. `refused` holds digests of tokens that DX is known to have refused: the process's own, for
    /// the same DX, then takes their place.
    pub fn includes(&self, entry: &Entry, refused: &BTreeSet<String>) -> bool {
        let (own, other) = (&self.destination, &entry.destination);
        match (&other.url, &other.token) {
            (Some(url), _) if Some(url) != own.url.as_ref() => false,
            (None, _) | (_, None) => self.explicit,
            (_, Some(token)) => Some(token) == own.token.as_ref() || self.adopt || refused.contains(token),
        }
    }

    /// What this process may do with an entry of a run that is bound to these policies.
    fn binding(&self, entry: &Entry, of_run: &BTreeSet<&PolicyChain>) -> Binding {
        let is_free = entry.policies.is_empty();
        if is_free && !of_run.is_empty() && !self.rejudge {
            // A build that recorded without the policies of the `exec` around it, which may have been killed meanwhile.
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

    /// Whether this process may send something of a run, by its policies.
    fn has_policies_of(&self, run: &SpooledRun) -> bool {
        let of_run = policies_of(run);
        let mut entries = run.entries.iter();
        entries.any(|(_, entry)| self.binding(entry, &of_run) != Binding::Foreign)
    }
}

/// The policies that a run is bound to: what was recorded of it without any is sent only through these, too.
fn policies_of(run: &SpooledRun) -> BTreeSet<&PolicyChain> {
    let all = run.entries.iter().map(|(_, entry)| &entry.policies);
    all.filter(|policies| !policies.is_empty()).collect()
}

/// What is to be done for a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Judge the whole history, and send what it comes to in one request.
    Finish {
        /// Every notification of the run.
        history: Vec<Notification>,
        /// Those that DX has when it accepts.
        covers: BTreeSet<EntryId>,
    },
    /// Judge a notification by this process's policies, and send what they report. What was recorded as its verdict is not sent: another
    /// process wrote it, perhaps a build's own.
    Report {
        /// The notification.
        id: EntryId,
    },
    /// Judge a notification that has no verdict by this process's policies, then look again.
    Judge {
        /// The notification.
        id: EntryId,
    },
    /// Send nothing of the run: a policy discarded its start.
    Drop {
        /// The policy's reason.
        reason: String,
        /// All that waits of it.
        covers: BTreeSet<EntryId>,
    },
}

/// The run as far as it is the process's own.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What is to be done, in order.
    pub work: Vec<Task>,
    /// Notifications that wait but belong to another destination.
    pub foreign: usize,
    /// Notifications left out, as the rules allow only so many in one run.
    pub left_out: usize,
    /// Notifications that wait for other policies than this process has: how many for each chain.
    pub other_policies: BTreeMap<PolicyChain, usize>,
}

/// Notifications and bytes of text that the rules allow in one history (DESIGN section 3, "Validate"). The plugin counts exactly; this
/// only keeps a run that grew too large from being refused whole.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 8 << 20;

/// Decides what of a run is to be sent.
pub fn plan(run: &SpooledRun, own: &Ownership, refused: &BTreeSet<String>) -> Plan {
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
    // Whatever the policies of the start were: that it is dropped only ever takes away.
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
        return plan;
    }
    let unjudged = waiting.iter().find(|(_, entry)| {
        let is_new = matches!(entry.verdict, Judgement::Unjudged(_));
        is_new || (entry.hook != Hook::Finish && own.binding(entry, &of_run) != Binding::Own)
    });
    if let Some((id, _)) = unjudged {
        // A policy may yet want to discard it, and one that is not valid must not take the others along: the history is complete only when
        // everything in it has been judged.
        plan.work = vec![Task::Judge { id: *id }];
        return plan;
    }
    let (history, left_out) = history(&mine);
    let covers = mine.iter().map(|(id, _)| *id).collect();
    plan.work = vec![Task::Finish { history, covers }];
    plan.left_out = left_out;
    plan
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

/// The notifications of a run for `pipeline-finish`, as many as the rules allow: its ends and starts first, as they decide, then the
/// steps whose status outranks the others'.
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
    (
        all[..fits].iter().map(|entry| entry.notification.clone()).collect(),
        left_out,
    )
}

/// The place of an entry's status in DX's order, the lowest for none.
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

/// A notification that the run was cancelled, from what its others say. None if none of it is this process's to send.
///
/// It has no finish: when the run ended is not known, and DX would not take back one that is too late.
pub fn abandoned(run: &SpooledRun, own: &Ownership) -> Option<Notification> {
    // What it says comes from the others' records: a process without their policies must not say it.
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
        // The fold keeps the earliest; any of the recorded ones leaves it as it is.
        started_at: any(|n| &n.started_at).or_else(|| Some(clock::now())),
        status: Some(Status::Cancelled.as_str().to_owned()),
        ..Notification::default()
    })
}

/// Of a run whose end says nothing of how it went, and whose steps say nothing either.
pub const WITHOUT_A_STATUS: &str =
    "the run ends without a status, so DX goes on showing it as running: give `finish` a --status";

/// One line for each reason for which notifications of a run wait and do not count.
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
