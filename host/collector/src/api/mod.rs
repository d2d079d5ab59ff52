//! JSON for programs, described by `openapi.json`, and the health and metrics of a server.

mod hooks;
mod observe;
mod pipelines;
mod policies;
mod remove;
mod runs;

use crate::hooks::Hooks;
use crate::policies::Policies;
use crate::request::{App, Gate, Journal, Signals};
use crate::store::Store;
use axum::Router;
use axum::routing::get;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The state of the API.
struct ApiState {
    store: Arc<dyn Store>,
    gate: Arc<Gate>,
    journal: Arc<Journal>,
    hooks: Arc<Hooks>,
    policies: Policies,
    signals: Arc<Signals>,
    forwards: bool,
    stale_after: Duration,
    /// Time and result of the last check whether reports can be stored.
    checked: Mutex<Option<(Instant, bool)>>,
}

impl ApiState {
    /// Returns the time before which an unfinished run had its last notification to be stale now.
    fn stale_before(&self) -> DateTime<Utc> {
        let age = TimeDelta::from_std(self.stale_after).ok();
        age.and_then(|age| Utc::now().checked_sub_signed(age))
            .unwrap_or_default()
    }
}

/// The routes of the API.
pub(crate) fn router(app: &App) -> Router {
    let state = ApiState {
        store: Arc::clone(&app.store),
        gate: Arc::clone(&app.gate),
        journal: Arc::clone(&app.journal),
        hooks: Arc::clone(&app.hooks),
        policies: Policies::of(app.intake.rules()),
        signals: Arc::clone(&app.signals),
        forwards: app.forwards,
        stale_after: app.stale_after,
        checked: Mutex::new(None),
    };
    Router::new()
        .route("/api/runs", get(runs::list).delete(remove::list))
        .route("/api/runs/{reference_id}", get(runs::one).delete(remove::one))
        .route("/api/pipelines", get(pipelines::list))
        .route("/api/pipelines/{name}", get(pipelines::one))
        .route("/api/hooks", get(hooks::list))
        .route("/api/policies", get(policies::list))
        .route("/api/openapi.json", get(observe::document))
        .route("/healthz", get(observe::health))
        .route("/readyz", get(observe::ready))
        .route("/metrics", get(observe::metrics))
        .with_state(Arc::new(state))
}
