//! The records that DX must end with.
//!
//! Made from a history's events by the rules of the mapping's defaults, without a look at documents or at the code that reads them. Where
//! documents do not have the truth, an expectation lists all values that a reader may rightly have reported.

mod attempts;
mod compare;
mod jobs;
mod people;
mod record;
mod times;

pub use jobs::{ExpectedJob, ExpectedStage};
pub use record::{Expected, Reading, Wanted};
