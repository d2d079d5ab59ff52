//! The queue as a reporter's outlet, for callers without an asynchronous runtime.

use crate::address::Queue;
use crate::connection::{Connection, Purpose};
use crate::publish::Publisher;
use pipefold::dx::Outcome;
use pipefold::{Job, Outlet, Run};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout_at;

/// The longest reuse of an idle connection. Between uses the server's pings are not answered: after this time it may have closed the
/// connection, and a new one is quicker than a check.
const IDLE: Duration = Duration::from_secs(20);

/// A queue as an outlet of a reporter. It connects at the first upsert.
pub struct QueueOutlet {
    queue: Queue,
    open: Mutex<Option<OpenConnection>>,
}

/// The connection with its own runtime, which runs only during an upsert.
struct OpenConnection {
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

    /// Publishes a run, or a job of it.
    fn publish(&self, run: &Run, job: Option<&Job>, timeout: Duration) -> Outcome {
        match self.try_publish(run, job, timeout) {
            Ok(()) => Outcome::Accepted,
            Err(why) => Outcome::Retry { after: None, why },
        }
    }

    fn try_publish(&self, run: &Run, job: Option<&Job>, timeout: Duration) -> Result<(), String> {
        let deadline = Instant::now() + timeout;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match &mut *open {
            Some(open) => open,
            none => none.insert(OpenConnection {
                publisher: None,
                used: Instant::now(),
                runtime: Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|why| format!("cannot start the queue's client: {why}"))?,
            }),
        };
        let kept = open.publisher.take().filter(|_| open.used.elapsed() < IDLE);
        let deadline = tokio::time::Instant::from_std(deadline);
        let done = open.runtime.block_on(async {
            let publisher = match kept {
                Some(publisher) => publisher,
                None => match timeout_at(deadline, Connection::open(&self.queue, Purpose::Report)).await {
                    Ok(opened) => Publisher::new(opened.map_err(|why| why.to_string())?),
                    Err(_) => return Err(format!("the queue at {} did not answer in time", self.queue)),
                },
            };
            let publishing = async {
                match job {
                    Some(job) => publisher.publish_job(run, job).await,
                    None => publisher.publish(run).await,
                }
            };
            tokio::select! {
                stored = timeout_at(deadline, publishing) => match stored {
                    Ok(stored) => stored.map_err(|why| why.to_string())?,
                    Err(_) => return Err(format!("the queue at {} did not acknowledge in time", self.queue)),
                },
                () = publisher.connection().denied() => return Err(format!(
                    "the queue at {} does not allow these credentials to publish: they need pipefold.runs.* and _INBOX.report.> for answers",
                    self.queue
                )),
            };
            Ok(publisher)
        });
        open.used = Instant::now();
        open.publisher = Some(done?);
        Ok(())
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
        self.publish(run, None, timeout)
    }

    fn upsert_job(&self, run: &Run, job: &Job, timeout: Duration) -> Outcome {
        self.publish(run, Some(job), timeout)
    }
}

impl Drop for QueueOutlet {
    /// Does not wait for the runtime's threads. A host name lookup occupies one for as long as the name servers take; and a server that stops
    /// drops this in an asynchronous context, where waiting panics.
    fn drop(&mut self) {
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.take() {
            open.runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for QueueOutlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QueueOutlet({})", self.queue)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::address::QueueKeys;
    use std::sync::mpsc;

    /// An outlet with a started runtime, for a queue without a listener.
    fn outlet() -> QueueOutlet {
        let outlet = QueueOutlet::new(Queue::new("nats://127.0.0.1:1", &QueueKeys::default()).unwrap());
        let run = serde_json::from_value(serde_json::json!({
            "pipeline_name": "p", "pipeline_source": "s", "reference_id": "r", "started_at": "2025-01-01T12:05:00Z",
        }));
        let failed = outlet.try_publish(&run.unwrap(), None, Duration::from_secs(10));
        assert!(failed.is_err());
        outlet
    }

    #[test]
    fn a_thread_that_looks_up_a_name_is_not_waited_for() {
        let outlet = outlet();
        let (release, held) = mpsc::channel::<()>();
        let open = outlet.open.lock().unwrap();
        open.as_ref().unwrap().runtime.spawn_blocking(move || held.recv());
        drop(open);
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            drop(outlet);
            done.send(())
        });
        ended.recv_timeout(Duration::from_secs(20)).unwrap();
        drop(release);
    }

    #[test]
    fn an_outlet_may_be_dropped_where_waiting_is_not_allowed() {
        let outlet = outlet();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async move { drop(outlet) });
    }
}
