//! One request to DX for a run, and the handling of the answer.

use super::ForwarderOptions;
use super::held::Group;
use super::message::Message;
use super::pace::STUCK;
use super::upserts::{FoldFailed, Folded, Gathered, SentByAnother, fold, gather};
use crate::health::{Counters, add, set};
use crate::publish::Publisher;
use crate::rejected::{Rejected, keep};
use crate::stream::ACK_WAIT;
use pipefold::dx::{Arguments, Client, GIVEN_UP_AFTER, Outcome};
use pipefold::foreign::excerpt;
use pipefold::{Judge, Token};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
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
}

/// The result of a request for the forwarder as a whole.
#[derive(Debug)]
pub enum RequestEnd {
    /// DX answered, or no request was needed.
    Reached,
    /// DX refused the run with gathered upserts: the held ones are tried again alone.
    Again(Box<Group>),
    /// The request failed and may succeed later; after the time that DX gave, if it gave one.
    Failed { after: Option<Duration>, why: String },
    /// DX rejects the token, or redirects.
    Stuck(String),
    /// The policies or the component failed.
    Unjudged(String),
}

impl RunSender {
    /// Adds the run's other upserts in the stream to the group. `None` if another forwarder has sent the run.
    pub async fn gather(&self, mut group: Group) -> Option<Group> {
        // Messages that were published under another subject are not found under the run's own.
        let is_whole = group.messages.iter().all(|message| message.is_under(group.key));
        if group.alone || !is_whole {
            return Some(group);
        }
        let Some(gathered) = gather(self.publisher.connection(), group.key).await else {
            return Some(group);
        };
        let held: Vec<u64> = group.messages.iter().map(|message| message.sequence).collect();
        match gathered.beside(&held) {
            Ok(gathered) => group.gathered = Some(gathered).filter(|gathered| gathered.len() > 0),
            // Without an acknowledgement: if the queue has them after all, it redelivers them.
            Err(SentByAnother) => {
                add(&self.counters.elsewhere, group.messages.len());
                return None;
            }
        }
        Some(group)
    }

