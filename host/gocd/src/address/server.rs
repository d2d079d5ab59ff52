//! The one server that is called.

use thiserror::Error;

use super::href::{Href, normal_authority};
use super::resource::Resource;
use crate::documents::{ArtifactRoot, JobLocator};

/// The longest address of a server. Browsers and proxies stop at about as much for a whole address.
const MAX_BYTES: usize = 2048;

/// Where a GoCD server is: scheme, host, port and the path that ends in `/go`, which every GoCD server has. An operator gives it; no
/// document does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    scheme: &'static str,
    authority: String,
    prefix: String,
}

impl ServerUrl {
    /// Takes `http[s]://host[:port][/path]`, with or without the `/go` at the end.
    ///
    /// # Errors
    ///
    /// [`AddressError`] for anything else, and for an address with credentials, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_BYTES {
            return Err(AddressError::TooLong);
        }
        let (scheme, rest) = text.trim().split_once("://").ok_or(AddressError::Scheme)?;
        let scheme = ["http", "https"]
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(scheme))
            .ok_or(AddressError::Scheme)?;
        let (authority, path) = rest
            .split_at_checked(rest.find('/').unwrap_or(rest.len()))
            .unwrap_or((rest, ""));
        // Also past the first `/`: a password may have one.
        if rest.contains('@') {
            return Err(AddressError::Credentials);
        }
        let is_path_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
        if rest.contains(['?', '#']) || !path.bytes().all(is_path_byte) {
            return Err(AddressError::Character);
        }
        let authority = normal_authority(scheme, authority).ok_or(AddressError::Host)?;
        let path = path.trim_end_matches('/');
        let prefix = if path == "/go" || path.ends_with("/go") {
            path.to_owned()
        } else {
            format!("{path}/go")
        };
        Ok(Self {
            scheme,
            authority,
            prefix,
        })
    }

    /// Where that is on this server.
    #[must_use]
    pub fn url(&self, resource: &Resource) -> String {
        format!("{self}{}", resource.path())
    }

    /// The same as a link to write into a document.
    #[must_use]
    pub fn href(&self, resource: &Resource) -> Href {
        Href::made(self.url(resource))
    }

    /// Where a job's artifacts are.
    pub(crate) fn artifacts(&self, job: &JobLocator) -> ArtifactRoot {
        let path = super::resource::job_path(job);
        ArtifactRoot {
            base_uri: Href::made(format!("{self}/files/{path}")),
            path: Some(format!("pipelines/{path}")),
        }
    }

    /// Whether a link names another host, port or scheme than this server's. It may still name a resource of it: a server that does not
    /// know its own name calls itself `localhost`.
    #[must_use]
    pub fn is_foreign(&self, href: &Href) -> bool {
        href.differs_from(self.scheme, &self.authority)
    }

    /// The host without the port: what names the server in reference ids unless something else is configured.
    #[must_use]
    pub fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => &self.authority,
        }
    }
}

/// Without a `/` at the end.
impl std::fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

/// Why a text is not the address of a GoCD server. The messages never show it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The scheme is neither `http` nor `https`.
    #[error("the address of a GoCD server begins with http:// or https://, such as https://ci.example.com/go")]
    Scheme,
    /// There is no host, or what stands there is none.
    #[error("the GoCD server's address names no host; it looks like https://ci.example.com/go")]
    Host,
    /// It holds a user name or a password.
    #[error(
        "the GoCD server's address holds a user name or password; give these by themselves, for addresses are printed and stored"
    )]
    Credentials,
    /// It is longer than any that browsers take.
    #[error("the GoCD server's address is longer than 2048 bytes; it looks like https://ci.example.com/go")]
    TooLong,
    /// It has a query or a fragment, or a character that no address has.
    #[error(
        "the GoCD server's address has characters that do not belong there; it ends in /go, without `?`, `#` or spaces"
    )]
    Character,
}
