//! Validation of a notification, which finds all faults at once.

use crate::blank::is_blank;
use crate::field::Field;
use crate::finding::{Finding, Problem, Quote, violations};
use crate::limits::{MAX_ATTRIBUTE_KEY_BYTES, MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES, MAX_FIELD_BYTES};
use crate::timestamp::Timestamp;
use crate::{Attribute, Notification, Status, Violation, words};

/// The fields that DX requires of a run.
pub const REQUIRED: [Field; 4] = [
    Field::PipelineName,
    Field::PipelineSource,
    Field::ReferenceId,
    Field::StartedAt,
];

/// A valid notification; only [`validate`] and [`check`] create one. It borrows from the notification.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    fields: Fields<'a>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    status: Status,
    step: Option<Step<'a>>,
    allowed_to_fail: bool,
    attributes: &'a [Attribute],
}

/// The names of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The name that is unique in the run.
    pub id: &'a str,
    pub name: &'a str,
}

/// The fields for which a run takes the greatest value given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    pub pipeline_name: &'a str,
    pub pipeline_source: &'a str,
    pub reference_id: &'a str,
    pub repository: Option<&'a str>,
    pub commit_sha: Option<&'a str>,
    pub pr_number: Option<i64>,
    pub source_url: Option<&'a str>,
    pub head_branch: Option<&'a str>,
    pub email: Option<&'a str>,
    pub github_username: Option<&'a str>,
    pub gitlab_username: Option<&'a str>,
}

impl<'a> Checked<'a> {
    pub fn fields(&self) -> Fields<'a> {
        self.fields
    }

    /// The start, which only a step may lack.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// The status; unknown if none was given.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The finish, never before [`Self::started_at`].
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.finished_at
    }

    /// The step; none for the whole run.
    pub fn step(&self) -> Option<Step<'a>> {
        self.step
    }

    pub fn is_allowed_to_fail(&self) -> bool {
        self.allowed_to_fail
    }

    /// The attributes that are not blank, by key. A key may occur more than once.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let given = self.attributes.iter().filter(|attribute| !is_blank(&attribute.value));
        given.map(|attribute| (attribute.key.as_str(), attribute.value.as_str()))
    }
}

/// Checks one notification.
pub fn validate(event: &Notification) -> Result<Checked<'_>, Vec<Violation>> {
    let mut findings = Vec::new();
    check(event, &mut findings).ok_or_else(|| violations(findings))
}

/// Checks one notification and adds its faults to `findings`; `None` if it has any.
pub fn check<'a>(event: &'a Notification, findings: &mut Vec<Finding<'a>>) -> Option<Checked<'a>> {
    let clean = findings.len();
    let mut notes = Notes(findings);

    let pipeline_name = notes.required(Field::PipelineName, &event.pipeline_name);
    let pipeline_source = notes.required(Field::PipelineSource, &event.pipeline_source);
    let reference_id = notes.required(Field::ReferenceId, &event.reference_id);
    let is_step = given(&event.step).is_some();
    let started_at = if is_step {
        notes.optional(Field::StartedAt, &event.started_at)
    } else {
        notes.required(Field::StartedAt, &event.started_at)
    };
    let started_at = notes.time(Field::StartedAt, started_at);
    let finished_at = notes.optional(Field::FinishedAt, &event.finished_at);
    let finished_at = notes.time(Field::FinishedAt, finished_at);
    if let (Some((start, began)), Some((finish, ended))) = (started_at, finished_at)
        && ended < began
    {
        notes.add(
            Field::FinishedAt,
            Problem::FinishBeforeStart(finish.into(), start.into()),
        );
    }
    let status = notes.optional(Field::Status, &event.status);
    let status = notes.status(status);

    let repository = notes.optional(Field::Repository, &event.repository);
    let commit_sha = notes.optional(Field::CommitSha, &event.commit_sha);
    // A repository that was given and refused still counts as given.
    if repository.is_none() && given(&event.repository).is_none() {
        let commit = given(&event.commit_sha).is_some();
        let pr = event.pr_number.is_some();
        if commit || pr {
            notes.add(Field::Repository, Problem::NoRepository { commit, pr });
        }
    }
    if let Some(number) = event.pr_number
        && number < 1
    {
        notes.add(Field::PrNumber, Problem::PrNumber(number));
    }

    let source_url = notes.optional(Field::SourceUrl, &event.source_url);
    let head_branch = notes.optional(Field::HeadBranch, &event.head_branch);
    let email = notes.optional(Field::Email, &event.email);
    let github_username = notes.optional(Field::GithubUsername, &event.github_username);
    let gitlab_username = notes.optional(Field::GitlabUsername, &event.gitlab_username);
    let step = notes.optional(Field::Step, &event.step);
    let step_id = notes.optional(Field::StepId, &event.step_id);
    notes.attributes(&event.attributes);

    if findings.len() > clean {
        return None;
    }
    Some(Checked {
        fields: Fields {
            pipeline_name: pipeline_name?,
            pipeline_source: pipeline_source?,
            reference_id: reference_id?,
            repository,
            commit_sha,
            pr_number: event.pr_number,
            source_url,
            head_branch,
            email,
            github_username,
            gitlab_username,
        },
        started_at: started_at.map(|(_, time)| time),
        finished_at: finished_at.map(|(_, time)| time),
        status,
        step: step.map(|name| Step {
            id: step_id.unwrap_or(name),
            name,
        }),
        allowed_to_fail: event.allowed_to_fail,
        attributes: &event.attributes,
    })
}

