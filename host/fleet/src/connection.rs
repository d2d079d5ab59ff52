//! A connection to the queue, and errors with advice.

use crate::address::{Queue, QueueAuth};
use async_nats::jetstream::{self, Context, context::ContextBuilder};
use async_nats::rustls::{self, AlertDescription, CertificateError};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use futures_util::FutureExt;
use pipefold::http::quote;
use secrecy::ExposeSecret;
use std::error::Error;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;

/// The time limit to connect to one server: a runner's budget for a start is a second, and the next server may answer. Nothing else bounds a
/// server's greeting, which is read before its certificate.
const CONNECT: Duration = Duration::from_secs(2);

/// The time limit for an answer of the stream's leader. A new one is elected within five seconds, and callers retry.
const ANSWER: Duration = Duration::from_secs(5);

/// The interval of pings. A lost server is noticed after three of them.
const PING: Duration = Duration::from_secs(5);

/// A connection to the queue. It reconnects to any of the servers by itself.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(crate) client: Client,
    pub(crate) context: Context,
    /// True once the client's task has ended, so that the connection will not come back.
    ended: Arc<AtomicBool>,
    /// True once a server reported that the credentials do not allow a request.
    denied: watch::Receiver<bool>,
}

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Publishing upserts.
    Report,
    /// Publishing and reading upserts.
    Forward,
}

impl Purpose {
    /// The prefix of subjects for answers. There are two, so that reporters can be denied the messages of forwarders.
    fn inbox(self) -> &'static str {
        match self {
            Self::Report => "_INBOX.report",
            Self::Forward => "_INBOX.forward",
        }
    }
}

/// A guard owned by the client's task: sets the flag when that task ends.
struct Alive(Arc<AtomicBool>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl Connection {
    /// Connects to the first server that answers.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn open(queue: &Queue, purpose: Purpose) -> Result<Self, ConnectError> {
        let ended = Arc::new(AtomicBool::new(false));
        let (deny, denied) = watch::channel(false);
        let options = options(queue, Alive(Arc::clone(&ended)), deny)?.custom_inbox_prefix(purpose.inbox());
        let servers = queue.servers().map(|server| server.parse::<ServerAddr>());
        let servers = servers.collect::<Result<Vec<_>, _>>();
        let servers = servers.map_err(|why| ConnectError::Unreachable {
            queue: queue.to_string(),
            why: why.to_string(),
        })?;
        // The library panics on some lines of a server: an error without text, a size beyond all memory. A build must not end by it.
        let connected = AssertUnwindSafe(options.connect(servers)).catch_unwind().await;
        let connected = connected.map_err(|_| ConnectError::NotNats {
            queue: queue.to_string(),
            why: "it sent a line that cannot be parsed".to_owned(),
        })?;
        let client = connected.map_err(|why| ConnectError::of(queue, &why))?;
        let context = ContextBuilder::new()
            .timeout(ANSWER)
            .ack_timeout(ANSWER)
            .build(client.clone());
        Ok(Self {
            client,
            context,
            ended,
            denied,
        })
    }

    /// Sends what is still buffered, such as acknowledgements.
    pub async fn flush(&self) {
        // A lost acknowledgement causes a redelivery, which is harmless.
        let _ = tokio::time::timeout(ANSWER, self.client.flush()).await;
    }

    /// Returns true if a server is connected now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.has_ended() && self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Returns true if the connection ended for good after a protocol error. A new one may be opened.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Waits until a server reports that the credentials do not allow a request. Such a request gets no other answer.
    pub(crate) async fn denied(&self) {
        if self.denied.clone().wait_for(|denied| *denied).await.is_err() {
            // The connection has ended.
            std::future::pending::<()>().await;
        }
    }

    /// The stream's interface.
    #[must_use]
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.context
    }
}

fn options(queue: &Queue, alive: Alive, deny: watch::Sender<bool>) -> Result<ConnectOptions, ConnectError> {
    let servers = queue.servers().count();
    let mut options = ConnectOptions::new()
        .name("pipefold")
        .connection_timeout(CONNECT)
        .request_timeout(Some(ANSWER))
        .ping_interval(PING)
        // Credentials go to the servers that were named, and to none that one of them names.
        .ignore_discovered_servers()
        .reconnect_delay_callback(move |tries| pause(tries, servers))
        .event_callback(move |event| {
            // The library drops this closure when its task ends.
            let _ = &alive;
            log(&event);
            if is_denial(&event) {
                deny.send_replace(true);
            }
            std::future::ready(())
        });
    options = match queue.auth() {
        QueueAuth::None => options,
        QueueAuth::Token(token) => options.token(token.expose_secret().to_owned()),
        QueueAuth::Credentials { text, file } => {
            let taken = options.credentials(text.expose_secret());
            // The library's error may quote the file.
            taken.map_err(|_| ConnectError::NoCredentials { file: file.clone() })?
        }
    };
    if queue.is_tls() {
        options = options.require_tls(true);
    }
    if let Some(file) = queue.ca_file() {
        options = options.add_root_certificates(file.clone());
    }
    Ok(options)
}

