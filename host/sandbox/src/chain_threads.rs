//! Threads with a large stack that are kept for the next job.
//!
//! A chain of policies needs more stack than its caller may have. Starting a thread for each question costs the system more time than the
//! policies take, so a thread that is done waits some seconds for the next question of any chain of the process.

use std::{
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Time that a thread waits for a job before it ends: longer than the pauses between the steps of a busy server.
const IDLE_TIME: Duration = Duration::from_secs(10);
/// Threads that wait at once: as many as a server judges questions at the same time. More end when they are done.
const MOST_IDLE: usize = 16;

/// A job for a thread. What it returns is called when the thread can take the next job.
type Job = Box<dyn FnOnce() -> Box<dyn FnOnce()> + Send>;

/// A thread that waits for a job.
struct Idle {
    id: u64,
    /// Bytes of its stack.
    stack: usize,
    jobs: mpsc::SyncSender<Job>,
}

/// The threads that wait, the latest one last.
static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<Idle>> {
    // Valid at every moment: each change is one call.
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on a thread with at least `stack` bytes, and gives its result to the receiver. The receiver is disconnected if the work
/// panicked. The thread ends by itself, also if the caller no longer waits.
///
/// # Errors
/// The system has no thread to spare.
pub fn run<T: Send + 'static>(
    stack: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<mpsc::Receiver<T>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let job: Job = Box::new(move || {
        let result = work();
        Box::new(move || {
            // The caller may have stopped waiting.
            let _ = sender.send(result);
        })
    });
    let waiting = {
        let mut idle = idle();
        let place = idle.iter().rposition(|thread| thread.stack >= stack);
        place.map(|place| idle.remove(place))
    };
    let job = match waiting {
        None => job,
        Some(thread) => match thread.jobs.send(job) {
            Ok(()) => return Ok(receiver),
            Err(mpsc::SendError(job)) => job,
        },
    };
    thread::Builder::new()
        .name("pipefold-chain".into())
        .stack_size(stack)
        .spawn(move || serve(stack, job))?;
    Ok(receiver)
}

/// Runs a job, and the ones after it.
fn serve(stack: usize, first: Job) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut job = first;
    loop {
        let done = job();
        // It waits before the caller has its answer, as the caller may ask its next question at once.
        let jobs = wait(id, stack);
        done();
        let Some(next) = jobs.and_then(|jobs| next(id, &jobs)) else {
            return;
        };
        job = next;
    }
}

/// Puts a thread among those that wait; `None` if they are enough.
fn wait(id: u64, stack: usize) -> Option<mpsc::Receiver<Job>> {
    let mut idle = idle();
    if idle.len() == MOST_IDLE {
        return None;
    }
    let (jobs, receiver) = mpsc::sync_channel(1);
    idle.push(Idle { id, stack, jobs });
    Some(receiver)
}

/// The next job for a thread that waits; `None` if none came in time.
fn next(id: u64, jobs: &mpsc::Receiver<Job>) -> Option<Job> {
    jobs.recv_timeout(IDLE_TIME).ok().or_else(|| {
        let mut idle = idle();
        match idle.iter().position(|thread| thread.id == id) {
            Some(place) => {
                idle.remove(place);
                None
            }
            // A caller has taken it, and its job is on the way.
            None => {
                drop(idle);
                jobs.recv().ok()
            }
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::thread::ThreadId;

    const STACK: usize = 8 << 20;

    fn thread_of(stack: usize) -> ThreadId {
        run(stack, || thread::current().id()).unwrap().recv().unwrap()
    }

    // One test, as all share the threads of the process.
    #[test]
    fn threads_are_kept_and_a_panic_ends_only_its_own() {
        let first = thread_of(STACK);
        assert_eq!(thread_of(STACK), first);
        assert_eq!(thread_of(STACK / 2), first);
        assert_ne!(thread_of(STACK + 1), first);

        let panicked = run(STACK, || panic!("of a test")).unwrap();
        let result: Result<(), _> = panicked.recv();
        assert!(result.is_err());
        let after = thread_of(STACK);

        let (go, gone) = mpsc::sync_channel::<()>(0);
        let held = run(STACK, move || gone.recv().is_ok()).unwrap();
        let other = thread_of(STACK);
        assert_ne!(other, after);
        go.send(()).unwrap();
        assert!(held.recv().unwrap());

        let many: Vec<_> = (0..2 * MOST_IDLE)
            .map(|_| {
                let (go, gone) = mpsc::sync_channel::<()>(0);
                (go, run(STACK, move || gone.recv().is_ok()).unwrap())
            })
            .collect();
        for (go, held) in many {
            go.send(()).unwrap();
            assert!(held.recv().unwrap());
        }
        assert!(idle().len() <= MOST_IDLE);
    }
}