/// A field's value; `None` if it is absent or blank.
pub fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|text| !is_blank(text))
}

fn is_in_key(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

/// The list of findings, with checks that add to it and return sound values.
struct Notes<'n, 'a>(&'n mut Vec<Finding<'a>>);

impl<'a> Notes<'_, 'a> {
    fn add(&mut self, field: Field, problem: Problem<'a>) {
        self.0.push(Finding { field, problem });
    }

    fn required(&mut self, field: Field, value: &'a Option<String>) -> Option<&'a str> {
        let text = given(value);
        if text.is_none() {
            self.add(field, Problem::Missing);
        }
        self.sound(field, None, text?, MAX_FIELD_BYTES)
    }

    fn optional(&mut self, field: Field, value: &'a Option<String>) -> Option<&'a str> {
        self.sound(field, None, given(value)?, MAX_FIELD_BYTES)
    }

    /// The text if it is short enough and free of control characters. `key` is that of an attribute.
    fn sound(&mut self, field: Field, key: Option<&'a str>, text: &'a str, most: usize) -> Option<&'a str> {
        let problem = if text.len() > most {
            Problem::TooLong(key.map(Quote::from), text.len(), most)
        } else if let Some((index, character)) = control_character(text) {
            Problem::Control(key.map(Quote::from), character, index)
        } else {
            return Some(text);
        };
        self.add(field, problem);
        None
    }

    fn attributes(&mut self, attributes: &'a [Attribute]) {
        if attributes.len() > MAX_ATTRIBUTES {
            return self.add(Field::Attributes, Problem::TooManyAttributes(attributes.len()));
        }
        for Attribute { key, value } in attributes {
            if key.is_empty() || key.len() > MAX_ATTRIBUTE_KEY_BYTES || !key.bytes().all(is_in_key) {
                self.add(Field::Attributes, Problem::AttributeKey(key.as_str().into()));
            }
            self.sound(Field::Attributes, Some(key), value, MAX_ATTRIBUTE_VALUE_BYTES);
        }
    }

    /// The time with its text, which messages quote.
    fn time(&mut self, field: Field, text: Option<&'a str>) -> Option<(&'a str, Timestamp)> {
        let text = text?;
        match Timestamp::parse(text) {
            Ok(time) => Some((text, time)),
            Err(error) => {
                self.add(field, Problem::Timestamp(text.into(), error));
                None
            }
        }
    }

    fn status(&mut self, text: Option<&'a str>) -> Status {
        match text {
            None | Some("unknown") => Status::Unknown,
            Some("running") => Status::Running,
            Some("success") => Status::Success,
            Some("cancelled") => Status::Cancelled,
            Some("failure") => Status::Failure,
            Some(other) => {
                self.add(Field::Status, Problem::Status(other.into()));
                Status::Unknown
            }
        }
    }
}

/// The first control character and the index of its first byte.
fn control_character(text: &str) -> Option<(usize, char)> {
    // Nearly every text is printable ASCII, which needs no decoding of characters.
    if words::printable_ascii(text) {
        return None;
    }
    text.char_indices().find(|(_, character)| character.is_control())
}
