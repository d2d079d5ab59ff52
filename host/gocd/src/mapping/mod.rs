//! The mapping of a pipeline's run, read from documents, to notifications.
//!
//! The mapping is pure: its result depends on the documents and the settings alone, not on when or how often documents were requested. So
//! reading old history and following new runs give the same notifications. A run is a pipeline's name and counter; the jobs of its stages are steps. As
//! DX never takes a failure back, a stage that is run again starts another attempt ([`Reruns::Attempts`]), which is a run of its own in DX.

mod facts;
mod history;
mod notifications;
mod settings;

pub(crate) use history::OPEN_FOR;
pub use history::{Revisions, RunHistory, StageRun, Warning};
pub use notifications::{Attempt, Mapped};
pub use settings::{LateStages, Mapping, Pattern, Reruns, ServerId, ServerIdError, Users};
