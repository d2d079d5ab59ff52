//! Validation: everything that is wrong with a notification, at once.

use crate::field::Field;
use crate::finding::{Finding, Problem, violations};
use crate::timestamp::Timestamp;
use crate::{Notification, Status, Violation, words};

/// The largest size of a field, in bytes: longer than any name, branch or address in use.
pub const MAX_FIELD_BYTES: usize = 4096;

/// What DX requires of a notification.
pub(crate) const REQUIRED: [Field; 4] = [
    Field::PipelineName,
    Field::PipelineSource,
    Field::ReferenceId,
    Field::StartedAt,
];

/// A notification that keeps every rule; only [`validate`] and [`check`] make one. It borrows from the notification.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked<'a> {
    fields: Fields<'a>,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    status: Status,
    step: bool,
    allowed_to_fail: bool,
}

/// The fields for which a run takes the greatest value given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields<'a> {
    pub(crate) pipeline_name: &'a str,
    pub(crate) pipeline_source: &'a str,
    pub(crate) reference_id: &'a str,
    pub(crate) repository: Option<&'a str>,
    pub(crate) commit_sha: Option<&'a str>,
    pub(crate) pr_number: Option<i64>,
    pub(crate) source_url: Option<&'a str>,
    pub(crate) head_branch: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) github_username: Option<&'a str>,
    pub(crate) gitlab_username: Option<&'a str>,
}

impl<'a> Checked<'a> {
    pub(crate) fn fields(&self) -> Fields<'a> {
        self.fields
    }

    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Never before [`Self::started_at`].
    pub(crate) fn finished_at(&self) -> Option<Timestamp> {
        self.finished_at
    }

    /// Unknown when none was given.
    pub(crate) fn status(&self) -> Status {
        self.status
    }

    /// Whether it is about a step, not about the whole run.
    pub(crate) fn is_step(&self) -> bool {
        self.step
    }

    pub(crate) fn is_allowed_to_fail(&self) -> bool {
        self.allowed_to_fail
    }
}

/// Checks one notification.
pub(crate) fn validate(event: &Notification) -> Result<Checked<'_>, Vec<Violation>> {
    let mut findings = Vec::new();
    check(event, &mut findings).ok_or_else(|| violations(findings))
}

/// Checks one notification and notes everything that is wrong with it; `None` if anything is.
pub(crate) fn check<'a>(event: &'a Notification, findings: &mut Vec<Finding<'a>>) -> Option<Checked<'a>> {
    let clean = findings.len();
    let mut notes = Notes(findings);

    let pipeline_name = notes.required(Field::PipelineName, &event.pipeline_name);
    let pipeline_source = notes.required(Field::PipelineSource, &event.pipeline_source);
    let reference_id = notes.required(Field::ReferenceId, &event.reference_id);
    let started_at = notes.required(Field::StartedAt, &event.started_at);
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
    // One that was given and is refused still counts as given.
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
        started_at: started_at?.1,
        finished_at: finished_at.map(|(_, time)| time),
        status,
        step: step.is_some(),
        allowed_to_fail: event.allowed_to_fail,
    })
}

/// Whether a character leaves no mark: white space, and what Unicode has to shape text without showing (zero-width characters, marks of
/// direction, tags).
fn shows_nothing(character: char) -> bool {
    character.is_whitespace()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A field's value, if it has one: a blank one counts as absent.
pub(crate) fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|text| !text.chars().all(shows_nothing))
}

/// Takes note of what is wrong, and passes on what is not.
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
        self.sound(field, text?)
    }

    fn optional(&mut self, field: Field, value: &'a Option<String>) -> Option<&'a str> {
        self.sound(field, given(value)?)
    }

    /// The text if it is short enough and free of control characters.
    fn sound(&mut self, field: Field, text: &'a str) -> Option<&'a str> {
        let problem = if text.len() > MAX_FIELD_BYTES {
            Problem::TooLong(text.len())
        } else if let Some((index, character)) = control_character(text) {
            Problem::Control(character, index)
        } else {
            return Some(text);
        };
        self.add(field, problem);
        None
    }

    /// The time together with its text, which messages quote.
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
    // Nearly every text is printable ASCII: that is seen without decoding characters.
    if words::printable_ascii(text) {
        return None;
    }
    text.char_indices().find(|(_, character)| character.is_control())
}
