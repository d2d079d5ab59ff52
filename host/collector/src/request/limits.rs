//! What one peer may take of the server, with the reason for each number.

use std::time::Duration;

/// Bounds on connections and requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more wait in the system's queue. An idle one costs some 10 KiB and a file descriptor.
    pub connections: usize,
    /// Connections of one address at a time, unless a proxy is in front: of IPv6, of one network of 64 bits. A machine of many jobs has a
    /// hundred; sixteen such addresses are needed to take all connections.
    pub per_address: usize,
    /// For how long the head of a request may take to come, which is also how long a connection may be idle.
    pub head: Duration,
    /// For how long a TLS handshake may take.
    pub handshake: Duration,
    /// For how long a body may take to come.
    pub body: Duration,
    /// For how long an answer may take to be made.
    pub answer: Duration,
    /// For how long a peer may take nothing of an answer.
    pub stall: Duration,
    /// For how long requests under way are waited for when the server stops.
    pub shutdown: Duration,
    /// Bytes of the body of an upsert.
    pub body_size: usize,
    /// Large bodies that are held at a time: times [`Limits::body_size`], that is the memory that they may take.
    pub large_bodies: usize,
    /// Requests a second of one token, in the long run. A pause earns as many at once as ten seconds would.
    pub per_token: u32,
}

/// Connections beside [`Limits::connections`], which only say that there are too many, or how the server does: monitoring must not be shut
/// out by what it is there to notice.
pub(crate) const SPARE_CONNECTIONS: usize = 32;

/// For how long the head of a request on a spare connection may take to come: so they are soon free again.
pub(crate) const SPARE_HEAD: Duration = Duration::from_secs(2);

/// Bytes of a request's head: a token of 4 KiB, a cookie of a proxy, and room. hyper refuses smaller buffers than 8 KiB.
pub(crate) const HEAD_SIZE: usize = 16 * 1024;

/// Headers of a request: proxies add a dozen, browsers send twenty.
pub(crate) const HEADERS: usize = 64;

/// A body below this is small: 64 of them are nothing beside one large one.
pub const SMALL_BODY: usize = 16 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            per_address: 256,
            // Longer than the pauses that clients keep connections for within one job; a thousand idle ones are gone within it.
            head: Duration::from_secs(20),
            handshake: Duration::from_secs(10),
            // 1 MiB within it is 35 KiB/s.
            body: Duration::from_secs(30),
            // The reporter's own requests wait no longer.
            answer: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            // systemd kills after 90 s by default, container engines after 10 s.
            shutdown: Duration::from_secs(8),
            body_size: 1024 * 1024,
            large_bodies: 32,
            per_token: 1000,
        }
    }
}
