//! A listening socket of a stand-in: a thread that accepts, and one for each connection.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wait::until;

/// The time to try to get the old port again. Another process may have taken it as the source of an outgoing connection.
const REOPEN: Duration = Duration::from_secs(5);

/// A socket on 127.0.0.1 that can be closed, and opened again at the same port. It closes when dropped.
pub struct Socket {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// None while the kernel refuses connections.
    listener: Mutex<Option<Listener>>,
}

struct Shared {
    serve: Box<dyn Fn(TcpStream, u64) + Send + Sync>,
    connections: Mutex<HashMap<u64, TcpStream>>,
    last_connection: AtomicU64,
}

/// The thread that accepts connections, and a way to end it.
struct Listener {
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Socket {
    /// Listens at a port that the system chooses if `port` is 0. `serve` gets each connection with its number, from 1, in a thread of its
    /// own.
    ///
    /// # Errors
    /// If the port is taken, or a thread cannot be started.
    pub fn open(port: u16, serve: impl Fn(TcpStream, u64) + Send + Sync + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            serve: Box::new(serve),
            connections: Mutex::default(),
            last_connection: AtomicU64::default(),
        });
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        Ok(Self {
            address: socket.local_addr()?,
            listener: Mutex::new(Some(Listener::run(socket, Arc::clone(&shared))?)),
            shared,
        })
    }

    /// The address and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections and stops listening. Returns when the kernel refuses connections.
    pub fn close(&self) {
        if let Some(listener) = lock(&self.listener).take() {
            listener.close(self.address);
        }
        for (_, stream) in lock(&self.shared.connections).drain() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Listens again after [`Self::close`].
    ///
    /// # Panics
    /// If another process holds the port.
    pub fn reopen(&self) {
        let mut listener = lock(&self.listener);
        if listener.is_some() {
            return;
        }
        let open = || Listener::run(TcpListener::bind(self.address)?, Arc::clone(&self.shared));
        let opened = until(REOPEN, || open().ok()).map_or_else(open, Ok);
        *listener = Some(opened.unwrap_or_else(|why| panic!("could not listen on {} again: {why}", self.address)));
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Listener {
    fn run(socket: TcpListener, shared: Arc<Shared>) -> io::Result<Self> {
        let closing = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&closing);
        let accept = move || {
            for stream in socket.incoming() {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&shared);
                let number = shared.last_connection.fetch_add(1, Ordering::Relaxed) + 1;
                if let Ok(handle) = stream.try_clone() {
                    lock(&shared.connections).insert(number, handle);
                }
                let serve = move || {
                    // Answers are small and awaited: they must not wait for more to fill a packet.
                    let _ = stream.set_nodelay(true);
                    (shared.serve)(stream, number);
                    lock(&shared.connections).remove(&number);
                };
                // Without a thread the connection is dropped, which the client sees.
                let _ = std::thread::Builder::new().name("standin".to_owned()).spawn(serve);
            }
        };
        let thread = std::thread::Builder::new()
            .name("standin-accept".to_owned())
            .spawn(accept)?;
        Ok(Self { closing, thread })
    }

    fn close(self, address: SocketAddr) {
        self.closing.store(true, Ordering::Relaxed);
        // `accept` waits for a connection: give it one.
        if TcpStream::connect(address).is_ok() {
            // Its only way to fail is a panic, and that was printed.
            let _ = self.thread.join();
        }
    }
}

/// Locks, even after a panic elsewhere: these locks guard values that are whole at any time.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
