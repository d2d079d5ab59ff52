//! A loaded component and the calls of its hooks.

use crate::{
    answer,
    asking::Asking,
    call::{Call, Failed, Next, State},
    chain::OnFailure,
    error::{HookError, LoadError},
    fit::{self, Admission, Role},
    grants::{Grants, Meter},
    limits::Limits,
    policy::Policy,
    question::Question,
    sandbox::Core,
    seen::Answered,
    types::{Notification, Run, Verdict, Violation},
};
use std::sync::Arc;
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower};

/// The interface with the three hooks.
pub(crate) const HOOKS: &str = "pipefold:ci/hooks@0.1.0";
/// The interface with DX's rule by itself.
pub(crate) const MERGING: &str = "pipefold:ci/merging@0.1.0";

/// What an export answers. The outer result of a call tells whether there was an answer at all.
pub(crate) type Answer<T> = (Result<T, Vec<Violation>>,);

/// A component with the three hooks: a policy, or the plugin at the end of the line.
pub struct Link {
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
    pub(crate) on_failure: OnFailure,
    /// A clock runs against its calls.
    pub(crate) timed: bool,
    pub(crate) digest: blake3::Hash,
    pub(crate) meter: Arc<Meter>,
    role: Role,
    pub(crate) pre: InstancePre<State>,
    pipeline_start: ComponentExportIndex,
    step: ComponentExportIndex,
    pipeline_finish: ComponentExportIndex,
}

impl Link {
    pub(crate) fn new(
        linker: &Linker<State>,
        component: &Component,
        policy: &Policy,
        role: Role,
    ) -> Result<Self, LoadError> {
        let title = role.title(&policy.name);
        let pre = linker.instantiate_pre(component).map_err(|error| LoadError::Code {
            plugin: title.clone(),
            reason: format!("{error:#}"),
        })?;
        let exports = Exports {
            title: &title,
            component,
            pre: &pre,
        };
        Ok(Self {
            pipeline_start: exports.find::<(&Notification,), Answer<Verdict>>(HOOKS, "pipeline-start")?,
            step: exports.find::<(&Notification,), Answer<Verdict>>(HOOKS, "step")?,
            pipeline_finish: exports.find::<(&[Notification],), Answer<Verdict>>(HOOKS, "pipeline-finish")?,
            name: policy.name.as_str().into(),
            limits: policy.limits.clone(),
            grants: policy.grants.clone(),
            on_failure: policy.on_failure,
            timed: true,
            role,
            meter: Arc::default(),
            digest: blake3::Hash::from_bytes([0; 32]),
            pre,
        })
    }

    /// How messages name it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How errors name it.
    pub(crate) fn title(&self) -> String {
        self.role.title(&self.name)
    }

    /// Asks it, with the links behind it at hand.
    pub(crate) fn ask(
        &self,
        core: &Core,
        question: &Question<'_>,
        next: Option<Next>,
        asking: &Arc<Asking>,
    ) -> Result<(Verdict, Vec<Answered>), Failed> {
        let call = Call {
            core,
            link: self,
            hook: question.hook(),
            next,
            asking: Arc::clone(asking),
        };
        let (verdict, answers) = match question {
            Question::PipelineStart(event) => call.run(&self.pipeline_start, (*event,)),
            Question::Step(event) => call.run(&self.step, (*event,)),
            Question::PipelineFinish(history) => call.run(&self.pipeline_finish, (*history,)),
        }?;
        answer::check(&verdict, question.notifications())
            .map_err(|reason| Failed::Own(self.bad_answer(question.hook(), reason)))?;
        Ok((verdict, answers))
    }

    pub(crate) fn bad_answer(&self, hook: &'static str, reason: String) -> HookError {
        let plugin = self.title();
        HookError::BadAnswer { plugin, hook, reason }
    }
}

