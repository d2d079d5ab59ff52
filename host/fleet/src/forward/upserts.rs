//! All upserts of a run: gathered from the stream, and folded.
//!
//! While DX accepts less than arrives, a run's start and finish are far apart in the stream, or are held by two forwarders: that would take
//! two requests, and requests are scarce. So before a request all upserts of the run are read from the stream. Those that this forwarder
//! does not hold are sent to DX with the rest and then removed. A forwarder that holds one of them finds nothing left to send.

use crate::connection::Connection;
use crate::content::Content;
use crate::stream::{STREAM, subject_of};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use pipefold::spool::RunKey;
use pipefold::{Judge, NoVerdict, Notification, Report, Verdict};
use pipefold_sandbox::Question;
use std::time::Duration;
use tokio::time::timeout;

/// The most upserts gathered for a request: a run has a few, and a job for each step. A run with more takes several requests.
const MAX_GATHERED: usize = 256;

/// The most bytes gathered for a request: so many upserts of usual length several times over.
const MAX_GATHERED_BYTES: usize = 4 << 20;

/// The time limit of gathering, as a request to DX waits for it.
const GATHER_TIMEOUT: Duration = Duration::from_secs(2);

/// The upserts of a run and its jobs in the stream.
#[derive(Debug)]
pub struct Gathered {
    stream: Stream<()>,
    pub upserts: Vec<GatheredUpsert>,
    /// True if these are all of them.
    pub complete: bool,
}

/// One upsert in the stream.
#[derive(Debug)]
pub struct GatheredUpsert {
    pub sequence: u64,
    pub content: Result<Content, String>,
}

/// Reads the upserts of a run and its jobs from the stream. `None` if the stream does not answer: then only the held upserts are sent.
pub async fn gather(connection: &Connection, run: RunKey) -> Option<Gathered> {
    let stream = connection.context.get_stream_no_info(STREAM).await.ok()?;
    timeout(GATHER_TIMEOUT, read(stream, run)).await.ok()?
}

async fn read(stream: Stream<()>, run: RunKey) -> Option<Gathered> {
    let subject = subject_of(run);
    let (mut upserts, mut from, mut bytes, mut complete) = (Vec::new(), 1, 0, false);
    while upserts.len() < MAX_GATHERED && bytes < MAX_GATHERED_BYTES {
        match stream.get_first_raw_message_by_subject(&subject, from).await {
            Ok(message) => {
                from = message.sequence + 1;
                bytes += message.payload.len();
                upserts.push(GatheredUpsert {
                    sequence: message.sequence,
                    // A message under this subject may be about another run.
                    content: Content::parse(&message.payload).and_then(|content| match content.key() == run {
                        true => Ok(content),
                        false => Err("it is about another run".to_owned()),
                    }),
                });
            }
            Err(why) => match why.kind() {
                RawMessageErrorKind::NoMessageFound => {
                    complete = true;
                    break;
                }
                RawMessageErrorKind::JetStream(error) if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
                    complete = true;
                    break;
                }
                _ => return None,
            },
        }
    }
    Some(Gathered {
        stream,
        upserts,
        complete,
    })
}

impl Gathered {
    /// Removes the held upserts, the unreadable ones and those of jobs from the list.
    ///
    /// # Errors
    /// [`SentByAnother`] if the stream has none of the held upserts any more.
    pub fn beside(mut self, held: &[u64]) -> Result<Self, SentByAnother> {
        if self.lacks(held) {
            return Err(SentByAnother);
        }
        let is_run = |upsert: &GatheredUpsert| upsert.content.as_ref().is_ok_and(|content| content.job.is_none());
        self.upserts
            .retain(|upsert| !held.contains(&upsert.sequence) && is_run(upsert));
        Ok(self)
    }

    /// Returns true if the stream has none of these messages.
    pub fn lacks(&self, sequences: &[u64]) -> bool {
        self.complete && !self.upserts.iter().any(|upsert| sequences.contains(&upsert.sequence))
    }

    /// The number of upserts.
    pub fn len(&self) -> usize {
        self.upserts.len()
    }

    /// The notifications of each upsert.
    pub fn histories(&self) -> impl Iterator<Item = Vec<Notification>> {
        let contents = self.upserts.iter().filter_map(|upsert| upsert.content.clone().ok());
        contents.map(Content::into_notifications)
    }

    /// Deletes the upserts from the stream after DX accepted them, except those at the indices `but`, which were not sent.
    pub async fn remove(self, but: &[usize]) {
        for (place, upsert) in self.upserts.iter().enumerate() {
            if but.contains(&place) {
                continue;
            }
            // An upsert that stays is sent once more, which is harmless.
            if let Err(error) = self.stream.delete_message(upsert.sequence).await {
                tracing::debug!(%error, number = upsert.sequence, "a message that DX has was not removed");
            }
        }
    }
}

