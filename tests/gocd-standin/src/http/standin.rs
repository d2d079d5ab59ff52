//! The server: its life, its faults and what it has seen.

use std::io;
use std::sync::{Arc, Mutex};

use dx_standin::{Socket, lock};

use super::connection;
use super::fault::{Fault, Rule, Times};
use crate::history::History;
use crate::server::{Access, Generation, Server};

/// A running server. It stops when dropped.
#[derive(Debug)]
pub struct GocdStandin {
    socket: Socket,
    state: Arc<State>,
}

/// The state that the server's threads share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) server: Mutex<Server>,
    rules: Mutex<Vec<Rule>>,
    pub(super) log: Mutex<Vec<Logged>>,
}

impl State {
    /// The fault for a request, which uses up one of its times.
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
        let state = Arc::new(State {
            server: Mutex::new(server),
            rules: Mutex::default(),
            log: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let socket = Socket::open(0, move |stream, _| connection::serve(&shared, stream))?;
        Ok(Self { socket, state })
    }

    /// Its address, such as `http://127.0.0.1:40123/go`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/go", self.socket.address())
    }

    /// Moves the server to the time after the first `events` events.
    pub fn advance(&self, events: u64) {
        lock(&self.state.server).advance(events);
    }

    /// Gives the server another history, at its end: as after a new setup of its database.
    pub fn replace(&self, history: impl Into<Arc<History>>) {
        let mut server = lock(&self.state.server);
        *server = Server::new(history, server.generation());
    }

    /// Sets the users that may see its documents.
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
        self.socket.reopen();
    }

    /// Cuts all connections and refuses new ones, until it is to behave.
    pub fn stop(&self) {
        self.socket.close();
    }

    /// Every request so far, in the order of the answers.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        lock(&self.state.log).clone()
    }

    /// Returns the requests so far, and forgets them.
    #[must_use]
    pub fn take_log(&self) -> Vec<Logged> {
        std::mem::take(&mut lock(&self.state.log))
    }

    /// The number of requests so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        lock(&self.state.log).len()
    }
}
