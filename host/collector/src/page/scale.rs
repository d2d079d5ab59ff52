//! Marks on an axis of time or of durations.

use std::time::Duration;

/// Distances, in seconds, that people count in.
const STEPS: [u64; 26] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1_800,
    3_600,
    7_200,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    1_209_600,
    2_592_000,
    7_776_000,
    31_536_000,
    157_680_000,
    315_360_000,
];

/// The distance that needs at most `most` marks, after the one at zero.
pub(super) fn step(length: Duration, most: u32) -> Duration {
    let enough = |seconds: &u64| Duration::from_secs(*seconds) * most >= length;
    match STEPS.into_iter().find(enough) {
        Some(seconds) => Duration::from_secs(seconds),
        None => length / most,
    }
}

/// Zero and the marks up to `length`.
pub(super) fn ticks(length: Duration, most: u32) -> Vec<Duration> {
    let step = step(length, most);
    (0..=most)
        .map(|n| step * n)
        .take_while(|mark| *mark <= length)
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        let seconds = |length: u64| {
            ticks(Duration::from_secs(length), 4)
                .iter()
                .map(Duration::as_secs)
                .collect::<Vec<_>>()
        };
        assert_eq!(seconds(1), [0, 1]);
        assert_eq!(seconds(59), [0, 15, 30, 45]);
        assert_eq!(seconds(3_600), [0, 900, 1_800, 2_700, 3_600]);
        assert_eq!(seconds(86_400 * 9), [0, 604_800]);
        // A clock gone mad: centuries are drawn as well.
        assert_eq!(seconds(86_400 * 365 * 9_000).len(), 5);
    }
}
