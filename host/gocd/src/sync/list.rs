//! The pipelines of a server, and how it speaks.

use super::failure::SyncError;
use super::server::{Halt, Lack, Server};
use super::state::ServerState;
use super::store::{StateError, StateStore};
use crate::documents::{Name, Pipelines};
use crate::{Dialect, Resource, read};

/// What a server lists.
pub(super) struct Listed {
    pub(super) pipelines: Vec<Name>,
    /// Entries that name none.
    pub(super) left_out: u64,
    pub(super) dialect: Dialect,
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
    pub(super) fn list(
        &mut self,
        store: &dyn StateStore,
        asked: Option<Dialect>,
    ) -> Result<(Listed, ServerState), Halt> {
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
                        Dialect::C => "old",
                        Dialect::D => "new",
                    },
                    what: lack.what,
                })),
                Err(lack) => Err(fatal(lack)),
            };
        }
        let old = match self.pipelines(Dialect::C)? {
            Ok(list) => return Ok(Listed::new(list, Dialect::C)),
            Err(lack) if lack.is_other_dialect() => lack,
            Err(lack) => return Err(fatal(lack)),
        };
        match self.pipelines(Dialect::D)? {
            Ok(list) => Ok(Listed::new(list, Dialect::D)),
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
