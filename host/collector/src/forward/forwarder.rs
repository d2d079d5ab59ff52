//! The loop of forwarding: the run that waits longest goes first.

use super::jobs::Lacking;
use super::parcel::{ForwardOptions, ForwardTo, Parcel, SentAs};
use super::pauses::{Pace, Pauses, Stale, goes_on_for_dx};
use crate::request::{App, Journal, Signals};
use crate::rules::Rules;
use crate::store::{
    DxAnswer, Forwarded, Forwarding, Outgoing, RunKey, RunSummary, Store, StoreError, Waiting, WaitingQuery,
};
use chrono::Utc;
use pipefold::Token;
use pipefold::dx::{Outcome, body};
use pipefold_sandbox::Run;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The time between two checks of the store when nothing happens: another process, or a late fold, may have left a run.
const IDLE: Duration = Duration::from_secs(5);

/// The pause after an error of the store.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

/// The waiting runs that are read at a time.
const PAGE: u16 = 100;

/// Sends every run that changes to DX, until the server ends. A request in progress then is waited for.
pub async fn forward(options: ForwardOptions, app: App) {
    let Some(mut changes) = app.signals.changes().map(|changes| changes.subscribe()) else {
        return;
    };
    let options = Arc::new(options);
    let mut forwarder = Forwarder {
        pace: Pace::new(options.per_second),
        pauses: Pauses::new(options.first_pause, options.longest_pause),
        said: None,
        outage: None,
        stale: options.stale_after.map(|age| Stale::new(age, Instant::now())),
        options,
        lacking: None,
        yielding: HashSet::new(),
        store: app.store,
        rules: app.intake.rules().clone(),
        journal: app.journal,
        signals: Arc::clone(&app.signals),
    };
    loop {
        let wait = match forwarder.round().await {
            Ok(Round::Again) => Duration::ZERO,
            Ok(Round::Nothing(wait)) => wait,
            Err(StoreError::Closed) => return,
            Err(error) => {
                forwarder
                    .journal
                    .complain("forwarding", &format!("forwarding waits: {error}"));
                AFTER_TROUBLE
            }
        };
        tokio::select! {
            biased;
            () = app.signals.stopped() => return,
            () = sleep(wait) => {}
            // A change ends only the idle wait, not a pause of all runs.
            _ = changes.recv(), if forwarder.pauses.all(Instant::now()).is_none() => {}
        }
    }
}

enum Round {
    /// Something was done.
    Again,
    /// Nothing is due before this time has passed.
    Nothing(Duration),
}

pub(super) struct Forwarder {
    pub(super) options: Arc<ForwardOptions>,
    pub(super) store: Arc<dyn Store>,
    pub(super) rules: Rules,
    pub(super) journal: Arc<Journal>,
    pub(super) signals: Arc<Signals>,
    pub(super) pace: Pace,
    pub(super) pauses: Pauses,
    /// The finding that DX takes no jobs.
    pub(super) lacking: Option<Lacking>,
    /// Runs with more jobs than are sent at once: others have their turn first.
    pub(super) yielding: HashSet<u64>,
    stale: Option<Stale>,
    /// The last message about the token or the address, which is logged once.
    said: Option<String>,
    /// The start of an outage that was logged.
    outage: Option<Instant>,
}

impl Forwarder {
    /// Sends the run that waits longest of those that are due.
    async fn round(&mut self) -> Result<Round, StoreError> {
        let now = Instant::now();
        if let Some(wait) = self.pauses.all(now) {
            return Ok(Round::Nothing(wait));
        }
        let mut after = None;
        loop {
            let query = WaitingQuery { after, limit: PAGE };
            let page = self.store.waiting(query).await?;
            let Some(last) = page.last().cloned() else {
                if !self.yielding.is_empty() {
                    self.yielding.clear();
                    return Ok(Round::Again);
                }
                if self.cancel_one(now).await? {
                    return Ok(Round::Again);
                }
                let walk = self.stale.as_ref().map_or(IDLE, |stale| stale.wait(now));
                let wait = self.pauses.first_due(now).unwrap_or(IDLE).min(walk);
                // Paused runs that do not wait any more would be due for ever.
                return Ok(Round::Nothing(wait.clamp(Duration::from_millis(50), IDLE)));
            };
            if let Some(due) = page.into_iter().find(|waiting| self.is_due(waiting, now)) {
                self.send(due).await?;
                return Ok(Round::Again);
            }
            after = Some(last);
        }
    }

    async fn send(&mut self, waiting: Waiting) -> Result<(), StoreError> {
        let Some(run) = self.store.outgoing(waiting.id).await? else {
            self.pauses.settled(waiting.id);
            return Ok(());
        };
        self.send_run(run, SentAs::Reported).await
    }

    fn is_due(&self, waiting: &Waiting, now: Instant) -> bool {
        !self.yielding.contains(&waiting.id) && self.pauses.is_due(waiting.id, waiting.notifications, now)
    }

