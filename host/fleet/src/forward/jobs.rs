//! One request to DX for a job, and the handling of the answer.
//!
//! DX takes a job only after its run, and replaces what it has of the job. So a forwarder looks into the stream before each job: a state that
//! a later message replaces is not sent, and one that replaces an earlier message waits until that one is out of the stream, since another
//! forwarder's request about it may be under way.

use super::held::{Group, RunTurn};
use super::message::Message;
use super::send::{GroupOutcome, Part, RequestEnd, RequestResult, RunSender, history, is_final, is_whole, lag};
use super::upserts::{FoldFailed, Gathered, GatheredUpsert, gather};
use crate::health::add;
use crate::stream::{ACK_WAIT, STREAM, subject_of};
use pipefold::dx::{Client, Outcome};
use pipefold::foreign::excerpt;
use pipefold::{Job, Judge, Notification};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest wait for an earlier message of the job or the run. By then its forwarder has sent it, or has died and the queue has redelivered
/// it; a request takes at most 20 s.
const PATIENCE: Duration = Duration::from_secs(ACK_WAIT.as_secs() * 3 / 2);

/// The first pause between two looks for that message. Each is half of the time waited so far, up to [`LONGEST_LOOK_AGAIN`].
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The longest such pause: in a backlog many jobs may wait.
const LONGEST_LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Held messages up to which all of the run's in the stream are read: as many requests as a count and a look take, and a little more. Beyond
/// that they are counted, and read if the number is not that of the held ones.
const FEW: usize = 4;

/// The longest time after which a token is used or put back: the rate is kept within it.
pub const PROMPT: Duration = Duration::from_millis(100);

/// The time for which jobs are dropped without a request after DX answered that it has no such method.
const WITHOUT_METHOD: Duration = Duration::from_mins(1);

/// The interval at which that is logged.
const SAY_AGAIN: Duration = Duration::from_hours(24);

/// The time until which DX takes no jobs, as it has no such method.
#[derive(Debug, Default)]
pub struct JobPauses(Mutex<NoMethod>);

#[derive(Debug, Default)]
struct NoMethod {
    until: Option<Instant>,
    said: Option<Instant>,
}

impl JobPauses {
    fn holds(&self, now: Instant) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.until.is_some_and(|until| now < until)
    }

    /// Notes that DX has no such method. Returns true if that is to be logged.
    fn begin(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.until = Some(now + WITHOUT_METHOD);
        let is_due = state.said.is_none_or(|said| now.duration_since(said) >= SAY_AGAIN);
        if is_due {
            state.said = Some(now);
        }
        is_due
    }
}

/// The place of a job's held messages among those in the stream.
#[derive(Debug)]
enum Standing {
    /// It is to be sent; with these other messages of the job, if there are any, which can be removed afterwards.
    Due(Option<Box<Gathered>>),
    /// An earlier message of the job or the run is to be sent first.
    Waits,
    /// The run was waited for, and is to be sent from here.
    RunFirst,
    /// A later message has the same state of the job, or a newer one.
    Superseded,
    /// Another forwarder has sent it.
    SentByAnother,
}

