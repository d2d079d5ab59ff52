//! The judging and folding of notifications. The rules themselves are in the component.
//!
//! Policies judge each notification once, when it arrives. The store gets the notification as the last policy passed it to the rules, so
//! pages, feeds and DX show nothing that a policy removed. After that only the rules judge it. A job is a step to them.

use crate::store::{Fold, FoldError, stamp};
use chrono::{DateTime, Utc};
use pipefold::dx::{JOB_ARGUMENT_NAMES, JobArguments};
use pipefold::{Judge, NoVerdict, PolicyWork};
use pipefold_sandbox::{Answered, Fault, Job, Notification, Question, Report, Run, Status, Verdict, Violation};
use std::sync::{Arc, LazyLock};

/// The sandboxed component with the rules, and the policies in front of it.
#[derive(Clone)]
pub struct Rules {
    judge: Arc<Judge>,
    has_policies: bool,
}

/// The outcome of the policies for a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// It is stored, as the policies left it.
    Kept(Left),
    /// A policy drops it.
    Dropped {
        /// The policy's reason.
        why: String,
        /// True if it drops the start of the run, and so all of it.
        whole: bool,
    },
}

/// A report as the policies left it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Left {
    /// Notifications of the whole run.
    pub notifications: Vec<Notification>,
    /// Jobs of the run.
    pub jobs: Vec<Job>,
    /// True if the policies hold it: it is no reason to send anything to DX.
    pub held: bool,
}

impl Admitted {
    fn dropped(why: &str) -> Self {
        Self::Dropped {
            why: why.to_owned(),
            whole: false,
        }
    }
}

/// The rules without any policy.
static ALONE: LazyLock<Judge> = LazyLock::new(Judge::default);

impl Rules {
    /// The rules behind the policies of `judge`.
    #[must_use]
    pub fn new(judge: Arc<Judge>) -> Self {
        Self {
            has_policies: judge.has_policies(),
            judge,
        }
    }

    /// The work of each policy so far.
    #[must_use]
    pub fn work(&self) -> Vec<PolicyWork> {
        self.judge.work()
    }

    /// Returns true if there are policies that are enforced. They may take a second, the rules alone take microseconds.
    #[must_use]
    pub fn has_policies(&self) -> bool {
        self.has_policies
    }

    /// Judges a notification that arrived by the policies. Without policies nothing is judged here: the rules judge it when it is folded.
    ///
    /// # Errors
    /// The refusal of the rules, or the failure of a policy, also if the rules refuse its result.
    pub fn admit(&self, notification: &Notification) -> Result<Admitted, FoldError> {
        if !self.has_policies {
            self.judge.observe(&question(notification));
            return Ok(Admitted::Kept(Left {
                notifications: vec![notification.clone()],
                ..Left::default()
            }));
        }
        let question = question(notification);
        // A policy may discard a run at its start alone, and a sender may report its end alone.
        if let Question::PipelineFinish(_) = question
            && let Verdict::Discard(why) = self.judge.ask(&Question::PipelineStart(notification)).map_err(failed)?
        {
            return Ok(Admitted::Dropped { why, whole: true });
        }
        let Answered { verdict, seen } = self.judge.ask_and_see(&question).map_err(failed)?;
        if let Verdict::Discard(why) = verdict {
            let whole = matches!(question, Question::PipelineStart(_));
            return Ok(Admitted::Dropped { why, whole });
        }
        let Some(mut seen) = seen else {
            return Ok(Admitted::dropped(NOT_SHOWN));
        };
        for kept in &mut seen {
            // Policies choose a run's names, and not which run it is.
            kept.reference_id.clone_from(&notification.reference_id);
        }
        // A refusal now is the fault of the policies: it must not be the sender's, nor wait in the store.
        let jobs = match ALONE.ask(&Question::PipelineFinish(&seen)) {
            Ok(Verdict::Report(report)) => report.jobs,
            Ok(Verdict::Hold | Verdict::Discard(_)) => Vec::new(),
            Err(error) => return Err(refused_behind(&error)),
        };
        // A policy may report jobs with a run.
        seen.retain(|kept| kept.step.is_none());
        if seen.is_empty() {
            return Ok(Admitted::dropped("a policy left nothing of it but steps"));
        }
        Ok(Admitted::Kept(Left {
            notifications: seen,
            jobs,
            held: verdict == Verdict::Hold,
        }))
    }

