//! One connection, from its first byte to its last.

use super::answer::refused;
use super::app::App;
use super::caller::Peer;
use super::limits::{HEAD_SIZE, HEADERS};
use super::stalled::Stalled;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pipefold::dx::ErrorCode;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// What is between HTTP and the socket.
pub(super) enum Transport {
    Plain,
    Tls(TlsAcceptor),
}

/// Answers all requests of a connection. How a connection fails is its peer's matter, and nobody is told.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, transport: Transport, app: &App, router: Router) {
    // Answers are small, and complete when they are written: nothing is to be waited for.
    let _ = stream.set_nodelay(true);
    let stream = Stalled::new(stream, app.limits.stall);
    match transport {
        Transport::Plain => exchange(stream, peer, app, router).await,
        Transport::Tls(acceptor) => {
            if let Ok(Ok(stream)) = timeout(app.limits.handshake, acceptor.accept(stream)).await {
                exchange(stream, peer, app, router).await;
            }
        }
    }
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr, app: &App, router: Router) {
    let router = TowerToHyperService::new(router);
    // A request's body, then what is made of it.
    let limit = app.limits.body + app.limits.answer;
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let answer = router.call(request);
        async move {
            Ok::<_, Infallible>(match timeout(limit, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(never)) => match never {},
                Err(_) => {
                    app.metrics.failed.fetch_add(1, Relaxed);
                    refused(ErrorCode::Unavailable, "the answer took too long: try again")
                }
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.limits.head)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = app.stopped() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
