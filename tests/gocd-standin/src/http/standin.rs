//! The server: its life, its faults and what it has seen.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::fault::{Fault, Rule, Times};
use super::listener::{Listener, State, lock};
use crate::history::History;
use crate::server::{Access, Generation, Server};

/// How long to try to get the old port again. Another process may have taken it as the source of an outgoing connection.
const REOPEN: Duration = Duration::from_secs(5);

/// A running server. It stops when dropped.
#[derive(Debug)]
pub struct GocdStandin {
    address: SocketAddr,
    state: Arc<State>,
    /// None while connections are refused.
    listener: Mutex<Option<Listener>>,
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Such as `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The status of the answer; 0 for none.
    pub status: u16,
}

impl Logged {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}

impl GocdStandin {
    /// Starts a server at the end of a history.
    ///
    /// # Panics
    ///
    /// If it cannot listen on 127.0.0.1.
    #[must_use]
    pub fn start(history: impl Into<Arc<History>>, generation: Generation) -> Self {
        Self::run(Server::new(history, generation))
    }

    /// Starts this server.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    #[must_use]
    pub fn run(server: Server) -> Self {
        match Self::try_run(server) {
            Ok(standin) => standin,
            Err(why) => panic!("the stand-in for GoCD could not start: {why}"),
        }
    }

    fn try_run(server: Server) -> io::Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        let state = Arc::new(State::new(server));
        let listener = Listener::run(socket, Arc::clone(&state))?;
        Ok(Self {
            address,
            state,
            listener: Mutex::new(Some(listener)),
        })
    }

    /// Its address, such as `http://127.0.0.1:40123/go`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/go", self.address)
    }

    /// From now on it is after the first so many events.
    pub fn advance(&self, events: u64) {
        lock(&self.state.server).advance(events);
    }

    /// From now on it has another history, at its end: as after its database was set up anew.
    pub fn replace(&self, history: impl Into<Arc<History>>) {
        let mut server = lock(&self.state.server);
        *server = Server::new(history, server.generation());
    }

    /// From now on these see what it has.
    pub fn set_access(&self, access: Access) {
        let mut server = lock(&self.state.server);
        *server = server.clone().with_access(access);
    }

    /// The server itself, as it is now.
    #[must_use]
    pub fn server(&self) -> Server {
        lock(&self.state.server).clone()
    }

    /// Adds a fault for requests whose target has `about` in it. Of several the first that was added applies.
    pub fn misbehave(&self, fault: Fault, times: Times, about: &str) {
        lock(&self.state.rules).push(Rule {
            fault,
            times,
            about: about.to_owned(),
        });
    }

    /// Forgets all faults, and listens again if it does not.
    ///
    /// # Panics
    ///
    /// If its port is taken.
    pub fn behave(&self) {
        lock(&self.state.rules).clear();
        let mut listener = lock(&self.listener);
        if listener.is_some() {
            return;
        }
        let deadline = Instant::now() + REOPEN;
        let opened = loop {
            let opened =
                TcpListener::bind(self.address).and_then(|socket| Listener::run(socket, Arc::clone(&self.state)));
            if opened.is_ok() || Instant::now() >= deadline {
                break opened;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        match opened {
            Ok(opened) => *listener = Some(opened),
            Err(why) => panic!(
                "the stand-in for GoCD could not listen on {} again: {why}",
                self.address
            ),
        }
    }

    /// Cuts all connections and refuses new ones, until it is to behave.
    pub fn stop(&self) {
        if let Some(listener) = lock(&self.listener).take() {
            listener.close();
        }
        self.state.cut_connections();
    }

    /// Every request so far, in the order of the answers.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        lock(&self.state.log).clone()
    }

    /// Forgets the requests so far, and gives them.
    #[must_use]
    pub fn take_log(&self) -> Vec<Logged> {
        std::mem::take(&mut lock(&self.state.log))
    }

    /// How many requests there were.
    #[must_use]
    pub fn requests(&self) -> usize {
        lock(&self.state.log).len()
    }
}

impl Drop for GocdStandin {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
        self.stop();
    }
}
