//! The state of a forwarder over HTTP on this machine: `/metrics` for Prometheus, `/healthz` for a supervisor.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use pipefold::PolicyWork;
use pipefold::prometheus::{CONTENT_TYPE, MetricKind, Page};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::net::TcpListener;

/// Requests to DX by result.
#[derive(Debug, Default)]
pub struct Requests {
    /// Requests that DX accepted.
    pub accepted: AtomicU64,
    /// Requests that DX refused.
    pub refused: AtomicU64,
    /// Requests for which DX rejected the token, or redirected.
    pub unauthorised: AtomicU64,
    /// Requests that failed and are tried again.
    pub failed: AtomicU64,
    /// Requests to a server without the method.
    pub no_method: AtomicU64,
}

/// The counters and gauges of a forwarder. No label has a value from outside, so the number of series is fixed.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages that the queue delivered to this forwarder.
    pub delivered: AtomicU64,
    /// Deliveries of messages that had been delivered before.
    pub redelivered: AtomicU64,
    /// Messages acknowledged after DX accepted them.
    pub done: AtomicU64,
    /// Messages that a policy of the forwarder dropped.
    pub dropped: AtomicU64,
    /// Messages moved to the stream of refused upserts.
    pub rejected: AtomicU64,
    /// Messages of jobs with a state that a later message has, or a newer one.
    pub superseded: AtomicU64,
    /// Messages of jobs that were dropped, as DX has no method for jobs.
    pub no_method: AtomicU64,
    /// Requests about runs.
    pub runs: Requests,
    /// Requests about jobs.
    pub jobs: Requests,
    /// Groups that the policies or the component failed to judge.
    pub unjudged: AtomicU64,
    /// Messages published again because the stream had kept them although they were acknowledged.
    pub swept: AtomicU64,
    /// Messages sent with others of their run before a forwarder got them, or while another held them.
    pub gathered: AtomicU64,
    /// Messages held here that another forwarder sent.
    pub elsewhere: AtomicU64,
    /// Messages held now.
    pub held: AtomicU64,
    /// Requests to DX under way.
    pub under_way: AtomicU64,
    /// Messages that no forwarder has yet, as the queue last reported.
    pub waiting: AtomicU64,
    /// Age of the oldest message of the last request, in milliseconds.
    pub lag: AtomicU64,
    /// 1 if DX accepted the last request, else 0.
    pub dx_up: AtomicU64,
    /// 1 if the queue is connected, else 0.
    pub queue_up: AtomicU64,
    /// 1 during a pause of all requests, else 0.
    pub paused: AtomicU64,
    /// 1 while DX rejects the token or redirects, which only a person can change, else 0.
    pub stuck: AtomicU64,
}

pub(super) fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Relaxed);
}

pub(super) fn set(gauge: &AtomicU64, number: usize) {
    gauge.store(u64::try_from(number).unwrap_or(u64::MAX), Relaxed);
}

impl Counters {
    /// All values in the Prometheus text format, and those of policies.
    #[must_use]
    pub fn text(&self, policies: &[PolicyWork]) -> String {
        let mut page = Page::default();
        let now = |counter: &AtomicU64| counter.load(Relaxed);
        page.metric(
            "queue_messages_total",
            MetricKind::Counter,
            "Messages from the queue by result.",
        )
        .by(
            "result",
            [
                ("delivered", now(&self.delivered)),
                ("redelivered", now(&self.redelivered)),
                ("done", now(&self.done)),
                ("dropped", now(&self.dropped)),
                ("rejected", now(&self.rejected)),
                ("swept", now(&self.swept)),
                ("gathered", now(&self.gathered)),
                ("elsewhere", now(&self.elsewhere)),
                ("superseded", now(&self.superseded)),
                ("no_method", now(&self.no_method)),
            ],
        );
        for (name, help, requests) in [
            ("forwards_total", "Requests to DX about runs by result.", &self.runs),
            ("job_forwards_total", "Requests to DX about jobs by result.", &self.jobs),
        ] {
            page.metric(name, MetricKind::Counter, help).by(
                "result",
                [
                    ("accepted", now(&requests.accepted)),
                    ("refused", now(&requests.refused)),
                    ("unauthorised", now(&requests.unauthorised)),
                    ("failed", now(&requests.failed)),
                    ("no_method", now(&requests.no_method)),
                ],
            );
        }
        page.metric(
            "unjudged_total",
            MetricKind::Counter,
            "Groups that policies or component failed to judge.",
        )
        .is(now(&self.unjudged));
        for (name, help, value) in [
            ("queue_waiting", "Messages that no forwarder has yet.", &self.waiting),
            ("queue_held", "Messages that this forwarder holds.", &self.held),
            ("requests_under_way", "Requests to DX under way.", &self.under_way),
            ("dx_up", "1 if DX accepted the last request, else 0.", &self.dx_up),
            ("queue_up", "1 if the queue is connected, else 0.", &self.queue_up),
            (
                "forward_paused",
                "1 during a pause of all requests, else 0.",
                &self.paused,
            ),
            (
                "forward_stuck",
                "1 while DX rejects the token or redirects, else 0.",
                &self.stuck,
            ),
        ] {
            page.metric(name, MetricKind::Gauge, help).is(now(value));
        }
        page.metric(
            "forward_lag_seconds",
            MetricKind::Gauge,
            "Age of the oldest message of the last request.",
        )
        .is(now(&self.lag) as f64 / 1000.0);
        PolicyWork::write(policies, &mut page);
        page.into_text()
    }
}

