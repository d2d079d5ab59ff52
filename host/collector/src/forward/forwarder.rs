//! The work: what waits longest goes first.

use super::options::ForwardOptions;
use super::pace::Pace;
use super::pauses::Pauses;
use crate::server::App;
use crate::store::{DxAnswer, FoldError, Forwarded, RunKey, StoreError, Waiting, WaitingQuery};
use chrono::Utc;
use pipefold::Token;
use pipefold::dx::Outcome;
use pipefold_sandbox::{Notification, Run, Verdict};
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

/// What there is to send.
enum Parcel {
    Run(Box<Run>),
    /// A policy keeps it here.
    Kept(String),
    /// The rules do not take it any more; it is no use to DX.
    Unfit(String),
    /// It was removed.
    Gone,
}

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
                let wait = self.pauses.first_due(now).unwrap_or(IDLE);
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
        let id = waiting.id;
        let Some(detail) = self.app.store.run(RunKey::Id(id)).await? else {
            self.pauses.settled(id);
            return Ok(());
        };
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
            }),
        };
        let run = match self.parcel(history).await {
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
        let metrics = &self.app.metrics;
        let accepted = matches!(outcome, Ok(Outcome::Accepted));
        metrics.dx_up.store(u64::from(accepted), Relaxed);
        if accepted {
            &metrics.forwarded
        } else {
            &metrics.not_forwarded
        }
        .fetch_add(1, Relaxed);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(why) => {
                self.say_once(why);
                self.pauses.stuck(now);
                return Ok(());
            }
        };
        let text = outcome.to_string();
        let answer = match outcome {
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
                text
            }
            Outcome::Retry { after, .. } => {
                self.pauses.failed(id, after, now);
                text
            }
            Outcome::Unauthorised { .. } | Outcome::Redirected { .. } => {
                self.say_once(text.clone());
                self.pauses.stuck(now);
                text
            }
        };
        // Shown with the run; how much DX knows stays as it was.
        let said = Forwarded {
            covered: waiting.covered,
            ..note(false, answer)
        };
        self.app.store.forwarded(said).await
    }

    async fn settle(&mut self, forwarded: Forwarded) -> Result<(), StoreError> {
        let id = forwarded.id;
        self.app.store.forwarded(forwarded).await?;
        self.pauses.settled(id);
        Ok(())
    }

    /// What the history comes to, policies and all. In a thread that may wait: ten thousand notifications take a while.
    async fn parcel(&self, history: Vec<Notification>) -> Result<Parcel, String> {
        if history.is_empty() {
            return Ok(Parcel::Gone);
        }
        let app = Arc::clone(&self.app);
        let judged = tokio::task::spawn_blocking(move || app.rules.judge(&history)).await;
        match judged.map_err(|_| "judging it panicked".to_owned())? {
            Ok(Verdict::Report(run)) => Ok(Parcel::Run(Box::new(run))),
            Ok(Verdict::Hold) => Ok(Parcel::Kept("nothing to send yet".to_owned())),
            Ok(Verdict::Discard(why)) => Ok(Parcel::Kept(why)),
            Err(error @ FoldError::Refused(_)) => Ok(Parcel::Unfit(error.to_string())),
            Err(FoldError::Failed(why)) => Err(why),
        }
    }

    async fn upsert(&self, run: Box<Run>) -> Result<Outcome, String> {
        let options = Arc::clone(&self.options);
        let sent = tokio::task::spawn_blocking(move || {
            let token = Token::from_file(&options.token_file)
                .map_err(|error| error.to_string())?
                .token;
            Ok(options.client.upsert(&run, &token, options.timeout))
        });
        sent.await.map_err(|_| "sending panicked".to_owned())?
    }

    fn say_once(&mut self, why: String) {
        if self.said.as_ref() != Some(&why) {
            tracing::error!("nothing is forwarded to {}: {why}", self.options.client.url());
            self.said = Some(why);
        }
    }
}
