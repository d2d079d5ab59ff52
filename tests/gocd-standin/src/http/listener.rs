//! The listening socket: a thread that accepts, and one for each connection.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::connection;
use super::fault::{Fault, Rule, Times};
use super::standin::Logged;
use crate::server::Server;

/// What the server's threads share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) server: Mutex<Server>,
    pub(super) rules: Mutex<Vec<Rule>>,
    pub(super) log: Mutex<Vec<Logged>>,
    /// Set once, at the end.
    pub(super) stopped: AtomicBool,
    connections: Mutex<HashMap<u64, TcpStream>>,
    last_connection: AtomicU64,
}

impl State {
    pub(super) fn new(server: Server) -> Self {
        Self {
            server: Mutex::new(server),
            rules: Mutex::default(),
            log: Mutex::default(),
            stopped: AtomicBool::default(),
            connections: Mutex::default(),
            last_connection: AtomicU64::default(),
        }
    }

    /// The fault that a request meets, which is one time less then.
    pub(super) fn fault(&self, target: &str) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let place = rules.iter().position(|rule| target.contains(&rule.about))?;
        let fault = rules[place].fault.clone();
        match &mut rules[place].times {
            Times::Always => {}
            Times::Next(left) if *left > 1 => *left -= 1,
            Times::Next(_) => {
                rules.remove(place);
            }
        }
        Some(fault)
    }

    /// Cuts all open connections, which ends their threads.
    pub(super) fn cut_connections(&self) {
        for (_, stream) in lock(&self.connections).drain() {
            // It may be closed already, which is what is wanted.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn enter(&self, stream: &TcpStream) -> u64 {
        let number = self.last_connection.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(handle) = stream.try_clone() {
            lock(&self.connections).insert(number, handle);
        }
        number
    }
}

/// The thread that accepts connections, and a way to end it.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Accepts connections from now on.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub(super) fn run(socket: TcpListener, state: Arc<State>) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let closing = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&closing);
        let accept = move || {
            for stream in socket.incoming() {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let state = Arc::clone(&state);
                let number = state.enter(&stream);
                let serve = move || {
                    // Answers are small and awaited: they must not wait for more to fill a packet.
                    let _ = stream.set_nodelay(true);
                    connection::serve(&state, stream);
                    lock(&state.connections).remove(&number);
                };
                // Without a thread the connection is dropped, which the client sees.
                let _ = std::thread::Builder::new().name("gocd-standin".to_owned()).spawn(serve);
            }
        };
        let thread = std::thread::Builder::new()
            .name("gocd-standin-accept".to_owned())
            .spawn(accept)?;
        Ok(Self {
            address,
            closing,
            thread,
        })
    }

    /// Stops listening, and returns when the kernel refuses connections.
    pub(super) fn close(self) {
        self.closing.store(true, Ordering::Relaxed);
        // `accept` waits for a connection: give it one.
        if TcpStream::connect(self.address).is_ok() {
            // Its only way to fail is a panic, and that was printed.
            let _ = self.thread.join();
        }
    }
}

/// Locks, even after a panic elsewhere: what is behind these locks is whole at any time.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
