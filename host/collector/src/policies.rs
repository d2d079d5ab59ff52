//! The policies of a server for its readers: counters, and the observations of monitored ones.

use crate::access::Access;
use crate::rules::Rules;
use chrono::{DateTime, Utc};
use pipefold::PolicyWork;
use pipefold::prometheus::Page;
use pipefold_sandbox::{Counts, Mode, Observation, Outcome};
use serde::Serialize;

/// The policies of a server; none by default.
#[derive(Clone, Default)]
pub struct Policies(Option<Rules>);

/// A policy, as a reader sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// `enforce` or `monitor`.
    pub mode: &'static str,
    /// The reason why it is not asked.
    pub trouble: Option<String>,
    /// Its counters since the server's start.
    pub counts: Counts,
    /// The last questions for which a monitored policy would have made a difference, newest first.
    pub observations: Vec<Seen>,
    /// True if the reader may see them.
    #[serde(skip)]
    pub is_whole: bool,
}

/// An observation of a monitored policy. It has no values.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// Its time.
    pub at: DateTime<Utc>,
    /// The hook's name in the contract.
    pub hook: &'static str,
    /// The run.
    pub reference_id: String,
    /// The difference: `changed`, `held`, `discarded` or `failed`.
    pub outcome: Outcome,
    /// The fields that it would change.
    pub fields: Vec<String>,
    /// The kind of its failure.
    pub failure: Option<String>,
}

impl Policies {
    /// The policies of these rules.
    #[must_use]
    pub fn of(rules: &Rules) -> Self {
        Self(Some(rules.clone()))
    }

    /// Returns them, outermost first. Observations have no pipeline, and reasons may have paths of this machine: both are only for an access
    /// to everything.
    pub fn seen_by(&self, access: &Access) -> Vec<Policy> {
        let all = self.work().into_iter();
        all.map(|work| Policy::of(work, access.sees_everything())).collect()
    }

    /// Writes the counters in Prometheus' format.
    pub fn write(&self, page: &mut Page) {
        PolicyWork::write(&self.work(), page);
    }

    fn work(&self) -> Vec<PolicyWork> {
        self.0.as_ref().map(Rules::work).unwrap_or_default()
    }
}

impl Policy {
    fn of(work: PolicyWork, whole: bool) -> Self {
        let observations = work.observations.into_iter().rev().filter(|_| whole);
        let hidden = || "it could not be loaded".to_owned();
        Self {
            name: work.name,
            mode: work.mode.as_str(),
            trouble: work.trouble.map(|trouble| if whole { trouble } else { hidden() }),
            counts: work.counts,
            observations: observations.map(Seen::from).collect(),
            is_whole: whole,
        }
    }

    /// Returns true if it is only monitored.
    pub fn is_monitored(&self) -> bool {
        self.mode == Mode::Monitor.as_str()
    }
}

impl From<Observation> for Seen {
    fn from(observation: Observation) -> Self {
        Self {
            at: observation.at.into(),
            hook: observation.hook,
            reference_id: observation.reference_id,
            outcome: observation.outcome,
            fields: observation.fields,
            failure: observation.failure,
        }
    }
}

impl Seen {
    /// The difference in words.
    pub fn difference(&self) -> String {
        match (self.outcome, &self.failure) {
            (Outcome::Held, _) => "hold it".to_owned(),
            (Outcome::Discarded, _) => "discard it".to_owned(),
            (_, Some(failure)) => format!("fail: {failure}"),
            _ if self.fields.is_empty() => "report it".to_owned(),
            _ => format!("change {}", self.fields.join(", ")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::access::Rights;
    use std::time::SystemTime;

    #[test]
    fn a_token_for_some_pipelines_sees_counters_alone() {
        let work = PolicyWork {
            name: "redact".into(),
            mode: Mode::Monitor,
            open: false,
            counts: Counts {
                judged: 1,
                changed: 1,
                ..Counts::default()
            },
            observations: vec![Observation {
                at: SystemTime::UNIX_EPOCH,
                hook: "step",
                reference_id: "secret-1".into(),
                outcome: Outcome::Changed,
                fields: vec!["email".into()],
                failure: None,
            }],
            trouble: Some("/etc/secret.wasm: not found".into()),
        };
        let whole = Policy::of(work.clone(), Access::everything().sees_everything());
        assert_eq!(
            (whole.observations.len(), whole.observations[0].difference()),
            (1, "change email".into())
        );
        let some = Access::new(Rights::Read, vec!["web".parse().unwrap()]);
        let part = serde_json::to_string(&Policy::of(work, some.sees_everything())).unwrap();
        assert!(part.contains(r#""changed":1"#) && !part.contains("secret"), "{part}");
    }
}
