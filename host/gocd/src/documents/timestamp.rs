//! Points in time.

use chrono::{DateTime, FixedOffset};

/// A point in time with the offset that the server wrote it with. Two are equal if they are the same instant: one server writes one
/// instant as `…Z` here and `…+00:00` there.
pub type Timestamp = DateTime<FixedOffset>;
