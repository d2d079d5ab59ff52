//! The ids that are given out.

use super::trouble::{Result, Trouble};
use rusqlite::{Connection, Transaction};

/// Ids of every kind, from one sequence: an id of one kind never names something of another, and none is ever used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    next: i64,
}

/// The id of a run's stage is the one after the run's own: they are always given out together.
const STAGE: i64 = 1;

impl Sequence {
    pub(super) fn read(connection: &Connection) -> Result<Self> {
        let next = connection.query_row("SELECT next FROM sequence", [], |row| row.get(0))?;
        if next < 1 {
            return Err(Trouble::Content(format!("the next id would be {next}")));
        }
        Ok(Self { next })
    }

    /// Stores what was given out, in the transaction that uses it.
    pub(super) fn write(self, tx: &Transaction<'_>) -> Result<()> {
        tx.prepare_cached("UPDATE sequence SET next = ?1")?
            .execute([self.next])?;
        Ok(())
    }

    pub(super) fn one(&mut self) -> i64 {
        let id = self.next;
        self.next += 1;
        id
    }

    /// The id of a new run; its stage's follows.
    pub(super) fn run(&mut self) -> i64 {
        let id = self.one();
        self.next += STAGE;
        id
    }
}

/// The stage of a run.
pub(super) fn stage_of(run: i64) -> i64 {
    run + STAGE
}

/// The run that would have this stage.
pub(super) fn run_of(stage: i64) -> i64 {
    stage - STAGE
}
