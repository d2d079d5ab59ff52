//! Into the queue, at a pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pipefold_fleet::{Publisher, Queue};
use tokio::sync::Semaphore;

use crate::load::Message;

/// Upserts under way at a time: as from so many runners that each wait for their acknowledgement.
const UNDER_WAY: u32 = 512;

/// After a failure, as a runner that delivers again.
const PAUSE: Duration = Duration::from_millis(200);

/// Connections that publish. The server reads each in a thread of its own.
const CONNECTIONS: usize = 4;

/// The progress of publishing, during it and afterwards.
#[derive(Debug)]
pub struct Progress {
    begun: Instant,
    /// Upserts that a majority of the nodes has.
    acknowledged: AtomicU64,
    /// Of those, the ones that were in the queue already.
    duplicates: AtomicU64,
    /// Tries that failed and were repeated.
    failed: AtomicU64,
    /// The most that publishing was behind its pace, in milliseconds.
    behind: AtomicU64,
    /// The time at which the first end of each run was acknowledged, in milliseconds after the beginning; 0 for never.
    ended: Vec<AtomicU32>,
}

impl Progress {
    /// Of so many runs; now is the beginning.
    #[must_use]
    pub fn of(runs: u32) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            acknowledged: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            behind: AtomicU64::new(0),
            ended: (0..runs).map(|_| AtomicU32::new(0)).collect(),
        })
    }

    /// The beginning of publishing.
    #[must_use]
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Upserts that a majority of the nodes has.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Relaxed)
    }

    /// Of those, the ones that were in the queue already.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates.load(Relaxed)
    }

    /// Tries that failed and were repeated.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// The most that publishing was behind its pace.
    #[must_use]
    pub fn behind(&self) -> Duration {
        Duration::from_millis(self.behind.load(Relaxed))
    }

    /// The time at which the first end of a run was acknowledged.
    #[must_use]
    pub fn ended(&self, run: u32) -> Option<Instant> {
        let millis = self.ended.get(run as usize)?.load(Relaxed);
        (millis > 0).then(|| self.begun + Duration::from_millis(millis.into()))
    }

    fn acknowledge(&self, message: &Message, duplicate: bool) {
        self.acknowledged.fetch_add(1, Relaxed);
        if duplicate {
            self.duplicates.fetch_add(1, Relaxed);
        }
        if message.job.is_some() || message.upsert.finished_at.is_none() {
            return;
        }
        if let Some(ended) = self.ended.get(message.run as usize) {
            let now = u32::try_from(self.begun.elapsed().as_millis())
                .unwrap_or(u32::MAX)
                .max(1);
            // Of two at the same moment either is the first.
            let _ = ended.compare_exchange(0, now, Relaxed, Relaxed);
        }
    }
}

/// Publishes all of it, each until it is acknowledged. With a `speed`, when it is due in a time that goes so many times faster; without, as
/// fast as it is taken.
///
/// # Errors
/// If the queue cannot be reached at the beginning.
pub async fn publish(
    queue: &Queue,
    load: impl Iterator<Item = Message>,
    speed: Option<f64>,
    progress: &Arc<Progress>,
) -> Result<()> {
    let mut publishers = Vec::new();
    for _ in 0..CONNECTIONS {
        publishers.push(Publisher::connect(queue).await.context("cannot publish")?);
    }
    let under_way = Arc::new(Semaphore::new(UNDER_WAY as usize));
    for (number, message) in load.enumerate() {
        if let Some(speed) = speed {
            let due = progress.begun + message.at.div_f64(speed);
            let now = Instant::now();
            if due > now {
                tokio::time::sleep_until(due.into()).await;
            } else {
                progress.behind.fetch_max((now - due).as_millis() as u64, Relaxed);
            }
        }
        let permit = Arc::clone(&under_way)
            .acquire_owned()
            .await
            .context("publishing ended")?;
        let (publisher, progress) = (publishers[number % CONNECTIONS].clone(), Arc::clone(progress));
        tokio::spawn(async move {
            loop {
                let stored = match &message.job {
                    None => publisher.publish(&message.upsert).await,
                    Some(job) => publisher.publish_job(&message.upsert, job).await,
                };
                match stored {
                    Ok(stored) => break progress.acknowledge(&message, stored.duplicate),
                    Err(_) => {
                        progress.failed.fetch_add(1, Relaxed);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
            drop(permit);
        });
    }
    let _all = under_way.acquire_many(UNDER_WAY).await.context("publishing ended")?;
    Ok(())
}
