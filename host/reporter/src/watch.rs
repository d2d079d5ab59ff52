//! The work of a judge's policies: their counters, and what monitored ones would do.

use crate::policy_source::{Compile, PolicySource};
use crate::prometheus::{MetricKind, Page};
use pipefold_sandbox::{
    Cache, Chain, Compiler, Counts, Deadline, MOST_POLICIES, Mode, Monitored, Observation, OnFailure, Outcome, Policy,
    PolicyComponent, Sandbox, Tally,
};
use std::sync::{Arc, OnceLock};

/// The choice whether a judge asks its monitored policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Monitoring {
    /// They are not asked.
    Off,
    /// They are asked if they are compiled.
    IfCompiled,
    /// They are asked, and compiled beside everything else where they are not.
    #[default]
    Compile,
}

/// A policy, and what it did since its judge was made.
#[derive(Clone, Debug)]
pub struct PolicyWork {
    /// The policy's name.
    pub name: String,
    /// Its part in the chain.
    pub mode: Mode,
    /// True if it is passed over when it fails.
    pub open: bool,
    /// Its counters.
    pub counts: Counts,
    /// The latest questions for which a monitored policy would have made a difference, oldest first. A bounded number.
    pub observations: Vec<Observation>,
    /// The reason why it is not asked.
    pub trouble: Option<String>,
}

/// The source of a policy's counters.
pub(crate) enum Watch {
    /// It is not asked.
    Nothing,
    Enforced(Arc<Tally>),
    Monitored {
        policy: Monitored,
        /// Hexadecimal sha256 of the component, when it is loaded.
        sha256: Arc<OnceLock<String>>,
    },
}

impl Watch {
    /// Asks a policy beside a chain, with `place` enforced policies in front of it.
    ///
    /// # Errors
    /// There are too many monitored policies.
    pub fn monitor(
        chain: &Chain,
        place: usize,
        source: &PolicySource,
        sandbox: &Sandbox,
        (cache, compiler): (Option<Arc<Cache>>, Compiler),
        monitoring: Monitoring,
    ) -> Result<Self, String> {
        let sha256 = Arc::new(OnceLock::new());
        let (source, sandbox, found) = (source.clone(), sandbox.clone(), Arc::clone(&sha256));
        let name = source.policy.name.clone();
        let load = move || {
            let never = Deadline::never();
            let compile = match monitoring {
                Monitoring::Compile => Compile::Until(&never),
                Monitoring::Off | Monitoring::IfCompiled => Compile::Never,
            };
            match source.load(&sandbox, cache.as_deref(), &compiler, compile) {
                Ok(Some(loaded)) => {
                    let _ = found.set(loaded.sha256);
                    Ok(loaded.link)
                }
                Ok(None) => Err(match &source.component {
                    PolicyComponent::File(file) => format!(
                        "it is not compiled; `pipefold component compile {}` compiles it",
                        file.path().display()
                    ),
                    PolicyComponent::BuiltIn => "it is not compiled".to_owned(),
                }),
                Err(error) => Err(source.explain(&error)),
            }
        };
        match chain.monitor(&name, place, load) {
            Ok(policy) => Ok(Self::Monitored { policy, sha256 }),
            Err(count) => Err(format!("{count} policies are monitored; {MOST_POLICIES} are allowed")),
        }
    }

    pub fn monitored(&self) -> Option<&Monitored> {
        match self {
            Self::Monitored { policy, .. } => Some(policy),
            Self::Nothing | Self::Enforced(_) => None,
        }
    }

