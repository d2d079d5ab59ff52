//! The state of a forwarder over HTTP on this machine: `/metrics` for Prometheus, `/healthz` for a supervisor.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use pipefold::prometheus::{CONTENT_TYPE, Kind, Page};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::net::TcpListener;

/// What a forwarder counts. No label has a value that comes from outside, so there are never more series than these.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages that came from the queue.
    pub delivered: AtomicU64,
    /// Those of them that came before.
    pub redelivered: AtomicU64,
    /// Messages acknowledged after DX accepted them.
    pub done: AtomicU64,
    /// Messages that a policy of the forwarder dropped.
    pub dropped: AtomicU64,
    /// Messages that were moved to the stream of refused ones.
    pub rejected: AtomicU64,
    /// Requests that DX took.
    pub accepted: AtomicU64,
    /// Requests that DX refused.
    pub refused: AtomicU64,
    /// Requests that DX did not take the token for, or redirected.
    pub unauthorised: AtomicU64,
    /// Requests that may go better another time.
    pub failed: AtomicU64,
    /// Times that policies or component could not be asked.
    pub unjudged: AtomicU64,
    /// Messages that the stream had kept although they were acknowledged, and that were put into it again.
    pub swept: AtomicU64,
    /// Messages sent with others of their run before a forwarder got them, or while another held them.
    pub gathered: AtomicU64,
    /// Messages that this forwarder held and another sent.
    pub elsewhere: AtomicU64,
    /// Messages that are held.
    pub held: AtomicU64,
    /// Requests under way.
    pub under_way: AtomicU64,
    /// Messages that no forwarder has yet, as the queue last said.
    pub waiting: AtomicU64,
    /// Age of the oldest message of the last request, in milliseconds.
    pub lag: AtomicU64,
    /// Whether DX took the last request: 1 or 0.
    pub dx_up: AtomicU64,
    /// Whether the queue is reached: 1 or 0.
    pub queue_up: AtomicU64,
    /// Whether nothing is sent for a while: 1 or 0.
    pub paused: AtomicU64,
    /// Whether a person has to do something before anything gets through, as DX does not take the token: 1 or 0.
    pub stuck: AtomicU64,
}

pub(super) fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Relaxed);
}

pub(super) fn set(gauge: &AtomicU64, number: usize) {
    gauge.store(u64::try_from(number).unwrap_or(u64::MAX), Relaxed);
}

impl Counters {
    /// All of it, as Prometheus reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut page = Page::default();
        let now = |counter: &AtomicU64| counter.load(Relaxed);
        page.metric(
            "queue_messages_total",
            Kind::Counter,
            "Messages from the queue by what became of them.",
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
            ],
        );
        page.metric(
            "forwards_total",
            Kind::Counter,
            "Requests to DX by what became of them.",
        )
        .by(
            "result",
            [
                ("accepted", now(&self.accepted)),
                ("refused", now(&self.refused)),
                ("unauthorised", now(&self.unauthorised)),
                ("failed", now(&self.failed)),
            ],
        );
        page.metric(
            "unjudged_total",
            Kind::Counter,
            "Times that policies or component could not be asked.",
        )
        .is(now(&self.unjudged));
        for (name, help, value) in [
            ("queue_waiting", "Messages that no forwarder has yet.", &self.waiting),
            ("queue_held", "Messages that this forwarder has.", &self.held),
            ("requests_under_way", "Requests to DX under way.", &self.under_way),
            ("dx_up", "Whether DX took the last request.", &self.dx_up),
            ("queue_up", "Whether the queue is reached.", &self.queue_up),
            ("forward_paused", "Whether nothing is sent for a while.", &self.paused),
            (
                "forward_stuck",
                "Whether DX takes nothing until a person does something.",
                &self.stuck,
            ),
        ] {
            page.metric(name, Kind::Gauge, help).is(now(value));
        }
        page.metric(
            "forward_lag_seconds",
            Kind::Gauge,
            "Age of the oldest message of the last request.",
        )
        .is(now(&self.lag) as f64 / 1000.0);
        page.into_text()
    }
}

/// The listener of both paths.
pub struct Health {
    listener: TcpListener,
    counters: Arc<Counters>,
}

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Other machines could read it.
    #[error(
        "{0} is reachable from other machines: use a local address such as 127.0.0.1:9642, or --listen-anywhere inside a cluster"
    )]
    Exposed(SocketAddr),
    /// The system refused.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
}

impl Health {
    /// Listens on an address; port 0 takes any free port.
    ///
    /// # Errors
    /// [`HealthError`]. An address that other machines can reach is refused unless `anywhere`.
    pub async fn bind(address: SocketAddr, anywhere: bool, counters: Arc<Counters>) -> Result<Self, HealthError> {
        Self::allow(address, anywhere)?;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|why| HealthError::Listen { address, why })?;
        Ok(Self { listener, counters })
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
            .with_state(self.counters);
        if let Err(error) = axum::serve(self.listener, router).await {
            tracing::error!(%error, "/metrics is no longer served");
        }
    }
}

async fn metrics(State(counters): State<Arc<Counters>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], counters.text())
}

/// 503 if runs cannot be delivered without a person. While DX is unreachable they wait, which is 200.
async fn healthz(State(counters): State<Arc<Counters>>) -> (StatusCode, &'static str) {
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
        let text = counters.text();
        for line in [
            "pipefold_queue_messages_total{result=\"done\"} 3",
            "pipefold_forwards_total{result=\"accepted\"} 0",
            "pipefold_forward_lag_seconds 1.5",
            "# TYPE pipefold_queue_held gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let series = text.lines().filter(|line| !line.starts_with('#'));
        assert!(series.count() == 21, "{text}");
    }
}