/// A plugin that is ready to be called, from any thread. Every call gets a fresh instance, so calls share nothing.
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
        let exports = Exports {
            title: &title,
            component,
            pre: &link.pre,
        };
        let merge = exports.find::<(&[Notification],), Answer<Run>>(MERGING, "merge")?;
        Ok(Self { core, link, merge })
    }

    /// The rules themselves: no clock runs against them.
    pub(crate) fn without_clock(mut self) -> Self {
        self.link.timed = false;
        self
    }

    /// How messages name this plugin.
    #[must_use]
    pub fn name(&self) -> &str {
        self.link.name()
    }

    /// Judges the notification that a run begins (`hooks.pipeline-start`).
    ///
    /// # Errors
    /// [`HookError::Refused`] with every violation; anything else means that there is no judgement.
    pub fn pipeline_start(&self, event: &Notification) -> Result<Verdict, HookError> {
        self.ask(&Question::PipelineStart(event))
    }

    /// Judges the notification of a step (`hooks.step`).
    ///
    /// # Errors
    /// As [`Plugin::pipeline_start`].
    pub fn step(&self, event: &Notification) -> Result<Verdict, HookError> {
        self.ask(&Question::Step(event))
    }

    /// Judges the whole history of a run that ended (`hooks.pipeline-finish`).
    ///
    /// # Errors
    /// As [`Plugin::pipeline_start`].
    pub fn pipeline_finish(&self, history: &[Notification]) -> Result<Verdict, HookError> {
        self.ask(&Question::PipelineFinish(history))
    }

    /// Folds notifications of one run by DX's rule (`merging.merge`).
    ///
    /// # Errors
    /// As [`Plugin::pipeline_start`].
    pub fn merge(&self, history: &[Notification]) -> Result<Run, HookError> {
        self.merge_within(history, &self.asking())
    }

    /// The same for a question that is on its way already.
    pub(crate) fn merge_within(&self, history: &[Notification], asking: &Arc<Asking>) -> Result<Run, HookError> {
        let call = Call {
            core: &self.core,
            link: &self.link,
            hook: "merge",
            next: None,
            asking: Arc::clone(asking),
        };
        let hook = call.hook;
        let (run, _) = self
            .counted(asking, || call.run(&self.merge, (history,)))
            .map_err(Failed::into_error)?;
        answer::check_run(&run, history).map_err(|reason| self.link.bad_answer(hook, reason))?;
        Ok(run)
    }

    fn ask(&self, question: &Question<'_>) -> Result<Verdict, HookError> {
        self.ask_within(question, &self.asking())
    }

    /// Asks it a question that is on its way already.
    pub(crate) fn ask_within(&self, question: &Question<'_>, asking: &Arc<Asking>) -> Result<Verdict, HookError> {
        self.counted(asking, || self.link.ask(&self.core, question, None, asking))
            .map(|(verdict, _)| verdict)
            .map_err(Failed::into_error)
    }

    fn asking(&self) -> Arc<Asking> {
        Arc::new(Asking::new(self.core.limits.chain, false))
    }

    /// Does a call, without a limit of time if no clock runs against it.
    fn counted<T>(&self, asking: &Asking, call: impl FnOnce() -> T) -> T {
        if self.link.timed { call() } else { asking.in_rules(call) }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }
}

/// Finds exports and compares their types, so that a component which loads can be called.
struct Exports<'a> {
    title: &'a str,
    component: &'a Component,
    pre: &'a InstancePre<State>,
}

impl Exports<'_> {
    fn find<P, R>(&self, interface: &str, function: &str) -> Result<ComponentExportIndex, LoadError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let fail = |reason: String| LoadError::Export {
            plugin: self.title.into(),
            export: format!("{interface}#{function}"),
            reason,
        };
        let missing = || fail("is missing".into());
        let interface = self.component.get_export_index(None, interface).ok_or_else(missing)?;
        let (item, index) = self
            .component
            .get_export(Some(&interface), function)
            .ok_or_else(missing)?;
        let wasmtime::component::types::ComponentItem::ComponentFunc(found) = item else {
            return Err(fail("is not a function".into()));
        };
        found
            .typecheck::<P, R>(&self.pre.instance_type())
            .map_err(|error| fail(format!("has another type: {error:#}")))?;
        Ok(index)
    }
}
