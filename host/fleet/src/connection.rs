//! Getting to the queue.

use crate::address::{Key, Queue};
use async_nats::jetstream::{self, Context, context::ContextBuilder};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use secrecy::ExposeSecret;
use std::time::Duration;

/// For one server of the cluster: a runner's budget for a start is a second, and the next server may answer.
const CONNECT: Duration = Duration::from_secs(2);

/// For an answer of the stream's leader. A new one is chosen within five seconds, and whoever asks asks again.
const ANSWER: Duration = Duration::from_secs(5);

/// A lost server is noticed after three of these.
const PING: Duration = Duration::from_secs(5);

/// A connection to the queue. It connects anew by itself, to whichever of the servers answers.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(crate) client: Client,
    pub(crate) context: Context,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No server takes the credentials.
    #[error("the queue at {queue} does not take the credentials: correct --queue-credentials or --queue-token-file")]
    Credentials {
        /// The queue's address.
        queue: String,
    },
    /// The credentials are none.
    #[error("the queue's credentials cannot be read: {0}; give the file that `nsc` writes for a user")]
    NoCredentials(String),
    /// No server answers.
    #[error("could not connect to the queue at {queue}: {why}")]
    Unreachable {
        /// The queue's address.
        queue: String,
        /// What happened.
        why: String,
    },
}

impl Connection {
    /// Connects to the first server that answers.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn open(queue: &Queue) -> Result<Self, ConnectError> {
        let options = options(queue)?;
        let unreachable = |why: String| ConnectError::Unreachable {
            queue: queue.to_string(),
            why,
        };
        let servers = queue.servers().map(|server| server.parse::<ServerAddr>());
        let servers = servers.collect::<Result<Vec<_>, _>>();
        let servers = servers.map_err(|why| unreachable(why.to_string()))?;
        let client = options.connect(servers).await.map_err(|why| match why.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => ConnectError::Credentials {
                queue: queue.to_string(),
            },
            _ => unreachable(words(&why)),
        })?;
        let context = ContextBuilder::new()
            .timeout(ANSWER)
            .ack_timeout(ANSWER)
            .build(client.clone());
        Ok(Self { client, context })
    }

    /// Sends what is still to be sent, such as acknowledgements.
    pub async fn flush(&self) {
        // What does not arrive is delivered again, which harms nobody.
        let _ = tokio::time::timeout(ANSWER, self.client.flush()).await;
    }

    /// Whether a server is reached now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// The stream's interface.
    #[must_use]
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.context
    }
}

fn options(queue: &Queue) -> Result<ConnectOptions, ConnectError> {
    let mut options = ConnectOptions::new()
        .name("pipefold")
        .connection_timeout(CONNECT)
        .request_timeout(Some(ANSWER))
        .ping_interval(PING)
        // Credentials go to the servers that were named, and to none that one of them names.
        .ignore_discovered_servers()
        // A fleet that comes back all at once would bring the server down again.
        .reconnect_delay_callback(|tries| Duration::from_millis(50 << tries.min(5)))
        .event_callback(|event| async move {
            match event {
                Event::ClientError(error) => tracing::debug!(%error, "the queue's client"),
                Event::ServerError(error) => tracing::warn!("the queue's server said: {error}"),
                event => tracing::info!("the queue: {event}"),
            }
        });
    options = match queue.key() {
        Key::None => options,
        Key::Token(token) => options.token(token.expose_secret().to_owned()),
        Key::Credentials(text) => {
            let taken = options.credentials(text.expose_secret());
            // Not the library's words, which may quote what it read.
            taken.map_err(|why| ConnectError::NoCredentials(why.kind().to_string()))?
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

/// An error with what is behind it, in one line.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(why) = source {
        let more = why.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = why.source();
    }
    text
}