    /// Folds the messages of a run, sends the run to DX, and acknowledges the messages.
    pub async fn send(self: &Arc<Self>, group: Group, client: &Arc<Client>) -> RequestEnd {
        let Group {
            key,
            messages,
            ended,
            alone: _,
            gathered,
            touched,
        } = group;
        let lag = messages.iter().map(Message::age).max().unwrap_or_default();
        set(
            &self.counters.lag,
            usize::try_from(lag.as_millis()).unwrap_or(usize::MAX),
        );
        let queue = self.publisher.connection().client.clone();
        let messages = Arc::new(messages);
        let (sender, dx, theirs) = (Arc::clone(self), Arc::clone(client), Arc::clone(&messages));
        let others: Vec<Arguments> = gathered.iter().flat_map(Gathered::arguments).collect();
        let mut work = tokio::task::spawn_blocking(move || {
            let done = sender.fold_and_send(&theirs, others, &dx, lag);
            drop(theirs);
            done
        });
        let mut ticks = interval_at(touched.max(Instant::now() - PROGRESS).into(), PROGRESS);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = ticks.tick() => {
                    for message in messages.iter() {
                        message.progress(&queue).await;
                    }
                }
            }
        };
        let done = done.unwrap_or_else(|_| Err(FoldFailed("judging or sending a run panicked".to_owned())));
        let Some(messages) = Arc::into_inner(messages) else {
            // The queue redelivers them after its wait for progress.
            return RequestEnd::Unjudged("a run is still being sent".to_owned());
        };
        let (unfit, outcome) = match done {
            Ok(done) => done,
            Err(FoldFailed(why)) => {
                add(&self.counters.unjudged, 1);
                let pause = self.pause(&messages);
                self.redeliver(&messages, pause).await;
                return RequestEnd::Unjudged(why);
            }
        };
        // Gathered upserts that are unfit are rejected when they are delivered to a forwarder.
        let (unfit, others_unfit): (Vec<_>, Vec<_>) =
            unfit.into_iter().partition(|(place, ..)| *place < messages.len());
        if let Some(gathered) = gathered {
            match &outcome {
                GroupOutcome::Accepted | GroupOutcome::Dropped(_) => {
                    let but: Vec<usize> = others_unfit.iter().map(|(place, ..)| place - messages.len()).collect();
                    add(&self.counters.gathered, gathered.len() - but.len());
                    gathered.remove(&but).await;
                }
                GroupOutcome::NotAccepted(Outcome::Rejected { .. } | Outcome::Refused { .. }) => {
                    return RequestEnd::Again(Box::new(Group {
                        key,
                        messages,
                        ended,
                        alone: true,
                        gathered: None,
                        touched,
                    }));
                }
                GroupOutcome::NotAccepted(_) => {}
            }
        }
        let messages = self.reject_unfit(messages, unfit).await;
        let is_final = is_final(&outcome, lag);
        match outcome {
            GroupOutcome::Accepted => {
                for message in &messages {
                    message.done(&queue).await;
                }
                add(&self.counters.done, messages.len());
                RequestEnd::Reached
            }
            GroupOutcome::Dropped(why) => {
                tracing::debug!("a policy dropped a run: {}", excerpt(&why));
                for message in &messages {
                    message.done(&queue).await;
                }
                add(&self.counters.dropped, messages.len());
                RequestEnd::Reached
            }
            GroupOutcome::NotAccepted(Outcome::Rejected { code, message } | Outcome::Refused { code, message, .. })
                if is_final =>
            {
                self.reject(&messages, &code, &message).await;
                RequestEnd::Reached
            }
            GroupOutcome::NotAccepted(refused @ Outcome::Refused { .. }) => {
                let pause = self.pause(&messages);
                self.redeliver(&messages, pause).await;
                RequestEnd::Failed {
                    after: None,
                    why: refused.to_string(),
                }
            }
            GroupOutcome::NotAccepted(Outcome::Retry { after, why }) => {
                let pause = self.pause(&messages).max(after.unwrap_or_default());
                self.redeliver(&messages, pause).await;
                RequestEnd::Failed { after, why }
            }
            GroupOutcome::NotAccepted(outcome) => {
                self.redeliver(&messages, STUCK).await;
                RequestEnd::Stuck(outcome.to_string())
            }
        }
    }

    /// Folds and sends a group, in a thread that may block. Upserts that DX refuses together for good are sent one by one, so that a bad one
    /// does not stop the good ones: DX folds them as the rules do.
    fn fold_and_send(
        &self,
        messages: &[Message],
        others: Vec<Arguments>,
        client: &Client,
        lag: Duration,
    ) -> Result<(Vec<Unfit>, GroupOutcome), FoldFailed> {
        let is_alone = others.is_empty();
        let arguments = messages.iter().map(Message::arguments);
        let (mut unfit, sent) = self.upsert(arguments.chain(others.into_iter().map(Ok)), client)?;
        let left: Vec<usize> = (0..messages.len())
            .filter(|place| !unfit.iter().any(|(unfit, ..)| unfit == place))
            .collect();
        if !is_alone || left.len() < 2 || !is_final(&sent, lag) {
            return Ok((unfit, sent));
        }
        for place in left {
            let (refused, sent) = self.upsert(std::iter::once(messages[place].arguments()), client)?;
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

    fn upsert(
        &self,
        arguments: impl Iterator<Item = Result<Arguments, String>>,
        client: &Client,
    ) -> Result<(Vec<Unfit>, GroupOutcome), FoldFailed> {
        let Folded { runs, dropped, unfit } = fold(&self.judge, arguments)?;
        let mut outcome = match dropped {
            Some(why) => GroupOutcome::Dropped(why),
            None => GroupOutcome::Accepted,
        };
        for run in runs {
            let token = match Token::from_file(&self.options.token_file) {
                Ok(file) => file.token,
                Err(why) => {
                    let stuck = Outcome::Unauthorised {
                        code: "no token".to_owned(),
                        message: why.to_string(),
                    };
                    self.count(&stuck);
                    return Ok((unfit, GroupOutcome::NotAccepted(stuck)));
                }
            };
            let answer = client.upsert(&run, &token, self.options.timeout);
            self.count(&answer);
            outcome = match answer {
                Outcome::Accepted => GroupOutcome::Accepted,
                other => return Ok((unfit, GroupOutcome::NotAccepted(other))),
            };
        }
        Ok((unfit, outcome))
    }

    fn count(&self, outcome: &Outcome) {
        let counters = &self.counters;
        let counter = match outcome {
            Outcome::Accepted => &counters.accepted,
            Outcome::Rejected { .. } | Outcome::Refused { .. } => &counters.refused,
            Outcome::Unauthorised { .. } | Outcome::Redirected { .. } => &counters.unauthorised,
            Outcome::Unreachable { .. } | Outcome::NoMethod { .. } | Outcome::Retry { .. } => &counters.failed,
        };
        add(counter, 1);
        counters.dx_up.store(u64::from(outcome.is_accepted()), Relaxed);
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

    async fn reject_unfit(&self, messages: Vec<Message>, unfit: Vec<Unfit>) -> Vec<Message> {
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

/// An upsert's index, the code and the reason of its refusal.
type Unfit = (usize, String, String);

/// Returns true if DX refused a group for good. A code that DX's page does not list may pass: it is final once the oldest message is older
/// than [`GIVEN_UP_AFTER`].
fn is_final(sent: &GroupOutcome, lag: Duration) -> bool {
    match sent {
        GroupOutcome::NotAccepted(Outcome::Rejected { .. }) => true,
        GroupOutcome::NotAccepted(Outcome::Refused { .. }) => lag > GIVEN_UP_AFTER,
        _ => false,
    }
}

/// The outcome of sending a group.
enum GroupOutcome {
    Accepted,
    Dropped(String),
    NotAccepted(Outcome),
}