/// Returns true if a server reported that the credentials do not allow a request.
fn is_denial(event: &Event) -> bool {
    matches!(event, Event::ServerError(error) if error.to_string().to_ascii_lowercase().contains("permissions violation"))
}

/// The pause before try number `tries` to connect since the last success. Each server is tried once without a pause, as a runner has a
/// second; after that, a fleet that reconnects all at once would bring the servers down again.
fn pause(tries: usize, servers: usize) -> Duration {
    match tries.checked_sub(servers + 1) {
        None => Duration::ZERO,
        Some(more) => Duration::from_millis(100 << more.min(4)),
    }
}

fn log(event: &Event) {
    match event {
        Event::ClientError(error) => tracing::debug!(%error, "the queue's client"),
        Event::ServerError(error) => tracing::warn!("the queue's server reported: {}", quote(&error.to_string(), [])),
        event => tracing::info!("the queue: {event}"),
    }
}

/// An error that prevents a connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The servers reject the credentials.
    #[error("the queue at {queue} rejects the credentials: correct --queue-credentials or --queue-token-file")]
    Credentials {
        /// The queue's address.
        queue: String,
    },
    /// The file holds no credentials of a NATS user.
    #[error("the file {} has no credentials of a NATS user: give the one that `nsc` writes, or a token with --queue-token-file", .file.display())]
    NoCredentials {
        /// The file.
        file: PathBuf,
    },
    /// The server has no TLS, or no certificate that is trusted for its name.
    #[error("{0}")]
    Tls(String),
    /// The server answers, but not by the NATS protocol.
    #[error("the server at {queue} does not follow the NATS protocol: {why}")]
    NotNats {
        /// The queue's address.
        queue: String,
        /// The fault in its answer.
        why: String,
    },
    /// No server answers.
    #[error("could not connect to the queue at {queue}: {why}")]
    Unreachable {
        /// The queue's address.
        queue: String,
        /// The client's error.
        why: String,
    },
}

impl ConnectError {
    /// Translates the client's error for this queue.
    pub(crate) fn of(queue: &Queue, error: &async_nats::ConnectError) -> Self {
        if let Some(why) = tls_error(error).and_then(|why| tls(queue, why)) {
            return Self::Tls(quote(&why, []));
        }
        let queue = queue.to_string();
        match (error.kind(), error.source()) {
            (ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication, _) => {
                Self::Credentials { queue }
            }
            (_, Some(why)) if is_protocol_error(why) => Self::NotNats {
                queue,
                why: one_line(why),
            },
            _ => Self::Unreachable {
                queue,
                why: one_line(error),
            },
        }
    }
}

fn tls(queue: &Queue, why: &rustls::Error) -> Option<String> {
    let certificate = format!("the certificate of the queue's server ({queue})");
    Some(match why {
        rustls::Error::InvalidCertificate(why) => match why {
            // An authority that was replaced under its old name has another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => match queue.ca_file() {
                None => format!("{certificate} has an unknown issuer: give the issuer's certificate with --ca-file"),
                Some(file) => format!(
                    "{certificate} was not issued by the authority in {}: give the issuer's certificate with --ca-file",
                    file.display()
                ),
            },
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
                "{certificate} is for another name{}: use that name in the queue's address, or give the server a certificate for this name",
                names(why)
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("{certificate} has expired: give the server a new one")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("{certificate} is not valid yet: check the clocks of this machine and of its issuer")
            }
            other => format!("{certificate} is not valid: {other}"),
        },
        rustls::Error::InvalidMessage(_) => format!(
            "the server at {queue} does not offer TLS: configure `tls` there, or use the address of a server that does"
        ),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
            format!(
                "the queue's server ({queue}) requires a client certificate: remove `verify` from its `tls` block and use --queue-credentials"
            )
        }
        _ => return None,
    })
}

/// The names in a certificate, in brackets; empty if unknown.
fn names(why: &CertificateError) -> String {
    match why {
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            // Each is written with its kind: `DnsName("nats.example.com")`.
            let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
            let names: Vec<String> = presented.iter().map(bare).collect();
            format!(" ({})", names.join(", "))
        }
        _ => String::new(),
    }
}

/// The TLS error among the sources of an error, if there is one.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        let found = match error.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
            None => error.downcast_ref(),
        };
        if found.is_some() {
            return found;
        }
        next = error.source();
    }
    None
}

/// Returns true if the server's answer could not be parsed.
fn is_protocol_error(why: &(dyn Error + 'static)) -> bool {
    match why.downcast_ref::<io::Error>() {
        Some(why) => why.kind() == io::ErrorKind::InvalidInput,
        None => why.to_string().starts_with("expected INFO, got"),
    }
}

/// An error and its sources as one line of bounded length, safe to show: parts of it come from servers.
pub(crate) fn one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(why) = source {
        let more = why.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = why.source();
    }
    quote(&text, [])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_tried_at_once_and_then_ever_more_slowly() {
        let pauses: Vec<_> = (1..=10).map(|tries| pause(tries, 3).as_millis()).collect();
        assert_eq!(pauses, [0, 0, 0, 100, 200, 400, 800, 1600, 1600, 1600]);
        assert_eq!(pause(usize::MAX, 3), pause(10, 3));
    }
}
