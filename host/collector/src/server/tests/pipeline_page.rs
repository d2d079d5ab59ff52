//! The page of a pipeline, compared with its JSON.

use super::shown::{cells, spoken, spoken_change, sum, whole};
use super::statistics::ms;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// Compares the page of a pipeline with its JSON, which was compared with the runs.
pub fn check_page(page: &str, answer: &Value, now: DateTime<Utc>) {
    let statistics = &answer["statistics"];
    let (figures, before) = (&statistics["figures"], &statistics["before"]);
    let counts = &figures["counts"];
    let number = |name: &str| counts[name].as_u64().unwrap();
    let total = sum(counts);
    let judged = number("success") + number("failure");
    let passed = if judged == 0 {
        "–".to_owned()
    } else {
        let percent = 100.0 * number("success") as f64 / judged as f64;
        let percent = if percent < 100.0 {
            percent.round().min(99.0)
        } else {
            100.0
        };
        format!(
            "{}\u{202f}%",
            if number("success") > 0 {
                percent.max(1.0)
            } else {
                percent
            }
        )
    };
    let length = |name: &str| {
        let change = spoken_change(whole(&before[name]), whole(&figures[name]));
        format!("{}{change}", spoken(figures[name].as_i64()))
    };
    let (from, until) = (ms(&answer["from"]).unwrap(), ms(&answer["until"]).unwrap());
    let day = 86_400_000.0;
    // The page is some moments younger.
    let failures = number("failure") as f64 / ((now.timestamp_millis() - from) as f64 / day);
    let failures_before = before["counts"]["failure"].as_f64().unwrap() / ((until - from) as f64 / day);
    let totals = cells(page, "<dl class=\"totals\">", "</dl>", "<div", ["dt", "dd"]);
    let expected = [
        ("Runs", total.to_string()),
        ("Passed", passed),
        (
            "Failures a day",
            format!(
                "{failures:.1}{}",
                spoken_change(Some(failures_before).filter(|before| *before > 0.0), Some(failures))
            ),
        ),
        ("Median", length("median")),
        ("90\u{202f}% within", length("p90")),
        ("Time to green", length("time_to_green")),
        ("Flaky commits", answer["pipeline"]["flaky_commits"].to_string()),
    ];
    for (shown, (name, value)) in totals.iter().zip(expected) {
        assert_eq!(*shown, [name.to_owned(), value], "{totals:?} {statistics}");
    }
    let rows = cells(
        page,
        "<details class=\"values\" id=\"values\">",
        "</details>",
        "<tr>",
        ["td", "th"],
    );
    let columns = statistics["columns"].as_array().unwrap();
    assert_eq!(rows.len().saturating_sub(1), columns.len());
    for (row, column) in rows.iter().skip(1).zip(columns) {
        let counts = &column["counts"];
        let total = sum(counts);
        assert_eq!(
            row[1..4],
            [
                total.to_string(),
                counts["success"].to_string(),
                counts["failure"].to_string()
            ]
        );
        assert_eq!(
            row[5..7],
            [spoken(column["median"].as_i64()), spoken(column["p90"].as_i64())]
        );
    }
    let steps = statistics["steps"].as_array().unwrap();
    for row in cells(page, "<table class=\"steps\">", "</table>", "<tr>", ["td", "th"])
        .iter()
        .skip(1)
    {
        let step = steps.iter().find(|step| step["name"] == json!(row[0])).unwrap();
        let (figures, before) = (&step["figures"], &step["before"]);
        let failures = figures["failures"].as_u64().unwrap();
        let change = spoken_change(whole(&before["median"]), whole(&figures["median"]));
        let expected = [
            figures["executions"].to_string(),
            if failures == 0 {
                "–".into()
            } else {
                failures.to_string()
            },
            format!("{}{change}", spoken(figures["median"].as_i64())),
            spoken(figures["p90"].as_i64()),
            spoken(before["median"].as_i64()),
        ];
        assert_eq!(row[1..], expected, "{row:?} {step}");
    }
}
