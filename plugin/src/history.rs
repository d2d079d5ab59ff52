//! A history: all notifications of one run, held to its limits, checked and folded.

use crate::field::{Field, texts};
use crate::finding::{Finding, Problem, violations};
use crate::merge::Fold;
use crate::validate::{REQUIRED, check, given};
use crate::{Notification, Violation, words};

/// The most notifications a run may have: thousands of steps, and still a call of milliseconds.
pub const MAX_HISTORY_NOTIFICATIONS: usize = 10_000;

/// The largest size of all texts of a run together, in bytes: twice what as many usual notifications of 400 bytes need,
/// and it fits several times into the memory and the copying that the sandbox grants.
pub const MAX_HISTORY_BYTES: usize = 8 * 1024 * 1024;

/// Checks and folds the notifications of one run.
pub(crate) fn fold(history: &[Notification]) -> Result<Fold<'_>, Vec<Violation>> {
    let mut findings = oversize(history);
    if !findings.is_empty() {
        // What is too large is not read any further.
        return Err(violations(findings));
    }
    findings.extend(mixed_runs(history));
    let mut folded: Option<Fold<'_>> = None;
    for event in history {
        if let Some(checked) = check(event, &mut findings) {
            let next = Fold::of(&checked);
            match &mut folded {
                Some(sum) => sum.join(&next),
                None => folded = Some(next),
            }
        }
    }
    match folded {
        Some(folded) if findings.is_empty() => Ok(folded),
        _ => Err(violations(if history.is_empty() { nothing() } else { findings })),
    }
}

/// An empty history lacks all that is required.
fn nothing() -> Vec<Finding<'static>> {
    let missing = |field| Finding {
        field,
        problem: Problem::Missing,
    };
    REQUIRED.map(missing).into()
}

fn oversize(history: &[Notification]) -> Vec<Finding<'_>> {
    let mut findings = Vec::new();
    let mut add = |problem| {
        findings.push(Finding {
            field: Field::History,
            problem,
        })
    };
    if history.len() > MAX_HISTORY_NOTIFICATIONS {
        add(Problem::TooMany(history.len()));
    }
    let bytes = history.iter().flat_map(texts).flatten().map(str::len).sum();
    if bytes > MAX_HISTORY_BYTES {
        add(Problem::TooLarge(bytes));
    }
    findings
}

/// Looks at invalid notifications too, so that one call tells all that is wrong.
fn mixed_runs(history: &[Notification]) -> Option<Finding<'_>> {
    let mut names = history.iter().filter_map(|event| given(&event.reference_id));
    let first = names.next()?;
    let others = names.filter(|name| !words::same(name, first));
    let (least, greatest) = others.fold((first, first), |(least, greatest), name| {
        (least.min(name), greatest.max(name))
    });
    (least != greatest).then(|| Finding {
        field: Field::ReferenceId,
        problem: Problem::MixedRuns(least.into(), greatest.into()),
    })
}
