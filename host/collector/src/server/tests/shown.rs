//! What a page shows, as text: written and read without the code of the pages.

use serde_json::Value;

/// A length as people read it.
pub fn spoken(ms: Option<i64>) -> String {
    let Some(ms) = ms else { return "–".into() };
    let (days, hours, minutes, seconds) = (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60);
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..10_000 => format!("{}.{}s", seconds, ms % 1_000 / 100),
        10_000..60_000 => format!("{seconds}s"),
        60_000..3_600_000 => format!("{minutes}m {seconds:02}s"),
        3_600_000..86_400_000 => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// The change that is shown beside a number, if it is shown.
pub fn spoken_change(before: Option<f64>, now: Option<f64>) -> String {
    let (Some(before), Some(now)) = (before, now) else {
        return String::new();
    };
    let factor = now / before;
    if before == 0.0 || (factor - 1.0).abs() < 0.05 {
        String::new()
    } else if factor >= 2.0 {
        format!(" ×{factor:.1}")
    } else {
        let percent = (factor * 100.0 - 100.0).round();
        format!(" {}{}\u{202f}%", if percent < 0.0 { '−' } else { '+' }, percent.abs())
    }
}

pub fn whole(value: &Value) -> Option<f64> {
    value.as_f64()
}

/// The texts of the cells of each row of the first table with this class, and of lists of terms, without markup.
pub fn cells(page: &str, begin: &str, end: &str, row: &str, cell: [&str; 2]) -> Vec<Vec<String>> {
    let table = page.split(begin).nth(1).unwrap_or_default().split(end).next().unwrap();
    let rows = table.split(row).skip(1);
    rows.map(|row| {
        let mut row = row.to_owned();
        for tag in cell {
            row = row
                .replace(&format!("<{tag}"), "\u{1}<x")
                .replace(&format!("</{tag}>"), "");
        }
        row.split('\u{1}').skip(1).map(plain).collect()
    })
    .collect()
}

/// The text of markup, without titles and what is said to machines only.
pub fn plain(markup: &str) -> String {
    let (mut text, mut rest) = (String::new(), markup);
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        let end = if rest[at..].starts_with("<title>") {
            "</title>"
        } else {
            ">"
        };
        rest = rest[at..].split_once(end).map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    let words = text.split([' ', '\n']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// A name as a part of an address.
pub fn encoded(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
