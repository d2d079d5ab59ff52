//! The engine with its clock, and what it can load.

use crate::{
    compiled,
    engine_config::engine_config,
    error::LoadError,
    fit::{self, Admission, Role},
    limits::Limits,
    plugin::Plugin,
    watchdog::Watchdog,
};
use std::sync::Arc;
use wasmtime::{Engine, component::Component};

/// The most stack that a call can be given: threads have 2 MiB by default, of which the host needs some, and running over the end of a
/// thread's stack ends the process.
const MOST_STACK: usize = 1 << 20;

/// An engine, its watchdog and the limits that plugins are held to. Cheap to clone; clones share everything.
///
/// ```
/// use pipefold_sandbox::{Limits, Notification, Sandbox, Verdict};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let plugin = Sandbox::new(Limits::default())?.default_plugin()?;
/// let verdict = plugin.pipeline_start(&Notification {
///     pipeline_name: Some("integration_tests".into()),
///     pipeline_source: Some("Tekton".into()),
///     reference_id: Some("AA713E04".into()),
///     started_at: Some("2025-01-01T12:05:00".into()),
///     ..Notification::default()
/// })?;
/// assert!(matches!(verdict, Verdict::Report(run) if run.started_at == "2025-01-01T12:05:00Z"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sandbox {
    core: Arc<Core>,
}

/// What every plugin of a sandbox shares.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    pub(crate) watchdog: Watchdog,
    pub(crate) limits: Limits,
}

impl Sandbox {
    /// Starts an engine. About 0.2 ms.
    ///
    /// # Errors
    /// [`LoadError::Engine`] if this machine cannot run one.
    pub fn new(mut limits: Limits) -> Result<Self, LoadError> {
        limits.stack = limits.stack.min(MOST_STACK);
        let mut config = engine_config();
        config.max_wasm_stack(limits.stack);
        compiled::in_place(&mut config);
        let engine = Engine::new(&config).map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        let watchdog = Watchdog::new(&engine);
        Ok(Self {
            core: Arc::new(Core {
                engine,
                watchdog,
                limits,
            }),
        })
    }

    /// Compiles a component in this process and makes it ready. Compiling takes as long and as much memory as it takes, and nothing can
    /// stop it: only for components that the caller trusts not to be made to abuse that.
    ///
    /// # Errors
    /// [`LoadError`] if it is larger than the limit, no component, or not made for the world `plugin`.
    pub fn compile_here(&self, name: &str, component: &[u8]) -> Result<Plugin, LoadError> {
        let title = Role::Plugin.title(name);
        let component = self.compile(&title, component, self.core.limits.component_size, Admission::Plugin)?;
        self.plugin(name, &component)
    }

    pub(crate) fn plugin(&self, name: &str, component: &Component) -> Result<Plugin, LoadError> {
        Plugin::new(Arc::clone(&self.core), name, component)
    }

    pub(crate) fn compile(
        &self,
        title: &str,
        component: &[u8],
        limit: u64,
        admission: Admission<'_>,
    ) -> Result<Component, LoadError> {
        if component.len() as u64 > limit {
            return Err(LoadError::TooLarge {
                plugin: title.into(),
                limit,
            });
        }
        fit::admit(title, component, admission)?;
        Component::from_binary(&self.core.engine, component).map_err(|error| LoadError::Code {
            plugin: title.into(),
            reason: format!("{error:#}"),
        })
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// The limits that plugins are held to.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.core.limits
    }
}
