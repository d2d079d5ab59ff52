//! What the server asks about the meaning of notifications. It holds none of the rules itself.

use crate::store::{Fold, FoldError};
use pipefold::{Judge, NoVerdict};
use pipefold_sandbox::{Notification, Question, Run, Verdict};
use std::sync::Arc;

/// Whoever knows what notifications mean: the sandboxed component, and the policies in front of it.
pub trait Rules: Send + Sync {
    /// What becomes of the run that these notifications make. A single one is asked about in the same way, which checks it.
    ///
    /// # Errors
    /// That they are refused, or that nobody can tell now.
    fn judge(&self, history: &[Notification]) -> Result<Verdict, FoldError>;

    /// Folds by DX's rule alone.
    ///
    /// # Errors
    /// As [`Rules::judge`].
    fn merge(&self, history: &[Notification]) -> Result<Run, FoldError>;

    /// Whether an answer may take long enough for a thread that serves others to be spared the wait: policies may take a second, the
    /// component alone takes microseconds.
    fn may_be_slow(&self) -> bool;
}

impl Rules for Judge {
    fn judge(&self, history: &[Notification]) -> Result<Verdict, FoldError> {
        self.ask(&Question::PipelineFinish(history)).map_err(failed)
    }

    fn merge(&self, history: &[Notification]) -> Result<Run, FoldError> {
        self.merge(history).map_err(failed)
    }

    fn may_be_slow(&self) -> bool {
        !self.policies().is_empty()
    }
}

fn failed(error: NoVerdict) -> FoldError {
    match error {
        NoVerdict::Refused(refused) => FoldError::Refused(refused.violations),
        NoVerdict::Failed(why) => FoldError::Failed(why),
    }
}

/// The fold that a store is opened with: the run as DX would be told of it, or, where a policy keeps it from DX, as DX would fold it.
#[must_use]
pub fn fold(rules: Arc<dyn Rules>) -> Fold {
    Arc::new(move |history| match rules.judge(history)? {
        Verdict::Report(run) => Ok(run),
        Verdict::Hold | Verdict::Discard(_) => rules.merge(history),
    })
}
