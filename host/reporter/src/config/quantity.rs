//! The grammar of times and sizes in flags, variables and files, and the settings with them.

use std::time::Duration;

/// The longest duration that can be set: a budget or a limit of more than a day is a slip, and with this bound adding one to a
/// clock never overflows.
pub const LONGEST: Duration = Duration::from_hours(24);

/// The longest age, a hundred years: far before any CI system, and small enough for every clock and calendar.
const LONGEST_AGE: Duration = Duration::from_hours(36_500 * 24);

/// Units of time, longest name first, in seconds.
const SECONDS: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];

/// Reads a duration such as `500ms`, `1.5 s`, `1m30s`, `2h` or `5`, which is seconds, up to [`LONGEST`].
///
/// # Errors
/// The fault and advice, as the end of a message that begins with the setting's name.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{:?} is not a duration; write a number and one of ms, s, m, h, d, such as \"500ms\" or \"1m30s\"",
            shown(text)
        )
    };
    match parse_time(text).ok_or_else(wrong)? {
        Some(duration) if duration <= LONGEST => Ok(duration),
        _ => Err(format!("{:?} is too long; the longest is 24h", shown(text))),
    }
}

/// Reads an age such as `30s`, `1h30m`, `90d` or `60`, which is seconds: from a second to a hundred years.
///
/// # Errors
/// As [`parse_duration`].
pub fn parse_age(text: &str) -> Result<Duration, String> {
    let age = parse_time(text).flatten();
    let age = age.filter(|age| (Duration::from_secs(1)..=LONGEST_AGE).contains(age));
    age.ok_or_else(|| {
        format!(
            "{:?} is not an age; write a number and one of s, m, h, d, such as \"60s\" or \"90d\"",
            shown(text)
        )
    })
}

/// Reads pairs of number and unit, each unit once, from the longest to the shortest; a number alone is seconds. None for other text, and
/// `Some(None)` for a time longer than any duration.
fn parse_time(text: &str) -> Option<Option<Duration>> {
    let mut rest = text.trim();
    let (mut total, mut last) = (0.0, f64::INFINITY);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, after) = rest.split_at(digits);
        let number = number.strip_suffix('.').map_or(number, |_| "").parse::<f64>().ok()?;
        let after = after.trim_start();
        let is_alone = after.is_empty() && last.is_infinite();
        let (name, factor) = SECONDS
            .into_iter()
            .find(|(name, _)| after.starts_with(name))
            .or_else(|| is_alone.then_some(("", 1.0)))?;
        if factor >= last {
            return None;
        }
        (total, last) = (total + number * factor, factor);
        rest = after.get(name.len()..)?.trim_start();
    }
    Some(Duration::try_from_secs_f64(total).ok())
}

/// Units of size, in bytes. `kB` and `MB` are the decimal ones, as IEC 80000-13 has them.
const BYTES: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads a size such as `256 MiB`, `64KiB` or `1048576`, in bytes.
///
/// # Errors
/// The fault and advice, as the end of a message that begins with the setting's name.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let factor = BYTES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.is_empty(), factor) {
        (false, Some(factor)) => number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .ok_or_else(|| format!("{:?} is more bytes than can be counted", shown(text))),
        _ => Err(format!(
            "{:?} is not a size; write a whole number and one of B, KiB, MiB, GiB, kB, MB, GB, such as \"256 MiB\"",
            shown(text)
        )),
    }
}

/// The beginning of a text, for a message.
fn shown(text: &str) -> String {
    text.trim().chars().take(40).collect()
}

/// The default limit of a spool, in bytes: at a kilobyte each 262,144 notifications, and small beside a CI runner's disk.
pub const DEFAULT_SPOOL_LIMIT: u64 = 256 * 1024 * 1024;

