//! The ways in which servers speak.

/// How a server words its documents and addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// Go 2.4 to GoCD 20.3: addresses with database ids below `/go/api`, feeds in the order of completion. What Go 2.1 to 2.3 sent, and
    /// the documentation's page shows, is read as this too.
    Old,
    /// GoCD 20.1 and later: addresses with counters below `/go/api/feed`, feeds in the order of the pipeline's counter, times in UTC.
    New,
}