impl RunSender {
    /// Sends the job of the group's first message to DX.
    pub async fn send_job(self: &Arc<Self>, mut group: Group, client: &Arc<Client>) -> RequestEnd {
        let Some(id) = group.messages.first().and_then(|message| message.job.clone()) else {
            return RequestResult::Unneeded.alone();
        };
        if self.job_pauses.holds(Instant::now()) {
            let messages = group.take(|_| true);
            self.acknowledge(&mut group, &messages, &self.counters.no_method).await;
            return RequestResult::Unneeded.alone();
        }
        let begun = Instant::now();
        let Some(standing) = self.standing(&group, &id).await else {
            // Without the stream, an acknowledgement would be lost as well.
            return RequestResult::Unneeded.then(group, self.options.first_pause);
        };
        let messages = group.take(|message| message.job.as_ref() == Some(&id));
        let rivals = match standing {
            Standing::Due(rivals) => rivals,
            Standing::Waits => {
                let since = group.waits_since.get_or_insert_with(Instant::now);
                let pause = (since.elapsed() / 2).clamp(LOOK_AGAIN, LONGEST_LOOK_AGAIN);
                // Behind the others, which need not wait with it.
                group.messages.extend(messages);
                return RequestResult::Unneeded.then(group, pause);
            }
            Standing::RunFirst => {
                group.run_turn = RunTurn::First;
                group.messages.splice(0..0, messages);
                return RequestResult::Unneeded.then(group, Duration::ZERO);
            }
            Standing::Superseded => {
                self.acknowledge(&mut group, &messages, &self.counters.superseded).await;
                return RequestResult::Unneeded.then(group, Duration::ZERO);
            }
            Standing::SentByAnother => {
                add(&self.counters.elsewhere, messages.len());
                return RequestResult::Unneeded.then(group, Duration::ZERO);
            }
        };
        group.waits_since = None;
        if begun.elapsed() > PROMPT {
            // Its token is of an earlier time. Several slow ones would be sent at once with the tokens of now.
            let wait = self.bucket().reserve(Instant::now());
            tokio::time::sleep(wait).await;
        }
        let others: Vec<_> = rivals.iter().flat_map(|rivals| rivals.histories()).collect();
        let (sender, dx) = (Arc::clone(self), Arc::clone(client));
        let work = move |messages: &[Message]| {
            let histories = messages.iter().map(history).chain(others.into_iter().map(Ok));
            sender.upsert(histories, Part::Jobs, &dx)
        };
        let (messages, done) = match self.while_touched(messages, &group, work).await {
            Ok(done) => done,
            Err(why) => return RequestResult::Unjudged(why).alone(),
        };
        let (unfit, outcome) = match done {
            Ok(done) => done,
            Err(FoldFailed(why)) => {
                group.messages.extend(messages);
                return self.unjudged(&group, why).await;
            }
        };
        if let Some(rivals) = rivals
            && matches!(outcome, GroupOutcome::Accepted | GroupOutcome::Dropped(_))
        {
            self.remove(*rivals, &unfit, messages.len()).await;
        }
        let messages = self.reject_unfit(messages, unfit).await;
        self.end_job(group, messages, outcome).await
    }

    /// Handles DX's answer to a job.
    async fn end_job(&self, mut group: Group, messages: Vec<Message>, outcome: GroupOutcome) -> RequestEnd {
        let is_final = is_final(&outcome, lag(&messages));
        match outcome {
            GroupOutcome::Accepted => {
                self.acknowledge(&mut group, &messages, &self.counters.done).await;
                RequestResult::Reached.then(group, Duration::ZERO)
            }
            GroupOutcome::Dropped(why) => {
                tracing::debug!("a policy dropped a job: {}", excerpt(&why));
                self.acknowledge(&mut group, &messages, &self.counters.dropped).await;
                RequestResult::Unneeded.then(group, Duration::ZERO)
            }
            GroupOutcome::NotAccepted(Outcome::NoMethod { status }) => {
                if self.job_pauses.begin(Instant::now()) {
                    tracing::warn!(
                        "DX takes no jobs (status {status}, it has no pipelineJobs.upsert): they are dropped, and runs are sent"
                    );
                }
                self.acknowledge(&mut group, &messages, &self.counters.no_method).await;
                RequestResult::NoMethod.then(group, Duration::ZERO)
            }
            GroupOutcome::NotAccepted(Outcome::Refused { .. }) if group.run_turn == RunTurn::Elsewhere => {
                // DX may not know the run: it was lost there, or its message is elsewhere. The job's own message has it.
                group.run_turn = RunTurn::First;
                group.messages.splice(0..0, messages);
                RequestResult::Reached.then(group, Duration::ZERO)
            }
            GroupOutcome::NotAccepted(Outcome::Rejected { code, message } | Outcome::Refused { code, message, .. })
                if is_final =>
            {
                self.reject(&messages, &code, &message).await;
                RequestResult::Reached.then(group, Duration::ZERO)
            }
            // The group's other jobs may be good.
            GroupOutcome::NotAccepted(outcome @ Outcome::Refused { .. }) => {
                let result = self.not_accepted(&messages, outcome).await;
                result.then(group, Duration::ZERO)
            }
            GroupOutcome::NotAccepted(outcome) => {
                group.messages.extend(messages);
                self.not_accepted(&group.messages, outcome).await.alone()
            }
        }
    }

