//! The tokens as a running server reads them.

use super::file::{Stamp, TokenFile, TokensError};
use super::rights::Access;
use super::secret::{Secret, TokenEntry, TokenName};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The owner of a known token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The token's name.
    pub name: TokenName,
    /// The token's access.
    pub access: Arc<Access>,
}

/// The current tokens of a data directory: a token that is revoked is refused from the next request on.
#[derive(Debug)]
pub struct Tokens {
    file: TokenFile,
    read: RwLock<Arc<Read>>,
}

#[derive(Debug, Default)]
struct Read {
    tokens: Vec<(TokenEntry, Arc<Access>)>,
    /// `None` where there was no file.
    stamp: Option<Stamp>,
}

impl Tokens {
    /// Reads the tokens of `file`.
    ///
    /// # Errors
    /// As [`TokenFile::list`].
    pub fn open(file: TokenFile) -> Result<Self, TokensError> {
        let read = Read::of(&file)?;
        Ok(Self {
            file,
            read: RwLock::new(Arc::new(read)),
        })
    }

    /// Returns true if there is none: the server then needs none, and listens on loopback only.
    ///
    /// # Errors
    /// As [`TokenFile::list`].
    pub fn is_empty(&self) -> Result<bool, TokensError> {
        Ok(self.current()?.tokens.is_empty())
    }

    /// Returns the owner of a token. All known tokens are compared, each in constant time, so that time reveals nothing.
    ///
    /// # Errors
    /// [`Refusal::Unknown`]; [`Refusal::Tokens`] when the file cannot be read.
    pub fn identify(&self, secret: &Secret) -> Result<Identity, Refusal> {
        let shown = secret.hash();
        let current = self.current()?;
        let mut found = None;
        for (token, access) in &current.tokens {
            if bool::from(token.sha256.is(&shown)) {
                found = Some((token, access));
            }
        }
        let (token, access) = found.ok_or(Refusal::Unknown)?;
        Ok(Identity {
            name: token.name.clone(),
            access: Arc::clone(access),
        })
    }

    /// Returns the owner of a token that was shown as the password of the user `name`, as in Basic authentication.
    ///
    /// # Errors
    /// As [`Tokens::identify`]; [`Refusal::Unknown`] too when the token has another name.
    pub fn identify_named(&self, name: &str, secret: &Secret) -> Result<Identity, Refusal> {
        let identity = self.identify(secret)?;
        if identity.name.as_str() == name {
            Ok(identity)
        } else {
            Err(Refusal::Unknown)
        }
    }

    /// Returns true if a token of that name still exists: for long answers.
    ///
    /// # Errors
    /// As [`TokenFile::list`].
    pub fn has(&self, name: &TokenName) -> Result<bool, TokensError> {
        Ok(self.current()?.tokens.iter().any(|(token, _)| token.name == *name))
    }

    fn current(&self) -> Result<Arc<Read>, TokensError> {
        let stamp = self.file.stamp()?;
        let read = Arc::clone(&self.read.read().unwrap_or_else(PoisonError::into_inner));
        if read.stamp == stamp {
            return Ok(read);
        }
        let read = Arc::new(Read::of(&self.file)?);
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&read);
        Ok(read)
    }
}

impl Read {
    fn of(file: &TokenFile) -> Result<Self, TokensError> {
        let (tokens, stamp) = file.read()?;
        let tokens = tokens
            .into_iter()
            .map(|token| {
                let access = Arc::new(token.access.clone());
                (token, access)
            })
            .collect();
        Ok(Self { tokens, stamp })
    }
}

/// The reason why a caller is refused. The message is for the server's own log: the caller learns only that it is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such token, or not under that name.
    #[error("no such token")]
    Unknown,
    /// Too many requests.
    #[error("too many requests: retry in {} seconds", .0.as_secs_f32().ceil())]
    TooOften(Duration),
    /// The tokens cannot be read. Every caller is refused, or a revoked token could become valid again.
    #[error(transparent)]
    Tokens(#[from] TokensError),
}
