//! The server: its life, its settings and what it has seen.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use crate::connection;
use crate::endpoint::Endpoint;
use crate::fold::{self, Record};
use crate::job::{self, Job};
use crate::mode::{Mode, Rule, Times};
use crate::recorded::Recorded;
use crate::socket::{Socket, lock};
use crate::state::State;
use crate::tls::Tls;
use crate::wait::until;

/// The token that is accepted if no other was asked for.
pub const DEFAULT_TOKEN: &str = "standin-0123456789-abcd";

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tokens it accepts; the first is what [`Standin::token`] gives.
    pub tokens: Vec<String>,
    /// True for HTTPS, with a certificate of an unknown authority.
    pub tls: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tokens: vec![DEFAULT_TOKEN.to_owned()],
            tls: false,
        }
    }
}

/// A running server. It stops when dropped.
#[derive(Debug)]
pub struct Standin {
    socket: Socket,
    token: String,
    state: Arc<State>,
    tls: Option<Arc<Tls>>,
}

impl Standin {
    /// Starts a server with the default options.
    ///
    /// # Panics
    ///
    /// If it cannot listen on 127.0.0.1.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts a server that speaks HTTPS; see [`Self::ca_file`].
    ///
    /// # Panics
    ///
    /// If it cannot listen on 127.0.0.1, or write the authority's certificate to the temporary directory.
    #[must_use]
    pub fn start_tls() -> Self {
        Self::start_with(Options {
            tls: true,
            ..Options::default()
        })
    }

    /// Starts a server.
    ///
    /// # Panics
    ///
    /// As [`Self::start_tls`].
    #[must_use]
    pub fn start_with(options: Options) -> Self {
        match Self::try_start(options) {
            Ok(standin) => standin,
            Err(why) => panic!("the stand-in for DX could not start: {why}"),
        }
    }

    /// Starts a server.
    ///
    /// # Errors
    ///
    /// If it cannot listen on 127.0.0.1, or write the authority's certificate to the temporary directory.
    pub fn try_start(options: Options) -> io::Result<Self> {
        let tls = if options.tls { Some(Arc::new(Tls::new()?)) } else { None };
        let token = options.tokens.first().cloned().unwrap_or_default();
        let state = Arc::new(State::default());
        *lock(&state.tokens) = options.tokens;
        let (shared, with_tls) = (Arc::clone(&state), tls.clone());
        let socket = Socket::open(0, move |stream, number| match &with_tls {
            None => connection::serve(&shared, stream, number),
            Some(tls) => {
                if let Ok(stream) = tls.accept(stream) {
                    connection::serve(&shared, stream, number);
                }
            }
        })?;
        Ok(Self {
            socket,
            token,
            state,
            tls,
        })
    }

