//! The record of one question's way through a chain: what each link got, passed on and answered.

use crate::{
    answer::Answered,
    error::HookError,
    fit::Role,
    question::{OwnedQuestion, Question},
    tally::Outcome,
    types::{Verdict, Violation},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// One call of a link.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The component's name.
    pub policy: String,
    /// [`Role::Plugin`] for the rules at the end.
    pub role: Role,
    /// True if it was asked beside the chain ([`Mode::Monitor`](crate::Mode::Monitor)).
    pub monitored: bool,
    /// The question that it got.
    pub question: OwnedQuestion,
    /// The last question that it passed on; `None` if it called no next plugin, and for the rules.
    pub passed: Option<OwnedQuestion>,
    /// Its answer, which the rules have checked; else the refusal or the failure.
    pub answer: Result<Verdict, String>,
    /// The result in one word; `None` if another link failed, which says nothing about this one.
    pub outcome: Option<Outcome>,
    /// The names of the fields that it changed, sorted: `email`, `attributes.team`, `steps`, `jobs[].name`.
    pub changes: Vec<String>,
    /// The time of the call, without the time of the next plugin.
    pub time: Duration,
    /// Bytes of linear memory at its end.
    pub memory: u64,
}

impl Visit {
    /// The visit of a monitored policy that did not answer in time.
    pub(crate) fn unanswered(policy: String, judged: &Judged) -> Self {
        Self {
            policy,
            role: Role::Policy,
            monitored: true,
            question: judged.question.clone(),
            passed: None,
            answer: Err("it did not answer in time".into()),
            outcome: Some(Outcome::Failed),
            changes: Vec::new(),
            time: Duration::ZERO,
            memory: 0,
        }
    }
}

/// A question's way through a chain.
#[derive(Debug)]
pub struct Explained {
    /// The calls in the order in which they began, and then the monitored policies. A policy that calls the next plugin twice causes two calls
    /// of it.
    pub visits: Vec<Visit>,
    /// The answer, as of [`Chain::ask`](crate::Chain::ask).
    pub answer: Result<Verdict, HookError>,
}

/// A question at one place of a chain, and the answer there.
pub struct Judged {
    pub question: OwnedQuestion,
    /// The verdict or the rules' refusal. `None`: nothing was asked yet, and the rules alone answer it.
    pub answer: Option<Result<Verdict, Vec<Violation>>>,
}

/// What is recorded of a question.
#[derive(Default)]
pub struct Recorder {
    visits: Option<Mutex<Vec<Option<Visit>>>>,
    /// By the place in the chain. A policy may call the next plugin more than once; the last call counts.
    judged: Option<Mutex<BTreeMap<usize, Arc<Judged>>>>,
}

/// The place of a call in the record.
pub struct Entry(usize);

impl Recorder {
    /// Records the calls if `visits`, and the questions and answers at each place if `judged`.
    pub fn new(visits: bool, judged: bool) -> Self {
        Self {
            visits: visits.then(Mutex::default),
            judged: judged.then(Mutex::default),
        }
    }

    /// Begins a call; `None` if calls are not recorded.
    pub fn enter(&self) -> Option<Entry> {
        let mut visits = self.visits.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        visits.push(None);
        Some(Entry(visits.len() - 1))
    }

    /// Ends a call that [`Recorder::enter`] began.
    pub fn leave(&self, entry: Option<Entry>, visit: impl FnOnce() -> Visit) {
        let (Some(Entry(place)), Some(visits)) = (entry, &self.visits) else {
            return;
        };
        visits.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some(visit());
    }

    /// Records the answer at a place; failures are not recorded.
    pub fn note(&self, place: usize, question: &Question<'_>, answer: &Result<Answered, HookError>) {
        let Some(judged) = &self.judged else { return };
        let answer = match answer {
            Ok(answered) => Ok(answered.verdict.clone()),
            Err(HookError::Refused(violations)) => Err(violations.clone()),
            Err(_) => return,
        };
        let one = Judged {
            question: OwnedQuestion::of(question),
            answer: Some(answer),
        };
        let mut judged = judged.lock().unwrap_or_else(PoisonError::into_inner);
        judged.insert(place, Arc::new(one));
    }

    /// Takes the calls that ended.
    pub fn take_visits(&self) -> Vec<Visit> {
        let Some(visits) = &self.visits else {
            return Vec::new();
        };
        let visits = std::mem::take(&mut *visits.lock().unwrap_or_else(PoisonError::into_inner));
        visits.into_iter().flatten().collect()
    }

    /// Takes the questions and answers by their places.
    pub fn take_judged(&self) -> BTreeMap<usize, Arc<Judged>> {
        let Some(judged) = &self.judged else {
            return BTreeMap::new();
        };
        std::mem::take(&mut *judged.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
