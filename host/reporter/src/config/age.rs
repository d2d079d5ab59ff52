//! Ages and pauses as people write them: longer than what [`super::parse_duration`] is for.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A hundred years: far before any CI system, and small enough for every clock and calendar.
const LONGEST: u64 = 36_500 * DAY;

/// Reads an age such as `30s`, `5m`, `24h` or `90d`: a whole number with its unit, from a second to a hundred years.
///
/// # Errors
/// Says what is wrong with the text and what would be right, to be put behind the name of the setting.
pub fn parse_age(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let wrong = || {
        let shown: String = text.chars().take(40).collect();
        format!("{shown:?} is not an age; write a whole number and one of s, m, h, d, such as \"60s\" or \"90d\"")
    };
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).unwrap_or_default().trim_end();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = is_number
        .then(|| number.parse::<u64>().ok()?.checked_mul(factor))
        .flatten()
        .filter(|seconds| (1..=LONGEST).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read() {
        for (text, seconds) in [
            ("1s", 1),
            ("60s", 60),
            (" 5 m", 300),
            ("24h", 86_400),
            ("90d", 7_776_000),
            ("36500d", 3_153_600_000),
        ] {
            assert_eq!(parse_age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_age_is_refused() {
        for text in [
            "",
            "d",
            "0d",
            "90",
            "-1d",
            "+1d",
            "1.5d",
            "1w",
            "36501d",
            "99999999999999999999d",
            "é",
        ] {
            let error = parse_age(text).err();
            assert!(error.is_some_and(|error| error.contains("is not an age")), "{text}");
        }
    }
}
