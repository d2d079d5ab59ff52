//! The starts of runs: few at night, most at noon.

use std::f64::consts::TAU;
use std::time::Duration;

/// The share by which noon is above the mean, and midnight below it: noon then has nine times midnight's runs, as where one continent works.
const SWING: f64 = 0.8;

/// A simulated stretch of time into which `runs` runs fall, shaped as a day.
#[derive(Clone, Copy, Debug)]
pub struct Day {
    runs: u32,
    length: Duration,
}

impl Day {
    /// As many runs as are asked for, as dense as on a day with `runs_a_day`: fewer runs make a shorter day, and not a quieter one.
    #[must_use]
    pub fn of(runs: u32, runs_a_day: u32) -> Self {
        let share = f64::from(runs) / f64::from(runs_a_day.max(1));
        Self {
            runs,
            length: Duration::from_secs_f64(86_400.0 * share),
        }
    }

    /// The number of its runs.
    #[must_use]
    pub fn runs(self) -> u32 {
        self.runs
    }

    /// The time from its first to its last start.
    #[must_use]
    pub fn length(self) -> Duration {
        self.length
    }

    /// The start of run `number`, from the day's own beginning. Later numbers begin later.
    #[must_use]
    pub fn start(self, number: u32) -> Duration {
        let wanted = (f64::from(number) + 0.5) / f64::from(self.runs.max(1));
        let (mut low, mut high) = (0.0, 1.0);
        // Forty halvings of a day are below a microsecond.
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if begun_by(middle) < wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.length.mul_f64(low)
    }
}

/// The share of the runs that began in this share of the day: the integral of `1 + SWING·cos(2π(t − ½))`.
fn begun_by(time: f64) -> f64 {
    time + SWING / TAU * (TAU * (time - 0.5)).sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_day_is_as_dense_as_a_long_one_and_busiest_in_its_middle() {
        let (short, long) = (Day::of(1_000, 1_000_000), Day::of(1_000_000, 1_000_000));
        assert_eq!(long.length(), Duration::from_secs(86_400));
        assert_eq!(short.length() * 1_000, long.length());
        let starts: Vec<_> = (0..1_000).map(|number| short.start(number)).collect();
        assert!(starts.is_sorted() && starts[999] < short.length());
        let within = |from: f64, to: f64| {
            let (from, to) = (short.length().mul_f64(from), short.length().mul_f64(to));
            starts.iter().filter(|start| (from..to).contains(*start)).count()
        };
        assert!(within(0.45, 0.55) > 7 * within(0.0, 0.05), "{starts:?}");
    }
}
