//! Counters, and their form for Prometheus.

use crate::store::Backlog;
use chrono::{DateTime, Utc};
use pipefold::prometheus::{Metric, MetricKind, Page};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of a histogram, in seconds: around what one disk's sync takes, up to what a client waits for.
const BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Counters of the server. No label has a value that comes from outside, so there are never more series than these.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections that are open.
    pub connections: AtomicU64,
    /// Upserts that were kept.
    pub accepted: AtomicU64,
    /// The jobs among them.
    pub jobs: AtomicU64,
    /// Upserts that a policy dropped.
    pub dropped: AtomicU64,
    /// Upserts that were refused for their content, or because their body did not arrive whole and in time.
    pub refused: AtomicU64,
    /// Requests that were refused for their sender.
    pub unauthorised: AtomicU64,
    /// Requests that were refused as too many.
    pub limited: AtomicU64,
    /// Requests that the server could not answer.
    pub failed: AtomicU64,
    /// Runs that DX accepted.
    pub forwarded: AtomicU64,
    /// Requests to DX that failed, and are retried.
    pub not_forwarded: AtomicU64,
    /// Runs that DX refused for good.
    pub rejected: AtomicU64,
    /// Jobs that DX accepted.
    pub jobs_forwarded: AtomicU64,
    /// Requests to DX about jobs that failed, and are retried.
    pub jobs_not_forwarded: AtomicU64,
    /// Jobs that DX refused for good.
    pub jobs_rejected: AtomicU64,
    /// Jobs that were not sent, as DX lacks the method.
    pub jobs_left: AtomicU64,
    /// The time from an upsert to the disk.
    pub durations: Durations,
    dx_up: AtomicU64,
}

impl Metrics {
    /// Records whether DX itself answered.
    pub fn dx_answered(&self, answered: bool) {
        self.dx_up.store(1 + u64::from(answered), Relaxed);
    }

    /// Writes all counters in Prometheus' format. The part about forwarding is there only if the server forwards, with the runs that wait
    /// at that time.
    pub fn write(&self, page: &mut Page, forwarding: Option<(Backlog, DateTime<Utc>)>) {
        let now = |counter: &AtomicU64| counter.load(Relaxed);
        page.metric("connections", MetricKind::Gauge, "Connections that are open.")
            .is(now(&self.connections));
        page.metric("requests_total", MetricKind::Counter, "Requests by their outcome.")
            .by(
                "result",
                [
                    ("accepted", now(&self.accepted)),
                    ("dropped", now(&self.dropped)),
                    ("refused", now(&self.refused)),
                    ("unauthorised", now(&self.unauthorised)),
                    ("limited", now(&self.limited)),
                    ("failed", now(&self.failed)),
                ],
            );
        page.metric("jobs_total", MetricKind::Counter, "Upserts of jobs that were kept.")
            .is(now(&self.jobs));
        if let Some((backlog, at)) = forwarding {
            let by = [
                ("accepted", now(&self.forwarded)),
                ("rejected", now(&self.rejected)),
                ("failed", now(&self.not_forwarded)),
            ];
            page.metric(
                "forwards_total",
                MetricKind::Counter,
                "Requests to DX by their outcome.",
            )
            .by("result", by);
            let by = [
                ("accepted", now(&self.jobs_forwarded)),
                ("rejected", now(&self.jobs_rejected)),
                ("failed", now(&self.jobs_not_forwarded)),
                ("no_method", now(&self.jobs_left)),
            ];
            page.metric(
                "forwards_jobs_total",
                MetricKind::Counter,
                "Jobs for DX by their outcome; with no_method DX does not take jobs.",
            )
            .by("result", by);
            // Before the first request the state of DX is unknown, and an alert would be false.
            if let Some(up) = now(&self.dx_up).checked_sub(1) {
                page.metric("dx_up", MetricKind::Gauge, "1 if DX itself answered the last request.")
                    .is(up);
            }
            page.metric(
                "forwards_waiting",
                MetricKind::Gauge,
                "Runs that DX does not have completely.",
            )
            .is(backlog.runs);
            let age = backlog.since.map_or(0, |since| (at - since).num_seconds().max(0));
            page.metric(
                "forwards_oldest_waiting_seconds",
                MetricKind::Gauge,
                "The time that the first of them has waited.",
            )
            .is(age);
        }
        let metric = page.metric(
            "upsert_duration_seconds",
            MetricKind::Histogram,
            "The time from a whole request to the disk.",
        );
        self.durations.write(metric, &[]).end();
    }
}

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Durations {
    buckets: [AtomicU64; BOUNDS.len()],
    microseconds: AtomicU64,
    count: AtomicU64,
}

impl Durations {
    /// Records a duration.
    pub fn took(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        if let Some(bucket) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket].fetch_add(1, Relaxed);
        }
        self.microseconds
            .fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
        self.count.fetch_add(1, Relaxed);
    }

    /// Writes the samples, each with these labels.
    #[must_use]
    pub fn write<'p>(&self, mut metric: Metric<'p>, labels: &[(&str, &str)]) -> Metric<'p> {
        let with =
            |bound: &str, metric: Metric<'p>, sum| metric.part("_bucket", &[labels, &[("le", bound)]].concat(), sum);
        let mut sum = 0;
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            sum += bucket.load(Relaxed);
            metric = with(&bound.to_string(), metric, sum);
        }
        // Never below the sum of the buckets, whatever is counted concurrently.
        let count = self.count.load(Relaxed).max(sum);
        metric = with("+Inf", metric, count);
        metric = metric.part("_sum", labels, self.microseconds.load(Relaxed) as f64 / 1e6);
        metric.part("_count", labels, count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_is_cumulative_and_forwarding_is_shown_if_on() {
        let metrics = Metrics::default();
        for millis in [0, 4, 4, 60, 10_000] {
            metrics.durations.took(Duration::from_millis(millis));
        }
        metrics.accepted.fetch_add(3, Relaxed);
        let written = |forwarding| {
            let mut page = Page::default();
            metrics.write(&mut page, forwarding);
            page.into_text()
        };
        let text = written(None);
        for line in [
            "pipefold_requests_total{result=\"accepted\"} 3",
            "pipefold_upsert_duration_seconds_bucket{le=\"0.001\"} 1",
            "pipefold_upsert_duration_seconds_bucket{le=\"0.005\"} 3",
            "pipefold_upsert_duration_seconds_bucket{le=\"5\"} 4",
            "pipefold_upsert_duration_seconds_bucket{le=\"+Inf\"} 5",
            "pipefold_upsert_duration_seconds_count 5",
            "pipefold_upsert_duration_seconds_sum 10.068",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("forwards") && !text.contains("dx_up"));
        let now = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let forwarding = |runs, since| written(Some((Backlog { runs, since }, now)));
        let text = forwarding(0, None);
        assert!(!text.contains("dx_up"), "nothing is known yet: {text}");
        assert!(text.contains("pipefold_forwards_oldest_waiting_seconds 0\n"), "{text}");
        for (answered, line) in [(true, "pipefold_dx_up 1\n"), (false, "pipefold_dx_up 0\n")] {
            metrics.dx_answered(answered);
            assert!(forwarding(0, None).contains(line));
        }
        let text = forwarding(3, Some(now - chrono::TimeDelta::seconds(90)));
        assert!(text.contains("pipefold_forwards_waiting 3\n"), "{text}");
        assert!(text.contains("pipefold_forwards_oldest_waiting_seconds 90\n"), "{text}");
    }
}
