//! How a forwarder is doing, over HTTP on this machine: `/metrics` for Prometheus, `/healthz` for whoever restarts it.

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

/// A listener for both addresses.
pub struct Health {
    listener: TcpListener,
    counters: Arc<Counters>,
}

/// Why it does not listen.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Others could read it, who have no business here.
    #[error(
        "{0} can be reached from other machines: give an address of this one, such as 127.0.0.1:9642, or --listen-anywhere where only the cluster can reach it"
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
    /// Listens; port 0 is any that is free.
    ///
    /// # Errors
    /// [`HealthError`]. An address that other machines can reach is refused unless `anywhere`.
    pub async fn bind(address: SocketAddr, anywhere: bool, counters: Arc<Counters>) -> Result<Self, HealthError> {
        Self::allow(address, anywhere)?;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|why| HealthError::Listen { address, why })?;
        Ok(Self { listener, counters })
    }

    /// Whether it may listen there.
    ///
    /// # Errors
    /// [`HealthError::Exposed`].
    pub fn allow(address: SocketAddr, anywhere: bool) -> Result<(), HealthError> {
        match anywhere || address.ip().is_loopback() {
            true => Ok(()),
            false => Err(HealthError::Exposed(address)),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let address = self.listener.local_addr().ok()?;
        Some(format!("http://{address}"))
    }

    /// Answers for ever.
    pub async fn run(self) {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .with_state(self.counters);
        if let Err(error) = axum::serve(self.listener, router).await {
            tracing::error!(%error, "/metrics is not answered any more");
        }
    }
}

async fn metrics(State(counters): State<Arc<Counters>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], counters.text())
}

/// Whether runs get through. While DX is only away they wait, and all is as it should be.
async fn healthz(State(counters): State<Arc<Counters>>) -> (StatusCode, &'static str) {
    if counters.queue_up.load(Relaxed) == 0 {
        (StatusCode::SERVICE_UNAVAILABLE, "the queue is not reached\n")
    } else if counters.stuck.load(Relaxed) == 1 {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "DX does not take the token, or redirects: see the log\n",
        )
    } else {
        (StatusCode::OK, "ok\n")
    }
}
