//! DX as a server on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::post;
use pipefold::dx::{JOB_METHOD_PATH, METHOD_PATH};
use serde_json::{Map, Value, json};

use super::records::{Records, Refusal};

/// A server that answers as DX does, from [`Records`]. It ends with the program.
#[derive(Debug)]
pub struct Dx {
    records: Arc<Records>,
    address: SocketAddr,
}

#[derive(Clone)]
struct Shared {
    records: Arc<Records>,
    delay: Duration,
}

impl Dx {
    /// Starts it. Each answer takes at least `delay`; answers do not wait for one another.
    ///
    /// # Errors
    /// If it cannot listen on 127.0.0.1, or start its threads.
    pub fn start(records: Records, delay: Duration) -> Result<Self> {
        let records = Arc::new(records);
        let shared = Shared {
            records: Arc::clone(&records),
            delay,
        };
        let socket = std::net::TcpListener::bind("127.0.0.1:0").context("DX cannot listen")?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        // One thread: what is measured needs the other core.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("DX cannot start")?;
        let serve = async move {
            let app = Router::new()
                .route(METHOD_PATH, post(upsert))
                .route(JOB_METHOD_PATH, post(upsert_job))
                .with_state(shared);
            let listener = tokio::net::TcpListener::from_std(socket)?;
            axum::serve(listener, app).await
        };
        std::thread::Builder::new()
            .name("dx".to_owned())
            .spawn(move || runtime.block_on(serve))
            .context("DX cannot start")?;
        Ok(Self { records, address })
    }

    /// Its base address, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its records.
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.records
    }
}

async fn upsert(State(shared): State<Shared>, body: Bytes) -> Answer {
    answer(&shared, &body, Records::take).await
}

async fn upsert_job(State(shared): State<Shared>, body: Bytes) -> Answer {
    answer(&shared, &body, Records::take_job).await
}

type Answer = (StatusCode, HeaderMap, String);

/// Takes arguments that came at this time.
type Take = fn(&Records, &Map<String, Value>, Instant) -> Result<(), Refusal>;

async fn answer(shared: &Shared, body: &[u8], take: Take) -> Answer {
    if !shared.delay.is_zero() {
        tokio::time::sleep(shared.delay).await;
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let not_ok = |error: &str, message: &str| json!({ "ok": false, "error": error, "message": message }).to_string();
    let Ok(given) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return (
            StatusCode::BAD_REQUEST,
            headers,
            not_ok("invalid_json", "This is no JSON object."),
        );
    };
    match take(&shared.records, &given, Instant::now()) {
        Ok(()) => (StatusCode::OK, headers, json!({ "ok": true }).to_string()),
        Err(Refusal::Limited(left)) => {
            // The header takes whole seconds; less than what is left would only be asked in vain.
            headers.insert(RETRY_AFTER, HeaderValue::from(left.as_secs() + 1));
            (
                StatusCode::TOO_MANY_REQUESTS,
                headers,
                not_ok("ratelimited", "Too many requests."),
            )
        }
        Err(Refusal::Early) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            headers,
            not_ok("pipeline_run_not_found", "There is no such run."),
        ),
        Err(Refusal::Wrong(why)) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            headers,
            not_ok("required_params_missing", &why),
        ),
    }
}
