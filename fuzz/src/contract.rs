//! What the host promises of a foreign answer that it passes on (`host/sandbox/src/answer.rs`), said a second time.

use crate::printable;
use pipefold_sandbox::{HookError, Run, Verdict, Violation};

/// Bytes of a text that goes to DX.
const MOST_TEXT: usize = 4 << 10;
/// Bytes of words that a person reads.
const MOST_WORDS: usize = 1 << 10;
/// Violations in a refusal.
const MOST_VIOLATIONS: usize = 101;

/// Checks what came of a hook that was asked about the run `reference_id`, by a guest that neither crashes nor takes long.
///
/// # Panics
/// If a promise is broken.
pub fn check(answer: &Result<Verdict, HookError>, reference_id: &str) {
    match answer {
        Ok(Verdict::Report(run)) => check_run(run, reference_id),
        Ok(Verdict::Hold) => {}
        Ok(Verdict::Discard(reason)) => check_text(reason, MOST_WORDS),
        Err(error) => check_error(error),
    }
}

/// The same of a run.
///
/// # Panics
/// If a promise is broken.
pub fn check_run(run: &Run, reference_id: &str) {
    assert_eq!(run.reference_id, reference_id);
    for required in [&run.pipeline_name, &run.pipeline_source, &run.started_at] {
        assert!(!required.trim().is_empty(), "{run:?}");
        check_text(required, MOST_TEXT);
    }
    let optional = [
        &run.finished_at,
        &run.repository,
        &run.commit_sha,
        &run.source_url,
        &run.head_branch,
        &run.email,
        &run.github_username,
        &run.gitlab_username,
    ];
    optional
        .into_iter()
        .flatten()
        .for_each(|text| check_text(text, MOST_TEXT));
    for time in [Some(&run.started_at), run.finished_at.as_ref()].into_iter().flatten() {
        let bytes = time.as_bytes();
        assert!(
            bytes.len() >= 20 && bytes[10] == b'T' && bytes.ends_with(b"Z"),
            "{time:?}"
        );
    }
    assert!(run.pr_number.is_none_or(|number| number >= 1), "{run:?}");
}

/// The same of an error.
///
/// # Panics
/// If a promise is broken, or it is none that such a guest can cause.
pub fn check_error(error: &HookError) {
    printable::check(error);
    match error {
        HookError::Refused(violations) => check_refusal(violations),
        HookError::BadAnswer { .. } | HookError::Limit { .. } => assert!(error.to_string().len() < 2 * MOST_WORDS),
        other => panic!("no error that this guest can cause: {other}"),
    }
}

fn check_refusal(violations: &[Violation]) {
    assert!((1..=MOST_VIOLATIONS).contains(&violations.len()));
    for violation in violations {
        check_text(&violation.field, MOST_WORDS);
        check_text(&violation.message, MOST_WORDS);
    }
}

fn check_text(text: &str, most: usize) {
    assert!(text.len() <= most, "{} bytes", text.len());
    printable::check(&text);
}
