//! `POST /hooks/NAME`: the webhooks of CI systems. A delivery is proved, translated by a source in the sandbox, judged and stored, and only
//! then answered.
//!
//! - `sources`: the configured sources. `secrets`: their secrets.
//! - [`signature`]: the proof that a delivery comes from a system that knows the secret.
//! - `delivery`: the reading of a delivery. `take`: the judging and storing of its notifications.
//! - `answer`: the answers, and what is remembered of them. `recent`: the last deliveries of a source.

mod answer;
mod delivery;
mod recent;
mod secrets;
pub mod signature;
mod sources;
mod take;

pub use delivery::LARGEST;
pub use recent::{RunName, Seen};
pub use secrets::{SecretPlace, SecretsError};
pub use sources::{
    BUILT_IN, Hook, Hooks, Outcome, SourceError, SourceName, SourceOptions, USE, USUAL_MAX_AGE, USUAL_RATE,
    USUAL_SCHEME, built_in, scheme,
};
pub use take::begun_by;

use self::answer::Answered;
use self::delivery::{Held, LARGE, Rooms, Unread, label, passed_on, text};
use self::signature::{BadSignature, Scheme, SignedRequest};
use self::take::take;
use crate::access::Access;
use crate::request::{App, Gate, Intake, Journal, Sender, from_this_machine};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::post;
use chrono::{DateTime, SecondsFormat, Utc};
use pipefold::dx::ErrorCode;
use pipefold_sandbox::{Delivery, TranslateError, Translation};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::task::block_in_place;
use tokio::time::timeout;

/// The longest time from a whole delivery to its answer: GitHub and GitLab wait ten seconds for one.
const PATIENCE: Duration = Duration::from_secs(8);

/// The access of sources. Which runs an operator's CI system reports is the operator's decision.
static EVERYTHING: LazyLock<Access> = LazyLock::new(Access::everything);

/// The state that all sources share.
struct Shared {
    intake: Arc<Intake>,
    gate: Arc<Gate>,
    journal: Arc<Journal>,
    rooms: Rooms,
}

/// The state of a source's route.
#[derive(Clone)]
struct Address {
    hook: Arc<Hook>,
    shared: Arc<Shared>,
}

/// The routes of the configured sources: other names below `/hooks/` are unknown addresses.
pub(crate) fn router(app: &App) -> Router {
    let shared = Arc::new(Shared {
        intake: Arc::clone(&app.intake),
        gate: Arc::clone(&app.gate),
        journal: Arc::clone(&app.journal),
        rooms: Rooms::new(app.limits.body),
    });
    app.hooks.all().iter().fold(Router::new(), |router, hook| {
        let address = Address {
            hook: Arc::clone(hook),
            shared: Arc::clone(&shared),
        };
        router.route(&hook.name.path(), post(deliver).with_state(address))
    })
}

/// Takes a delivery.
async fn deliver(State(address): State<Address>, request: Request) -> Response {
    let received = Utc::now();
    let (parts, body) = request.into_parts();
    let answered = address.take(&parts, body, received).await;
    let (event, id) = label(&parts.headers);
    answered.remembered(&address.hook, received, event, id)
}

impl Address {
    async fn take(&self, parts: &Parts, body: Body, received: DateTime<Utc>) -> Answered {
        let Self { hook, shared } = self;
        // Only signed deliveries count, or a stranger could use up the rate.
        if let Err(wait) = hook.rate.peek(&(), Instant::now()) {
            return Answered::limited(wait);
        }
        if hook.scheme() == Scheme::None
            && let Err(denied) = from_this_machine(&parts.headers)
        {
            return Answered::foreign(denied);
        }
        let held = match shared.rooms.read(&parts.headers, body).await {
            Ok(held) => held,
            Err(unread) => return Answered::unread(unread, false),
        };
        let read = Instant::now();
        if let Err(answered) = self.prove(parts, &held.bytes, received) {
            return *answered;
        }
        if let Err(wait) = hook.rate.take(&(), Instant::now()) {
            return Answered::limited(wait);
        }
        let answered = match timeout(PATIENCE, self.translate(parts, held, received)).await {
            Ok(answered) => answered,
            Err(_) => Answered::failed("the server is overloaded; send it again", 30),
        };
        hook.counters.durations.took(read.elapsed());
        answered
    }

