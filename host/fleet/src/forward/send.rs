//! One request to DX for a run, and the handling of the answer. `jobs` has the same for a job.

use super::ForwarderOptions;
use super::held::{Group, RunTurn};
use super::jobs::JobPauses;
use super::message::Message;
use super::upserts::{FoldFailed, Folded, Gathered, SentByAnother, fold, gather};
use crate::content::Content;
use crate::health::{Counters, Requests, add, set};
use crate::publish::Publisher;
use crate::rejected::{Rejected, keep};
use crate::stream::ACK_WAIT;
use pipefold::dx::{Client, GIVEN_UP_AFTER, Outcome};
use pipefold::foreign::excerpt;
use pipefold::pace::{STUCK, TokenBucket};
use pipefold::{Judge, Notification, Token};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::interval_at;

/// The interval of reports of progress: one or two lost reports are harmless.
pub const PROGRESS: Duration = Duration::from_secs(ACK_WAIT.as_secs() / 3);

/// The parts that all requests share.
pub struct RunSender {
    pub options: ForwarderOptions,
    pub judge: Judge,
    pub publisher: Publisher,
    pub counters: Arc<Counters>,
    pub job_pauses: JobPauses,
    pub bucket: Mutex<TokenBucket>,
}

/// The end of a request.
#[derive(Debug)]
pub struct RequestEnd {
    /// Its result, by DX's answers.
    pub result: RequestResult,
    /// The rest of the group with the pause before its next request.
    pub rest: Option<(Box<Group>, Duration)>,
}

/// The result of a request for the forwarder as a whole.
#[derive(Debug)]
pub enum RequestResult {
    /// DX answered.
    Reached,
    /// No request was needed.
    Unneeded,
    /// DX, or a server in front of it, does not have the method for jobs.
    NoMethod,
    /// The request failed and may succeed later; after the time that DX gave, if it gave one.
    Failed { after: Option<Duration>, why: String },
    /// DX rejects the token, or redirects.
    Stuck(String),
    /// The policies or the component failed.
    Unjudged(String),
}

impl RequestResult {
    /// The end of a request after which nothing of its group is left, or the rest was returned to the queue.
    pub fn alone(self) -> RequestEnd {
        RequestEnd {
            result: self,
            rest: None,
        }
    }

    /// The end of a request after which the rest of the group is sent.
    pub fn then(self, group: Group, pause: Duration) -> RequestEnd {
        let rest = (!group.messages.is_empty()).then(|| (Box::new(group), pause));
        RequestEnd { result: self, rest }
    }
}

impl RunSender {
    /// The tokens of all requests.
    pub fn bucket(&self) -> MutexGuard<'_, TokenBucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the run's other upserts in the stream to the group. `None` if another forwarder has sent all of it.
    pub async fn gather(&self, mut group: Group) -> Option<Group> {
        let runs = group.messages.iter().filter(|message| message.job.is_none());
        let held: Vec<u64> = runs.map(|message| message.sequence).collect();
        if group.alone || held.is_empty() || !is_whole(&group) {
            return Some(group);
        }
        let Some(gathered) = gather(self.publisher.connection(), group.key).await else {
            return Some(group);
        };
        match gathered.beside(&held) {
            Ok(gathered) => group.gathered = Some(gathered).filter(|gathered| gathered.len() > 0),
            // Without an acknowledgement: if the queue has them after all, it redelivers them.
            Err(SentByAnother) => {
                add(&self.counters.elsewhere, held.len());
                group.take(|message| message.job.is_none());
            }
        }
        (!group.messages.is_empty()).then_some(group)
    }

    /// Sends the run of a group, or else its next job, and acknowledges the messages about it.
    pub async fn send(self: &Arc<Self>, group: Group, client: &Arc<Client>) -> RequestEnd {
        let oldest = lag(&group.messages).as_millis();
        set(&self.counters.lag, usize::try_from(oldest).unwrap_or(usize::MAX));
        if group.messages.iter().any(|message| message.job.is_none()) {
            self.send_run(group, client).await
        } else if group.run_turn == RunTurn::First {
            self.send_run_of_jobs(group, client).await
        } else {
            self.send_job(group, client).await
        }
    }

