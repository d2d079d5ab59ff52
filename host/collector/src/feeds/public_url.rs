//! What others call the server.

use pipefold_gocd::ServerUrl;
use std::str::FromStr;

/// The address under which others reach a collector: scheme, host, port, and a path where a proxy serves it below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(ServerUrl);

/// A text that is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "give the address under which others reach this server, such as https://runs.example.com, without a password, `?` or `#`"
)]
pub struct PublicUrlError;

impl PublicUrl {
    /// The same as that of a GoCD server.
    pub(super) fn into_server(self) -> ServerUrl {
        self.0
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    /// Takes `http[s]://host[:port][/path]`, also with GoCD's `/go` behind it.
    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        ServerUrl::parse(text).map(Self).map_err(|_| PublicUrlError)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_address_and_what_is_none() {
        for (text, server) in [
            ("https://runs.example.com", "https://runs.example.com/go"),
            ("http://127.0.0.1:8642/", "http://127.0.0.1:8642/go"),
            ("https://ci.example.com/runs/go", "https://ci.example.com/runs/go"),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().into_server().to_string(), server);
        }
        for text in [
            "",
            "runs.example.com",
            "ftp://x",
            "https://u:p@x",
            "https://x?y",
            "https://",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(PublicUrlError), "{text}");
        }
    }
}
