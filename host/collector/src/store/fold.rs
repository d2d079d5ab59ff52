//! The rule that makes a run of notifications.

use pipefold_sandbox::{Notification, Run, Violation, foreign::listed};
use std::sync::Arc;

/// Folds all notifications of one run, in the order in which they came, into the run. Must not care about that order, nor about
/// repetition (DESIGN, section 3).
///
/// It is called from several threads, for a usual run within each append; it should take microseconds for ten notifications, and must end.
pub type Fold = Arc<dyn Fn(&[Notification]) -> Result<Run, FoldError> + Send + Sync>;

/// Why notifications did not fold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The rules refuse them. The same notifications will be refused again.
    #[error("{}", listed(.0))]
    Refused(Vec<Violation>),
    /// The rules could not be asked. It may work the next time.
    #[error("{0}")]
    Failed(String),
}

/// The same fold, whose panic is a failure of one call: it runs in the thread that all appends go through.
pub(super) fn contained(fold: Fold) -> Fold {
    Arc::new(move |history| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fold(history)))
            .unwrap_or_else(|_| Err(FoldError::Failed("the merging code panicked".into())))
    })
}
