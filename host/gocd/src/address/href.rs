//! Links, as documents carry them.

use super::parse;
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
        let link = parse::split(&self.0)?.path_and_query;
        let path = link.split('?').next().unwrap_or_default();
        // A proxy's own path may have a `go` too.
        let behind = path.match_indices('/').filter_map(|(at, _)| link.get(at..));
        behind.filter(|rest| rest.starts_with("/go/")).find_map(Resource::parse)
    }

    /// Whether host and scheme are spelled out, and are not these. A link without a host is never foreign.
    pub(super) fn differs_from(&self, scheme: &str, authority: &str) -> bool {
        match parse::split(&self.0) {
            Some(parse::Split {
                origin: Some((other_scheme, other_authority)),
                ..
            }) => {
                !other_scheme.eq_ignore_ascii_case(scheme)
                    || parse::normal_authority(other_scheme, other_authority).as_deref() != Some(authority)
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
