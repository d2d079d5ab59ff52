//! Requests to a server within a round: its list of pipelines, and single documents.

use super::failure::{Failure, SyncError};
use super::patience::Without;
use super::round::{Observer, Round};
use super::state::{ServerState, StateError, StateStore};
use crate::client::{FetchError, Source};
use crate::documents::{Name, PipelineLocator, Pipelines};
use crate::read::ReadError;
use crate::{Dialect, Resource, read};

/// Why a pipeline, or the round, is left.
pub enum Halt {
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
pub fn tolerated(done: Result<(), Halt>) -> Result<Option<Failure>, Halt> {
    match done {
        Ok(()) => Ok(None),
        Err(Halt::Pipeline(failure)) => Ok(Some(failure)),
        Err(halt) => Err(halt),
    }
}

/// A document that is not there, or not to be read; the server as such is well.
#[derive(Debug)]
pub struct Lack {
    /// The document's path below `/go`.
    pub what: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Fetch(FetchError),
    Read(Box<ReadError>),
}

impl Lack {
    /// Whether the server says that it knows no such document. The old dialect says so of whatever it fails over too.
    pub fn is_missing(&self) -> bool {
        matches!(self.why, Why::Fetch(FetchError::NotFound))
    }

    /// Whether the server failed over it, as the new dialect does over stages that it does not know, or gave no answer.
    pub fn may_pass(&self) -> bool {
        matches!(&self.why, Why::Fetch(error) if error.is_transient())
    }

    /// Whether a look that does without so much does without this.
    pub fn is_done_without(&self, without: Without) -> bool {
        let least = if self.is_missing() {
            Without::Missing
        } else {
            Without::Unreadable
        };
        without >= least
    }

    /// Remembers that a run lacks this. Of several it is one that may come later than others.
    pub fn want(self, wanting: &mut Option<Self>) {
        if wanting.as_ref().is_none_or(Self::is_missing) {
            *wanting = Some(self);
        }
    }

    /// Whether a server of the other dialect may have said it to an address that it does not have.
    fn is_other_dialect(&self) -> bool {
        match &self.why {
            Why::Fetch(error) => {
                !matches!(error, FetchError::NoPermission | FetchError::TooLarge(_)) && !error.is_transient()
            }
            Why::Read(_) => false,
        }
    }

    /// Why, without what.
    pub fn why(&self) -> String {
        match &self.why {
            Why::Fetch(error) => error.to_string(),
            Why::Read(error) => error.to_string(),
        }
    }

    pub fn into_failure(self) -> Failure {
        match self.why {
            Why::Fetch(error) => Failure::Fetch { what: self.what, error },
            Why::Read(error) => Failure::Read { what: self.what, error },
        }
    }

    fn into_sync_error(self) -> SyncError {
        match self.why {
            Why::Fetch(error) => SyncError::Fetch { what: self.what, error },
            Why::Read(error) => SyncError::Read { what: self.what, error },
        }
    }

    fn into_fetch_error(self) -> Result<FetchError, Self> {
        match self.why {
            Why::Fetch(error) => Ok(error),
            why @ Why::Read(_) => Err(Self { why, ..self }),
        }
    }
}

/// After how many requests in a row without an answer the list of pipelines is asked for, to tell a server that is down from documents that
/// it cannot make: each costs the client's patience, and two may be one run's.
const MAX_UNANSWERED: u32 = 3;

/// A server, and what was asked of it in a round.
pub struct Server<'s> {
    pub source: &'s dyn Source,
    pub observer: &'s mut dyn Observer,
    pub stop: &'s dyn Fn() -> bool,
    pub round: Round,
    /// How many requests there had been when a pipeline's state was last saved.
    pub saved_at: u64,
    /// How many requests in a row had no answer.
    pub unanswered: u32,
}