/// The time for which delivering may hold up the command that delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// For `start`, in the way of the build.
    pub start: Duration,
    /// For `finish`, and for `exec` once its command has ended.
    pub finish: Duration,
    /// After SIGTERM or SIGINT.
    pub stop: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            // A start that could not be sent is sent with the finish, so it may cost little of the build's time.
            start: Duration::from_secs(1),
            // The last chance on a runner that ends with its job; DX answers within this if it answers at all.
            finish: Duration::from_secs(5),
            // CI systems kill soon after the signal; 2 s is less than the shortest of their delays.
            stop: Duration::from_secs(2),
        }
    }
}

/// The table `[budgets]` of a file; what is absent keeps its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetKeys {
    /// Sets [`Budgets::start`].
    pub start: Option<Duration>,
    /// Sets [`Budgets::finish`].
    pub finish: Option<Duration>,
    /// Sets [`Budgets::stop`].
    pub stop: Option<Duration>,
}

impl BudgetKeys {
    /// The given budgets, and the defaults for the rest.
    #[must_use]
    pub fn resolve(self) -> Budgets {
        let default = Budgets::default();
        Budgets {
            start: self.start.unwrap_or(default.start),
            finish: self.finish.unwrap_or(default.finish),
            stop: self.stop.unwrap_or(default.stop),
        }
    }
}

/// The table `[limits]` of a file: the limits of a plugin. What is absent keeps the sandbox's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitKeys {
    /// The wall-clock time of one hook.
    pub hook: Option<Duration>,
    /// The wall-clock time of a whole chain of policies.
    pub chain: Option<Duration>,
    /// Linear memory of an instance, in bytes.
    pub memory: Option<u64>,
    /// Size of a component file, in bytes.
    pub component_size: Option<u64>,
    /// Table elements of an instance.
    pub table_elements: Option<u64>,
    /// Core instances in a component.
    pub instances: Option<u64>,
    /// The most that the host copies out of a plugin in one call, in bytes.
    pub hostcall_fuel: Option<u64>,
    /// The wasm stack, in bytes.
    pub stack: Option<u64>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_by_one_grammar() {
        for (text, millis) in [
            ("1s", 1_000),
            ("1.5 s", 1_500),
            ("2m", 120_000),
            (" 1 h ", 3_600_000),
            ("1m30s", 90_000),
            ("1h 30m", 5_400_000),
            ("1s500ms", 1_500),
            ("24h", 86_400_000),
            ("1d", 86_400_000),
            ("5", 5_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(parse_age(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_age("36500d"), Ok(LONGEST_AGE));
    }

    #[test]
    fn text_that_is_not_a_time_is_refused() {
        for text in [
            "", "s", "d", "1 sec", "-1s", "+1s", "1e3s", "inf", "NaN", "1.2.3s", "1s1s", "30s1m", ".s", "1.s", "1w",
            "1m30", "é",
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains("is not a duration"), "{text}: {error}");
            let error = parse_age(text).unwrap_err();
            assert!(error.contains("is not an age"), "{text}: {error}");
        }
        for text in ["0d", "999ms", "36501d", "99999999999999999999d"] {
            assert!(parse_age(text).unwrap_err().contains("is not an age"), "{text}");
        }
    }

    #[test]
    fn times_that_overflow_a_clock_are_refused() {
        for text in ["24.1h", "2d", "99999999999h", &format!("{}h", "9".repeat(400))] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains("too long") && error.len() < 120, "{error}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("256 MiB", 268_435_456),
            ("64KiB", 65_536),
            (" 1 GiB ", 1_073_741_824),
            ("1048576", 1_048_576),
            ("0", 0),
            ("7 B", 7),
            ("5 MB", 5_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_size_is_refused() {
        for text in [
            "", "MiB", "1.5 GiB", "-1 MiB", "10 mib", "10 M", "+1", "1 MiB x", "1_000",
        ] {
            assert!(parse_size(text).unwrap_err().contains("is not a size"), "{text}");
        }
        assert!(
            parse_size("18446744073709551615 GiB")
                .unwrap_err()
                .contains("more bytes")
        );
        assert!(parse_size(&"9".repeat(100_000)).unwrap_err().len() < 200);
    }
}
