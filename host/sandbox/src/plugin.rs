//! A loaded plugin and the calls of its hooks.

use crate::{
    call::{Hooked, State},
    error::{HookError, LoadError},
    sandbox::Core,
    types::{Notification, Run, Verdict, Violation},
};
use std::sync::Arc;
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower};

/// The interface with the three hooks.
const HOOKS: &str = "pipefold:ci/hooks@0.1.0";
/// The interface with DX's rule by itself.
const MERGING: &str = "pipefold:ci/merging@0.1.0";

/// What a hook answers. The outer result of a call tells whether there was an answer at all.
type Answer<T> = (Result<T, Vec<Violation>>,);

/// A plugin that is ready to be called, from any thread. Every call gets a fresh instance, so calls share nothing.
pub struct Plugin {
    core: Arc<Core>,
    name: String,
    pre: InstancePre<State>,
    pipeline_start: ComponentExportIndex,
    step: ComponentExportIndex,
    pipeline_finish: ComponentExportIndex,
    merge: ComponentExportIndex,
}

impl Plugin {
    pub(crate) fn new(core: Arc<Core>, name: &str, component: &Component) -> Result<Self, LoadError> {
        let linker = Linker::<State>::new(&core.engine);
        let pre = linker.instantiate_pre(component).map_err(|error| LoadError::Import {
            plugin: name.into(),
            reason: format!("{error:#}"),
        })?;
        let exports = Exports {
            name,
            component,
            pre: &pre,
        };
        Ok(Self {
            pipeline_start: exports.find::<(&Notification,), Answer<Verdict>>(HOOKS, "pipeline-start")?,
            step: exports.find::<(&Notification,), Answer<Verdict>>(HOOKS, "step")?,
            pipeline_finish: exports.find::<(&[Notification],), Answer<Verdict>>(HOOKS, "pipeline-finish")?,
            merge: exports.find::<(&[Notification],), Answer<Run>>(MERGING, "merge")?,
            name: name.into(),
            core,
            pre,
        })
    }

    /// How messages name this plugin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Judges the notification that a run begins (`hooks.pipeline-start`).
    ///
    /// # Errors
    /// [`HookError::Refused`] with every violation; anything else means that there is no judgement.
    pub fn pipeline_start(&self, event: &Notification) -> Result<Verdict, HookError> {
        self.call("pipeline-start", &self.pipeline_start, (event,))
    }

    /// Judges the notification of a step (`hooks.step`).
    ///
    /// # Errors
    /// As [`Plugin::pipeline_start`].
    pub fn step(&self, event: &Notification) -> Result<Verdict, HookError> {
        self.call("step", &self.step, (event,))
    }

    /// Judges the whole history of a run that ended (`hooks.pipeline-finish`).
    ///
    /// # Errors
    /// As [`Plugin::pipeline_start`].
    pub fn pipeline_finish(&self, history: &[Notification]) -> Result<Verdict, HookError> {
        self.call("pipeline-finish", &self.pipeline_finish, (history,))
    }

    /// Folds notifications of one run by DX's rule (`merging.merge`).
    ///
    /// # Errors
    /// As [`Plugin::pipeline_start`].
    pub fn merge(&self, history: &[Notification]) -> Result<Run, HookError> {
        self.call("merge", &self.merge, (history,))
    }

    fn call<P, T>(&self, hook: &'static str, export: &ComponentExportIndex, params: P) -> Result<T, HookError>
    where
        P: ComponentNamedList + Lower,
        T: Send + Sync + 'static,
        Answer<T>: ComponentNamedList + Lift,
    {
        Hooked {
            core: &self.core,
            plugin: &self.name,
            hook,
        }
        .call(&self.pre, export, params)
    }
}

/// Finds exports and compares their types, so that a plugin which loads can be called.
struct Exports<'a> {
    name: &'a str,
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
            plugin: self.name.into(),
            export: format!("{interface}#{function}"),
            reason,
        };
        let interface = self
            .component
            .get_export_index(None, interface)
            .ok_or_else(|| fail("is missing".into()))?;
        let (item, index) = self
            .component
            .get_export(Some(&interface), function)
            .ok_or_else(|| fail("is missing".into()))?;
        let wasmtime::component::types::ComponentItem::ComponentFunc(found) = item else {
            return Err(fail("is not a function".into()));
        };
        found
            .typecheck::<P, R>(&self.pre.instance_type())
            .map_err(|error| fail(format!("has another type: {error:#}")))?;
        Ok(index)
    }
}
