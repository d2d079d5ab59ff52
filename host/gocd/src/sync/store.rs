//! Where the place in each pipeline's history is kept between rounds.

use thiserror::Error;

use super::state::{PipelineState, ServerState};
use crate::documents::Name;

/// Keeps the state of a server's pipelines: files, or a test. What it belongs to is one server and one [`Mapping`](crate::mapping::Mapping):
/// with another server id it begins anew.
pub trait StateStore {
    /// What was saved last for a pipeline, by the name that the list of pipelines has. None if nothing was, or if it was damaged and set
    /// aside: the pipeline is read from its beginning then.
    ///
    /// # Errors
    ///
    /// [`StateError`]: the pipeline is left out of this round.
    fn load(&self, pipeline: &Name) -> Result<Option<PipelineState>, StateError>;

    /// Replaces a pipeline's state, whole and durably. Only by this is remembered what the sink took. Where either of the two fails nothing
    /// is saved any more in the round, so that what was taken since the last time is told again.
    ///
    /// # Errors
    ///
    /// [`StateError`] ends the round.
    fn save(&self, pipeline: &Name, state: &PipelineState) -> Result<(), StateError>;

    /// What was saved last for the server.
    ///
    /// # Errors
    ///
    /// [`StateError`] ends the round.
    fn load_server(&self) -> Result<Option<ServerState>, StateError>;

    /// Replaces the server's state, whole and durably.
    ///
    /// # Errors
    ///
    /// [`StateError`] ends the round.
    fn save_server(&self, state: &ServerState) -> Result<(), StateError>;
}

/// Why a state cannot be had or kept.
#[derive(Debug, Error)]
pub enum StateError {
    /// It is no state.
    #[error("it is damaged ({0}); remove it, and the pipeline is read from its beginning")]
    Damaged(String),
    /// A later version of this library wrote it.
    #[error(
        "it has the form {0} of a later version; use that version, or remove it to read the pipeline from its beginning"
    )]
    Newer(u32),
    /// It is longer than [`MAX_STATE_BYTES`](super::MAX_STATE_BYTES).
    #[error("it is longer than any state; remove it, and the pipeline is read from its beginning")]
    TooLong,
    /// What keeps it failed.
    #[error("{0}")]
    Storage(String),
}
