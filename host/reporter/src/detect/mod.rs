//! What is known of the run without being told: the fields there are, what a CI system says of them, and where it keeps a job's files.
//!
//! - [`Field`] is the one table of fields: their names, flags and variables.
//! - [`Fields`] is some of them, each with where it came from; [`Fields::resolve`] lays sources over each other.
//! - [`Template`] makes a name out of them; [`local`] reads what git says outside CI.
//! - [`detect`] reads what a CI system says, by a table with an entry a system ([`table`] writes it down), and [`temp_dir`] where a job's
//!   temporary files go.
//! - [`repository_at`], [`built_ref`] and [`person`] are the one rule for repositories, branches and people, also for readers of other
//!   documents.

mod detected;
mod fields;
mod git;
mod job;
mod local;
mod systems;
mod template;
mod values;

pub use detected::{Detected, ReadFile, detect, detect_in};
pub use fields::Field;
pub use fields::Fields;
pub use job::read_file;
pub use local::local;
pub use systems::gocd::{GOCD_SERVER_ID, server_id_problem};
pub use systems::table;
pub use template::{Missing, Template, TemplateError};
pub use values::{BuiltRef, Person, built_ref, person, repository_at};
