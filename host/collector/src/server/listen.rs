//! The socket that is listened on, and the end.

use super::connection;
use super::connection::Transport;
use super::error::ServeError;
use super::rooms::{Room, Rooms};
use super::router::router;
use super::tls::{Tls, TlsFiles};
use crate::request::App;
use axum::Router;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// After the system refused a connection, mostly for lack of files: it does so again at once.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// A server that listens. Connections wait until it [runs](Server::run).
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    app: Arc<App>,
    router: Router,
}

impl Server {
    /// Checks that listening is safe, and listens. `more` is what else to serve beside the API; it has neither fallbacks nor addresses
    /// of the API.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn bind(app: Arc<App>, tls: Option<TlsFiles>, more: Router) -> Result<Self, ServeError> {
        app.exposure.check(!app.tokens.is_empty()?)?;
        app.is_open()?;
        let tls = tls.map(Tls::load).transpose()?;
        raise(app.limits.connections);
        let address = app.exposure.address;
        let failed = |why| ServeError::Listen { address, why };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = router(Arc::clone(&app), more);
        Ok(Self {
            listener,
            address,
            tls,
            app,
            router,
        })
    }

    /// Returns where it listens, with the port that the system chose if it was to choose one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL under which this machine reaches it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let near = if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            };
            address.set_ip(near);
        }
        format!("{scheme}://{address}")
    }

    /// Serves until `stop`. Then nothing new is taken, open requests are answered within [`Limits::shutdown`](crate::request::Limits::shutdown),
    /// and what is not by then is cut.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self {
            listener,
            address: _,
            tls,
            app,
            router,
        } = self;
        let rooms = Rooms::new(&app);
        let mut stop = pin!(stop);
        let mut connections = JoinSet::new();
        loop {
            let (room, stream, peer) = tokio::select! {
                () = &mut stop => break,
                Some(ended) = connections.join_next() => {
                    note(&app, ended);
                    continue;
                }
                accepted = accept(&listener, &rooms, &app) => match accepted {
                    Ok(accepted) => accepted,
                    Err(why) => {
                        app.complain("accept", &format!("cannot take a connection: {why}"));
                        sleep(AFTER_REFUSAL).await;
                        continue;
                    }
                },
            };
            let Some(room) = rooms.enter(room, peer.ip(), &app) else {
                app.metrics.limited.fetch_add(1, Relaxed);
                continue;
            };
            let transport = match &tls {
                Some(tls) => Transport::Tls(tls.acceptor()),
                None => Transport::Plain,
            };
            let (app, router) = (Arc::clone(&app), router.clone());
            connections.spawn(async move {
                app.metrics.connections.fetch_add(1, Relaxed);
                let open = Open(&app, room);
                connection::serve(stream, peer, transport, open.1.is_whole, &app, router).await;
            });
        }
        drop(listener);
        app.stop();
        let rest = async {
            while let Some(ended) = connections.join_next().await {
                note(&app, ended);
            }
        };
        if timeout(app.limits.shutdown, rest).await.is_err() {
            tracing::warn!("{} connections were cut at the end", connections.len());
        }
    }
}

/// A connection that is counted for as long as this lives.
struct Open<'a>(&'a App, Room);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.metrics.connections.fetch_sub(1, Relaxed);
    }
}

async fn accept(listener: &TcpListener, rooms: &Rooms, app: &App) -> std::io::Result<(Room, TcpStream, SocketAddr)> {
    let room = rooms.next(app).await?;
    let (stream, peer) = listener.accept().await?;
    Ok((room, stream, peer))
}

fn note(app: &App, ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        app.metrics.failed.fetch_add(1, Relaxed);
        app.complain("panic", &"answering a request panicked; its connection was cut");
    }
}

/// Raises the soft limit of open files to what is needed, as far as the hard limit lets it: shells and systemd give 1,024, of which a
/// thousand idle connections would leave nothing for the store. Failing is no harm: connections then wait.
fn raise(connections: usize) {
    // The store, the log, the sockets that listen, and room.
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(128);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(current) = current.filter(|current| *current < needed) else {
        return;
    };
    let wanted = maximum.map_or(needed, |maximum| needed.min(maximum));
    let raised = Rlimit {
        current: Some(wanted.max(current)),
        maximum,
    };
    if wanted < needed || setrlimit(Resource::Nofile, raised).is_err() {
        tracing::warn!(
            "this process may open {current} files at a time, and {needed} would be good: raise `ulimit -n`"
        );
    }
}
