//! Rates, with a clock of our own.

use crate::access::{FailureKey, Rate, RateLimit};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const RATE: Rate = Rate {
    burst: 3,
    per_second: 2.0,
};

#[test]
fn a_burst_then_the_rate() {
    let limit = RateLimit::new(RATE, 10);
    let begin = Instant::now();
    let at = |ms| begin + Duration::from_millis(ms);
    for _ in 0..3 {
        assert_eq!(limit.take(&"a", at(0)), Ok(()));
    }
    assert_eq!(limit.take(&"a", at(0)), Err(Duration::from_millis(500)));
    assert_eq!(limit.take(&"b", at(0)), Ok(()), "each key has its own");
    assert_eq!(
        limit.take(&"a", at(250)),
        Err(Duration::from_millis(250)),
        "a refusal costs nothing"
    );
    assert_eq!(limit.take(&"a", at(500)), Ok(()));
    assert!(limit.take(&"a", at(500)).is_err());
    for _ in 0..3 {
        assert_eq!(limit.take(&"a", at(1_000_000)), Ok(()));
    }
    assert!(limit.take(&"a", at(1_000_000)).is_err(), "never more than the burst");
    assert!(limit.take(&"a", at(0)).is_err(), "an earlier moment gains nothing");
}

#[test]
fn a_look_counts_nothing() {
    let limit = RateLimit::new(RATE, 10);
    let now = Instant::now();
    for _ in 0..10 {
        assert_eq!(limit.peek(&1, now), Ok(()));
    }
    for _ in 0..3 {
        limit.take(&1, now).unwrap();
    }
    assert!(limit.peek(&1, now).is_err());
}

#[test]
fn memory_is_bounded_and_the_quietest_is_forgotten() {
    let limit = RateLimit::new(RATE, 2);
    let begin = Instant::now();
    for (ms, key) in [(0, "old"), (1, "new"), (1, "new"), (1, "new"), (2, "third")] {
        limit.take(&key, begin + Duration::from_millis(ms)).unwrap();
    }
    assert!(limit.peek(&"new", begin).is_err(), "it was not the quietest");
    assert!(format!("{limit:?}").matches("Bucket").count() <= 2, "{limit:?}");
}

#[test]
fn a_rate_of_never_waits_for_ever() {
    let limit = RateLimit::new(
        Rate {
            burst: 0,
            per_second: 0.0,
        },
        0,
    );
    let now = Instant::now();
    assert_eq!(limit.take(&1, now), Ok(()));
    assert_eq!(limit.take(&1, now), Err(Duration::MAX));
}

#[test]
fn an_attacker_has_one_key_however_many_addresses() {
    let key = |text: &str| FailureKey::from(text.parse::<IpAddr>().unwrap());
    assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
}
