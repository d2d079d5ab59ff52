//! Why there is no connection, in words that say what to do.

use crate::address::Queue;
use async_nats::ConnectErrorKind;
use async_nats::rustls::{self, AlertDescription, CertificateError};
use pipefold::http::quote;
use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No server takes the credentials.
    #[error("the queue at {queue} rejects the credentials: correct --queue-credentials or --queue-token-file")]
    Credentials {
        /// The queue's address.
        queue: String,
    },
    /// The credentials are none.
    #[error("the file {} has no credentials of a NATS user: give the one that `nsc` writes, or a token with --queue-token-file", .file.display())]
    NoCredentials {
        /// The file.
        file: PathBuf,
    },
    /// A server without the expected certificate, or without encryption.
    #[error("{0}")]
    Tls(String),
    /// Something answers that is no server of NATS, or not a sound one.
    #[error("the server at {queue} does not follow the NATS protocol: {why}")]
    NotNats {
        /// The queue's address.
        queue: String,
        /// What was wrong with its answer.
        why: String,
    },
    /// No server answers.
    #[error("could not connect to the queue at {queue}: {why}")]
    Unreachable {
        /// The queue's address.
        queue: String,
        /// What happened.
        why: String,
    },
}

impl ConnectError {
    /// What the client's error means for this queue.
    pub(crate) fn of(queue: &Queue, error: &async_nats::ConnectError) -> Self {
        if let Some(why) = tls_error(error).and_then(|why| tls(queue, why)) {
            return Self::Tls(quote(&why, []));
        }
        let queue = queue.to_string();
        match (error.kind(), error.source()) {
            (ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication, _) => {
                Self::Credentials { queue }
            }
            (_, Some(why)) if is_nonsense(why) => Self::NotNats { queue, why: words(why) },
            _ => Self::Unreachable {
                queue,
                why: words(error),
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

/// The names that a certificate has.
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

/// What is behind it, if that is a matter of encryption.
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

/// Whether something answered, and it cannot be read.
fn is_nonsense(why: &(dyn Error + 'static)) -> bool {
    match why.downcast_ref::<io::Error>() {
        Some(why) => why.kind() == io::ErrorKind::InvalidInput,
        None => why.to_string().starts_with("expected INFO, got"),
    }
}

/// An error with what is behind it, in one line that is not too long: servers have a word in it.
pub(crate) fn words(error: &dyn Error) -> String {
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
