//! Rate limits.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A limit on the rate of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Times at once, after a pause.
    pub burst: u32,
    /// Times a second in the long run.
    pub per_second: f64,
}

/// A token bucket (in the sense of traffic shaping) for each key, in bounded memory.
///
/// When there are more keys than it holds, the one that has been quiet for longest is forgotten, and starts with a full bucket when it
/// comes again. For names of tokens that never happens; for addresses it takes as many attackers as there are places.
#[derive(Debug)]
pub struct RateLimit<K> {
    rate: Rate,
    places: usize,
    buckets: Mutex<HashMap<K, TokenBucket>>,
}

#[derive(Clone, Copy, Debug)]
struct TokenBucket {
    /// Times left, at `at`.
    left: f64,
    at: Instant,
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    /// Returns a limit of `rate` for each of at most `places` keys.
    #[must_use]
    pub fn new(rate: Rate, places: usize) -> Self {
        Self {
            rate,
            places: places.max(1),
            buckets: Mutex::default(),
        }
    }

    /// Counts one time for `key`, if it may happen at `now`.
    ///
    /// # Errors
    /// The time until it may happen. It was not counted.
    pub fn take(&self, key: &K, now: Instant) -> Result<(), Duration> {
        self.check(key, now, true)
    }

    /// Checks that one more event may happen, without counting it: for a check before a secret is read, when only failures count.
    ///
    /// # Errors
    /// The time until it may happen.
    pub fn peek(&self, key: &K, now: Instant) -> Result<(), Duration> {
        self.check(key, now, false)
    }

    fn check(&self, key: &K, now: Instant, count: bool) -> Result<(), Duration> {
        let full = f64::from(self.rate.burst.max(1));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let left = buckets.get(key).map_or(full, |bucket| {
            let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * self.rate.per_second;
            (bucket.left + gained).min(full)
        });
        if left < 1.0 {
            let wait = (1.0 - left) / self.rate.per_second.max(f64::MIN_POSITIVE);
            // A rate near zero gives more seconds than a duration holds.
            return Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX));
        }
        if count {
            if buckets.len() >= self.places && !buckets.contains_key(key) {
                let quietest = buckets
                    .iter()
                    .min_by_key(|(_, bucket)| bucket.at)
                    .map(|(key, _)| key.clone());
                quietest.and_then(|key| buckets.remove(&key));
            }
            // Threads read the clock before they get here: an older reading must not gain a second time what a newer one gained.
            let at = buckets.get(key).map_or(now, |bucket| bucket.at.max(now));
            buckets.insert(key.clone(), TokenBucket { left: left - 1.0, at });
        }
        Ok(())
    }
}

/// The unit whose failures are counted together: an IPv4 address, or the /64 of an IPv6 address, which is what a single customer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FailureKey(IpAddr);

impl From<IpAddr> for FailureKey {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            address => address,
        })
    }
}