    /// Sends the run of the group's jobs, from their messages, after DX refused one of them.
    pub async fn send_run_of_jobs(self: &Arc<Self>, mut group: Group, client: &Arc<Client>) -> RequestEnd {
        let id = group.messages.first().and_then(|message| message.job.clone());
        let messages = group.take(|_| true);
        let (sender, dx) = (Arc::clone(self), Arc::clone(client));
        let work = move |messages: &[Message]| {
            let runs = messages.iter().map(|message| Ok(vec![message.content()?.run]));
            sender.upsert(runs, Part::Run, &dx)
        };
        let (messages, done) = match self.while_touched(messages, &group, work).await {
            Ok(done) => done,
            Err(why) => return RequestResult::Unjudged(why).alone(),
        };
        let (unfit, outcome) = match done {
            Ok(done) => done,
            Err(FoldFailed(why)) => {
                group.messages = messages;
                return self.unjudged(&group, why).await;
            }
        };
        group.messages = self.reject_unfit(messages, unfit).await;
        let is_final = is_final(&outcome, lag(&group.messages));
        match outcome {
            GroupOutcome::Accepted | GroupOutcome::Dropped(_) => {
                group.run_turn = RunTurn::Sent;
                RequestResult::Reached.then(group, Duration::ZERO)
            }
            GroupOutcome::NotAccepted(Outcome::Rejected { code, message } | Outcome::Refused { code, message, .. })
                if is_final =>
            {
                let refused = group.take(|message| message.job == id);
                self.reject(&refused, &code, &message).await;
                group.run_turn = RunTurn::Elsewhere;
                RequestResult::Reached.then(group, Duration::ZERO)
            }
            GroupOutcome::NotAccepted(outcome) => self.not_accepted(&group.messages, outcome).await.alone(),
        }
    }

    /// Looks for other messages of the job and the run in the stream. `None` if the stream does not answer.
    async fn standing(self: &Arc<Self>, group: &Group, id: &str) -> Option<Standing> {
        if !is_whole(group) {
            return Some(Standing::Due(None));
        }
        let ours = group
            .messages
            .iter()
            .filter(|message| message.job.as_deref() == Some(id));
        let ours: Vec<u64> = ours.map(|message| message.sequence).collect();
        if group.messages.len() > FEW && self.has_only(group, *ours.iter().max()?).await {
            return Some(Standing::Due(None));
        }
        let mut found = gather(self.publisher.connection(), group.key).await?;
        if found.lacks(&ours) {
            return Some(Standing::SentByAnother);
        }
        let is_ours = |sequence: &u64| {
            group.messages.iter().any(|message| message.sequence == *sequence) || group.acknowledged.contains(sequence)
        };
        let last = ours.iter().max().copied()?;
        let is_over = group.waits_since.is_some_and(|since| since.elapsed() > PATIENCE);
        found.upserts.retain(|upsert| !is_ours(&upsert.sequence));
        let is_about = |upsert: &GatheredUpsert, job: Option<&str>| {
            let content = upsert.content.as_ref();
            content.is_ok_and(|content| content.job_id() == job)
        };
        let mut earlier = found.upserts.iter().filter(|upsert| upsert.sequence < last);
        if group.run_turn == RunTurn::Elsewhere && earlier.any(|upsert| is_about(upsert, None)) {
            return Some(if is_over { Standing::RunFirst } else { Standing::Waits });
        }
        found.upserts.retain(|upsert| is_about(upsert, Some(id)));
        let Some(last_rival) = found.upserts.iter().map(|upsert| upsert.sequence).max() else {
            return Some(Standing::Due(None));
        };
        let mine = group
            .messages
            .iter()
            .filter(|message| message.job.as_deref() == Some(id));
        let mine: Vec<Notification> = mine.filter_map(|message| history(message).ok()).flatten().collect();
        let theirs: Vec<Notification> = found.histories().flatten().collect();
        let (sender, id) = (Arc::clone(self), id.to_owned());
        let order = tokio::task::spawn_blocking(move || compare(&sender.judge, &id, mine, theirs));
        Some(match order.await.ok()? {
            StateOrder::Older => Standing::Superseded,
            StateOrder::Same if last < last_rival => Standing::Superseded,
            StateOrder::Same => Standing::Due(Some(Box::new(found))),
            StateOrder::Newer if !is_over => Standing::Waits,
            StateOrder::Newer => Standing::Due(Some(Box::new(found))),
        })
    }