/// A function that returns the work of a forwarder's policies.
pub type PolicyWorks = Arc<dyn Fn() -> Vec<PolicyWork> + Send + Sync>;

/// The listener of both paths.
pub struct Health {
    listener: TcpListener,
    state: HealthState,
}

#[derive(Clone)]
struct HealthState {
    counters: Arc<Counters>,
    policies: PolicyWorks,
}

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The address is reachable from other machines.
    #[error(
        "{0} is reachable from other machines: use a local address such as 127.0.0.1:9642, or --listen-anywhere inside a cluster"
    )]
    Exposed(SocketAddr),
    /// The system refused to listen.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        why: std::io::Error,
    },
}

impl Health {
    /// Listens on an address; port 0 takes any free port.
    ///
    /// # Errors
    /// [`HealthError`]. An address that other machines can reach is refused unless `anywhere`.
    pub async fn bind(
        address: SocketAddr,
        anywhere: bool,
        counters: Arc<Counters>,
        policies: PolicyWorks,
    ) -> Result<Self, HealthError> {
        Self::allow(address, anywhere)?;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|why| HealthError::Listen { address, why })?;
        let state = HealthState { counters, policies };
        Ok(Self { listener, state })
    }

    /// Checks that an address may be listened on.
    ///
    /// # Errors
    /// [`HealthError::Exposed`].
    pub fn allow(address: SocketAddr, anywhere: bool) -> Result<(), HealthError> {
        match anywhere || address.ip().is_loopback() {
            true => Ok(()),
            false => Err(HealthError::Exposed(address)),
        }
    }

    /// The URL of the listener.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let address = self.listener.local_addr().ok()?;
        Some(format!("http://{address}"))
    }

    /// Serves requests until the task is dropped.
    pub async fn run(self) {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .with_state(self.state);
        if let Err(error) = axum::serve(self.listener, router).await {
            tracing::error!(%error, "/metrics is no longer served");
        }
    }
}

async fn metrics(State(state): State<HealthState>) -> impl IntoResponse {
    let text = state.counters.text(&(state.policies)());
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
}

/// 503 if runs cannot be delivered without a person. While DX is unreachable they wait, which is 200.
async fn healthz(State(HealthState { counters, .. }): State<HealthState>) -> (StatusCode, &'static str) {
    if counters.queue_up.load(Relaxed) == 0 {
        (StatusCode::SERVICE_UNAVAILABLE, "no connection to the queue\n")
    } else if counters.stuck.load(Relaxed) == 1 {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "DX rejects the token or redirects: see the log\n",
        )
    } else {
        (StatusCode::OK, "ok\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_a_help_and_a_type() {
        let counters = Counters::default();
        add(&counters.done, 3);
        set(&counters.lag, 1500);
        let text = counters.text(&[]);
        for line in [
            "pipefold_queue_messages_total{result=\"done\"} 3",
            "pipefold_forwards_total{result=\"accepted\"} 0",
            "pipefold_job_forwards_total{result=\"no_method\"} 0",
            "pipefold_forward_lag_seconds 1.5",
            "# TYPE pipefold_queue_held gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let series = text.lines().filter(|line| !line.starts_with('#'));
        assert!(series.count() == 29, "{text}");
    }
}
