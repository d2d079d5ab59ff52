//! Who asks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use ureq::http::HeaderValue;

use super::secret::Secret;

/// The longest user name, in bytes: as long as a [`Secret`], so that a header has room for both.
const MAX_USER: usize = 1024;

/// How a GoCD server knows us (GoCD API, "Authentication"). `Debug` shows the user's name and no secret.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// Not at all: for servers without security.
    #[default]
    None,
    /// By name and password.
    Basic {
        /// The user's name, without a colon.
        user: String,
        /// The password.
        password: Secret,
    },
    /// By an access token of a person or a service (GoCD 19.2 and later).
    Bearer(Secret),
}

impl Credentials {
    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether a header can carry them.
    pub(super) fn check(&self) -> Result<(), CredentialsError> {
        match self {
            Self::Basic { user, .. } if user.is_empty() => Err(CredentialsError::NoUser),
            Self::Basic { user, .. }
                if user.len() > MAX_USER || user.contains(|c: char| c == ':' || c.is_control()) =>
            {
                Err(CredentialsError::User)
            }
            Self::Bearer(token) if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(CredentialsError::Token)
            }
            _ => Ok(()),
        }
    }

    /// The `Authorization` header (RFC 7617 in UTF-8, RFC 6750), marked so that it shows in no log.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::None => return None,
            Self::Basic { user, password } => Zeroizing::new(format!("Basic {}", *encoded(user, password))),
            Self::Bearer(token) => Zeroizing::new(format!("Bearer {}", token.expose())),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// `text` as it may be shown: on one line, bounded, and without what was sent, in case the server says it back.
    pub(super) fn quote(&self, text: &str) -> String {
        match self {
            Self::None => pipefold::http::quote(text, []),
            Self::Basic { user, password } => {
                pipefold::http::quote(text, [password.expose(), encoded(user, password).as_str()])
            }
            Self::Bearer(token) => pipefold::http::quote(text, [token.expose()]),
        }
    }
}

fn encoded(user: &str, password: &Secret) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
    Zeroizing::new(STANDARD.encode(pair.as_bytes()))
}

/// Why credentials cannot be sent. Never shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A password without a name.
    #[error("there is a password for GoCD and no user name: give the name too, or the access token as a token")]
    NoUser,
    /// A name that Basic authentication cannot carry.
    #[error("the user name for GoCD has a colon or a control character, or more than {MAX_USER} bytes: correct it")]
    User,
    /// A token that no server gave out.
    #[error("the access token for GoCD has a space or a non-ASCII character: give the token alone")]
    Token,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned()).unwrap()
    }

    fn basic(user: &str) -> Credentials {
        let user = user.to_owned();
        Credentials::Basic {
            user,
            password: secret("open sesame"),
        }
    }

    #[test]
    fn headers_that_show_in_no_log() {
        assert!(Credentials::None.header().is_none());
        let header = basic("Aladdin").header().unwrap();
        // The example of RFC 7617, section 2.
        assert_eq!(header.as_bytes(), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let debug = format!("{header:?} {:?}", basic("Aladdin"));
        assert!(!debug.contains("QWxh") && !debug.contains("sesame"), "{debug}");
        let header = Credentials::Bearer(secret("abc")).header().unwrap();
        assert_eq!(header.as_bytes(), b"Bearer abc");
    }

    #[test]
    fn refused_where_no_header_carries_them() {
        for (credentials, expected) in [
            (basic("Aladdin"), Ok(())),
            (basic("Алладин"), Ok(())),
            (basic(""), Err(CredentialsError::NoUser)),
            (basic("a:b"), Err(CredentialsError::User)),
            (basic("a\nb"), Err(CredentialsError::User)),
            (basic(&"a".repeat(1025)), Err(CredentialsError::User)),
            (Credentials::Bearer(secret("a b")), Err(CredentialsError::Token)),
            (Credentials::Bearer(secret("é")), Err(CredentialsError::Token)),
        ] {
            assert_eq!(credentials.check(), expected, "{credentials:?}");
        }
    }

    #[test]
    fn what_was_sent_is_not_shown_when_it_comes_back() {
        let said = "you are QWxhZGRpbjpvcGVuIHNlc2FtZQ== open sesame";
        assert_eq!(basic("Aladdin").quote(said), "you are (token) (token)");
        assert_eq!(Credentials::Bearer(secret("abc")).quote("x abc"), "x (token)");
    }
}