    /// Checks the proof that a delivery comes from the CI system.
    fn prove(&self, parts: &Parts, body: &[u8], now: DateTime<Utc>) -> Result<(), Box<Answered>> {
        let Self { hook, shared } = self;
        let secrets = hook.secrets.current().map_err(|why| {
            shared
                .journal
                .complain("secrets", &format!("source {}: {why}", hook.name));
            Box::new(Answered::failed(
                "the server cannot check signatures now; see its log",
                30,
            ))
        })?;
        let request = SignedRequest {
            method: &parts.method,
            target: parts.uri.path_and_query().map_or("/", |target| target.as_str()),
            headers: &parts.headers,
            body,
            now,
            max_age: hook.max_age,
        };
        let check = || hook.scheme().check(&secrets, &request);
        // The largest takes a tenth of a second.
        let checked = if body.len() > LARGE {
            block_in_place(check)
        } else {
            check()
        };
        checked.map_err(|bad| Box::new(self.unsigned(parts, &bad)))
    }

    fn unsigned(&self, parts: &Parts, bad: &BadSignature) -> Answered {
        let Self { hook, shared } = self;
        let address = shared.gate.address(&parts.headers, &parts.extensions);
        let shown = address.map_or_else(|| "?".to_owned(), |address| address.to_string());
        tracing::info!("refused a delivery to {} from {shown}: {bad}", hook.name);
        // Some clients send their password only after a first refusal.
        if !matches!(bad, BadSignature::Missing(_))
            && let Some(address) = address
            && let Err(wait) = shared.gate.count_failure(address, Instant::now())
        {
            return Answered::limited(wait);
        }
        Answered::unsigned(hook.scheme(), bad)
    }

    /// Translates a delivery that is proved, and stores what it reports.
    async fn translate(&self, parts: &Parts, held: Held, received: DateTime<Utc>) -> Answered {
        let Self { hook, shared } = self;
        let (bytes, room) = held.into_parts();
        let body = match text(&parts.headers, bytes) {
            Ok(body) => body,
            Err(unread) => return Answered::unread(unread, true),
        };
        let delivery = Delivery {
            headers: passed_on(&parts.headers),
            body,
            received_at: received.to_rfc3339_opts(SecondsFormat::Millis, true),
            settings: hook.settings.clone(),
        };
        // The semaphore is never closed.
        let call = hook.calls.acquire().await;
        let translated = block_in_place(|| hook.source.translate(&delivery));
        drop((call, delivery, room));
        // A source may quote the delivery, and policies may be there to hide what it quotes.
        let may_show = !shared.intake.has_policies();
        match translated {
            Ok(Translation::Notifications(notifications)) => {
                let sender = Sender {
                    name: &hook.sender,
                    access: &EVERYTHING,
                };
                match take(&shared.intake, sender, notifications, received).await {
                    Ok(taken) => Answered::taken(taken),
                    Err(error) => Answered::not_stored(&shared.journal, error, may_show),
                }
            }
            Ok(Translation::Ignored(reason)) => Answered::ignored(&reason, may_show),
            Err(TranslateError::Refused(reason)) => {
                let unread = Unread(ErrorCode::InvalidArguments, reason);
                Answered::refused_by_source(unread, may_show)
            }
            Err(error @ TranslateError::Failed(_)) => {
                let why = format!("source {}: {error}", hook.name);
                shared.journal.complain("source", &why);
                Answered::failed("the source failed; nothing was kept, see the server's log", 30)
            }
        }
    }
}
