//! How single values are read.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};

/// Text that is data, not syntax: bytes that are no UTF-8, as a branch's name may have, become U+FFFD and are no reason to stop a build.
pub(super) fn text() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|value| value.to_string_lossy().into_owned())
}

/// A path, which may be empty: an empty variable has said nothing, and is no reason to stop a build.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// The longest time that can be asked for: no CI job lives longer than some days.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A whole number with `ms`, `s`, `m` or `h`; seconds without a unit. From 0 to a week.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wanted = || "give a whole number with ms, s, m or h, such as 30s, of a week at most".to_owned();
    let number: u64 = number.parse().map_err(|_| wanted())?;
    let milliseconds = match unit.trim_start() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wanted()),
    };
    let duration = number.checked_mul(milliseconds).map(Duration::from_millis);
    duration.filter(|duration| *duration <= LONGEST).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in [
            ("0", 0),
            ("30", 30_000),
            ("250ms", 250),
            ("2s", 2_000),
            ("1 m", 60_000),
            ("168h", 604_800_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "-1",
            "1.5s",
            "1d",
            "1s1",
            "169h",
            "99999999999999999999",
            "18446744073709551615h",
            "١s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
