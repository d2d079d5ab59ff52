//! The answers of a real server.

mod answer;
mod feeds;
mod instance;
mod jobs;
mod routes;
mod runs;
mod stages;

use std::sync::Arc;

use pipefold_gocd::write::Links;
use pipefold_gocd::{Dialect, ServerUrl};

use crate::history::History;

pub use answer::Answer;

/// The age of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Up to 19.9: documents in the old dialect, jobs with their times.
    Old,
    /// 20.1 to 20.3: documents in the old dialect without jobs' times, and in the new one.
    Both,
    /// From 20.4 on: documents in the new dialect.
    New,
}

impl Generation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Old, Self::Both, Self::New];

    fn has(self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Old => self != Self::New,
            Dialect::New => self != Self::Old,
        }
    }
}

/// The access rights of a server's users.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The values of `Authorization` that are accepted; none: no credentials are asked for.
    pub accepted: Vec<String>,
    /// Names of hidden pipelines.
    pub hidden: Vec<String>,
}

impl Access {
    /// Basic authentication by this name and password alone.
    #[must_use]
    pub fn basic(user: &str, password: &str) -> Self {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Self {
            accepted: vec![format!("Basic {encoded}")],
            hidden: Vec::new(),
        }
    }

    /// An access token alone.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Self {
            accepted: vec![format!("Bearer {token}")],
            hidden: Vec::new(),
        }
    }
}

/// A GoCD server after the first so many events of a history.
#[derive(Clone, Debug)]
pub struct Server {
    history: Arc<History>,
    generation: Generation,
    events: u64,
    access: Access,
    /// The server's own name in links; none: the name in the request.
    base: Option<ServerUrl>,
}

impl Server {
    /// A server at the end of the history, which everybody may see, and which believes to be at `http://localhost:8153/go`, as one does
    /// behind a proxy.
    #[must_use]
    pub fn new(history: impl Into<Arc<History>>, generation: Generation) -> Self {
        let history = history.into();
        Self {
            events: history.events(),
            history,
            generation,
            access: Access::default(),
            base: ServerUrl::parse("http://localhost:8153/go").ok(),
        }
    }

    /// The same server after the first so many events.
    #[must_use]
    pub fn after(mut self, events: u64) -> Self {
        self.advance(events);
        self
    }

    /// The same server for some people only.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The same server, which takes its name for links from the request's `Host`, as real ones do.
    #[must_use]
    pub fn linking_as_asked(mut self) -> Self {
        self.base = None;
        self
    }

    /// Moves the server to the time after the first `events` events.
    pub fn advance(&mut self, events: u64) {
        self.events = events.min(self.history.events());
    }

    /// After how many events it is.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Its age.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// All that ever happens on it.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Answers a GET: `target` is path and query, the names of the headers are in lower case.
    #[must_use]
    pub fn answer(&self, target: &str, headers: &[(String, String)]) -> Answer {
        routes::answer(self, target, headers)
    }

    fn links(&self, base: &ServerUrl, dialect: Dialect) -> Links {
        Links::new(base.clone(), dialect)
    }
}
