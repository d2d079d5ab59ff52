//! The state of a run or a job, and its times.

use crate::Notification;
use crate::time::Moment;

/// The state of a run or a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Not started, or waiting for a person: it may still run.
    Open,
    Running,
    Success,
    Cancelled,
    Failure,
    /// Ended with a word that is not documented.
    Ended,
}

impl Outcome {
    fn status(self) -> Option<&'static str> {
        match self {
            Self::Open | Self::Ended => None,
            Self::Running => Some("running"),
            Self::Success => Some("success"),
            Self::Cancelled => Some("cancelled"),
            Self::Failure => Some("failure"),
        }
    }

    /// Returns true for a state that is the last one.
    pub(crate) fn has_ended(self) -> bool {
        !matches!(self, Self::Open | Self::Running)
    }

    /// Adds the status and the times to a notification. A finish counts only if it has ended.
    ///
    /// Some systems date the start of a job that was cancelled in the queue after its end. It starts at its end then: the rules would refuse it.
    pub(crate) fn of(
        self,
        notification: Notification,
        started: Option<Moment>,
        finished: Option<Moment>,
    ) -> Notification {
        let finished = finished.filter(|_| self.has_ended());
        let started = match (started, finished) {
            (Some(started), Some(finished)) => Some(started.min(finished)),
            (started, _) => started,
        };
        Notification {
            status: self.status().map(str::to_owned),
            started_at: started.map(|moment| moment.to_string()),
            finished_at: finished.map(|moment| moment.to_string()),
            ..notification
        }
    }
}

/// Returns the names of a notification's run alone, for its jobs.
pub(crate) fn names_of(run: &Notification) -> Notification {
    Notification {
        pipeline_name: run.pipeline_name.clone(),
        pipeline_source: run.pipeline_source.clone(),
        reference_id: run.reference_id.clone(),
        ..Notification::default()
    }
}
