//! The plugin at the end of a chain, and the calls of its hooks.

use crate::{
    answer,
    call::{Call, CallFailure, Ran},
    engine::Core,
    error::{HookError, LoadError},
    fit::{self, Admission, Role},
    kept::KeptInstances,
    link::{HookResult, Link},
    policy::Policy,
    question::{Asking, Question},
    types::{MERGING, Notification, Report, Verdict},
};
use std::sync::Arc;
use wasmtime::component::{Component, ComponentExportIndex, Linker};

/// A plugin that is ready to be called, from any thread. Every call gets a fresh instance, so calls share nothing; the default plugin, which
/// has no state, keeps some instances for later calls.
pub struct Plugin {
    core: Arc<Core>,
    link: Link,
    merge: ComponentExportIndex,
}

impl Plugin {
    pub(crate) fn new(core: Arc<Core>, name: &str, component: &Component) -> Result<Self, LoadError> {
        let policy = Policy {
            limits: core.limits.clone(),
            ..Policy::new(name)
        };
        let title = Role::Plugin.title(name);
        fit::admit_compiled(&title, component, &core.engine, Admission::Plugin)?;
        let link = Link::new(&Linker::new(&core.engine), component, &policy, Role::Plugin)?;
        let merge = link
            .callee
            .find::<(&[Notification],), HookResult<Report>>(component, MERGING, "merge")?;
        Ok(Self { core, link, merge })
    }

    /// The same plugin for the rules themselves: without a time limit, and with instances that are kept.
    pub(crate) fn trusted(mut self) -> Self {
        self.link.callee.timed = false;
        self.link.callee.kept = Some(KeptInstances::default());
        self
    }

    /// The name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.link.name()
    }

    /// Judges the notification that a run begins (`hooks.pipeline-start`).
    ///
    /// # Errors
    /// [`HookError::Refused`] with every violation; any other error means that there is no verdict.
    pub fn pipeline_start(&self, event: &Notification) -> Result<Verdict, HookError> {
        self.judge(&Question::PipelineStart(event), &self.asking())
    }

    /// Judges the notification of a step (`hooks.step`).
    ///
    /// # Errors
    /// As [`Plugin::pipeline_start`].
    pub fn step(&self, event: &Notification) -> Result<Verdict, HookError> {
        self.judge(&Question::Step(event), &self.asking())
    }

    /// Judges the whole history of a run that ended (`hooks.pipeline-finish`).
    ///
    /// # Errors
    /// As [`Plugin::pipeline_start`].
    pub fn pipeline_finish(&self, history: &[Notification]) -> Result<Verdict, HookError> {
        self.judge(&Question::PipelineFinish(history), &self.asking())
    }

    /// Folds notifications of one run by DX's rule (`merging.merge`).
    ///
    /// # Errors
    /// As [`Plugin::pipeline_start`].
    pub fn merge(&self, history: &[Notification]) -> Result<Report, HookError> {
        self.fold(history, &self.asking())
    }

    /// [`Plugin::merge`] within the time of a question.
    pub(crate) fn fold(&self, history: &[Notification], asking: &Arc<Asking>) -> Result<Report, HookError> {
        let call = Call {
            core: &self.core,
            callee: &self.link.callee,
            hook: "merge",
            next: None,
            asking: Arc::clone(asking),
        };
        let hook = call.hook;
        let (report, _) = self.counted(asking, || call.judge(&self.merge, (history,)));
        let report = report.map_err(CallFailure::into_error)?;
        answer::check_report(&report, history).map_err(|reason| self.link.bad_answer(hook, reason))?;
        Ok(report)
    }

    /// Judges a question within its time.
    pub(crate) fn judge(&self, question: &Question<'_>, asking: &Arc<Asking>) -> Result<Verdict, HookError> {
        self.judge_and_measure(question, asking).0
    }

    /// [`Plugin::judge`], with the time and memory.
    pub(crate) fn judge_and_measure(
        &self,
        question: &Question<'_>,
        asking: &Arc<Asking>,
    ) -> (Result<Verdict, HookError>, Ran) {
        let (answer, ran) = self.counted(asking, || self.link.call_hook(&self.core, question, None, asking));
        (answer.map_err(CallFailure::into_error), ran)
    }

    fn asking(&self) -> Arc<Asking> {
        Arc::new(Asking::new(self.core.limits.chain, false))
    }

    /// Runs a call, and adds its time to the deadline if the plugin has no time limit.
    fn counted<T>(&self, asking: &Asking, call: impl FnOnce() -> T) -> T {
        if self.link.callee.timed {
            call()
        } else {
            asking.in_rules(call)
        }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }
}
