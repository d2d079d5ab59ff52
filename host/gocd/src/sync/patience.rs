//! The pauses of a run with failing documents, and the documents that it is reported without.

use chrono::{DateTime, TimeDelta, Utc};

/// The documents that a run is read without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Without {
    /// None.
    Nothing,
    /// Documents that are still unknown to the server.
    Missing,
    /// All that cannot be fetched or read.
    Unreadable,
}

/// The time for which an unknown document may still come: an internal error of the old dialect, which answers so, passes within minutes.
const MISSING_FOR: TimeDelta = TimeDelta::minutes(10);

/// The number of tries, and the time, for which an unreadable run is held back: a server that is repaired within a working day loses
/// nothing.
const MAX_TRIES: u32 = 5;
const HELD_FOR: TimeDelta = TimeDelta::hours(6);

/// The longest pause while a run is held back. The pauses double.
const HELD_PAUSE: TimeDelta = TimeDelta::hours(1);

/// The longest pause after that, and the time for which reads go on: as long as a run may.
const LATE_PAUSE: TimeDelta = TimeDelta::days(1);
const LATE_FOR: TimeDelta = TimeDelta::days(14);

/// The first pause for data that only adds to a reported run.
const ADDING_PAUSE: TimeDelta = TimeDelta::minutes(1);

/// The number of incomplete reads of a run, and the time of the first, in seconds since 1970.
pub struct Patience {
    tries: u32,
    first: i64,
    now: i64,
}

impl Patience {
    pub fn new(failed: Option<(u32, i64)>, now: DateTime<Utc>) -> Self {
        let now = now.timestamp();
        let (tries, first) = failed.unwrap_or((0, now));
        Self { tries, first, now }
    }

    /// Returns the state after one more incomplete read.
    pub fn failed_again(&self) -> (u32, i64) {
        (self.tries.saturating_add(1), self.first)
    }

    /// Returns the documents that this read does without.
    pub fn without(&self) -> Without {
        if self.tries >= MAX_TRIES && self.since() >= HELD_FOR {
            Without::Unreadable
        } else if self.tries > 0 && self.since() >= MISSING_FOR {
            Without::Missing
        } else {
            Without::Nothing
        }
    }

    /// Returns the time of the next read of a run that is held back. The second read is within the same round, once all others were done.
    pub fn held_until(&self, is_missing: bool) -> i64 {
        let pause = self.since().min(HELD_PAUSE);
        // A request in between changes nothing.
        let pause = if is_missing && self.tries > 0 {
            pause.max(MISSING_FOR - self.since())
        } else {
            pause
        };
        self.at(pause)
    }

    /// Returns the time of the next read for additional data; `None` if it does not come.
    pub fn added_at(&self, is_missing: bool) -> Option<i64> {
        let least = if is_missing {
            (MISSING_FOR - self.since()).max(ADDING_PAUSE)
        } else {
            ADDING_PAUSE
        };
        let most = if self.since() < HELD_FOR {
            HELD_PAUSE
        } else {
            LATE_PAUSE
        };
        let pause = self.since().max(least).min(most);
        let is_final = is_missing && self.without() >= Without::Missing;
        (self.since() < LATE_FOR && !is_final).then(|| self.at(pause))
    }

    fn since(&self) -> TimeDelta {
        TimeDelta::try_seconds(self.now.saturating_sub(self.first)).unwrap_or(TimeDelta::MAX)
    }

    fn at(&self, pause: TimeDelta) -> i64 {
        self.now.saturating_add(pause.num_seconds().max(0))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn after(tries: u32, minutes: i64) -> Patience {
        Patience::new(Some((tries, 0)), DateTime::from_timestamp(minutes * 60, 0).unwrap())
    }

    #[test]
    fn pauses_double_and_have_a_longest() {
        for (minutes, held, added) in [
            (0, 0, 1),
            (1, 1, 1),
            (30, 30, 30),
            (90, 60, 60),
            (1_000, 60, 1_000),
            (9_000, 60, 1_440),
        ] {
            let patience = after(3, minutes);
            assert_eq!(patience.held_until(false), (minutes + held) * 60, "{minutes}");
            assert_eq!(patience.added_at(false), Some((minutes + added) * 60), "{minutes}");
        }
        assert_eq!(after(30, 20_160).added_at(false), None);
    }

    #[test]
    fn an_unknown_document_is_final_if_it_is_unknown_minutes_later() {
        let new = Patience::new(None, DateTime::UNIX_EPOCH);
        assert_eq!(
            (new.without(), new.held_until(true), new.added_at(true)),
            (Without::Nothing, 0, Some(600))
        );
        assert_eq!(
            (after(1, 0).without(), after(1, 0).held_until(true)),
            (Without::Nothing, 600)
        );
        assert_eq!(after(1, 9).without(), Without::Nothing);
        assert_eq!(
            (after(1, 10).without(), after(1, 10).added_at(true)),
            (Without::Missing, None)
        );
    }

    #[test]
    fn an_unreadable_document_is_done_without_after_hours_and_tries() {
        assert_eq!(after(4, 600).without(), Without::Missing);
        assert_eq!(after(5, 359).without(), Without::Missing);
        assert_eq!(after(5, 360).without(), Without::Unreadable);
    }
}
