//! Sizes as people write them.

/// Units, with what they stand for in bytes. `kB` and `MB` are the decimal ones, as IEC 80000-13 has them.
const UNITS: [(&str, u64); 8] = [
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
/// Says what is wrong with the text and what would be right, to be put behind the name of the setting.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let shown = || text.chars().take(40).collect::<String>();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.is_empty(), factor) {
        (false, Some(factor)) => number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .ok_or_else(|| format!("{:?} is more bytes than can be counted", shown())),
        _ => Err(format!(
            "{:?} is not a size; write a whole number and one of B, KiB, MiB, GiB, kB, MB, GB, such as \"256 MiB\"",
            shown()
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

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
    fn what_is_no_size_is_refused() {
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
