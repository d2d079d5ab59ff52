//! The names of the fields that a policy changed. Values are never part of them: a policy may be there to hide them.

use crate::types::{Attribute, Job, Notification, Report, Verdict};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Names that are kept of one comparison: the fields of a run and a job, and its most attributes.
const MOST_NAMES: usize = 64;
/// Bytes of an attribute's key, as the rules allow.
const MOST_KEY: usize = 64;

/// Names of changed fields, as DX's JSON has them: `email`, `attributes.team`; `steps` for a step that was added or left out, `notifications`
/// for any other notification; `jobs[].name` for a field of a job in a report, `jobs` for a job that was added or left out.
#[derive(Default)]
pub struct Changes(BTreeSet<String>);

impl Changes {
    /// The fields that a policy changed: from the question that it got to the last one that it passed on, and from the last answer that it
    /// got to its own.
    pub fn between(
        question: &[Notification],
        passed: Option<&[Notification]>,
        got: Option<&Verdict>,
        gave: Option<&Verdict>,
    ) -> Self {
        let mut changes = Self::default();
        changes.notifications(question, passed.unwrap_or(question));
        match (got, gave) {
            (Some(Verdict::Report(got)), Some(Verdict::Report(gave))) => changes.reports(got, gave),
            // A report of its own, where the rules made none.
            (_, Some(Verdict::Report(gave))) => changes.notifications(question, &gave.clone().into_notifications()),
            _ => {}
        }
        changes
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }

    fn add(&mut self, name: impl Into<String>) {
        if self.0.len() < MOST_NAMES {
            self.0.insert(name.into());
        }
    }

    /// Compares lists of notifications. Their order means nothing to the fold, so those that are in both are left out first.
    fn notifications(&mut self, before: &[Notification], after: &[Notification]) {
        if before == after {
            return;
        }
        let (before, after) = without_common(before, after);
        if before.len() == after.len() {
            for (before, after) in before.into_iter().zip(after) {
                self.notification(before, after);
            }
            return;
        }
        let (mut before, mut after) = (by_step(before), by_step(after));
        let steps: BTreeSet<StepKey<'_>> = before.keys().chain(after.keys()).copied().collect();
        for step in steps {
            let before = before.remove(&step).unwrap_or_default();
            let after = after.remove(&step).unwrap_or_default();
            if before.len() != after.len() {
                self.add(if step.0.is_some() { "steps" } else { "notifications" });
            }
            for (before, after) in before.into_iter().zip(after) {
                self.notification(before, after);
            }
        }
    }

    fn notification(&mut self, before: &Notification, after: &Notification) {
        macro_rules! compare {
            ($($field:ident)*) => {
                // The compiler leads here from a new field.
                let Notification { attributes, $($field),* } = before;
                $(if *$field != after.$field {
                    self.add(stringify!($field));
                })*
                self.attributes(attributes, &after.attributes);
            };
        }
        compare!(
            pipeline_name pipeline_source reference_id started_at finished_at status repository commit_sha pr_number source_url head_branch
            email github_username gitlab_username step step_id allowed_to_fail urgent
        );
    }

    fn attributes(&mut self, before: &[Attribute], after: &[Attribute]) {
        if before == after {
            return;
        }
        let (before, after) = (table(before), table(after));
        for key in before.keys().chain(after.keys()) {
            if before.get(key) != after.get(key) {
                // A key that the rules refuse may be any text.
                self.add(if is_key(key) {
                    format!("attributes.{key}")
                } else {
                    "attributes".into()
                });
            }
        }
    }

    fn reports(&mut self, before: &Report, after: &Report) {
        if before == after {
            return;
        }
        self.notification(&before.run.clone().into(), &after.run.clone().into());
        let (before, after) = (by_id(&before.jobs), by_id(&after.jobs));
        for (id, job) in &before {
            match after.get(id) {
                Some(other) => self.job(job, other),
                None => self.add("jobs"),
            }
        }
        if after.keys().any(|id| !before.contains_key(id)) {
            self.add("jobs");
        }
    }

    fn job(&mut self, before: &Job, after: &Job) {
        macro_rules! compare {
            ($($field:ident)*) => {
                let Job { reference_id: _, $($field),* } = before;
                $(if *$field != after.$field {
                    self.add(concat!("jobs[].", stringify!($field)));
                })*
            };
        }
        compare!(name status started_at finished_at);
    }
}

/// The step and its id.
type StepKey<'a> = (Option<&'a str>, Option<&'a str>);

fn by_step(events: Vec<&Notification>) -> BTreeMap<StepKey<'_>, Vec<&Notification>> {
    let mut steps: BTreeMap<StepKey<'_>, Vec<&Notification>> = BTreeMap::new();
    for event in events {
        let key = (event.step.as_deref(), event.step_id.as_deref());
        steps.entry(key).or_default().push(event);
    }
    steps
}