    /// Folds the messages of a run, sends the run to DX, and acknowledges the messages.
    async fn send_run(self: &Arc<Self>, mut group: Group, client: &Arc<Client>) -> RequestEnd {
        let gathered = group.gathered.take();
        let messages = group.take(|message| message.job.is_none());
        let lag = lag(&messages);
        let others: Vec<_> = gathered.iter().flat_map(Gathered::histories).collect();
        let (sender, dx) = (Arc::clone(self), Arc::clone(client));
        let work = move |messages: &[Message]| sender.fold_and_send(messages, others, &dx, lag);
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
        if let Some(gathered) = gathered {
            match &outcome {
                GroupOutcome::Accepted | GroupOutcome::Dropped(_) => {
                    self.remove(gathered, &unfit, messages.len()).await;
                }
                // Gathered upserts may have caused it: the held ones are tried again alone.
                GroupOutcome::NotAccepted(Outcome::Rejected { .. } | Outcome::Refused { .. }) => {
                    group.messages.extend(messages);
                    group.alone = true;
                    return RequestResult::Reached.then(group, self.options.first_pause);
                }
                GroupOutcome::NotAccepted(_) => {}
            }
        }
        let messages = self.reject_unfit(messages, unfit).await;
        if is_final(&outcome, lag)
            && let GroupOutcome::NotAccepted(
                Outcome::Rejected { code, message } | Outcome::Refused { code, message, .. },
            ) = &outcome
        {
            self.reject(&messages, code, message).await;
            return RequestResult::Reached.then(group, Duration::ZERO);
        }
        match outcome {
            GroupOutcome::Accepted => {
                self.acknowledge(&mut group, &messages, &self.counters.done).await;
                group.run_turn = RunTurn::Sent;
                RequestResult::Reached.then(group, Duration::ZERO)
            }
            GroupOutcome::Dropped(why) => {
                tracing::debug!("a policy dropped a run: {}", excerpt(&why));
                self.acknowledge(&mut group, &messages, &self.counters.dropped).await;
                RequestResult::Reached.then(group, Duration::ZERO)
            }
            GroupOutcome::NotAccepted(outcome) => {
                // Its jobs wait with it.
                group.messages.extend(messages);
                self.not_accepted(&group.messages, outcome).await.alone()
            }
        }
    }