    /// Checks the arguments of a job, and returns the job with its times in the form of the rules.
    ///
    /// # Errors
    /// All violations, by DX's names of the arguments; or the failure of the rules.
    pub fn job(&self, given: &JobArguments) -> Result<Job, FoldError> {
        let texts = [
            ("pipeline_source", &given.pipeline_source),
            ("run_reference_id", &given.run_reference_id),
            ("reference_id", &given.reference_id),
            ("name", &given.name),
            ("status", &given.status),
        ];
        let is_blank = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
        let mut violations: Vec<Violation> = texts
            .into_iter()
            .filter(|(_, text)| is_blank(text))
            .map(|(field, _)| missing(field))
            .collect();
        let text = |text: &Option<String>| {
            Some(
                text.clone()
                    .filter(|_| !is_blank(text))
                    .unwrap_or_else(|| "-".to_owned()),
            )
        };
        // The rules have no call about a job alone. The name and the id are checked in the place of a required field and of a step.
        let probe = Notification {
            pipeline_name: text(&given.name),
            pipeline_source: text(&given.pipeline_source),
            reference_id: text(&given.run_reference_id),
            step: text(&given.reference_id),
            status: given.status.clone(),
            started_at: given.started_at.clone(),
            finished_at: given.finished_at.clone(),
            ..Notification::default()
        };
        let job = match self.step(probe) {
            Ok(job) => job,
            Err(FoldError::Refused(refused)) => {
                let named = refused.into_iter().map(|violation| match &*violation.field {
                    "pipeline_name" => ("name", violation),
                    "reference_id" => ("run_reference_id", violation),
                    "step" => ("reference_id", violation),
                    "pipeline_source" => ("pipeline_source", violation),
                    "status" => ("status", violation),
                    "started_at" => ("started_at", violation),
                    _ => ("finished_at", violation),
                });
                violations.extend(named.map(|(field, violation)| match violation.fault {
                    Fault::RequiredParamsMissing => missing(field),
                    _ => Violation {
                        field: field.to_owned(),
                        ..violation
                    },
                }));
                None
            }
            Err(error) => return Err(error),
        };
        match job {
            Some(job) if violations.is_empty() => {
                return Ok(Job {
                    name: given.name.clone().unwrap_or(job.name),
                    ..job
                });
            }
            // Its id has no visible character.
            None if violations.is_empty() => violations.push(missing("reference_id")),
            _ => {}
        }
        let place = |violation: &Violation| JOB_ARGUMENT_NAMES.iter().position(|name| *name == violation.field);
        violations.sort_by_key(place);
        violations.dedup();
        Err(FoldError::Refused(violations))
    }

    /// Returns the job that a notification of a step is about.
    ///
    /// # Errors
    /// All violations of the step; or the failure of the rules.
    pub fn job_of(&self, step: &Notification) -> Result<Job, FoldError> {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let probe = Notification {
            pipeline_name: text(&step.pipeline_name),
            pipeline_source: text(&step.pipeline_source),
            reference_id: text(&step.reference_id),
            step: text(&step.step),
            step_id: text(&step.step_id),
            status: text(&step.status),
            started_at: step.started_at.clone(),
            finished_at: step.finished_at.clone(),
            ..Notification::default()
        };
        // A job has no place for a name without a visible character.
        self.step(probe)?
            .ok_or_else(|| FoldError::Refused(vec![missing("step")]))
    }

    /// Folds a step alone into its job, beside a run that has only names and a start.
    fn step(&self, step: Notification) -> Result<Option<Job>, FoldError> {
        let whole = Notification {
            step: None,
            step_id: None,
            finished_at: None,
            status: None,
            started_at: Some("1970-01-01T00:00:00Z".to_owned()),
            ..step.clone()
        };
        match self.alone().merge(&[whole, step]).map_err(failed) {
            Ok(report) => Ok(report.jobs.into_iter().next()),
            Err(FoldError::Refused(both)) => {
                // The same fault of the run and of the step.
                let mut violations: Vec<Violation> = Vec::new();
                for violation in both {
                    if !violations.contains(&violation) {
                        violations.push(violation);
                    }
                }
                Err(FoldError::Refused(violations))
            }
            Err(error) => Err(error),
        }
    }

