//! One connection, from its first byte to its last.

use crate::request::{App, HEAD_SIZE, HEADERS, Peer, SPARE_HEAD, refused, retry_later};
use axum::Router;
use axum::http::header::HOST;
use axum::http::{StatusCode, Version};
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pipefold::dx::ErrorCode;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// The layer between HTTP and the socket.
pub enum Transport {
    Plain,
    Tls(TlsAcceptor),
}

/// Answers all requests of a connection. A failed connection is not logged, as its peer caused it. One that is not `whole` is for a single
/// short request.
pub async fn serve(stream: TcpStream, peer: SocketAddr, transport: Transport, whole: bool, app: &App, router: Router) {
    // Answers are small, and complete when they are written: there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let stream = Stalled::new(stream, app.limits.stall);
    match transport {
        Transport::Plain => exchange(stream, peer, whole, app, router).await,
        Transport::Tls(acceptor) => {
            let handshake = if whole { app.limits.handshake } else { SPARE_HEAD };
            if let Ok(Ok(stream)) = timeout(handshake, acceptor.accept(stream)).await {
                exchange(stream, peer, whole, app, router).await;
            }
        }
    }
}

/// Checks a request before its sender.
///
/// # Errors
/// The answer that refuses it.
fn check(request: &Request<Incoming>, whole: bool, app: &App) -> Result<(), Box<Response>> {
    // RFC 9112, section 3.2: a request names the server once.
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        let mut answer = refused(ErrorCode::InvalidArguments, "send one header `Host`");
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        return Err(Box::new(answer));
    }
    if whole || matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics") {
        return Ok(());
    }
    app.journal.metrics.limited.fetch_add(1, Relaxed);
    let wait = Duration::from_secs(1);
    Err(Box::new(retry_later(
        ErrorCode::Unavailable,
        "too many connections are open",
        wait,
    )))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    whole: bool,
    app: &App,
    router: Router,
) {
    let router = TowerToHyperService::new(router);
    // The time of a request's body, and that of its answer.
    let limit = app.limits.body + app.limits.answer;
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let checked = check(&request, whole, app);
        let answer = router.call(request);
        async move {
            if let Err(refusal) = checked {
                return Ok(*refusal);
            }
            Ok::<_, Infallible>(match timeout(limit, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(never)) => match never {},
                Err(_) => {
                    app.journal.metrics.failed.fetch_add(1, Relaxed);
                    refused(ErrorCode::Unavailable, "the answer took too long: try again")
                }
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(if whole { app.limits.head } else { SPARE_HEAD })
        .keep_alive(whole)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = app.signals.stopped() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// A stream that limits the time of a write. Reads are not limited here: between requests that is the head's time.
struct Stalled<T> {
    inner: T,
    limit: Duration,
    /// The timer of a waiting write.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<T> Stalled<T> {
    pub fn new(inner: T, limit: Duration) -> Self {
        Self {
            inner,
            limit,
            waiting: None,
        }
    }

    fn watch<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        if waiting.as_mut().poll(cx).is_ready() {
            waiting.as_mut().reset(Instant::now() + limit);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stalled<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stalled<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, shut)
    }
}