/// Another forwarder has sent the held upserts to DX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentByAnother;

/// The outcome of folding a group of messages.
#[derive(Debug, Default)]
pub struct Folded {
    /// The runs to send to DX with their jobs, mostly one.
    pub reports: Vec<Report>,
    /// The reason, if a policy of this forwarder drops the run.
    pub dropped: Option<String>,
    /// Upserts that cannot be read or that the rules refuse, by index, with a code and the reason. The others are folded without them.
    pub unfit: Vec<(usize, String, String)>,
}

/// A fold that failed and may succeed later, with the reason.
#[derive(Debug)]
pub struct FoldFailed(pub String);

/// Folds the upserts of one run through the policies and the component. Each is given as its notifications, or as the reason why it is
/// unreadable.
pub fn fold(
    judge: &Judge,
    upserts: impl Iterator<Item = Result<Vec<Notification>, String>>,
) -> Result<Folded, FoldFailed> {
    let mut folded = Folded::default();
    let mut histories: Vec<(usize, Vec<Notification>)> = Vec::new();
    for (place, upsert) in upserts.enumerate() {
        match upsert {
            Ok(notifications) => histories.push((place, notifications)),
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
    match judge_history(judge, &whole(&histories), &mut folded)? {
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
    // One bad upsert makes the rules refuse the whole: each is judged by itself, then the good ones together.
    let mut alone = Folded::default();
    let mut good = Vec::new();
    for (place, notifications) in histories {
        match judge_history(judge, &notifications, &mut alone)? {
            None => good.push((place, notifications)),
            Some(why) => folded.unfit.push((place, "refused".to_owned(), why)),
        }
    }
    if !good.is_empty() && judge_history(judge, &whole(&good), &mut folded)?.is_some() {
        // Refused only together: then DX gets them one by one, and folds them itself.
        folded.reports = alone.reports;
        folded.dropped = alone.dropped;
    }
    Ok(folded)
}

/// Judges a history and adds the verdict to `folded`. Returns the reason if the rules refuse it.
fn judge_history(judge: &Judge, history: &[Notification], folded: &mut Folded) -> Result<Option<String>, FoldFailed> {
    match judge.ask(&Question::PipelineFinish(history)) {
        Ok(Verdict::Report(report)) => folded.reports.push(report),
        Ok(Verdict::Discard(why)) => folded.dropped = Some(why),
        Ok(Verdict::Hold) => {
            return Ok(Some(
                "a policy of the forwarder holds it, and nothing would release it".to_owned(),
            ));
        }
        Err(NoVerdict::Refused(refused)) => return Ok(Some(refused.to_string())),
        Err(NoVerdict::Failed(why)) => return Err(FoldFailed(why)),
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn folded(bodies: &[&str]) -> Folded {
        let contents = bodies.iter().map(|body| Content::parse(body.as_bytes()));
        let histories = contents.map(|content| content.map(Content::into_notifications));
        fold(&Judge::default(), histories).unwrap()
    }

    fn upsert(more: &str) -> String {
        format!(r#"{{"pipeline_name":"p","pipeline_source":"s","reference_id":"r"{more}}}"#)
    }

    #[test]
    fn held_upserts_become_one_request() {
        let (start, end) = (
            upsert(r#","started_at":"2025-01-01T12:05:00Z","status":"running""#),
            upsert(r#","started_at":"2025-01-01T12:05:00Z","finished_at":"2025-01-01T12:10:00Z","status":"success""#),
        );
        for bodies in [vec![&*start, &*end], vec![&*end, &*start, &*end, &*start]] {
            let folded = folded(&bodies);
            assert_eq!(folded.reports.len(), 1);
            assert_eq!(folded.reports[0].run.status.as_str(), "success");
            assert_eq!(
                folded.reports[0].run.finished_at.as_deref(),
                Some("2025-01-01T12:10:00Z")
            );
            assert!(folded.unfit.is_empty());
        }
    }

    #[test]
    fn bad_upserts_harm_no_others() {
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
            assert_eq!(folded.reports.len(), 1, "{bad}");
            assert_eq!(folded.reports[0].run.status.as_str(), "failure");
            let unfit: Vec<_> = folded
                .unfit
                .iter()
                .map(|(place, code, _)| (*place, code.as_str()))
                .collect();
            assert_eq!(unfit, [(1, *code)], "{bad}");
        }
        let only_bad = folded(&[&bad[1].1]);
        assert!(
            only_bad.reports.is_empty() && only_bad.unfit[0].2.contains("status"),
            "{only_bad:?}"
        );
    }
}
