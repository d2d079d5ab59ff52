//! What is known of the run without being told: the fields there are, what a CI system says of them, and where it keeps a job's files.
//!
//! - [`Field`] is the one table of fields: their names, flags and variables.
//! - [`Fields`] is some of them, each with where it came from; [`Fields::resolve`] lays sources over each other.
//! - [`detect`] reads what a CI system says, and [`temp_dir`] where a job's temporary files go.

mod field;
mod fields;
mod system;
mod temp_dir;

pub use field::Field;
pub use fields::Fields;
pub use system::{Detected, System, detect};
pub use temp_dir::temp_dir;
