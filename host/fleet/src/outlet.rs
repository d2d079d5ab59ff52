//! The queue as a reporter's outlet, for callers without an asynchronous runtime.

use crate::address::Queue;
use crate::connection::Connection;
use crate::publish::{PublishError, Publisher};
use pipefold::dx::Outcome;
use pipefold::{Outlet, Run};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Between uses nobody answers the server's pings: past this it may have hung up, and connecting anew is quicker than finding out.
const IDLE: Duration = Duration::from_secs(20);

/// The queue, for a reporter. Nothing is started and nothing connected before the first upsert.
pub struct QueueOutlet {
    queue: Queue,
    open: Mutex<Option<Open>>,
}

/// A runtime of its own, which works while someone waits for it, and the connection in it.
struct Open {
    publisher: Option<Publisher>,
    used: Instant,
    runtime: Runtime,
}

impl QueueOutlet {
    /// An outlet into this queue.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self {
            queue,
            open: Mutex::new(None),
        }
    }

    fn publish(&self, run: &Run, timeout: Duration) -> Result<(), String> {
        let deadline = Instant::now() + timeout;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match &mut *open {
            Some(open) => open,
            none => none.insert(Open {
                publisher: None,
                used: Instant::now(),
                runtime: Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|why| format!("cannot start what talks to the queue: {why}"))?,
            }),
        };
        let kept = open.publisher.take().filter(|_| open.used.elapsed() < IDLE);
        let left = deadline.saturating_duration_since(Instant::now());
        let work = async {
            let publisher = match kept {
                Some(publisher) => publisher,
                None => Publisher::new(Connection::open(&self.queue).await?),
            };
            publisher.publish(run).await?;
            Ok::<_, PublishError>(publisher)
        };
        let done = open.runtime.block_on(async { tokio::time::timeout(left, work).await });
        open.used = Instant::now();
        match done {
            Ok(Ok(publisher)) => {
                open.publisher = Some(publisher);
                Ok(())
            }
            Ok(Err(why)) => Err(why.to_string()),
            Err(_) => Err(format!("the queue at {} did not acknowledge in time", self.queue)),
        }
    }
}

impl Outlet for QueueOutlet {
    fn address(&self) -> String {
        self.queue.to_string()
    }

    fn credentials(&self) -> String {
        self.queue.credentials()
    }

    fn upsert(&self, run: &Run, timeout: Duration) -> Outcome {
        match self.publish(run, timeout) {
            Ok(()) => Outcome::Accepted,
            Err(why) => Outcome::Retry { after: None, why },
        }
    }
}

impl std::fmt::Debug for QueueOutlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QueueOutlet({})", self.queue)
    }
}