    /// Returns true if the stream has as many messages of the run as the group, and this one is among them. False if it does not answer.
    async fn has_only(&self, group: &Group, sequence: u64) -> bool {
        let (context, subject) = (&self.publisher.connection().context, subject_of(group.key));
        let filter = json!({ "subjects_filter": subject });
        let info = context
            .request::<_, _, Value>(format!("STREAM.INFO.{STREAM}"), &filter)
            .await;
        let count = info.ok().and_then(|info| info["state"]["subjects"][&subject].as_u64());
        if count != u64::try_from(group.messages.len()).ok() {
            return false;
        }
        let Ok(stream) = context.get_stream_no_info(STREAM).await else {
            return false;
        };
        stream.get_raw_message(sequence).await.is_ok()
    }
}

/// The order of two states of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StateOrder {
    Older,
    Same,
    /// Newer, or newer in part.
    Newer,
}

/// Compares two histories of a job by the rules: a state that changes nothing of the other is not newer.
fn compare(judge: &Judge, id: &str, mine: Vec<Notification>, theirs: Vec<Notification>) -> StateOrder {
    let state = |history: &[Notification]| -> Option<Job> {
        let jobs = judge.merge(history).ok()?.jobs;
        jobs.into_iter().find(|job| job.reference_id == id)
    };
    let (only_mine, only_theirs) = (state(&mine), state(&theirs));
    let both = state(&[mine, theirs].concat());
    match (both == only_mine, both == only_theirs) {
        (true, true) => StateOrder::Same,
        (false, true) => StateOrder::Older,
        _ => StateOrder::Newer,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::content::{Content, job_message};
    use pipefold::{Run, Status};

    /// A job's history: its start in minutes, its status and its finish.
    fn state(start: u32, status: Status, finish: Option<u32>) -> Vec<Notification> {
        let at = |minute: u32| format!("2025-01-01T12:{minute:02}:00Z");
        let run: Run = serde_json::from_value(json!({
            "pipeline_name": "p", "pipeline_source": "s", "reference_id": "r", "started_at": at(0),
        }))
        .unwrap();
        let job = Job {
            reference_id: "lint-1".into(),
            name: "lint".into(),
            status,
            started_at: Some(at(start)),
            finished_at: finish.map(at),
        };
        Content::parse(&job_message(&run, &job)).unwrap().into_notifications()
    }

    #[test]
    fn states_are_compared_by_the_rules() {
        let running = state(1, Status::Running, None);
        let failed = state(1, Status::Failure, Some(2));
        let retried = state(3, Status::Success, Some(4));
        let later = state(1, Status::Success, Some(5));
        for (mine, theirs, expected) in [
            (&running, &running, StateOrder::Same),
            (&running, &failed, StateOrder::Older),
            (&failed, &running, StateOrder::Newer),
            (&failed, &retried, StateOrder::Older),
            (&retried, &failed, StateOrder::Newer),
            // Each has a part that the other has not.
            (&failed, &later, StateOrder::Newer),
            (&later, &failed, StateOrder::Newer),
        ] {
            let order = compare(&Judge::default(), "lint-1", mine.clone(), theirs.clone());
            assert_eq!(order, expected, "{mine:?} {theirs:?}");
        }
    }

    #[test]
    fn a_missing_method_is_logged_once_a_day_and_asked_for_again_in_a_minute() {
        let (pauses, now) = (JobPauses::default(), Instant::now());
        assert!(!pauses.holds(now));
        assert!(pauses.begin(now));
        assert!(pauses.holds(now + WITHOUT_METHOD / 2));
        assert!(!pauses.holds(now + WITHOUT_METHOD));
        assert!(!pauses.begin(now + WITHOUT_METHOD));
        assert!(pauses.begin(now + SAY_AGAIN));
    }
}
