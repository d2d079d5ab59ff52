//! The fold of a run's upserts.

use pipefold::dx::Arguments;
use pipefold::{Judge, NoVerdict, Notification, Run, Verdict};
use pipefold_sandbox::Question;

/// The outcome of folding a group of messages.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// The runs to send to DX, mostly one.
    pub(super) runs: Vec<Run>,
    /// Why a policy of this forwarder drops it.
    pub(super) dropped: Option<String>,
    /// Those that the rules do not take, by their place, with a code and the reason. The others are not harmed by them.
    pub(super) unfit: Vec<(usize, String, String)>,
}

/// A fold that failed and may succeed later, with the reason.
#[derive(Debug)]
pub(super) struct NotNow(pub(super) String);

/// Folds upserts of one run, or what is wrong with them, through the policies and the component.
pub(super) fn fold(judge: &Judge, upserts: impl Iterator<Item = Result<Arguments, String>>) -> Result<Folded, NotNow> {
    let mut folded = Folded::default();
    let mut histories: Vec<(usize, Vec<Notification>)> = Vec::new();
    for (place, upsert) in upserts.enumerate() {
        match upsert {
            Ok(said) => histories.push((place, said.into_notifications())),
            Err(why) => folded.unfit.push((place, "unreadable".to_owned(), why)),
        }
    }
    if histories.is_empty() {
        return Ok(folded);
    }
    let whole = |histories: &[(usize, Vec<Notification>)]| -> Vec<Notification> {
        let all = histories.iter().flat_map(|(_, notifications)| notifications);
        all.cloned().collect()
    };
    match ask(judge, &whole(&histories), &mut folded)? {
        None => return Ok(folded),
        Some(why) if histories.len() == 1 => {
            folded.unfit.extend(
                histories
                    .iter()
                    .map(|(place, _)| (*place, "refused".to_owned(), why.clone())),
            );
            return Ok(folded);
        }
        Some(_) => {}
    }
    // One of a stranger's spoils the whole: each by itself, then the good ones together.
    let mut alone = Folded::default();
    let mut good = Vec::new();
    for (place, notifications) in histories {
        match ask(judge, &notifications, &mut alone)? {
            None => good.push((place, notifications)),
            Some(why) => folded.unfit.push((place, "refused".to_owned(), why)),
        }
    }
    if !good.is_empty() && ask(judge, &whole(&good), &mut folded)?.is_some() {
        // Good only one by one: then that is how DX gets them, which folds them itself.
        folded.runs = alone.runs;
        folded.dropped = alone.dropped;
    }
    Ok(folded)
}

/// Asks about a history. What is wrong with it, if the rules refuse it.
fn ask(judge: &Judge, history: &[Notification], folded: &mut Folded) -> Result<Option<String>, NotNow> {
    match judge.ask(&Question::PipelineFinish(history)) {
        Ok(Verdict::Report(run)) => folded.runs.push(run),
        Ok(Verdict::Discard(why)) => folded.dropped = Some(why),
        Ok(Verdict::Hold) => {
            return Ok(Some(
                "a policy of the forwarder holds it, and nothing would release it".to_owned(),
            ));
        }
        Err(NoVerdict::Refused(refused)) => return Ok(Some(refused.to_string())),
        Err(NoVerdict::Failed(why)) => return Err(NotNow(why)),
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn folded(bodies: &[&str]) -> Folded {
        let said = bodies.iter();
        let said = said.map(|body| Arguments::from_foreign_json(body.as_bytes()).map_err(|why| why.to_string()));
        fold(&Judge::default(), said).unwrap()
    }

    fn upsert(more: &str) -> String {
        format!(r#"{{"pipeline_name":"p","pipeline_source":"s","reference_id":"r"{more}}}"#)
    }

    #[test]
    fn whatever_is_held_is_one_request() {
        let (start, end) = (
            upsert(r#","started_at":"2025-01-01T12:05:00Z","status":"running""#),
            upsert(r#","started_at":"2025-01-01T12:05:00Z","finished_at":"2025-01-01T12:10:00Z","status":"success""#),
        );
        for bodies in [vec![&*start, &*end], vec![&*end, &*start, &*end, &*start]] {
            let folded = folded(&bodies);
            assert_eq!(folded.runs.len(), 1);
            assert_eq!(folded.runs[0].status.as_str(), "success");
            assert_eq!(folded.runs[0].finished_at.as_deref(), Some("2025-01-01T12:10:00Z"));
            assert!(folded.unfit.is_empty());
        }
    }

    #[test]
    fn a_strangers_upserts_harm_no_others() {
        let good = upsert(r#","started_at":"2025-01-01T12:05:00Z","status":"failure""#);
        let bad = [
            ("unreadable", "{"),
            (
                "refused",
                &*upsert(r#","started_at":"2025-01-01T12:05:00Z","status":"exploded""#),
            ),
            ("refused", &*upsert("")),
        ]
        .map(|(code, body)| (code, body.to_owned()));
        for (code, bad) in &bad {
            let folded = folded(&[&good, bad, &good]);
            assert_eq!(folded.runs.len(), 1, "{bad}");
            assert_eq!(folded.runs[0].status.as_str(), "failure");
            let unfit: Vec<_> = folded
                .unfit
                .iter()
                .map(|(place, code, _)| (*place, code.as_str()))
                .collect();
            assert_eq!(unfit, [(1, *code)], "{bad}");
        }
        let only_bad = folded(&[&bad[1].1]);
        assert!(
            only_bad.runs.is_empty() && only_bad.unfit[0].2.contains("status"),
            "{only_bad:?}"
        );
    }
}
