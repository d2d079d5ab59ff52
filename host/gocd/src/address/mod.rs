//! Addresses of the Feeds API.
//!
//! A server builds its links from the host that a request named: behind a proxy they lead to `localhost`, and some lead to other systems.
//! A link is therefore data, an [`Href`]. The document that it names is its [`Resource`], which has no host. Only a [`ServerUrl`], which an
//! operator gave, makes an address to call out of a resource.

mod resource;

pub use resource::Resource;
pub(crate) use resource::encode;

use thiserror::Error;

use crate::documents::{ArtifactRoot, JobLocator};

/// The longest link, in bytes. Four names of 4 KiB with every byte escaped, and the rest of an address, fit.
const MAX_LINK: usize = 64 * 1024;

/// A link from a document: untrusted text that names a document. It is never called. [`Href::resource`] returns the document that it names,
/// and [`ServerUrl::url`] that document's address on the configured server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Href(String);

impl Href {
    /// Takes a link, without the white space around it. Returns `None` if it is empty, longer than 64 KiB, or has characters that no
    /// address has.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_unfit = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
        // Almost all links are ASCII; a fold without an early exit checks many bytes at once.
        let is_sound = text
            .bytes()
            .fold(true, |is_graphic, byte| is_graphic & byte.is_ascii_graphic())
            || !text.contains(is_unfit);
        let fits = !text.is_empty() && text.len() <= MAX_LINK && is_sound;
        fits.then(|| Self(text.to_owned()))
    }

    /// An address that [`ServerUrl`] made. It is within the bounds, as those of its parts are narrower.
    pub(crate) fn made(url: String) -> Self {
        Self(url)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of the Feeds API that the link names, on any host and below any path. `None` if it names no part of the API.
    #[must_use]
    pub fn resource(&self) -> Option<Resource> {
        let link = split(&self.0)?.path_and_query;
        let path = link.split('?').next().unwrap_or_default();
        // A proxy's own path may have a `go` too.
        let behind = path.match_indices('/').filter_map(|(at, _)| link.get(at..));
        behind.filter(|rest| rest.starts_with("/go/")).find_map(Resource::parse)
    }

    /// Returns true if the link has a host and scheme, and they are not these. A link without a host is never foreign.
    fn differs_from(&self, scheme: &str, authority: &str) -> bool {
        match split(&self.0) {
            Some(Split {
                origin: Some((other_scheme, other_authority)),
                ..
            }) => {
                !other_scheme.eq_ignore_ascii_case(scheme)
                    || normal_authority(other_scheme, other_authority).as_deref() != Some(authority)
            }
            Some(_) => false,
            None => true,
        }
    }
}

impl std::fmt::Display for Href {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// The parts of a link that are read.
struct Split<'a> {
    /// Scheme and authority, if the link has them.
    origin: Option<(&'a str, &'a str)>,
    /// The path from its first `/`, with the query and without the fragment.
    path_and_query: &'a str,
}

/// Splits an absolute address or a path. Returns `None` for other kinds of links (`mailto:`, `//host`, relative ones), which no server
/// sends.
fn split(text: &str) -> Option<Split<'_>> {
    let text = text.split('#').next().unwrap_or_default();
    if text.starts_with('/') {
        return (!text.starts_with("//")).then_some(Split {
            origin: None,
            path_and_query: text,
        });
    }
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at_checked(end)?;
    is_scheme.then_some(Split {
        origin: Some((scheme, authority)),
        path_and_query,
    })
}

/// Returns `host[:port]` in lower case, without the port that the scheme implies. `None` if it is not an authority, or has credentials.
fn normal_authority(scheme: &str, authority: &str) -> Option<String> {
    let authority = authority.to_ascii_lowercase();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority.as_str(), ""),
    };
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(|address| {
            address
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
        }),
        None => host.bytes().all(is_host_byte),
    };
    if host.is_empty() || !is_host || !(port.is_empty() || port.parse::<u16>().is_ok()) || port.starts_with('+') {
        return None;
    }
    let implied = if scheme.eq_ignore_ascii_case("https") {
        "443"
    } else {
        "80"
    };
    Some(if port.is_empty() || port == implied {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    })
}

/// The longest address of a server, in bytes. Browsers and proxies stop at about as much for a whole address.
const MAX_SERVER_URL: usize = 2048;

/// The address of a GoCD server: scheme, host, port and the path that ends in `/go`, which every GoCD server has. It comes from an
/// operator, never from a document.
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
        if text.len() > MAX_SERVER_URL {
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

    /// Returns the address of a resource on this server.
    #[must_use]
    pub fn url(&self, resource: &Resource) -> String {
        format!("{self}{}", resource.path())
    }

    /// Returns the address of a resource as a link to write into a document.
    #[must_use]
    pub fn href(&self, resource: &Resource) -> Href {
        Href::made(self.url(resource))
    }

    /// Returns the place of a job's artifacts.
    pub(crate) fn artifacts(&self, job: &JobLocator) -> ArtifactRoot {
        let path = resource::job_path(job);
        ArtifactRoot {
            base_uri: Href::made(format!("{self}/files/{path}")),
            path: Some(format!("pipelines/{path}")),
        }
    }

    /// Returns true if a link names another host, port or scheme than this server's. It may still name a resource of this server: a server
    /// that does not know its own name calls itself `localhost`.
    #[must_use]
    pub fn is_foreign(&self, href: &Href) -> bool {
        href.differs_from(self.scheme, &self.authority)
    }

    /// The host without the port: the server's name in reference ids unless another is configured.
    #[must_use]
    pub fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => &self.authority,
        }
    }
}

/// The address without a `/` at its end.
impl std::fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

/// The fault of a text that is not the address of a GoCD server. The messages never show the text: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The scheme is neither `http` nor `https`.
    #[error("the address of a GoCD server begins with http:// or https://, such as https://ci.example.com/go")]
    Scheme,
    /// The host is missing or invalid.
    #[error("the GoCD server's address names no host; it looks like https://ci.example.com/go")]
    Host,
    /// The address holds a user name or a password.
    #[error(
        "the GoCD server's address holds a user name or password; give these by themselves, for addresses are printed and stored"
    )]
    Credentials,
    /// The address is longer than any that browsers take.
    #[error("the GoCD server's address is longer than 2048 bytes; it looks like https://ci.example.com/go")]
    TooLong,
    /// The address has a query, a fragment, or a character that no address has.
    #[error(
        "the GoCD server's address has characters that do not belong there; it ends in /go, without `?`, `#` or spaces"
    )]
    Character,
}
