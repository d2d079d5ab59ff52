//! The work: what waits longest goes first.

use super::options::{ForwardOptions, ForwardTo};
use super::pace::Pace;
use super::parcel::{Parcel, Told};
use super::pauses::Pauses;
use super::stale::{Stale, goes_on_for_dx};
use crate::server::App;
use crate::store::{DxAnswer, Forwarded, RunDetail, RunKey, StoreError, Waiting, WaitingQuery};
use chrono::Utc;
use pipefold::Token;
use pipefold::dx::Outcome;
use pipefold_sandbox::{Notification, Run};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often the store is asked when nothing happens: another process, or a fold that came late, may have left something.
const IDLE: Duration = Duration::from_secs(5);

/// After trouble with the store.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

/// Runs that wait, asked for at a time.
const PAGE: u16 = 100;

/// Tells DX of every run that changes, until the server ends. A request that is under way then is waited for.
pub async fn forward(options: ForwardOptions, app: Arc<App>) {
    let Some(mut changes) = app.changes().map(|changes| changes.subscribe()) else {
        return;
    };
    let options = Arc::new(options);
    let mut work = Work {
        pace: Pace::new(options.per_second),
        pauses: Pauses::new(options.first_pause, options.longest_pause),
        said: None,
        stale: options.stale_after.map(|age| Stale::new(age, Instant::now())),
        options,
        app: Arc::clone(&app),
    };
    loop {
        let wait = match work.round().await {
            Ok(Round::Again) => Duration::ZERO,
            Ok(Round::Nothing(wait)) => wait,
            Err(StoreError::Closed) => return,
            Err(error) => {
                app.complain("forwarding", &format!("forwarding waits: {error}"));
                AFTER_TROUBLE
            }
        };
        tokio::select! {
            biased;
            () = app.stopped() => return,
            () = sleep(wait) => {}
            // A pause of all is not ended by news, only the idle wait.
            _ = changes.recv(), if work.pauses.all(Instant::now()).is_none() => {}
        }
    }
}

enum Round {
    /// Something was done.
    Again,
    /// Nothing is due before this has passed.
    Nothing(Duration),
}

struct Work {
    options: Arc<ForwardOptions>,
    app: Arc<App>,
    pace: Pace,
    pauses: Pauses,
    stale: Option<Stale>,
    /// What was said of the token or the address: once is enough.
    said: Option<String>,
}

impl Work {
    /// Sends the run that waits longest of those that are due.
    async fn round(&mut self) -> Result<Round, StoreError> {
        let now = Instant::now();
        if let Some(wait) = self.pauses.all(now) {
            return Ok(Round::Nothing(wait));
        }
        let mut after = None;
        loop {
            let query = WaitingQuery { after, limit: PAGE };
            let page = self.app.store.waiting(query).await?;
            let Some(last) = page.last().cloned() else {
                if self.cancel_one(now).await? {
                    return Ok(Round::Again);
                }
                let walk = self.stale.as_ref().map_or(IDLE, |stale| stale.wait(now));
                let wait = self.pauses.first_due(now).unwrap_or(IDLE).min(walk);
                // Those that are paused and do not wait any more would be due for ever.
                return Ok(Round::Nothing(wait.clamp(Duration::from_millis(50), IDLE)));
            };
            if let Some(due) = page.into_iter().find(|waiting| self.pauses.is_due(waiting.id, now)) {
                self.send(due).await?;
                return Ok(Round::Again);
            }
            after = Some(last);
        }
    }

    async fn send(&mut self, waiting: Waiting) -> Result<(), StoreError> {
        let Some(detail) = self.app.store.run(RunKey::Id(waiting.id)).await? else {
            self.pauses.settled(waiting.id);
            return Ok(());
        };
        self.tell(detail, Told::AsItIs).await
    }

    /// Tells DX that the next of the stale runs was cancelled, if it does not know. Whether there was one to look at.
    async fn cancel_one(&mut self, now: Instant) -> Result<bool, StoreError> {
        let Some(stale) = &mut self.stale else { return Ok(false) };
        let Some(id) = stale.next(&*self.app.store, now).await? else {
            return Ok(false);
        };
        // In a pause of its own it is come across again.
        if !self.pauses.is_due(id, now) {
            return Ok(true);
        }
        let Some(detail) = self.app.store.run(RunKey::Id(id)).await? else {
            return Ok(true);
        };
        if detail.forwarding.waiting_since.is_some() {
            // It came to life meanwhile.
        } else if goes_on_for_dx(&detail) {
            self.tell(detail, Told::AsCancelled).await?;
        } else {
            stale.settled(id, detail.summary.notifications);
        }
        Ok(true)
    }