impl Server<'_> {
    /// Asks for a document. What is only about this one is the inner error.
    pub fn document<T>(
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
    pub fn json(&mut self, run: &PipelineLocator) -> Result<Result<Vec<u8>, Lack>, Halt> {
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
        let answer = ask(self.source);
        match answer {
            Ok(bytes) => {
                self.unanswered = 0;
                Ok(Ok(bytes))
            }
            Err(error) => {
                let what = what.to_owned();
                // Asking on with a password that is not taken locks the account out.
                if error == FetchError::BadCredentials {
                    return Err(Halt::Round(SyncError::Fetch { what, error }));
                }
                let lack = Lack {
                    what,
                    why: Why::Fetch(error),
                };
                self.count(&lack)?;
                Ok(Err(lack))
            }
        }
    }

    /// Counts requests without an answer, and ends the round if the server is down.
    fn count(&mut self, lack: &Lack) -> Result<(), Halt> {
        let is_unanswered = matches!(&lack.why, Why::Fetch(error) if is_no_answer(error));
        self.unanswered = if is_unanswered { self.unanswered + 1 } else { 0 };
        if self.unanswered < MAX_UNANSWERED {
            return Ok(());
        }
        self.unanswered = 0;
        let list = Resource::Pipelines(self.round.dialect);
        let what = list.path();
        match self.answer(|source| source.get(&list), &what)? {
            Err(lack) if lack.may_pass() => Err(Halt::Round(SyncError::NoAnswer(lack.into_failure()))),
            _ => Ok(()),
        }
    }
}

/// Whether there was no answer, or only a proxy's. A server that fails over one document says 500.
pub fn is_no_answer(error: &FetchError) -> bool {
    matches!(error, FetchError::Unavailable { status, .. } if *status != Some(500))
}

/// What a server lists.
pub struct Listed {
    pub pipelines: Vec<Name>,
    /// Entries that name none.
    pub left_out: u64,
    pub dialect: Dialect,
}

impl Listed {
    fn new(list: Pipelines, dialect: Dialect) -> Self {
        Self {
            pipelines: list.pipelines.into_iter().map(|pipeline| pipeline.name).collect(),
            left_out: list.left_out,
            dialect,
        }
    }
}

impl Server<'_> {
    /// Asks for the pipelines in the dialect that is known, else finds out which it is. Gives what is known of the server too.
    pub fn list(&mut self, store: &dyn StateStore, asked: Option<Dialect>) -> Result<(Listed, ServerState), Halt> {
        let state = |error: StateError| Halt::Round(error.into());
        let known = store.load_server().map_err(state)?;
        if let Some(known) = known.as_ref()
            && asked.is_none_or(|asked| asked == known.dialect())
        {
            match self.pipelines(known.dialect())? {
                Ok(list) => return Ok((Listed::new(list, known.dialect()), known.clone())),
                // The server is another version now, or there is none at this address.
                Err(lack) if lack.is_other_dialect() && asked.is_none() => {}
                Err(lack) => return Err(fatal(lack)),
            }
        }
        let listed = self.find(asked)?;
        let found = match &known {
            Some(known) => known.clone().speaking(listed.dialect),
            None => ServerState::new(listed.dialect),
        };
        if known.as_ref() != Some(&found) {
            store.save_server(&found).map_err(state)?;
        }
        Ok((listed, found))
    }

    /// Finds out how the server speaks. Where it does both ways (20.1 to 20.3), the older has what the newer lost.
    fn find(&mut self, asked: Option<Dialect>) -> Result<Listed, Halt> {
        if let Some(dialect) = asked {
            return match self.pipelines(dialect)? {
                Ok(list) => Ok(Listed::new(list, dialect)),
                Err(lack) if lack.is_missing() => Err(Halt::Round(SyncError::NoSuchFeeds {
                    kind: match dialect {
                        Dialect::Old => "old",
                        Dialect::New => "new",
                    },
                    what: lack.what,
                })),
                Err(lack) => Err(fatal(lack)),
            };
        }
        let old = match self.pipelines(Dialect::Old)? {
            Ok(list) => return Ok(Listed::new(list, Dialect::Old)),
            Err(lack) if lack.is_other_dialect() => lack,
            Err(lack) => return Err(fatal(lack)),
        };
        match self.pipelines(Dialect::New)? {
            Ok(list) => Ok(Listed::new(list, Dialect::New)),
            Err(new) => match (old.into_fetch_error(), new.into_fetch_error()) {
                (Ok(old), Ok(new)) => Err(Halt::Round(SyncError::NotGocd {
                    old: Box::new(old),
                    new: Box::new(new),
                })),
                (Err(lack), _) | (_, Err(lack)) => Err(fatal(lack)),
            },
        }
    }

    fn pipelines(&mut self, dialect: Dialect) -> Result<Result<Pipelines, Lack>, Halt> {
        self.document(&Resource::Pipelines(dialect), read::pipelines)
    }
}

/// A list that cannot be had ends the round.
fn fatal(lack: Lack) -> Halt {
    Halt::Round(lack.into_sync_error())
}