    /// Runs `work` in a thread that may block, and reports progress on the messages and on the rest of their group meanwhile.
    ///
    /// # Errors
    /// The reason why the messages cannot be handled further; the queue redelivers them after its wait for progress.
    pub async fn while_touched<T: Send + 'static>(
        &self,
        messages: Vec<Message>,
        rest: &Group,
        work: impl FnOnce(&[Message]) -> Result<T, FoldFailed> + Send + 'static,
    ) -> Result<(Vec<Message>, Result<T, FoldFailed>), String> {
        let queue = self.publisher.connection().client.clone();
        let messages = Arc::new(messages);
        let theirs = Arc::clone(&messages);
        let mut work = tokio::task::spawn_blocking(move || {
            let done = work(&theirs);
            drop(theirs);
            done
        });
        let mut ticks = interval_at(rest.touched.max(Instant::now() - PROGRESS).into(), PROGRESS);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = ticks.tick() => {
                    for message in messages.iter().chain(&rest.messages) {
                        message.progress(&queue).await;
                    }
                }
            }
        };
        let done = done.unwrap_or_else(|_| Err(FoldFailed("judging or sending a run panicked".to_owned())));
        match Arc::into_inner(messages) {
            Some(messages) => Ok((messages, done)),
            None => Err("a run is still being sent".to_owned()),
        }
    }

    /// Folds and sends a group, in a thread that may block. Upserts that DX refuses together for good are sent one by one, so that a bad one
    /// does not stop the good ones: DX folds them as the rules do.
    fn fold_and_send(
        &self,
        messages: &[Message],
        others: Vec<Vec<Notification>>,
        client: &Client,
        lag: Duration,
    ) -> Result<(Vec<Unfit>, GroupOutcome), FoldFailed> {
        let is_alone = others.is_empty();
        let histories = messages.iter().map(history);
        let (mut unfit, sent) = self.upsert(histories.chain(others.into_iter().map(Ok)), Part::Run, client)?;
        let left: Vec<usize> = (0..messages.len())
            .filter(|place| !unfit.iter().any(|(unfit, ..)| unfit == place))
            .collect();
        if !is_alone || left.len() < 2 || !is_final(&sent, lag) {
            return Ok((unfit, sent));
        }
        for place in left {
            let (refused, sent) = self.upsert(std::iter::once(history(&messages[place])), Part::Run, client)?;
            unfit.extend(refused.into_iter().map(|(_, code, why)| (place, code, why)));
            let is_final = is_final(&sent, lag);
            match sent {
                GroupOutcome::NotAccepted(
                    Outcome::Rejected { code, message } | Outcome::Refused { code, message, .. },
                ) if is_final => {
                    unfit.push((place, code, message));
                }
                GroupOutcome::Accepted | GroupOutcome::Dropped(_) => {}
                // All upserts of the group are sent again, also those that DX has by now.
                sent => return Ok((unfit, sent)),
            }
        }
        Ok((unfit, GroupOutcome::Accepted))
    }

    /// Folds upserts, and sends the part of the result to DX. A part that is not in the result was left out by a policy.
    pub fn upsert(
        &self,
        histories: impl Iterator<Item = Result<Vec<Notification>, String>>,
        part: Part,
        client: &Client,
    ) -> Result<(Vec<Unfit>, GroupOutcome), FoldFailed> {
        let Folded {
            reports,
            dropped,
            unfit,
        } = fold(&self.judge, histories)?;
        let mut outcome = match dropped {
            Some(why) => GroupOutcome::Dropped(why),
            None if part == Part::Jobs && !reports.is_empty() => {
                GroupOutcome::Dropped("the job is not in the report".to_owned())
            }
            None => GroupOutcome::Accepted,
        };
        let requests = reports.iter().flat_map(|report| match part {
            Part::Run => vec![(&report.run, None)],
            Part::Jobs => report.jobs.iter().map(|job| (&report.run, Some(job))).collect(),
        });
        for (run, job) in requests {
            let (answer, counters) = match (Token::from_file(&self.options.token_file), job) {
                (Err(why), _) => {
                    let code = "no token".to_owned();
                    let message = why.to_string();
                    (Outcome::Unauthorised { code, message }, &self.counters.runs)
                }
                (Ok(file), None) => {
                    let answer = client.upsert(run, &file.token, self.options.timeout);
                    (answer, &self.counters.runs)
                }
                (Ok(file), Some(job)) => {
                    let answer = client.upsert_job(run, job, &file.token, self.options.timeout);
                    (answer, &self.counters.jobs)
                }
            };
            self.count(counters, &answer);
            outcome = match answer {
                Outcome::Accepted => GroupOutcome::Accepted,
                other => return Ok((unfit, GroupOutcome::NotAccepted(other))),
            };
        }
        Ok((unfit, outcome))
    }

    fn count(&self, requests: &Requests, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Accepted => &requests.accepted,
            Outcome::Rejected { .. } | Outcome::Refused { .. } => &requests.refused,
            Outcome::Unauthorised { .. } | Outcome::Redirected { .. } => &requests.unauthorised,
            Outcome::NoMethod { .. } => &requests.no_method,
            Outcome::Unreachable { .. } | Outcome::Retry { .. } => &requests.failed,
        };
        add(counter, 1);
        if !matches!(outcome, Outcome::NoMethod { .. }) {
            self.counters.dx_up.store(u64::from(outcome.is_accepted()), Relaxed);
        }
    }

    /// Returns messages that DX did not accept to the queue, to be redelivered after a pause.
    pub async fn not_accepted(&self, messages: &[Message], outcome: Outcome) -> RequestResult {
        let pause = self.pause(messages);
        match outcome {
            Outcome::Retry { after, why } => {
                self.redeliver(messages, pause.max(after.unwrap_or_default())).await;
                RequestResult::Failed { after, why }
            }
            refused @ (Outcome::Refused { .. } | Outcome::Rejected { .. }) => {
                self.redeliver(messages, pause).await;
                let why = refused.to_string();
                RequestResult::Failed { after: None, why }
            }
            outcome => {
                self.redeliver(messages, STUCK).await;
                RequestResult::Stuck(outcome.to_string())
            }
        }
    }

    /// Returns a group to the queue that could not be judged.
    pub async fn unjudged(&self, group: &Group, why: String) -> RequestEnd {
        add(&self.counters.unjudged, 1);
        self.redeliver(&group.messages, self.pause(&group.messages)).await;
        RequestResult::Unjudged(why).alone()
    }

    /// Acknowledges messages of a group, and counts them.
    pub async fn acknowledge(&self, group: &mut Group, messages: &[Message], counter: &std::sync::atomic::AtomicU64) {
        for message in messages {
            message.done(&self.publisher.connection().client).await;
            group.acknowledged.push(message.sequence);
        }
        add(counter, messages.len());
    }

    /// The pause before failed messages are redelivered: longer each time, and not the same for all.
    fn pause(&self, messages: &[Message]) -> Duration {
        let delivered = messages.iter().map(|message| message.delivered).max().unwrap_or(1);
        let doubled = self.options.first_pause * 2_u32.pow(delivered.saturating_sub(1).min(10));
        let pause = doubled.min(self.options.longest_pause);
        let spread = messages.first().map_or(0, |message| message.sequence % 100);
        pause + pause * u32::try_from(spread).unwrap_or_default() / 200
    }

    async fn redeliver(&self, messages: &[Message], after: Duration) {
        let queue = &self.publisher.connection().client;
        for message in messages {
            message.again(queue, after).await;
        }
    }

    /// Removes gathered upserts from the stream, which were sent with `held` messages. Those that are unfit are rejected when they are delivered
    /// to a forwarder.
    pub async fn remove(&self, gathered: Gathered, unfit: &[Unfit], held: usize) {
        let but: Vec<usize> = unfit.iter().filter_map(|(place, ..)| place.checked_sub(held)).collect();
        add(&self.counters.gathered, gathered.len() - but.len());
        gathered.remove(&but).await;
    }

    /// Rejects the messages at these places, and returns the others.
    pub async fn reject_unfit(&self, messages: Vec<Message>, unfit: Vec<Unfit>) -> Vec<Message> {
        if unfit.is_empty() {
            return messages;
        }
        let mut good = Vec::new();
        for (place, message) in messages.into_iter().enumerate() {
            match unfit.iter().find(|(unfit, ..)| *unfit == place) {
                Some((_, code, why)) => self.reject(&[message], code, why).await,
                None => good.push(message),
            }
        }
        good
    }

    /// Moves messages to the stream of refused upserts. A message that cannot be stored there stays in the queue.
    pub async fn reject(&self, messages: &[Message], code: &str, why: &str) {
        let queue = &self.publisher.connection().client;
        for message in messages {
            let rejected = Rejected::new(&message.body, code, why);
            match keep(&self.publisher, &rejected, message.sequence).await {
                Ok(()) => {
                    message.done(queue).await;
                    add(&self.counters.rejected, 1);
                    tracing::warn!(number = message.sequence, %code, "an upsert was refused, and is kept: {why}");
                }
                Err(error) => {
                    tracing::warn!("a refused upsert stays in the queue: {error}");
                    message.again(queue, self.options.longest_pause).await;
                }
            }
        }
    }

    /// Reports progress on a group's messages.
    pub async fn touch(&self, group: &mut Group) {
        let queue = &self.publisher.connection().client;
        for message in &group.messages {
            message.progress(queue).await;
        }
        group.touched = Instant::now();
    }
}

