//! The time and memory of a policy's call.

use pipefold_sandbox::{Limits, Role, Visit};
use serde_json::{Value, json};

use crate::terminal::excerpt;

/// A call of a policy, without the values of a run.
pub struct Usage {
    policy: String,
    /// To the microsecond.
    milliseconds: f64,
    memory: u64,
    limits: Option<Limits>,
}

impl Usage {
    /// The calls of policies; those of the rules are left out. `limits` finds the limits of a policy by its name.
    pub fn of(visits: &[Visit], limits: impl Fn(&str) -> Option<Limits>) -> Vec<Self> {
        let policies = visits.iter().filter(|visit| visit.role != Role::Plugin);
        policies
            .map(|visit| Self {
                policy: visit.policy.clone(),
                milliseconds: (visit.time.as_secs_f64() * 1e6).round() / 1e3,
                memory: visit.memory,
                limits: limits(&visit.policy),
            })
            .collect()
    }

    pub fn json(&self) -> Value {
        json!({ "policy": self.policy, "milliseconds": self.milliseconds, "memory": self.memory })
    }

    /// The time and memory, beside the limits if they are known.
    pub fn line(&self) -> String {
        let of = |limit: Option<String>| limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
        let limits = self.limits.as_ref();
        format!(
            "{}: {:.2} ms{}, {} KiB{}",
            excerpt(&self.policy),
            self.milliseconds,
            of(limits.map(|limits| format!("{} ms", limits.hook.as_millis()))),
            self.memory >> 10,
            of(limits.map(|limits| format!("{} KiB", limits.memory >> 10))),
        )
    }
}
