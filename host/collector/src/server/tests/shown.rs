//! What a page shows, as text: written and read without the code of the pages.

use chrono::{DateTime, Utc};
use serde_json::Value;
use std::ops::RangeInclusive;

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

/// The sum of the counts of statuses.
pub fn sum(counts: &Value) -> u64 {
    let counts = counts.as_object().unwrap().values();
    counts.map(|count| count.as_u64().unwrap()).sum()
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

/// Checks every age of a page that was made at some moment.
pub fn check_ages(page: &str, made: RangeInclusive<DateTime<Utc>>) {
    let mut count = 0;
    for time in page.split("<time datetime=\"").skip(1) {
        let (then, rest) = time.split_once('"').unwrap();
        let then: DateTime<Utc> = then.parse().unwrap();
        let shown = rest.split_once('>').unwrap().1.split('<').next().unwrap();
        let age = |now: &DateTime<Utc>| match (*now - then).num_seconds() {
            ..60 => "just now".to_owned(),
            seconds @ 60..3_600 => format!("{} min ago", seconds / 60),
            seconds @ 3_600..86_400 => format!("{} h ago", seconds / 3_600),
            seconds @ 86_400..2_592_000 => format!("{} d ago", seconds / 86_400),
            _ => then.date_naive().to_string(),
        };
        // The page has whole seconds, the server milliseconds.
        let early = *made.start() - chrono::TimeDelta::seconds(1);
        let ages = [&early, made.start(), made.end()].map(age);
        assert!(ages.iter().any(|age| age == shown), "{then} {ages:?} {shown}");
        count += 1;
    }
    assert!(count > 0);
}

/// Checks the small drawing in a row: the newest runs, newest first, by status and length.
pub fn check_drawing(row: &str, newest: &[(&str, Option<i64>)]) {
    let drawing = row
        .split("<svg class=\"spark\"")
        .nth(1)
        .unwrap()
        .split("</svg>")
        .next()
        .unwrap();
    let longest = newest.iter().filter_map(|(_, length)| *length).fold(1_000, i64::max) as f64;
    let mut statuses: Vec<&str> = Vec::new();
    for (status, _) in newest {
        if !statuses.contains(status) {
            statuses.push(status);
        }
    }
    let mut said = Vec::new();
    for status in statuses {
        let of_status = newest.iter().enumerate().filter(|(_, (of, _))| *of == status);
        let bars: Vec<String> = of_status
            .map(|(place, (_, length))| {
                let share = (length.unwrap_or(0) as f64 / longest).sqrt();
                format!("M{} 22v-{:.1}", 98 - 5 * place, 5.0 + 17.0 * share)
            })
            .collect();
        let path = format!("<path class=\"s-{status}\" d=\"{}\"", bars.concat());
        assert!(drawing.contains(&path), "{path} {drawing}");
        said.push(format!("{} {status}", bars.len()));
    }
    let count = newest.len();
    let runs = if count == 1 { "run" } else { "runs" };
    assert!(
        drawing.contains(&format!("The latest {count} {runs}: {}", said.join(", "))),
        "{said:?} {drawing}"
    );
}
