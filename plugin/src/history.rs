//! A history: all notifications of one run, held to its limits, checked and folded.

use crate::field::{Field, texts};
use crate::finding::{Finding, Problem, violations};
use crate::limits::{MAX_HISTORY_BYTES, MAX_HISTORY_NOTIFICATIONS};
use crate::merge::Fold;
use crate::validate::{REQUIRED, check, given};
use crate::{Notification, Violation, words};

/// Checks and folds the notifications of one run.
pub fn fold(history: &[Notification]) -> Result<Fold<'_>, Vec<Violation>> {
    let mut findings = oversize(history);
    if !findings.is_empty() {
        // A history that is too large is not read any further.
        return Err(violations(findings));
    }
    findings.extend(mixed_runs(history));
    let mut folded: Option<Fold<'_>> = None;
    for event in history {
        if let Some(checked) = check(event, &mut findings) {
            match &mut folded {
                Some(sum) => sum.add(&checked),
                None => folded = Some(Fold::of(&checked)),
            }
        }
    }
    match folded {
        Some(folded) if findings.is_empty() => Ok(folded),
        _ => Err(violations(if history.is_empty() { nothing() } else { findings })),
    }
}

/// The findings of an empty history, which lacks all required fields.
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
    let bytes = history.iter().flat_map(texts).map(str::len).sum();
    if bytes > MAX_HISTORY_BYTES {
        add(Problem::TooLarge(bytes));
    }
    findings
}

/// Checks that all notifications have the same run id. It includes invalid ones, so that one call reports all faults.
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