    /// The work of a policy, which could not be loaded if there is a `trouble`.
    pub fn work(&self, policy: &Policy, trouble: Option<&str>) -> PolicyWork {
        let (counts, observations, trouble) = match self {
            Self::Nothing => (Counts::default(), Vec::new(), trouble),
            Self::Enforced(tally) => (tally.counts(), Vec::new(), trouble),
            Self::Monitored { policy, .. } => {
                let waiting = || (!policy.is_loaded()).then_some("it is not loaded yet");
                (
                    policy.counts(),
                    policy.observations(),
                    policy.trouble().or_else(waiting),
                )
            }
        };
        PolicyWork {
            name: policy.name.clone(),
            mode: policy.mode,
            open: policy.on_failure == OnFailure::Open,
            counts,
            observations,
            trouble: trouble.map(str::to_owned),
        }
    }
}

/// The names of fields that some observations have, sorted.
fn fields(observations: &[Observation]) -> Vec<&str> {
    let mut fields: Vec<&str> = observations
        .iter()
        .flat_map(|observation| &observation.fields)
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// The last failure that observations name.
fn failure(observations: &[Observation]) -> &str {
    let failures = observations.iter().rev();
    failures
        .filter_map(|observation| observation.failure.as_deref())
        .next()
        .unwrap_or_default()
}

impl PolicyWork {
    /// One line for people, without values of a run: `policy redact (monitor) would change email, attributes.team`. The names in it are not
    /// made safe to show.
    #[must_use]
    pub fn line(&self) -> String {
        let counts = &self.counts;
        let name = &self.name;
        if self.mode == Mode::Enforce {
            let questions = plural(counts.judged);
            let done = Outcome::ALL
                .into_iter()
                .filter(|outcome| *outcome != Outcome::Unchanged);
            let done: Vec<String> = done
                .filter(|outcome| counts.of(*outcome) > 0)
                .map(|outcome| format!("{} {}", outcome.as_str(), counts.of(outcome)))
                .collect();
            let done = if done.is_empty() {
                "changed nothing".to_owned()
            } else {
                done.join(", ")
            };
            let time = counts.time.as_secs_f64() * 1e3;
            return format!("policy {name} judged {questions} in {time:.1} ms: {done}");
        }
        let name = format!("policy {name} (monitor)");
        if let Some(trouble) = &self.trouble {
            return format!("{name} was not asked: {trouble}");
        }
        if counts.judged == 0 {
            return format!("{name} was not asked");
        }
        let of = |count: u64| format!("{count} of {}", plural(counts.judged));
        let mut would = Vec::new();
        if counts.changed > 0 {
            let fields = fields(&self.observations);
            let fields = if fields.is_empty() {
                of(counts.changed)
            } else {
                fields.join(", ")
            };
            would.push(format!("change {fields}"));
        }
        if counts.held > 0 {
            would.push(format!("hold {}", of(counts.held)));
        }
        if counts.discarded > 0 {
            would.push(format!("discard {}", of(counts.discarded)));
        }
        if counts.failed > 0 {
            would.push(format!(
                "fail at {}: {}",
                of(counts.failed),
                failure(&self.observations)
            ));
        }
        if would.is_empty() {
            would.push("change nothing".to_owned());
        }
        let skipped = match counts.skipped {
            0 => String::new(),
            count => format!("; {} not asked, as it is too slow", plural(count)),
        };
        format!("{name} would {}{skipped}", would.join("; "))
    }

    /// Writes the counters of policies in Prometheus' format; nothing without policies.
    pub fn write(all: &[Self], page: &mut Page) {
        if all.is_empty() {
            return;
        }
        // Two policies may have one name.
        let places: Vec<String> = (1..=all.len()).map(|place| place.to_string()).collect();
        let labelled = || {
            all.iter().zip(&places).map(|(work, place)| {
                let labels = [
                    ("place", place.as_str()),
                    ("policy", &work.name),
                    ("mode", work.mode.as_str()),
                ];
                (work, labels)
            })
        };
        let mut metric = page.metric(
            "policy_questions_total",
            MetricKind::Counter,
            "Questions to a policy by their result; of a monitored policy, what it would have done.",
        );
        for (work, [place, policy, mode]) in labelled() {
            let skipped = ("skipped", work.counts.skipped);
            let results = Outcome::ALL.map(|outcome| (outcome.as_str(), work.counts.of(outcome)));
            for (result, count) in results.into_iter().chain([skipped]) {
                metric = metric.part("", &[place, policy, mode, ("result", result)], count);
            }
        }
        metric.end();
        let mut metric = page.metric(
            "policy_seconds_total",
            MetricKind::Counter,
            "Time in a policy, without the policies behind it.",
        );
        for (work, labels) in labelled() {
            metric = metric.part("", &labels, work.counts.time.as_secs_f64());
        }
        metric.end();
    }
}

fn plural(questions: u64) -> String {
    match questions {
        1 => "1 question".to_owned(),
        count => format!("{count} questions"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn work(mode: Mode, counts: Counts, fields: &[&str], failure: Option<&str>) -> PolicyWork {
        let observation = Observation {
            at: SystemTime::UNIX_EPOCH,
            hook: "step",
            reference_id: "r/1".into(),
            outcome: Outcome::Changed,
            fields: fields.iter().map(|name| (*name).into()).collect(),
            failure: failure.map(Into::into),
        };
        PolicyWork {
            name: "redact".into(),
            mode,
            open: false,
            counts,
            observations: vec![observation],
            trouble: None,
        }
    }

    #[test]
    fn each_policy_is_one_line() {
        let judged = |judged| Counts {
            judged,
            ..Counts::default()
        };
        let line = |counts, fields: &[&str]| work(Mode::Monitor, counts, fields, Some("step crashed")).line();
        assert_eq!(line(judged(0), &[]), "policy redact (monitor) was not asked");
        assert_eq!(line(judged(2), &[]), "policy redact (monitor) would change nothing");
        let changed = Counts {
            changed: 1,
            ..judged(2)
        };
        assert_eq!(
            line(changed, &["email", "attributes.team", "email"]),
            "policy redact (monitor) would change attributes.team, email"
        );
        let much = Counts {
            held: 1,
            discarded: 2,
            failed: 3,
            ..judged(6)
        };
        assert_eq!(
            line(much, &[]),
            "policy redact (monitor) would hold 1 of 6 questions; discard 2 of 6 questions; fail at 3 of 6 questions: step crashed"
        );
        let skipped = Counts {
            skipped: 2,
            ..judged(3)
        };
        assert_eq!(
            line(skipped, &[]),
            "policy redact (monitor) would change nothing; 2 questions not asked, as it is too slow"
        );
        let enforced = Counts {
            time: Duration::from_micros(1200),
            ..changed
        };
        assert_eq!(
            work(Mode::Enforce, enforced, &[], None).line(),
            "policy redact judged 2 questions in 1.2 ms: changed 1"
        );
        let mut absent = work(Mode::Monitor, judged(0), &[], None);
        absent.trouble = Some("it is not compiled".into());
        assert_eq!(
            absent.line(),
            "policy redact (monitor) was not asked: it is not compiled"
        );
    }

    #[test]
    fn counters_have_the_name_the_place_and_the_result() {
        let changed = Counts {
            judged: 1,
            changed: 1,
            time: Duration::from_millis(1500),
            ..Counts::default()
        };
        let all = [
            work(Mode::Enforce, Counts::default(), &[], None),
            work(Mode::Monitor, changed, &["email"], None),
        ];
        let mut page = Page::default();
        PolicyWork::write(&all, &mut page);
        let text = page.into_text();
        for line in [
            r#"pipefold_policy_questions_total{place="1",policy="redact",mode="enforce",result="changed"} 0"#,
            r#"pipefold_policy_questions_total{place="2",policy="redact",mode="monitor",result="changed"} 1"#,
            r#"pipefold_policy_questions_total{place="2",policy="redact",mode="monitor",result="skipped"} 0"#,
            r#"pipefold_policy_seconds_total{place="2",policy="redact",mode="monitor"} 1.5"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let mut none = Page::default();
        PolicyWork::write(&[], &mut none);
        assert_eq!(none.into_text(), "");
    }
}