    /// Sends what a run is, and notes what DX says.
    async fn tell(&mut self, detail: RunDetail, told: Told) -> Result<(), StoreError> {
        let id = detail.summary.id;
        let known = detail.forwarding.covered;
        let history: Vec<Notification> = detail
            .received
            .into_iter()
            .map(|received| received.notification)
            .collect();
        let covered = u32::try_from(history.len()).unwrap_or(u32::MAX);
        let note = |accepted, text: String| Forwarded {
            id,
            covered,
            answer: Some(DxAnswer {
                at: Utc::now(),
                accepted,
                text,
                as_cancelled: told == Told::AsCancelled,
            }),
        };
        let run = match Parcel::of(&self.app, history, told).await {
            Ok(Parcel::Run(run)) => run,
            Ok(Parcel::Kept(why)) => {
                return self
                    .settle(note(false, format!("not sent, as a policy says: {why}")))
                    .await;
            }
            Ok(Parcel::Unfit(why)) => return self.settle(note(false, format!("not sent: {why}"))).await,
            Ok(Parcel::Gone) => return Ok(()),
            Err(why) => {
                self.app.complain("fold", &format!("run {id} waits: {why}"));
                self.pauses.failed(id, None, Instant::now());
                return Ok(());
            }
        };
        sleep(self.pace.wait(Instant::now())).await;
        let outcome = self.upsert(run).await;
        let now = Instant::now();
        self.count(&outcome);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(why) => {
                self.say_once(why);
                self.pauses.stuck(now);
                return Ok(());
            }
        };
        let text = match told {
            Told::AsItIs => self.options.to.words(&outcome),
            Told::AsCancelled => format!("{outcome} (sent as cancelled: nothing was heard of it any more)"),
        };
        match outcome {
            Outcome::Accepted => {
                self.said = None;
                self.pauses.reached();
                return self.settle(note(true, text)).await;
            }
            Outcome::Rejected { .. } => {
                self.pauses.reached();
                return self.settle(note(false, text)).await;
            }
            Outcome::Refused { .. } => {
                self.pauses.reached();
                if self.pauses.refused(id, now) {
                    return self.settle(note(false, text)).await;
                }
            }
            Outcome::Retry { after, .. } => self.pauses.failed(id, after, now),
            Outcome::Unauthorised { .. } | Outcome::Redirected { .. } | Outcome::Unreachable { .. } => {
                self.say_once(text.clone());
                self.pauses.stuck(now);
            }
        }
        if told == Told::AsCancelled {
            // That DX took it before is why it is told at all, and stays noted.
            return Ok(());
        }
        // Shown with the run; how much DX knows stays as it was.
        let said = Forwarded {
            covered: known,
            ..note(false, text)
        };
        self.app.store.forwarded(said).await
    }

    fn count(&self, outcome: &Result<Outcome, String>) {
        let metrics = &self.app.metrics;
        let accepted = matches!(outcome, Ok(Outcome::Accepted));
        metrics.dx_up.store(u64::from(accepted), Relaxed);
        let counter = if accepted {
            &metrics.forwarded
        } else {
            &metrics.not_forwarded
        };
        counter.fetch_add(1, Relaxed);
    }

    async fn settle(&mut self, forwarded: Forwarded) -> Result<(), StoreError> {
        let id = forwarded.id;
        self.app.store.forwarded(forwarded).await?;
        self.pauses.settled(id);
        Ok(())
    }

    async fn upsert(&self, run: Box<Run>) -> Result<Outcome, String> {
        let options = Arc::clone(&self.options);
        let sent = tokio::task::spawn_blocking(move || match &options.to {
            ForwardTo::Dx { client, token_file } => {
                let file = Token::from_file(token_file).map_err(|error| error.to_string())?;
                Ok(client.upsert(&run, &file.token, options.timeout))
            }
            ForwardTo::Queue(outlet) => Ok(outlet.upsert(&run, options.timeout)),
        });
        sent.await.map_err(|_| "sending panicked".to_owned())?
    }

    fn say_once(&mut self, why: String) {
        if self.said.as_ref() != Some(&why) {
            tracing::error!("nothing is forwarded to {}: {why}", self.options.to);
            self.said = Some(why);
        }
    }
}
