//! Links, as documents carry them.

use super::resource::Resource;

/// The longest link. Four names of 4 KiB with every byte escaped, and the rest of an address, fit.
const MAX_BYTES: usize = 64 * 1024;

/// A link as a document gave it: untrusted text that names a document. It is never called: [`Href::resource`] says what it is about, and
/// [`ServerUrl::url`](super::ServerUrl::url) where that is on the server that was configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Href(String);

impl Href {
    /// Takes a link, without the white space around it. None if it is empty, longer than 64 KiB, or has characters that no address has.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_unfit = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
        // Almost all are ASCII, and without an early way out many bytes are seen at once.
        let is_sound = text
            .bytes()
            .fold(true, |is_graphic, byte| is_graphic & byte.is_ascii_graphic())
            || !text.contains(is_unfit);
        let fits = !text.is_empty() && text.len() <= MAX_BYTES && is_sound;
        fits.then(|| Self(text.to_owned()))
    }

    /// What [`ServerUrl`](super::ServerUrl) made: within the bounds, for those of its parts are narrower.
    pub(crate) fn made(url: String) -> Self {
        Self(url)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of the Feeds API that it leads to, on whatever host and below whatever path. None if it leads elsewhere.
    #[must_use]
    pub fn resource(&self) -> Option<Resource> {
        let link = split(&self.0)?.path_and_query;
        let path = link.split('?').next().unwrap_or_default();
        // A proxy's own path may have a `go` too.
        let behind = path.match_indices('/').filter_map(|(at, _)| link.get(at..));
        behind.filter(|rest| rest.starts_with("/go/")).find_map(Resource::parse)
    }

    /// Whether host and scheme are spelled out, and are not these. A link without a host is never foreign.
    pub(super) fn differs_from(&self, scheme: &str, authority: &str) -> bool {
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

/// The parts of a link that matter.
pub struct Split<'a> {
    /// Scheme and authority, where they are spelled out.
    pub origin: Option<(&'a str, &'a str)>,
    /// From the `/` that begins the path; without the fragment.
    pub path_and_query: &'a str,
}

/// Splits an absolute address or a path. None for other kinds of links (`mailto:`, `//host`, relative ones), which no server sends.
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

/// `host[:port]` in lower case, without the port that the scheme implies. None if it is no authority without credentials.
pub fn normal_authority(scheme: &str, authority: &str) -> Option<String> {
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
