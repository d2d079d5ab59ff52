//! The listening socket, the places for connections, and the end.

use super::connection;
use super::connection::Transport;
use super::error::ServeError;
use super::router::router;
use super::tls::{Tls, TlsFiles};
use crate::access::FailureKey;
use crate::request::{App, Journal, SPARE_CONNECTIONS};
use axum::Router;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The pause after the system refused a connection, mostly for lack of files: it would do so again at once.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// A server that listens. Connections wait until it [runs](Server::run).
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    app: App,
    router: Router,
}

impl Server {
    /// Checks that listening is safe, and listens. `more` has the routes beside the API; it has neither fallbacks nor addresses of the API.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn bind(app: App, tls: Option<TlsFiles>, more: Router) -> Result<Self, ServeError> {
        app.gate.exposure.check(!app.gate.tokens.is_empty()?)?;
        app.gate.is_open()?;
        let tls = tls.map(Tls::load).transpose()?;
        raise(app.limits.connections);
        let address = app.gate.exposure.address;
        let failed = |why| ServeError::Listen { address, why };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = router(&app, more);
        Ok(Self {
            listener,
            address,
            tls,
            app,
            router,
        })
    }

    /// Returns the address that it listens on, with the port that the system chose if the given one is 0.
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

    /// Serves until `stop`. Then no connection is accepted, open requests are answered within
    /// [`Limits::shutdown`](crate::request::Limits::shutdown), and the rest is cut.
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
                        app.journal.complain("accept", &format!("cannot take a connection: {why}"));
                        sleep(AFTER_REFUSAL).await;
                        continue;
                    }
                },
            };
            let Some(room) = rooms.enter(room, peer.ip(), &app) else {
                app.journal.metrics.limited.fetch_add(1, Relaxed);
                continue;
            };
            let transport = match &tls {
                Some(tls) => Transport::Tls(tls.acceptor()),
                None => Transport::Plain,
            };
            let (app, router) = (app.clone(), router.clone());
            connections.spawn(async move {
                app.journal.metrics.connections.fetch_add(1, Relaxed);
                let open = Open(&app.journal, room);
                connection::serve(stream, peer, transport, open.1.is_whole, &app, router).await;
            });
        }
        drop(listener);
        app.signals.stop();
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

/// A connection that is counted as long as this lives.
struct Open<'a>(&'a Journal, Room);

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
        app.journal.metrics.failed.fetch_add(1, Relaxed);
        app.journal
            .complain("panic", &"answering a request panicked; its connection was cut");
    }
}

/// Raises the soft limit of open files to what is needed, as far as the hard limit allows: shells and systemd give 1,024, of which a
/// thousand idle connections would leave nothing for the store. A failure is harmless: connections then wait.
fn raise(connections: usize) {
    // The store, the log, the listening sockets, and room.
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
        tracing::warn!("this process may open {current} files at a time, and needs {needed}: raise `ulimit -n`");
    }
}

/// The places for connections.
struct Rooms {
    whole: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    per_address: Option<usize>,
    addresses: Arc<Mutex<HashMap<FailureKey, usize>>>,
}

/// The place of one connection, as long as this lives.
struct Room {
    /// True if it is for requests of every kind.
    is_whole: bool,
    address: Option<Counted>,
    #[expect(dead_code, reason = "given back when dropped")]
    permit: OwnedSemaphorePermit,
}

/// One connection of an address.
struct Counted {
    addresses: Arc<Mutex<HashMap<FailureKey, usize>>>,
    key: FailureKey,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.key);
            }
        }
    }
}

impl Rooms {
    pub fn new(app: &App) -> Self {
        Self {
            whole: Arc::new(Semaphore::new(app.limits.connections)),
            spare: Arc::new(Semaphore::new(SPARE_CONNECTIONS)),
            // All connections are the proxy's.
            per_address: (!app.gate.exposure.behind_proxy).then_some(app.limits.per_address),
            addresses: Arc::default(),
        }
    }

    /// Waits for a place.
    async fn next(&self, app: &App) -> std::io::Result<Room> {
        if let Ok(permit) = Arc::clone(&self.whole).try_acquire_owned() {
            return Ok(Room::of(permit, true));
        }
        app.journal.complain(
            "connections",
            &format!(
                "all {} connections are taken; more are turned away",
                app.limits.connections
            ),
        );
        let (permit, is_whole) = tokio::select! {
            biased;
            permit = Arc::clone(&self.whole).acquire_owned() => (permit, true),
            permit = Arc::clone(&self.spare).acquire_owned() => (permit, false),
        };
        Ok(Room::of(permit.map_err(std::io::Error::other)?, is_whole))
    }

    /// Returns the place for a connection from this address, which may be a spare one; `None` if there is none.
    fn enter(&self, mut room: Room, from: IpAddr, app: &App) -> Option<Room> {
        if !room.is_whole
            && let Ok(permit) = Arc::clone(&self.whole).try_acquire_owned()
        {
            room = Room::of(permit, true);
        }
        let Some(most) = self.per_address.filter(|_| room.is_whole) else {
            return Some(room);
        };
        let key = FailureKey::from(from);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(key).or_default();
        if *count >= most {
            app.journal.complain(
                "connections of one address",
                &format!("{from} has {most} connections open; more from it are turned away"),
            );
            let permit = Arc::clone(&self.spare).try_acquire_owned().ok()?;
            return Some(Room::of(permit, false));
        }
        *count += 1;
        drop(addresses);
        room.address = Some(Counted {
            addresses: Arc::clone(&self.addresses),
            key,
        });
        Some(room)
    }
}

impl Room {
    fn of(permit: OwnedSemaphorePermit, is_whole: bool) -> Self {
        Self {
            is_whole,
            address: None,
            permit,
        }
    }
}