    /// Sends the next of the stale runs to DX as cancelled, if DX has it as running. Returns true if there was one to check.
    async fn cancel_one(&mut self, now: Instant) -> Result<bool, StoreError> {
        let Some(stale) = &mut self.stale else { return Ok(false) };
        let Some(id) = stale.next(&*self.store, now).await? else {
            return Ok(false);
        };
        // A run in a pause of its own is found again.
        let Some(run) = self.store.outgoing(id).await? else {
            return Ok(true);
        };
        if !self.pauses.is_due(id, run.summary.notifications, now) {
            return Ok(true);
        }
        if run.forwarding.waiting_since.is_some() {
            // Something new arrived meanwhile.
        } else if goes_on_for_dx(&run.forwarding) {
            self.send_run(run, SentAs::Cancelled).await?;
        } else {
            stale.settled(id, run.summary.notifications);
        }
        Ok(true)
    }

    /// Sends a run and then its jobs, and records DX's answers. A record that DX has is not sent again.
    async fn send_run(&mut self, mut run: Outgoing, sent_as: SentAs) -> Result<(), StoreError> {
        let (summary, forwarding) = (run.summary.clone(), run.forwarding.clone());
        let jobs = std::mem::take(&mut run.jobs);
        let (id, known) = (summary.id, forwarding.covered);
        let has_news = run.has_news() || sent_as == SentAs::Cancelled;
        let covered = summary.notifications;
        if !has_news && (jobs.is_empty() || !is_in_dx(&forwarding)) {
            // Without jobs, because a policy holds them since: the run does not wait any more.
            return self.leave(id, jobs).await;
        }
        let note = |accepted, text: String| Forwarded {
            id,
            covered,
            answer: Some(DxAnswer {
                at: Utc::now(),
                accepted,
                text,
                as_cancelled: sent_as == SentAs::Cancelled,
            }),
            sent: None,
        };
        let run = match self.parcel(run, sent_as).await? {
            Ok(Parcel::Run(run)) => run,
            Ok(Parcel::Kept(_) | Parcel::Unfit(_)) if !has_news => return self.leave(id, jobs).await,
            Ok(Parcel::Kept(why)) => {
                return self
                    .settle(note(false, format!("not sent, because of a policy: {why}")))
                    .await;
            }
            Ok(Parcel::Unfit(why)) => return self.settle(note(false, format!("not sent: {why}"))).await,
            Ok(Parcel::Gone) => return Ok(()),
            Err(why) => {
                self.journal.complain("fold", &format!("run {id} waits: {why}"));
                self.pauses.failed(id, None, Instant::now());
                return Ok(());
            }
        };
        let sent = Some(digest(&body(&run)));
        let is_sent = has_news && forwarding.sent != sent;
        let answer = if is_sent {
            sleep(self.pace.wait(Instant::now())).await;
            let outcome = match self.upsert(Arc::clone(&run)).await {
                Ok(outcome) => outcome,
                Err(why) => {
                    self.journal.metrics.not_forwarded.fetch_add(1, Relaxed);
                    self.say_once(why);
                    self.pauses.stuck(Instant::now());
                    return Ok(());
                }
            };
            let text = match sent_as {
                SentAs::Reported => self.options.to.words(&outcome),
                SentAs::Cancelled => format!("{outcome} (sent as cancelled: no activity for too long)"),
            };
            match self.note_answer(&summary, outcome, &text).await {
                Consequence::Accepted => note(true, text).answer,
                Consequence::Refused => return self.settle(note(false, text)).await,
                // It is sent because DX accepted it before, and that record stays.
                Consequence::Later if sent_as == SentAs::Cancelled => return Ok(()),
                Consequence::Later => {
                    // The answer is shown with the run; the number of notifications that DX has stays.
                    let said = Forwarded {
                        covered: known,
                        ..note(false, text)
                    };
                    return self.store.forwarded(said).await;
                }
            }
        } else {
            None
        };
        if has_news {
            self.store
                .forwarded(Forwarded {
                    id,
                    covered,
                    answer,
                    sent,
                })
                .await?;
        }
        if sent_as == SentAs::Reported && !jobs.is_empty() {
            return self.send_jobs(&summary, &run, jobs, is_sent).await;
        }
        self.pauses.settled(id);
        Ok(())
    }

    /// Returns the data to send. The history of a run is read only where its record does not do.
    async fn parcel(&self, run: Outgoing, sent_as: SentAs) -> Result<Result<Parcel, String>, StoreError> {
        let is_news = sent_as == SentAs::Cancelled || run.has_news() || run.unsent.is_empty();
        if run.is_judged(self.rules.has_policies()) && is_news {
            return Ok(Ok(Parcel::judged(run, sent_as)));
        }
        let history = self.store.run(RunKey::Id(run.summary.id)).await?;
        // Later notifications are sent the next time: those of `run` are noted as known.
        let received = history.map_or_else(Vec::new, |detail| detail.received);
        let count = usize::try_from(run.summary.notifications).unwrap_or(usize::MAX);
        let received = received.into_iter().take(count).collect();
        Ok(Parcel::of(&self.rules, received, sent_as).await)
    }