    /// Judges a job of a stored run by the policies, as an urgent step of the run. `source` is the run's as the sender names it.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub fn admit_job(
        &self,
        run: &Run,
        source: &str,
        job: &Job,
        received: DateTime<Utc>,
    ) -> Result<Admitted, NotAdmitted> {
        let kept = |jobs, held| {
            Admitted::Kept(Left {
                jobs,
                held,
                notifications: Vec::new(),
            })
        };
        if !self.has_policies {
            return Ok(kept(vec![job.clone()], false));
        }
        let (event, assumed) = event_of(run, source, job, received);
        let question = Question::Step(&event);
        let Answered { verdict, seen } = self.judge.ask_and_see(&question).map_err(failed)?;
        if let Verdict::Discard(why) = verdict {
            return Ok(Admitted::Dropped { why, whole: false });
        }
        let Some(mut seen) = seen else {
            return Ok(Admitted::dropped(NOT_SHOWN));
        };
        let held = verdict == Verdict::Hold && !rules_hold(&seen);
        // A policy that names sources otherwise names this one as it named the run's.
        let is_source = |given: Option<&str>| given == Some(&run.pipeline_source);
        if !is_source(Some(source)) && !seen.iter().any(|event| is_source(event.pipeline_source.as_deref())) {
            return Err(NotAdmitted::OtherSource);
        }
        let whole = Notification::from(run.clone());
        seen.retain(|event| event.step.is_some());
        for event in &mut seen {
            // It is a job of this run, whose names were judged with the run.
            *event = Notification {
                pipeline_name: whole.pipeline_name.clone(),
                pipeline_source: whole.pipeline_source.clone(),
                reference_id: whole.reference_id.clone(),
                ..std::mem::take(event)
            };
        }
        seen.push(whole);
        let mut jobs = ALONE.merge(&seen).map_err(|error| refused_behind(&error))?.jobs;
        for job in &mut jobs {
            if assumed.is_some() && job.started_at == assumed {
                job.started_at = None;
            }
        }
        if jobs.is_empty() {
            return Ok(Admitted::dropped("a policy left it out of its report"));
        }
        Ok(kept(jobs, held))
    }

    /// Has the monitored policies judge a job of a stored run, which the others do not judge, as there are none.
    pub fn observe_job(&self, run: &Run, source: &str, job: &Job, received: DateTime<Utc>) {
        let (event, _) = event_of(run, source, job, received);
        self.judge.observe(&Question::Step(&event));
    }

    /// Returns true if policies are monitored, and none is enforced.
    #[must_use]
    pub fn only_monitors(&self) -> bool {
        !self.has_policies && self.judge.has_monitored()
    }

    /// The rules without policies.
    fn alone(&self) -> &Judge {
        if self.has_policies { &ALONE } else { &self.judge }
    }

    /// Folds the admitted notifications of one run, by the rules alone.
    ///
    /// # Errors
    /// The refusal, or the failure of the rules.
    pub fn fold(&self, history: &[Notification]) -> Result<Report, FoldError> {
        let rules = self.alone();
        match rules.ask_plugin(&Question::PipelineFinish(history)).map_err(failed)? {
            Verdict::Report(report) => Ok(report),
            Verdict::Hold | Verdict::Discard(_) => rules.merge(history).map_err(failed),
        }
    }

    /// Returns the fold that a store is opened with.
    #[must_use]
    pub fn for_store(&self) -> Fold {
        let rules = self.clone();
        Arc::new(move |notifications| rules.fold(notifications))
    }
}

/// Returns a job as an urgent step of its run, and the start that is assumed for it: an urgent step needs one. A job without one gets its
/// start when it is stored, which is afterwards.
fn event_of(run: &Run, source: &str, job: &Job, received: DateTime<Utc>) -> (Notification, Option<String>) {
    let assumed = job
        .started_at
        .is_none()
        .then(|| job.finished_at.clone().unwrap_or_else(|| stamp(received)));
    let asked = Job {
        started_at: job.started_at.clone().or_else(|| assumed.clone()),
        ..job.clone()
    };
    let event = Notification {
        pipeline_source: Some(source.to_owned()),
        urgent: true,
        ..asked.into_notification(run)
    };
    (event, assumed)
}

/// Returns the question for the policies: the hook that a runner would have called for it.
fn question(notification: &Notification) -> Question<'_> {
    let status = notification.status.as_deref().map(str::trim).unwrap_or_default();
    let goes_on = ["", Status::Unknown.as_str(), Status::Running.as_str()]
        .iter()
        .any(|word| status.eq_ignore_ascii_case(word));
    if goes_on && notification.finished_at.is_none() {
        Question::PipelineStart(notification)
    } else {
        Question::PipelineFinish(std::slice::from_ref(notification))
    }
}

/// Returns true if the rules alone hold these steps: a policy may take the urgency from one.
fn rules_hold(seen: &[Notification]) -> bool {
    seen.iter()
        .all(|step| matches!(ALONE.ask(&Question::Step(step)), Ok(Verdict::Hold)))
}

const NOT_SHOWN: &str = "a policy held it and did not show it to the rules";

/// The reason why a job is not admitted.
#[derive(Debug)]
pub enum NotAdmitted {
    /// The run is of another source.
    OtherSource,
    /// The refusal of the rules, or the failure of a policy.
    Failed(FoldError),
}

impl From<FoldError> for NotAdmitted {
    fn from(error: FoldError) -> Self {
        Self::Failed(error)
    }
}

fn refused_behind(error: &NoVerdict) -> FoldError {
    FoldError::Failed(format!("after the policies the rules refuse it: {error}"))
}

fn missing(field: &'static str) -> Violation {
    let expected = match field {
        "pipeline_source" => "the source of the run, such as Tekton",
        "run_reference_id" => "the reference_id of the run",
        "reference_id" => "a name that is unique in the run",
        "name" | "step" => "the name of the job",
        _ => "success, failure, cancelled, running or unknown",
    };
    Violation {
        fault: Fault::RequiredParamsMissing,
        field: field.to_owned(),
        message: format!("required, but absent or blank; give {expected}"),
    }
}

fn failed(error: NoVerdict) -> FoldError {
    match error {
        NoVerdict::Refused(refused) => FoldError::Refused(refused.violations),
        NoVerdict::Failed(why) => FoldError::Failed(why),
    }
}
