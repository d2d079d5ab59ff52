//! The grant `log`: lines in the build's log.

use super::HasGrants;
use crate::foreign::cut;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use wasmtime::{
    StoreContextMut,
    component::{ComponentType, Lift, Linker, Lower},
};

/// The interface for log lines.
pub const INTERFACE: &str = "pipefold:ci/log@0.2.0";

/// Lines that a policy may write at once, in all calls of a process together: enough to debug it, and no flood in a build log. Policies
/// that call each other multiply calls, so a limit for each call would be none.
const MOST_LINES: u32 = 50;
/// The time after which one more line is allowed: a server that lives for months can still log.
const ONE_MORE: Duration = Duration::from_secs(1);
/// Characters of one line; the rest of a longer one is cut off.
const LONGEST_LINE: usize = 1 << 10;

/// The level of a line.
#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[component(enum)]
#[repr(u8)]
pub enum LogLevel {
    /// For the author of the policy.
    #[component(name = "debug")]
    Debug,
    /// Progress.
    #[component(name = "info")]
    Info,
    /// A problem to look at.
    #[component(name = "warn")]
    Warn,
}

/// A sink for the lines of a policy. Its arguments are the policy's name, the level and the line, [safe to show](crate::foreign).
pub type LogSink = Arc<dyn Fn(&str, LogLevel, &str) + Send + Sync>;

/// Defines the interface.
pub fn link<T: HasGrants>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.func_wrap("write", write::<T>)
}

fn write<T: HasGrants>(mut store: StoreContextMut<'_, T>, (level, line): (LogLevel, String)) -> wasmtime::Result<()> {
    let state = store.data_mut().granted();
    let Some(sink) = state.grants.log.clone() else {
        return Ok(());
    };
    match state.meter.take(Instant::now()) {
        LineAllowance::Given => sink(&state.link, level, &cut(&line, LONGEST_LINE)),
        LineAllowance::JustOver => sink(
            &state.link,
            LogLevel::Warn,
            "it logs too much; further lines are left out",
        ),
        LineAllowance::None => {}
    }
    Ok(())
}

/// A meter of the lines of one policy.
pub struct LineMeter(Mutex<LineCount>);

struct LineCount {
    left: u32,
    /// The time of the last refill.
    since: Instant,
    /// True once the note was written that lines are left out.
    said: bool,
}

/// The decision on a line.
#[derive(Debug, PartialEq, Eq)]
enum LineAllowance {
    Given,
    /// Left out, with a note.
    JustOver,
    /// Left out.
    None,
}

impl Default for LineMeter {
    fn default() -> Self {
        Self(Mutex::new(LineCount {
            left: MOST_LINES,
            since: Instant::now(),
            said: false,
        }))
    }
}

impl LineMeter {
    fn take(&self, now: Instant) -> LineAllowance {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(count.since).as_secs() / ONE_MORE.as_secs();
        if passed > 0 {
            count.since = now;
            count.left = count
                .left
                .saturating_add(u32::try_from(passed).unwrap_or(u32::MAX))
                .min(MOST_LINES);
            count.said &= count.left < MOST_LINES;
        }
        match count.left.checked_sub(1) {
            Some(left) => {
                count.left = left;
                LineAllowance::Given
            }
            None if count.said => LineAllowance::None,
            None => {
                count.said = true;
                LineAllowance::JustOver
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_slowly_and_the_rest_is_mentioned_once() {
        let meter = LineMeter::default();
        let began = Instant::now();
        let take = |seconds| meter.take(began + Duration::from_secs(seconds));
        assert!((0..MOST_LINES).all(|_| take(0) == LineAllowance::Given));
        assert_eq!([take(0), take(0)], [LineAllowance::JustOver, LineAllowance::None]);
        assert_eq!(
            [take(3), take(3), take(3), take(3)],
            [
                LineAllowance::Given,
                LineAllowance::Given,
                LineAllowance::Given,
                LineAllowance::None
            ]
        );
        // After a pause it is as at first.
        assert!((0..MOST_LINES).all(|_| take(1000) == LineAllowance::Given));
        assert_eq!([take(1000), take(1000)], [LineAllowance::JustOver, LineAllowance::None]);
    }
}