    /// Counts an answer, logs errors for the operator, and returns the consequence for the run.
    async fn note_answer(&mut self, run: &RunSummary, outcome: Outcome, text: &str) -> Consequence {
        let now = Instant::now();
        let metrics = &self.journal.metrics;
        let answered = !matches!(
            outcome,
            Outcome::Retry { .. } | Outcome::Redirected { .. } | Outcome::Unreachable { .. }
        );
        metrics.dx_answered(answered);
        let follows = match outcome {
            Outcome::Accepted => {
                metrics.forwarded.fetch_add(1, Relaxed);
                self.reached().await;
                return Consequence::Accepted;
            }
            Outcome::Rejected { .. } => {
                self.reached().await;
                Consequence::Refused
            }
            Outcome::Refused { .. } => {
                self.reached().await;
                if self.pauses.refused(run.id, now) {
                    Consequence::Refused
                } else {
                    Consequence::Later
                }
            }
            Outcome::Retry { after, .. } => {
                self.failed(run.id, after, text);
                Consequence::Later
            }
            Outcome::Unauthorised { .. }
            | Outcome::Redirected { .. }
            | Outcome::Unreachable { .. }
            | Outcome::NoMethod { .. } => {
                self.say_once(text.to_owned());
                self.pauses.stuck(now);
                Consequence::Later
            }
        };
        let metrics = &self.journal.metrics;
        if let Consequence::Refused = follows {
            metrics.rejected.fetch_add(1, Relaxed);
            let (reference, pipeline) = (&run.record.reference_id, &run.pipeline);
            self.journal.complain(
                "refused by DX",
                &format!("run {reference:?} of {pipeline:?} is not in DX: {text}; `/runs?dx=refused` lists such runs"),
            );
        } else {
            metrics.not_forwarded.fetch_add(1, Relaxed);
        }
        follows
    }

    async fn settle(&mut self, forwarded: Forwarded) -> Result<(), StoreError> {
        let id = forwarded.id;
        self.store.forwarded(forwarded).await?;
        self.pauses.settled(id);
        Ok(())
    }

    pub(super) async fn upsert(&self, run: Arc<Run>) -> Result<Outcome, String> {
        self.request(move |options| match &options.to {
            ForwardTo::Dx { client, token_file } => Ok(client.upsert(&run, &token(token_file)?, options.timeout)),
            ForwardTo::Queue(outlet) => Ok(outlet.upsert(&run, options.timeout)),
        })
        .await
    }

    /// Makes a request in a thread that may block.
    pub(super) async fn request<T: Send + 'static>(
        &self,
        make: impl FnOnce(&ForwardOptions) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let options = Arc::clone(&self.options);
        let made = tokio::task::spawn_blocking(move || make(&options));
        made.await.map_err(|_| "sending panicked".to_owned())?
    }

    /// Records a transient failure of a request. An outage is logged once, when it pauses all runs.
    pub(super) fn failed(&mut self, run: u64, after: Option<Duration>, why: &str) {
        let now = Instant::now();
        self.pauses.failed(run, after, now);
        if self.outage.is_none() && self.pauses.all(now).is_some() {
            tracing::error!(
                "nothing is forwarded to {} for now; requests are retried until DX accepts them: {why}",
                self.options.to
            );
            self.outage = Some(now);
        }
    }

    /// Records that DX answered. The end of an outage is logged once.
    pub(super) async fn reached(&mut self) {
        self.pauses.reached();
        let (outage, said) = (self.outage.take(), self.said.take());
        if outage.is_none() && said.is_none() {
            return;
        }
        let after = outage.map(|since| format!(" after {} s", since.elapsed().as_secs()));
        // A failed count is in the metrics later.
        let waiting = self.store.backlog().await.map_or(0, |backlog| backlog.runs);
        tracing::warn!(
            "runs are forwarded to {} again{}; {waiting} wait",
            self.options.to,
            after.unwrap_or_default()
        );
    }

    pub(super) fn say_once(&mut self, why: String) {
        if self.said.as_ref() != Some(&why) {
            tracing::error!("nothing is forwarded to {}: {why}", self.options.to);
            self.said = Some(why);
        }
    }
}

/// Returns true if DX has a run. It has not if a policy holds the run, or if DX refused it for good.
fn is_in_dx(forwarding: &Forwarding) -> bool {
    forwarding.sent.is_some() || forwarding.answer.as_ref().is_some_and(|answer| answer.accepted)
}

/// The consequence of an answer.
enum Consequence {
    Accepted,
    /// The run is refused for good.
    Refused,
    /// The run is sent again later.
    Later,
}

/// Reads the token's file.
pub(super) fn token(file: &Path) -> Result<Token, String> {
    let file = Token::from_file(file).map_err(|error| error.to_string())?;
    Ok(file.token)
}

/// Returns the digest of a body that is sent: half of its sha256, in hexadecimal.
pub(super) fn digest(body: &[u8]) -> String {
    let whole = Sha256::digest(body);
    whole[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
