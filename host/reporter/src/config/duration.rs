//! Durations as people write them.

use std::time::Duration;

/// The longest duration that can be set: a budget or a limit of more than a day is a slip, and with this bound adding one to a
/// clock never overflows.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Units, with what they stand for in seconds.
const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Reads a duration such as `500ms`, `1s`, `1.5 s`, `2m` or `1h`, up to [`LONGEST`]. A number without a unit is refused: it could be either
/// seconds or milliseconds.
///
/// # Errors
/// Says what is wrong with the text and what would be right, to be put behind the name of the setting.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, unit) = text.split_at(digits);
    let shown = || text.chars().take(40).collect::<String>();
    let wrong = || {
        format!(
            "{:?} is not a duration; write a number and one of ms, s, m, h, such as \"500ms\" or \"1s\"",
            shown()
        )
    };
    let factor = UNITS.iter().find(|(name, _)| *name == unit.trim_start());
    let (Ok(number), Some((_, factor))) = (number.parse::<f64>(), factor) else {
        return Err(wrong());
    };
    match Duration::try_from_secs_f64(number * factor) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ => Err(format!("{:?} is too long; the longest is 24h", shown())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("500ms", 500),
            ("1s", 1_000),
            ("1.5 s", 1_500),
            ("2m", 120_000),
            (" 1 h ", 3_600_000),
            ("0s", 0),
            ("24h", 86_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", "s", "5", "1 sec", "-1s", "+1s", "1e3s", "inf", "NaN", "1.2.3s", "1s1s", ".s",
        ] {
            assert!(
                parse_duration(text).unwrap_err().contains("is not a duration"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_would_overflow_a_clock_is_refused() {
        for text in ["24.1h", "99999999999h", &format!("{}h", "9".repeat(400))] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains("too long") && error.len() < 120, "{error}");
        }
    }
}
