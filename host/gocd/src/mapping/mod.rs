//! The mapping of a pipeline's run, read from documents, to notifications.
//!
//! Pure: what comes out depends on the documents and the settings alone, not on when or how often they were asked for, so that filling in
//! history and following along give the same runs. A run is a pipeline's name and counter; its stages are steps; since DX never takes a
//! failure back, a stage that is run again begins another attempt ([`Reruns::Attempts`]), which DX sees as a run of its own.

mod facts;
mod history;
mod notifications;
mod settings;

pub(crate) use history::OPEN_FOR;
pub use history::{Revisions, RunHistory, StageRun, Warning};
pub use notifications::{Attempt, Mapped};
pub use settings::{LateStages, Mapping, Pattern, Reruns, ServerId, ServerIdError, Users};
