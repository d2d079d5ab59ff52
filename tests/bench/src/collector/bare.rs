//! The baseline of the collector: a route that parses the same JSON, and answers the same.

use std::io::Read;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::routing::post;
use pipefold::dx::{Arguments, METHOD_PATH};

/// The first argument that makes this program that server, until its stdin ends.
pub(crate) const FLAG: &str = "--bare";

/// Serves on loopback, and prints the address.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start threads")?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .context("cannot listen")?;
        println!("http://{}", listener.local_addr().context("has no address")?);
        let app = Router::new().route(METHOD_PATH, post(upsert));
        // Whatever comes, and if reading fails: it is the end.
        std::thread::spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(0);
        });
        axum::serve(listener, app).await.context("cannot serve")
    })
}

async fn upsert(body: Bytes) -> (StatusCode, [(HeaderName, &'static str); 1], &'static str) {
    let answer = |status, body| (status, [(CONTENT_TYPE, "application/json")], body);
    match Arguments::from_json(&body) {
        Ok(_) => answer(StatusCode::OK, r#"{"ok":true}"#),
        Err(_) => answer(StatusCode::UNPROCESSABLE_ENTITY, r#"{"ok":false}"#),
    }
}
