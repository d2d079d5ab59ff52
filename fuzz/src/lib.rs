//! What the fuzz targets share. `make fuzz` runs them all; `cargo fuzz run TARGET` from the project's root runs one.
//!
//! - `component`: any bytes as a component: inspected, compiled, loaded and asked within the limits.
//! - `answer`: any bytes as the memory that a guest answers with: lifted and checked by the host.
//! - `spool`: any bytes as a file of the spool, or as an export to be read.
//! - `merge`: any history: the rules give one run whatever the order, repetition and grouping, in the sandbox as outside.
//! - `config`: any bytes as `pipefold.toml`, of a workspace and of an operator.
//!
//! A panic, a crash, a call that does not end or a broken promise is a finding. Each target writes its own seeds when it starts.

pub mod contract;
/// Guests in the text format, wrapped into components: the file of the sandbox's own tests.
#[path = "../../host/sandbox/tests/guests/mod.rs"]
pub mod guests;
pub mod history;
pub mod hosted;
pub mod printable;
pub mod seeds;
pub mod written;