/// The part of a report that is sent to DX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Run,
    Jobs,
}

/// An upsert's index, the code and the reason of its refusal.
pub type Unfit = (usize, String, String);

/// The notifications of a message, or the reason why it is unreadable.
pub fn history(message: &Message) -> Result<Vec<Notification>, String> {
    message.content().map(Content::into_notifications)
}

/// The age of the oldest message.
pub fn lag(messages: &[Message]) -> Duration {
    messages.iter().map(Message::age).max().unwrap_or_default()
}

/// Returns true if each message is under its run's subject: others are not found in the stream by the run.
pub fn is_whole(group: &Group) -> bool {
    group.messages.iter().all(|message| message.is_under(group.key))
}

/// Returns true if DX refused a group for good. A code that DX's page does not list may pass: it is final once the oldest message is older
/// than [`GIVEN_UP_AFTER`].
pub fn is_final(sent: &GroupOutcome, lag: Duration) -> bool {
    match sent {
        GroupOutcome::NotAccepted(Outcome::Rejected { .. }) => true,
        GroupOutcome::NotAccepted(Outcome::Refused { .. }) => lag > GIVEN_UP_AFTER,
        _ => false,
    }
}

/// The outcome of sending a group.
#[derive(Debug)]
pub enum GroupOutcome {
    Accepted,
    Dropped(String),
    NotAccepted(Outcome),
}
