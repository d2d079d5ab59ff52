//! Asks the sandboxed plugin what a notification, or the history of a run, means.

use crate::spool::{Hook, Judged};
use pipefold_sandbox::{HookError, Limits, LoadError, Notification, Plugin, Run, Sandbox, Verdict, Violation};
use std::sync::OnceLock;

/// A plugin that is loaded when it is first needed.
pub(crate) struct Judge {
    limits: Limits,
    plugin: OnceLock<Result<Plugin, LoadError>>,
}

/// The plugin looked at a notification and refused it. Nothing was recorded or sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines().join("; "))]
pub struct Refused {
    /// Everything that is wrong, each naming its field.
    pub violations: Vec<Violation>,
}

impl Refused {
    /// One line for each violation.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.violations.iter().map(Violation::to_string).collect()
    }
}

impl Judge {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            plugin: OnceLock::new(),
        }
    }

    /// Judges one notification by its hook. A finish is judged by itself here, which checks it; what the whole run comes to is asked
    /// when the run is delivered, as other processes may still add to it.
    pub(crate) fn one(&self, hook: Hook, notification: &Notification) -> Result<Judged, Refused> {
        let verdict = self.plugin().and_then(|plugin| {
            match hook {
                Hook::Start => plugin.pipeline_start(notification),
                Hook::Step => plugin.step(notification),
                Hook::Finish => plugin.pipeline_finish(std::slice::from_ref(notification)),
            }
            .map_err(Failure::Hook)
        });
        settle(verdict)
    }

    /// Judges the whole history of a run that ended.
    pub(crate) fn finish(&self, history: &[Notification]) -> Result<Judged, Refused> {
        settle(
            self.plugin()
                .and_then(|plugin| plugin.pipeline_finish(history).map_err(Failure::Hook)),
        )
    }

    /// Folds a history by DX's rule.
    pub(crate) fn merge(&self, history: &[Notification]) -> Result<Result<Run, Refused>, String> {
        match self
            .plugin()
            .and_then(|plugin| plugin.merge(history).map_err(Failure::Hook))
        {
            Ok(run) => Ok(Ok(run)),
            Err(Failure::Hook(HookError::Refused(violations))) => Ok(Err(Refused { violations })),
            Err(failure) => Err(failure.to_string()),
        }
    }

    fn plugin(&self) -> Result<&Plugin, Failure<'_>> {
        self.plugin
            .get_or_init(|| Sandbox::new(self.limits.clone())?.default_plugin())
            .as_ref()
            .map_err(Failure::Load)
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure<'a> {
    #[error(transparent)]
    Load(&'a LoadError),
    #[error(transparent)]
    Hook(HookError),
}

/// A plugin that fails gives no verdict, which is no reason to lose the notification: it is kept, marked, and judged again later.
/// Nothing unjudged is ever sent, as a redaction that fails must not become a leak.
fn settle(verdict: Result<Verdict, Failure<'_>>) -> Result<Judged, Refused> {
    match verdict {
        Ok(Verdict::Report(run)) => Ok(Judged::Report(run)),
        Ok(Verdict::Hold) => Ok(Judged::Hold),
        Ok(Verdict::Discard(reason)) => Ok(Judged::Discard(reason)),
        Err(Failure::Hook(HookError::Refused(violations))) => Err(Refused { violations }),
        Err(failure) => Ok(Judged::Unjudged(failure.to_string())),
    }
}
