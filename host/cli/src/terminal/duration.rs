//! Durations for people.

use std::time::Duration;

/// The two largest units that matter, rounded down: `412 ms`, `3.2 s`, `1 m 03 s`, `2 h 03 m`.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_has_its_units() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (412, "412 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (3_290, "3.2 s"),
            (59_999, "59.9 s"),
            (60_000, "1 m 00 s"),
            (83_000, "1 m 23 s"),
            (3_599_999, "59 m 59 s"),
            (3_600_000, "1 h 00 m"),
            (7_380_000, "2 h 03 m"),
            (360_000_000, "100 h 00 m"),
        ] {
            assert_eq!(human(Duration::from_millis(milliseconds)), text);
        }
    }
}