/// Both lists without what is in both, each in its order.
fn without_common<'a>(
    before: &'a [Notification],
    after: &'a [Notification],
) -> (Vec<&'a Notification>, Vec<&'a Notification>) {
    let rest = |of: &'a [Notification], others: &'a [Notification]| {
        let mut left: HashMap<&'a Notification, usize> = HashMap::new();
        for other in others {
            *left.entry(other).or_default() += 1;
        }
        let is_new = |event: &&'a Notification| match left.get_mut(event) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        };
        of.iter().filter(is_new).collect()
    };
    (rest(before, after), rest(after, before))
}

fn table(attributes: &[Attribute]) -> BTreeMap<&str, &str> {
    let pairs = attributes.iter();
    pairs.map(|one| (one.key.as_str(), one.value.as_str())).collect()
}

fn by_id(jobs: &[Job]) -> BTreeMap<&str, &Job> {
    jobs.iter().map(|job| (job.reference_id.as_str(), job)).collect()
}

/// Returns true for a key that the rules accept.
fn is_key(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=MOST_KEY).contains(&key.len()) && key.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::types::{Run, Status};

    fn event(step: Option<&str>) -> Notification {
        Notification {
            pipeline_name: Some("build".into()),
            reference_id: Some("1".into()),
            email: Some("mona@example.com".into()),
            step: step.map(Into::into),
            ..Notification::default()
        }
    }

    fn attribute(key: &str, value: &str) -> Attribute {
        Attribute {
            key: key.into(),
            value: value.into(),
        }
    }

    fn of(before: &[Notification], after: &[Notification]) -> Vec<String> {
        Changes::between(before, Some(after), None, None).names()
    }

    #[test]
    fn changed_fields_are_named_without_their_values() {
        let before = Notification {
            attributes: vec![attribute("team", "a"), attribute("same", "x"), attribute("gone", "b")],
            ..event(None)
        };
        let after = Notification {
            email: None,
            pipeline_name: Some("Build".into()),
            attributes: vec![
                attribute("same", "x"),
                attribute("team", "c"),
                attribute("\u{1b}[2J", "d"),
            ],
            ..event(None)
        };
        assert_eq!(
            of(&[before], &[after]),
            [
                "attributes",
                "attributes.gone",
                "attributes.team",
                "email",
                "pipeline_name"
            ]
        );
    }

    #[test]
    fn a_step_that_is_left_out_is_no_change_of_the_others() {
        let all = [
            event(Some("lint")),
            event(None),
            event(Some("test")),
            event(Some("test")),
        ];
        assert_eq!(
            of(&all, &[event(None), event(Some("test")), event(Some("test"))]),
            ["steps"]
        );
        assert_eq!(of(&all, &[event(Some("lint"))]), ["notifications", "steps"]);
        // Another order is no change.
        let [a, b, c, d] = all.clone();
        assert!(of(&all, &[d, c, b, a]).is_empty());
        // A renamed step, and one that is left out.
        let renamed = [
            event(Some("LINT")),
            event(None),
            event(Some("test")),
            event(Some("test")),
        ];
        assert_eq!(of(&all, &renamed), ["step"]);
        assert_eq!(of(&all, &renamed[1..]), ["steps"]);
    }

    #[test]
    fn reports_are_compared_job_by_job() {
        let run = Run {
            pipeline_name: "build".into(),
            pipeline_source: "Jenkins".into(),
            reference_id: "1".into(),
            started_at: "2025-01-01T12:05:00Z".into(),
            finished_at: None,
            status: Status::Running,
            repository: None,
            commit_sha: None,
            pr_number: None,
            source_url: None,
            head_branch: None,
            email: None,
            github_username: None,
            gitlab_username: None,
            attributes: Vec::new(),
        };
        let job = |id: &str, name: &str| Job {
            reference_id: id.into(),
            name: name.into(),
            status: Status::Success,
            started_at: None,
            finished_at: None,
        };
        let report = |status, jobs: &[Job]| {
            Verdict::Report(Report {
                run: Run { status, ..run.clone() },
                jobs: jobs.to_vec(),
            })
        };
        let got = report(Status::Running, &[job("a", "a"), job("b", "b")]);
        let names = |gave| Changes::between(&[], None, Some(&got), Some(&gave)).names();
        assert!(names(got.clone()).is_empty());
        assert_eq!(
            names(report(Status::Success, &[job("a", "A"), job("b", "b")])),
            ["jobs[].name", "status"]
        );
        assert_eq!(names(report(Status::Running, &[job("b", "b")])), ["jobs"]);
        assert_eq!(
            names(report(Status::Running, &[job("a", "a"), job("b", "b"), job("c", "c")])),
            ["jobs"]
        );
    }

    #[test]
    fn the_number_of_names_is_bounded() {
        let attributes = |value: &str| (0..1000).map(|n| attribute(&n.to_string(), value)).collect();
        let with = |value| Notification {
            attributes: attributes(value),
            ..event(None)
        };
        assert_eq!(of(&[with("a")], &[with("b")]).len(), MOST_NAMES);
    }
}
