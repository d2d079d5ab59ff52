//! The rule that makes a run of notifications.

use pipefold_sandbox::{Notification, Run, Violation, foreign::listed};
use std::sync::Arc;

/// Folds notifications of one run. Must not care about their order, nor about repetition (DESIGN, section 3).
///
/// It is called from several threads, once for a usual append, with the [parts](Folded::parts) of what was folded before and the new
/// notifications. It should take microseconds, and must end.
pub type Fold = Arc<dyn Fn(&[Notification]) -> Result<Folded, FoldError> + Send + Sync>;

/// What notifications of one run fold into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The run.
    pub record: Run,
    /// A few notifications that stand for those that were folded: with any others they fold into the same run.
    pub parts: Vec<Notification>,
}

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

/// The same fold, whose panic is a failure of one call: the thread that calls it works for others too.
pub(super) fn contained(fold: Fold) -> Fold {
    Arc::new(move |notifications| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fold(notifications)))
            .unwrap_or_else(|_| Err(FoldError::Failed("the merging code panicked".into())))
    })
}
