//! Asks a chain whose policies may open files. The system may let an open wait for as long as it likes (a named pipe waits for its other
//! end), and nothing in this process can end such a wait: so the chain runs on a thread that can be left behind.

use crate::{asking::Asking, chain::Line, error::HookError, question::Question, seen::Answered, types::Notification};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// Time beyond the chain's own: by then the watchdog has ended whatever runs as WebAssembly, and only what waits in the system is left.
const GRACE: Duration = Duration::from_millis(100);
/// Threads of all chains of this process that may be left behind or at work: a long-lived host must not gather them without end.
const MOST_THREADS: usize = 64;
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// One of the threads; gone when it is dropped.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let take = |threads| (threads < MOST_THREADS).then_some(threads + 1);
        let taken = THREADS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        // Only one that is taken may be made: it is given back when it is dropped.
        taken.ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A question that outlives who asks it.
enum Owned {
    PipelineStart(Notification),
    Step(Notification),
    PipelineFinish(Vec<Notification>),
}

impl Owned {
    fn of(question: &Question<'_>) -> Self {
        match *question {
            Question::PipelineStart(event) => Self::PipelineStart(event.clone()),
            Question::Step(event) => Self::Step(event.clone()),
            Question::PipelineFinish(history) => Self::PipelineFinish(history.to_vec()),
        }
    }

    fn question(&self) -> Question<'_> {
        match self {
            Self::PipelineStart(event) => Question::PipelineStart(event),
            Self::Step(event) => Question::Step(event),
            Self::PipelineFinish(history) => Question::PipelineFinish(history),
        }
    }
}

/// Asks the chain, and waits no longer than it may take.
pub(crate) fn ask(
    line: &Arc<Line>,
    question: &Question<'_>,
    asking: &Arc<Asking>,
    stack: usize,
) -> Result<Answered, HookError> {
    let Some(place) = Place::take() else {
        return Err(line.failed(
            question.hook(),
            format!("{MOST_THREADS} questions wait for files that do not open"),
        ));
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    let (owned, its_line, its_asking) = (Owned::of(question), Arc::clone(line), Arc::clone(asking));
    let work = move || {
        let _place = place;
        // The caller may have stopped waiting.
        let _ = sender.send(Line::ask(&its_line, 0, &owned.question(), &its_asking));
    };
    thread::Builder::new()
        .name("pipefold-chain".into())
        .stack_size(stack)
        .spawn(work)
        .map_err(|error| line.failed(question.hook(), error.to_string()))?;
    loop {
        // The end moves while the rules are at work.
        let left = (asking.until() + GRACE).saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(answer) => return answer,
            Err(mpsc::RecvTimeoutError::Timeout) if asking.until() + GRACE > Instant::now() => {}
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(line.waited_in_vain(question.hook())),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(line.failed(question.hook(), "the thread of the chain ended early".into()));
            }
        }
    }
}
