//! Asking a server, within a round.

use super::failure::{Failure, SyncError};
use super::observer::Observer;
use super::round::Round;
use crate::Resource;
use crate::client::{FetchError, Source};
use crate::documents::PipelineLocator;
use crate::read::ReadError;

/// Why a pipeline, or the round, is left.
pub(super) enum Halt {
    /// It was stopped.
    Stopped,
    /// For all pipelines.
    Round(SyncError),
    /// For this one.
    Pipeline(Failure),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Pipeline(failure)
    }
}

/// What one part of a pipeline's round failed with, for the others to go on.
pub(super) fn tolerated(done: Result<(), Halt>) -> Result<Option<Failure>, Halt> {
    match done {
        Ok(()) => Ok(None),
        Err(Halt::Pipeline(failure)) => Ok(Some(failure)),
        Err(halt) => Err(halt),
    }
}

/// A document that is not there, or not to be read; the server as such is well.
#[derive(Debug)]
pub(super) struct Lack {
    /// The document's path below `/go`.
    pub(super) what: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Fetch(FetchError),
    Read(Box<ReadError>),
}

impl Lack {
    /// Whether it will not come either: the server knows no such document.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.why, Why::Fetch(FetchError::NotFound))
    }

    /// Whether the server failed over it, as dialect D does over stages that it does not know.
    pub(super) fn is_server_fault(&self) -> bool {
        matches!(self.why, Why::Fetch(FetchError::Unavailable { status: Some(500), .. }))
    }

    /// Whether a server of the other dialect may have said it to an address that it does not have.
    pub(super) fn is_other_dialect(&self) -> bool {
        match &self.why {
            Why::Fetch(error) => {
                !matches!(error, FetchError::NoPermission | FetchError::TooLarge(_)) && !error.is_transient()
            }
            Why::Read(_) => false,
        }
    }

    /// Why, without what.
    pub(super) fn why(&self) -> String {
        match &self.why {
            Why::Fetch(error) => error.to_string(),
            Why::Read(error) => error.to_string(),
        }
    }

    pub(super) fn into_failure(self) -> Failure {
        match self.why {
            Why::Fetch(error) => Failure::Fetch { what: self.what, error },
            Why::Read(error) => Failure::Read { what: self.what, error },
        }
    }

    pub(super) fn into_sync_error(self) -> SyncError {
        match self.why {
            Why::Fetch(error) => SyncError::Fetch { what: self.what, error },
            Why::Read(error) => SyncError::Read { what: self.what, error },
        }
    }

    pub(super) fn into_fetch_error(self) -> Result<FetchError, Self> {
        match self.why {
            Why::Fetch(error) => Ok(error),
            why @ Why::Read(_) => Err(Self { why, ..self }),
        }
    }
}

/// A server, and what was asked of it in a round.
pub(super) struct Server<'s> {
    pub(super) source: &'s dyn Source,
    pub(super) observer: &'s mut dyn Observer,
    pub(super) stop: &'s dyn Fn() -> bool,
    pub(super) round: Round,
    /// How many requests there had been when a pipeline's state was last saved.
    pub(super) saved_at: u64,
}

impl Server<'_> {
    /// Asks for a document. What is only about this one is the inner error.
    pub(super) fn document<T>(
        &mut self,
        resource: &Resource,
        parse: fn(&[u8]) -> Result<T, ReadError>,
    ) -> Result<Result<T, Lack>, Halt> {
        let what = resource.path();
        // A document that was cut off on its way is whole the next time.
        let mut is_second = false;
        loop {
            let answer = self.answer(|source| source.get(resource), &what)?;
            match answer.map(|bytes| parse(&bytes)) {
                Ok(Ok(document)) => return Ok(Ok(document)),
                Ok(Err(error)) if is_second => {
                    let why = Why::Read(Box::new(error));
                    return Ok(Err(Lack { what, why }));
                }
                Ok(Err(_)) => is_second = true,
                Err(lack) => return Ok(Err(lack)),
            }
        }
    }

    /// Asks for the JSON document of a run.
    pub(super) fn json(&mut self, run: &PipelineLocator) -> Result<Result<Vec<u8>, Lack>, Halt> {
        let what = format!("/api/pipelines/{}/{}", run.name, run.counter);
        self.answer(|source| source.get_json(run), &what)
    }

    fn answer(
        &mut self,
        ask: impl FnOnce(&dyn Source) -> Result<Vec<u8>, FetchError>,
        what: &str,
    ) -> Result<Result<Vec<u8>, Lack>, Halt> {
        if (self.stop)() {
            return Err(Halt::Stopped);
        }
        self.round.requests += 1;
        self.observer.request();
        match ask(self.source) {
            Ok(bytes) => Ok(Ok(bytes)),
            // Asking on with a password that is not taken locks the account out.
            Err(error @ FetchError::BadCredentials) => Err(Halt::Round(SyncError::Fetch {
                what: what.to_owned(),
                error,
            })),
            Err(error) if is_server_trouble(&error) => Err(Halt::Pipeline(Failure::Fetch {
                what: what.to_owned(),
                error,
            })),
            Err(error) => Ok(Err(Lack {
                what: what.to_owned(),
                why: Why::Fetch(error),
            })),
        }
    }
}

/// Whether nothing else is to be had now either. A server that fails over one document says 500.
fn is_server_trouble(error: &FetchError) -> bool {
    match error {
        FetchError::Unavailable { status, .. } => *status != Some(500),
        _ => false,
    }
}
