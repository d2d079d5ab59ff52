//! The pauses of a run with documents that fail, and the documents that it is reported without.

use chrono::{DateTime, TimeDelta, Utc};

/// What a look does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Without {
    /// Nothing that it needs.
    Nothing,
    /// Documents that the server still does not know.
    Missing,
    /// All that cannot be had or read.
    Unreadable,
}

/// For how long a document that the server does not know may come: an internal error of the old dialect, which says so, passes within minutes.
const MISSING_FOR: TimeDelta = TimeDelta::minutes(10);

/// How often, and for how long, a run that cannot be read is held back: a server that is repaired within a working day loses nothing.
const MAX_TRIES: u32 = 5;
const HELD_FOR: TimeDelta = TimeDelta::hours(6);

/// The longest pause while it is held back. The pauses double.
const HELD_PAUSE: TimeDelta = TimeDelta::hours(1);

/// The same after that, and for how long it goes on: as long as a run may.
const LATE_PAUSE: TimeDelta = TimeDelta::days(1);
const LATE_FOR: TimeDelta = TimeDelta::days(14);

/// The first pause for what only adds to a run that was told.
const ADDING_PAUSE: TimeDelta = TimeDelta::minutes(1);

/// How often a run could not be read whole, and since when, in seconds since 1970.
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

    /// How it stands after one more look that did not find all.
    pub fn failed_again(&self) -> (u32, i64) {
        (self.tries.saturating_add(1), self.first)
    }

    /// What this look does without.
    pub fn without(&self) -> Without {
        if self.tries >= MAX_TRIES && self.since() >= HELD_FOR {
            Without::Unreadable
        } else if self.tries > 0 && self.since() >= MISSING_FOR {
            Without::Missing
        } else {
            Without::Nothing
        }
    }

    /// When a run that is held back is looked at again. The second time is within the same round, once all others were.
    pub fn held_until(&self, is_missing: bool) -> i64 {
        let pause = self.since().min(HELD_PAUSE);
        // Asking in between changes nothing.
        let pause = if is_missing && self.tries > 0 {
            pause.max(MISSING_FOR - self.since())
        } else {
            pause
        };
        self.at(pause)
    }

    /// When it is looked at again for what would be added to what was told; none if that does not come.
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
    fn what_is_not_known_is_final_when_it_is_not_known_minutes_later_either() {
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
    fn what_cannot_be_read_is_done_without_after_hours_and_some_tries() {
        assert_eq!(after(4, 600).without(), Without::Missing);
        assert_eq!(after(5, 359).without(), Without::Missing);
        assert_eq!(after(5, 360).without(), Without::Unreadable);
    }
}
