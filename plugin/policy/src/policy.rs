//! The judgement of notifications by all rules, in the order written.

use crate::edit::Emptied;
use crate::field::Field;
use crate::pattern::Pattern;
use crate::rule::{Action, Choice, Rule};
use crate::settings::Settings;
use crate::{Notification, Problem, parse};
use std::fmt;

/// The rules, ready for use.
#[derive(Debug)]
pub struct Policy<S> {
    rules: Vec<Rule>,
    settings: S,
    /// True if a rule may leave a commit without a repository.
    may_part_commit: bool,
}

/// What the rules make of notifications of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They go on, as the rules leave them.
    Pass {
        /// The notifications.
        events: Vec<Notification>,
        /// True if they are recorded, and nothing is sent yet.
        hold: bool,
    },
    /// They are dropped, for this reason.
    Discard(String),
}

/// What is known of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// One notification of several.
    Part,
    /// All notifications: the run has ended.
    All,
}

impl<S: Settings> Policy<S> {
    /// Reads the rules out of the settings.
    ///
    /// # Errors
    /// All faults.
    pub fn read(settings: S) -> Result<Self, Vec<Problem>> {
        let rules = parse::rules(&settings)?;
        Ok(Self {
            may_part_commit: rules.iter().any(|rule| rule.action.may_part_commit()),
            rules,
            settings,
        })
    }

    /// Applies the rules to notifications of one run.
    pub fn judge(&self, mut events: Vec<Notification>, known: Known) -> Outcome {
        if events.is_empty() {
            return Outcome::Pass { events, hold: false };
        }
        let mut hold = false;
        for rule in &self.rules {
            match &rule.action {
                Action::Edit(edit) => {
                    let (mut lost_steps, mut lost) = (Vec::new(), None);
                    edit.apply(
                        rule.number,
                        &self.settings,
                        &mut events,
                        |at, Emptied(field)| match field.is_of_step() {
                            true => lost_steps.push(at),
                            false => lost = Some(field),
                        },
                    );
                    if let Some(field) = lost {
                        return rule.discards(format_args!("nothing is left of {field}"));
                    }
                    let mut at = 0;
                    events.retain(|_| {
                        at += 1;
                        lost_steps.binary_search(&(at - 1)).is_err()
                    });
                }
                Action::Choose(Choice::Require(fields)) => {
                    for field in fields {
                        match events.iter().any(|event| field.is_given(event)) {
                            true => {}
                            false if known == Known::All => return rule.discards(format_args!("there is no {field}")),
                            false => hold = true,
                        }
                    }
                }
                Action::Choose(Choice::Discard(field, patterns)) => {
                    let matches = |event: &Notification| any_value(field, patterns, event);
                    if field.is_of_step() {
                        events.retain(|event| !matches(event));
                    } else if events.iter().any(matches) {
                        return rule.discards(format_args!("{field} matches"));
                    }
                }
                Action::Choose(Choice::Only(field, patterns)) => {
                    let is_other = |event: &Notification| {
                        let mut values = field.values(event);
                        values.any(|value| !patterns.iter().any(|pattern| pattern.matches(&value)))
                    };
                    if field.is_of_step() {
                        events.retain(|event| !is_other(event));
                    } else if events.iter().any(is_other) {
                        return rule.discards(format_args!("{field} does not match"));
                    } else if !events.iter().any(|event| field.is_given(event)) {
                        match known {
                            Known::All => return rule.discards(format_args!("there is no {field}")),
                            Known::Part => hold = true,
                        }
                    }
                }
            }
            if events.is_empty() {
                return rule.discards(match known {
                    Known::All => format_args!("no step is left"),
                    Known::Part => format_args!("it leaves out this step"),
                });
            }
        }
        if self.may_part_commit {
            events.iter_mut().for_each(join_commit);
        }
        Outcome::Pass { events, hold }
    }
}

/// Returns true if a pattern matches a value of the field.
fn any_value(field: &Field, patterns: &[Pattern], event: &Notification) -> bool {
    let mut values = field.values(event);
    values.any(|value| patterns.iter().any(|pattern| pattern.matches(&value)))
}

/// Drops a commit and a pull request without a repository, which the default component would refuse.
fn join_commit(event: &mut Notification) {
    if !Field::Repository.is_given(event) {
        event.commit_sha = None;
        event.pr_number = None;
    }
}

impl Rule {
    /// The reason has no value, as it is printed.
    fn discards(&self, reason: fmt::Arguments<'_>) -> Outcome {
        let Self { number, action } = self;
        Outcome::Discard(format!("rule {number} ({}): {reason}", action.verb()))
    }
}