    /// The base URL, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.socket.address())
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.socket.address()
    }

    /// A token that it accepts, or did at the start.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Replaces the tokens that it accepts from now on.
    pub fn set_tokens(&self, tokens: &[&str]) {
        *lock(&self.state.tokens) = tokens.iter().map(|token| (*token).to_owned()).collect();
    }

    /// The certificate of the authority that vouches for an HTTPS server, as PEM; empty for plain HTTP.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.tls.as_ref().map_or("", |tls| tls.ca_pem())
    }

    /// A file with [`Self::ca_pem`], for `--ca-file`; it is removed when the server stops. Empty for plain HTTP.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        self.tls.as_ref().map_or(Path::new(""), |tls| tls.ca_file())
    }

    /// Forgets all modes and, unless it is [`Mode::Normal`], follows this one for every request.
    pub fn set_mode(&self, mode: Mode) {
        lock(&self.state.rules).clear();
        match mode {
            Mode::RefuseConnections => self.socket.close(),
            Mode::Normal => self.socket.reopen(),
            mode => self.misbehave(mode, Times::Always),
        }
    }

    /// Adds a mode. Modes are used up in the order in which they were added.
    ///
    /// # Panics
    ///
    /// For [`Mode::RefuseConnections`] with a number: refusals of the kernel cannot be counted.
    pub fn misbehave(&self, mode: Mode, times: Times) {
        self.add_rule(mode, times, None, None);
    }

    /// Adds a mode for requests of one API method only.
    ///
    /// # Panics
    ///
    /// For [`Mode::RefuseConnections`]: the method is known only after the connection was accepted.
    pub fn misbehave_at(&self, endpoint: Endpoint, mode: Mode, times: Times) {
        self.add_rule(mode, times, Some(endpoint), None);
    }

    /// Adds a mode for requests about one run and its jobs only.
    ///
    /// # Panics
    ///
    /// For [`Mode::RefuseConnections`]: the run of a connection is known only after it was accepted.
    pub fn misbehave_for(&self, reference_id: &str, mode: Mode, times: Times) {
        self.add_rule(mode, times, None, Some(reference_id.to_owned()));
    }

    fn add_rule(&self, mode: Mode, times: Times, endpoint: Option<Endpoint>, reference_id: Option<String>) {
        if mode == Mode::RefuseConnections {
            assert!(
                times == Times::Always && endpoint.is_none() && reference_id.is_none(),
                "connections are refused always and to all, or not at all"
            );
            return self.socket.close();
        }
        self.socket.reopen();
        lock(&self.state.rules).push(Rule {
            mode,
            times,
            endpoint,
            reference_id,
        });
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.state.requests).clone()
    }

    /// The requests for `pipelineRuns.upsert` so far, in the order of arrival.
    #[must_use]
    pub fn run_requests(&self) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(Recorded::is_run);
        requests
    }

    /// The requests for `pipelineJobs.upsert` so far, in the order of arrival.
    #[must_use]
    pub fn job_requests(&self) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(Recorded::is_job);
        requests
    }

    /// The bodies of the accepted requests about runs, in the order of arrival.
    #[must_use]
    pub fn upserts(&self) -> Vec<Value> {
        lock(&self.state.upserts)
            .iter()
            .map(|upsert| Value::Object(upsert.given.clone()))
            .collect()
    }

    /// The bodies of the accepted requests about jobs, in the order of arrival.
    #[must_use]
    pub fn job_upserts(&self) -> Vec<Value> {
        lock(&self.state.jobs)
            .iter()
            .map(|upsert| Value::Object(upsert.given.clone()))
            .collect()
    }

    /// The number of requests refused because the run of the job was unknown: 0 if every run was sent before its jobs.
    #[must_use]
    pub fn jobs_refused(&self) -> usize {
        self.state.jobs_refused.load(Ordering::Relaxed)
    }

    /// The jobs of one run by now, in the order of their first arrival.
    #[must_use]
    pub fn jobs(&self, reference_id: &str) -> Vec<Job> {
        self.all_jobs().remove(reference_id).unwrap_or_default()
    }

    /// The jobs by now, by the `reference_id` of their run.
    #[must_use]
    pub fn all_jobs(&self) -> BTreeMap<String, Vec<Job>> {
        job::by_run(&lock(&self.state.jobs))
    }

    /// Forgets a run with its jobs, as if the requests about them had not been accepted. [`Self::requests`] keeps them.
    pub fn forget(&self, reference_id: &str) {
        let mut upserts = lock(&self.state.upserts);
        upserts.retain(|upsert| upsert.reference_id != reference_id);
        lock(&self.state.jobs).retain(|job| job.run_reference_id != reference_id);
    }

    /// DX's records by now: one for each run, by `reference_id`.
    #[must_use]
    pub fn records(&self) -> BTreeMap<String, Record> {
        fold::records(&lock(&self.state.upserts))
    }

    /// Waits until a condition holds, for at most `timeout`. Returns true if it holds.
    pub fn wait_until(&self, timeout: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        until(timeout, || holds(self).then_some(())).is_some()
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
        self.socket.close();
        if let Some(tls) = &self.tls {
            tls.remove_ca_file();
        }
    }
}
