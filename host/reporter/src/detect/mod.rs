//! Detection of a run: the fields of a run, and their values from CI systems, git and templates.
//!
//! - [`Field`] is the one table of fields: their names, flags and variables.
//! - [`Fields`] holds some of them, each with its origin; [`Fields::resolve`] merges sources by precedence.
//! - [`Attributes`] holds facts that DX has no field for.
//! - [`Template`] makes a name out of them; [`local`] reads git's files outside CI.
//! - [`detect`] reads the variables of a CI system, by a table with an entry a system ([`table`] prints it).
//! - [`repository_at`], [`built_ref`] and [`person`] are the one rule for repositories, branches and people, also for readers of other data
//!   such as GoCD's feeds.

mod attributes;
mod detected;
mod fields;
mod git;
mod job;
mod local;
mod systems;
mod template;
mod values;

pub use attributes::{Attributes, NAME as ATTRIBUTES, VARIABLE as ATTRIBUTES_VARIABLE};
pub use detected::{Detected, ReadFile, detect, detect_in};
pub use fields::Field;
pub use fields::Fields;
pub use job::read_file;
pub use local::local;
pub use systems::gocd::{GOCD_SERVER_ID, server_id_problem};
pub use systems::table;
pub use template::{Missing, Template, TemplateError};
pub use values::{BuiltRef, Person, built_ref, person, repository_at};
