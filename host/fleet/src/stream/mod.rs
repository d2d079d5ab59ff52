//! The streams and their consumer: specification, creation, check.
//!
//! - [`init`] makes what is not there; [`check`] looks at what is.
//! - What they should be is in one file, and how what is there may differ from it in another.

mod check;
mod difference;
mod error;
mod init;
mod look;
mod wanted;

pub use check::{Checked, Standing, check};
pub use difference::Difference;
pub use error::StreamError;
pub use init::{Made, PATIENCE, init, init_patiently};
pub(crate) use look::{consumer, info, stream};
pub use wanted::{ACK_WAIT, Setup};

use pipefold::spool::RunKey;

/// The stream of upserts for DX.
pub const STREAM: &str = "PIPEFOLD";

/// The stream of upserts that were refused for good.
pub const REJECTED: &str = "PIPEFOLD_REJECTED";

/// The consumer that all forwarders share.
pub const CONSUMER: &str = "forwarders";

/// What begins the subject of an upsert; a run's key follows.
const RUNS: &str = "pipefold.runs.";

/// What begins the subject of a refused one.
const REFUSED: &str = "pipefold.rejected.";

/// The subject of a run's upserts.
#[must_use]
pub fn subject(reference_id: &str) -> String {
    subject_of(RunKey::of(reference_id))
}

/// The subject of the upserts of the run with this key.
pub(crate) fn subject_of(run: RunKey) -> String {
    format!("{RUNS}{run}")
}

/// The stream that takes what is published under a subject.
pub(crate) fn of_subject(subject: &str) -> &'static str {
    if subject.starts_with(REFUSED) { REJECTED } else { STREAM }
}

/// The subject under which a refused upsert of a run is kept; of one that names none, a word.
pub(crate) fn refused_subject(reference_id: Option<&str>) -> String {
    match reference_id {
        Some(id) => format!("{REFUSED}{}", RunKey::of(id)),
        None => format!("{REFUSED}unknown"),
    }
}
