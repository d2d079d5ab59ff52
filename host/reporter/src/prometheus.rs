//! What is counted, as Prometheus reads it: its text format, version 0.0.4.

use std::fmt::{Display, Write as _};

/// What an answer in this format is sent as.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What begins every name.
const PREFIX: &str = "pipefold_";

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// One that only grows.
    Counter,
    /// One that goes up and down.
    Gauge,
    /// How many there were below each bound.
    Histogram,
}

/// Metrics, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Page(String);

/// One metric of a page, with its samples.
#[derive(Debug)]
pub struct Metric<'a> {
    page: &'a mut String,
    name: &'a str,
}

impl Page {
    /// Begins a metric, which a page has once: its name without the `pipefold_` that all begin with, and what it counts.
    pub fn metric<'a>(&'a mut self, name: &'a str, kind: MetricKind, help: &str) -> Metric<'a> {
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}\n");
        Metric {
            page: &mut self.0,
            name,
        }
    }

    /// The whole of it.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

impl Metric<'_> {
    /// Its one sample.
    pub fn is(self, value: impl Display) {
        self.part("", None, value).end();
    }

    /// A sample for each value of a label.
    pub fn by<V: Display>(self, label: &str, values: impl IntoIterator<Item = (&'static str, V)>) {
        let add = |metric: Self, (of, value)| metric.part("", Some((label, of)), value);
        values.into_iter().fold(self, add).end();
    }

    /// A sample whose name goes on with `suffix`, as a histogram has them, perhaps with a label and its value.
    #[must_use]
    pub fn part(self, suffix: &str, label: Option<(&str, &str)>, value: impl Display) -> Self {
        let label = label.map(|(label, of)| {
            let of = of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{{{label}=\"{of}\"}}")
        });
        let label = label.unwrap_or_default();
        let _ = writeln!(self.page, "{PREFIX}{}{suffix}{label} {value}", self.name);
        self
    }

    /// It has no more samples.
    pub fn end(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_line_or_a_value_is_escaped() {
        let mut page = Page::default();
        page.metric("up", MetricKind::Gauge, "A \\ and\na line.").is(1);
        let by = [("a\"b\\c\nd", 7_u64), ("e", 0)];
        page.metric("sent_total", MetricKind::Counter, "Sent.").by("to", by);
        let histogram = page.metric("took_seconds", MetricKind::Histogram, "Time.");
        let histogram = histogram.part("_bucket", Some(("le", "0.5")), 2);
        histogram.part("_sum", None, 1.5).end();
        assert_eq!(
            page.into_text(),
            "# HELP pipefold_up A \\\\ and\\na line.\n\
             # TYPE pipefold_up gauge\n\
             pipefold_up 1\n\
             # HELP pipefold_sent_total Sent.\n\
             # TYPE pipefold_sent_total counter\n\
             pipefold_sent_total{to=\"a\\\"b\\\\c\\nd\"} 7\n\
             pipefold_sent_total{to=\"e\"} 0\n\
             # HELP pipefold_took_seconds Time.\n\
             # TYPE pipefold_took_seconds histogram\n\
             pipefold_took_seconds_bucket{le=\"0.5\"} 2\n\
             pipefold_took_seconds_sum 1.5\n"
        );
    }
}
