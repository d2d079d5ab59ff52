//! Metrics in Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write as _};

/// The `Content-Type` of this format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The prefix of every metric's name.
const PREFIX: &str = "pipefold_";

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A number that only grows.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// Numbers of observations below each bound.
    Histogram,
}

/// A page of metrics.
#[derive(Clone, Debug, Default)]
pub struct Page(String);

/// One metric of a page, with its samples.
#[derive(Debug)]
pub struct Metric<'a> {
    page: &'a mut String,
    name: &'a str,
}

impl Page {
    /// Begins a metric, which a page has once. `name` is without the `pipefold_` that all begin with; `help` describes the metric.
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

    /// The page's text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

impl Metric<'_> {
    /// Writes the metric's only sample.
    pub fn is(self, value: impl Display) {
        self.part("", &[], value).end();
    }

    /// Writes a sample for each value of a label.
    pub fn by<V: Display>(self, label: &str, values: impl IntoIterator<Item = (&'static str, V)>) {
        let add = |metric: Self, (of, value)| metric.part("", &[(label, of)], value);
        values.into_iter().fold(self, add).end();
    }

    /// Writes a sample whose name ends in `suffix`, as a histogram's do, with these labels.
    #[must_use]
    pub fn part(self, suffix: &str, labels: &[(&str, &str)], value: impl Display) -> Self {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, of)| {
                let of = of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("{label}=\"{of}\"")
            })
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(self.page, "{PREFIX}{}{suffix}{labels} {value}", self.name);
        self
    }

    /// Ends the metric.
    pub fn end(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_are_escaped() {
        let mut page = Page::default();
        page.metric("up", MetricKind::Gauge, "A \\ and\na line.").is(1);
        let by = [("a\"b\\c\nd", 7_u64), ("e", 0)];
        page.metric("sent_total", MetricKind::Counter, "Sent.").by("to", by);
        let histogram = page.metric("took_seconds", MetricKind::Histogram, "Time.");
        let histogram = histogram.part("_bucket", &[("of", "a"), ("le", "0.5")], 2);
        histogram.part("_sum", &[], 1.5).end();
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
             pipefold_took_seconds_bucket{of=\"a\",le=\"0.5\"} 2\n\
             pipefold_took_seconds_sum 1.5\n"
        );
    }
}
