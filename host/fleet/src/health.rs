//! The state of a forwarder over HTTP on this machine: `/metrics` for Prometheus, `/healthz` for a supervisor.

use crate::forward::Counters;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use pipefold::prometheus::CONTENT_TYPE;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::net::TcpListener;

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
