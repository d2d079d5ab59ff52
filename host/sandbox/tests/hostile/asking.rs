//! Loads a guest, calls it, and checks that it harmed only itself.

use crate::hostile::{isolated::from_here, module::Module};
use pipefold_sandbox::{Chain, HookError, Limits, Notification, Plugin, Policy, Question, Sandbox, Verdict};
use std::time::{Duration, Instant};

/// The time beyond its limit that a call may take on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

/// The notification for the guests.
pub fn event() -> Notification {
    Notification {
        pipeline_name: Some("build".into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some("r/1".into()),
        started_at: Some("2025-01-01T12:05:00Z".into()),
        step: Some("compile".into()),
        ..Notification::default()
    }
}

/// The largest history that the rules allow: 10,000 notifications with 8 MiB of text.
pub fn largest_history() -> Vec<Notification> {
    let one = Notification {
        step: None,
        source_url: Some("x".repeat(790)),
        ..event()
    };
    vec![one; 10_000]
}

/// The default limits, except longer ones of time, for a busy machine.
pub fn patient() -> Limits {
    Limits {
        hook: Duration::from_secs(20),
        chain: Duration::from_secs(60),
        ..Limits::default()
    }
}

/// A sandbox, and its default plugin.
pub struct Scene {
    pub sandbox: Sandbox,
    default: Plugin,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(patient())
    }

    pub fn with(limits: Limits) -> Self {
        let sandbox = Sandbox::new(limits).unwrap();
        let default = sandbox.default_plugin().unwrap();
        Self { sandbox, default }
    }

    /// The guest `guest` as a whole plugin.
    pub fn plugin(&self, component: &[u8]) -> Plugin {
        self.sandbox.compile_here("guest", component).unwrap()
    }

    /// Policies before the default plugin, named `guest`, or `guest 1` and so on.
    pub fn chain(&self, components: &[Vec<u8>]) -> Chain {
        let named = |place| match components.len() {
            1 => "guest".to_owned(),
            _ => format!("guest {place}"),
        };
        let policies = components.iter().zip(1..).map(|(component, place)| {
            let policy = Policy {
                limits: self.sandbox.limits().clone(),
                ..Policy::new(named(place))
            };
            self.sandbox.policy_compiled_here(&policy, component).unwrap()
        });
        Chain::new(policies.collect(), self.sandbox.default_plugin().unwrap()).unwrap()
    }

    /// Makes a call that must end in time, after which the default plugin must answer.
    pub fn call<T>(&self, most: Duration, call: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let answer = call();
        let took = began.elapsed();
        assert!(took <= most + SLACK, "took {took:?}, where {most:?} are allowed");
        assert_eq!(self.default.step(&event()).unwrap(), Verdict::Hold);
        answer
    }

    /// As [`Scene::call`] for one hook, as text.
    pub fn hook(&self, call: impl FnOnce() -> Result<Verdict, HookError>) -> String {
        in_words(self.call(self.sandbox.limits().hook, call))
    }
}

/// An answer as text, for comparison.
pub fn in_words(answer: Result<Verdict, HookError>) -> String {
    match answer {
        Ok(verdict) => format!("{verdict:?}"),
        Err(HookError::Refused(violations)) => format!("refused: {}", HookError::Refused(violations)),
        Err(error) => error.to_string(),
    }
}

/// The result of the guest's `step` as a plugin and as a policy, which must be the same except for the role.
pub fn step_of(module: &Module) -> String {
    step_within(patient(), module)
}

/// As [`step_of`] within these limits.
pub fn step_within(limits: Limits, module: &Module) -> String {
    let (plugin, policy) = (module.plugin(), module.policy());
    let scene = Scene::with(limits);
    let (plugin, chain) = (scene.plugin(&plugin), scene.chain(&[policy]));
    from_here();
    let as_plugin = scene.hook(|| plugin.step(&event()));
    let as_policy = scene.hook(|| chain.ask(&Question::Step(&event())));
    assert_eq!(as_plugin, as_policy.replace("policy guest", "plugin guest"));
    as_plugin
}

/// The result of the guest's `step` as a policy before the rules.
pub fn policy_step(module: &Module) -> String {
    let policy = module.policy();
    let scene = Scene::new();
    let chain = scene.chain(&[policy]);
    from_here();
    scene.hook(|| chain.ask(&Question::Step(&event())))
}

/// As [`policy_step`] for a `step` with this body; `more` is added to the module.
pub fn step(body: &str, more: &str) -> String {
    step_of(&Module::step(body, more))
}

/// The result of a plugin's `merge`.
pub fn merge(limits: Limits, body: &str, more: &str) -> String {
    let component = Module {
        merge: body.into(),
        more: more.into(),
        ..Module::default()
    }
    .plugin();
    let scene = Scene::with(limits);
    let plugin = scene.plugin(&component);
    from_here();
    let answer = scene.call(scene.sandbox.limits().hook, || plugin.merge(&[event()]));
    answer.map_or_else(|error| error.to_string(), |run| format!("{run:?}"))
}

/// The results of a guest's hooks within these limits, one on each line.
pub fn each_hook(limits: Limits, module: &Module) -> String {
    let (plugin, policy) = (module.plugin(), module.policy());
    let scene = Scene::with(limits);
    let (plugin, chain) = (scene.plugin(&plugin), scene.chain(&[policy]));
    from_here();
    let (event, history) = (event(), [event()]);
    let questions = [
        Question::PipelineStart(&event),
        Question::Step(&event),
        Question::PipelineFinish(&history),
    ];
    let told = questions.map(|question| {
        let as_plugin = scene.hook(|| match question {
            Question::PipelineStart(event) => plugin.pipeline_start(event),
            Question::Step(event) => plugin.step(event),
            Question::PipelineFinish(history) => plugin.pipeline_finish(history),
        });
        let as_policy = scene.hook(|| chain.ask(&question));
        assert_eq!(as_plugin, as_policy.replace("policy guest", "plugin guest"));
        as_plugin
    });
    told.join("\n")
}
