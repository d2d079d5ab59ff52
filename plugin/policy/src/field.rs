//! The fields that rules name, and their values in a notification.

use crate::blank::is_blank;
use crate::{Attribute, Notification};
use std::borrow::Cow;
use std::fmt;

/// The limits of the default component, which refuses a notification beyond them.
pub const MOST_FIELD: usize = 4096;
const MOST_VALUE: usize = 1024;
const MOST_KEY: usize = 64;
pub const MOST_ATTRIBUTES: usize = 32;

/// The beginning of an attribute's name in a rule.
const ATTRIBUTES: &str = "attributes.";

/// A field of a notification, or an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    PipelineName,
    PipelineSource,
    ReferenceId,
    Repository,
    CommitSha,
    PrNumber,
    SourceUrl,
    HeadBranch,
    Email,
    GithubUsername,
    GitlabUsername,
    Step,
    StepId,
    /// The attribute with this key.
    Attribute(String),
    /// All attributes.
    Attributes,
}

/// The fields by DX's names, in the order of DX's page.
const NAMES: [(&str, Field); 13] = [
    ("pipeline_name", Field::PipelineName),
    ("pipeline_source", Field::PipelineSource),
    ("reference_id", Field::ReferenceId),
    ("repository", Field::Repository),
    ("commit_sha", Field::CommitSha),
    ("pr_number", Field::PrNumber),
    ("source_url", Field::SourceUrl),
    ("head_branch", Field::HeadBranch),
    ("email", Field::Email),
    ("github_username", Field::GithubUsername),
    ("gitlab_username", Field::GitlabUsername),
    ("step", Field::Step),
    ("step_id", Field::StepId),
];

/// The fields that a run may lack.
pub const OPTIONAL: [Field; 8] = [
    Field::Repository,
    Field::CommitSha,
    Field::PrNumber,
    Field::SourceUrl,
    Field::HeadBranch,
    Field::Email,
    Field::GithubUsername,
    Field::GitlabUsername,
];

impl Field {
    /// The names of all fields.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// Reads a name.
    ///
    /// # Errors
    /// The fault, with the nearest name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some((_, field)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(field.clone());
        }
        match text.strip_prefix(ATTRIBUTES) {
            Some("*") => Ok(Self::Attributes),
            Some(key) if is_key(key) => Ok(Self::Attribute(key.to_owned())),
            Some(key) => Err(format!(
                "an attribute's key has 1 to {MOST_KEY} characters of a-z, 0-9, `.`, `_` and `-`, not {key:?}"
            )),
            None if matches!(text, "attributes" | "attribute") => {
                Err("write `attributes.NAME`, or `attributes.*` for all".to_owned())
            }
            None if matches!(
                text,
                "status" | "started_at" | "finished_at" | "allowed_to_fail" | "urgent"
            ) =>
            {
                Err(format!("`{text}` is not a policy's to read or change"))
            }
            None => {
                let hint = match crate::problem::nearest(text, Self::names()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "there are the names of DX's arguments, such as `email`, and `attributes.NAME`".to_owned(),
                };
                Err(format!("there is no field {text:?}; {hint}"))
            }
        }
    }

    /// Returns true if a run may lack it.
    pub fn is_optional(&self) -> bool {
        OPTIONAL.contains(self) || matches!(self, Self::StepId | Self::Attribute(_) | Self::Attributes)
    }

    /// Returns true if a rule may write another text in it.
    pub fn is_writable(&self) -> bool {
        !matches!(self, Self::ReferenceId | Self::PrNumber | Self::Attributes)
    }

    /// Returns true if it names a step, and not the run.
    pub fn is_of_step(&self) -> bool {
        matches!(self, Self::Step | Self::StepId)
    }

    /// The longest text that the rules accept in it, in bytes.
    pub fn most(&self) -> usize {
        match self {
            Self::Attribute(_) | Self::Attributes => MOST_VALUE,
            _ => MOST_FIELD,
        }
    }

    /// The given values, which are not blank: an attribute may have several, and every other field has at most one. A step without a
    /// `step_id` has its name as one, as in DX.
    pub fn values<'a>(&'a self, event: &'a Notification) -> impl Iterator<Item = Cow<'a, str>> {
        let one = match self {
            Self::PrNumber => event.pr_number.map(|number| Cow::Owned(number.to_string())),
            Self::StepId => {
                let step = event.step.as_deref().filter(|name| !is_blank(name));
                let id = event.step_id.as_deref().filter(|id| !is_blank(id));
                step.map(|name| Cow::Borrowed(id.unwrap_or(name)))
            }
            _ => self.text(event).map(Cow::Borrowed),
        };
        let attributes = event.attributes.iter().filter(move |attribute| match self {
            Self::Attribute(key) => attribute.key == *key,
            Self::Attributes => true,
            _ => false,
        });
        let values = attributes.map(|attribute| Cow::Borrowed(attribute.value.as_str()));
        one.into_iter().chain(values).filter(|value| !is_blank(value))
    }

    /// Returns true if it has a value that is not blank.
    pub fn is_given(&self, event: &Notification) -> bool {
        self.values(event).next().is_some()
    }

    fn text<'a>(&self, event: &'a Notification) -> Option<&'a str> {
        let text = match self {
            Self::PipelineName => &event.pipeline_name,
            Self::PipelineSource => &event.pipeline_source,
            Self::ReferenceId => &event.reference_id,
            Self::Repository => &event.repository,
            Self::CommitSha => &event.commit_sha,
            Self::SourceUrl => &event.source_url,
            Self::HeadBranch => &event.head_branch,
            Self::Email => &event.email,
            Self::GithubUsername => &event.github_username,
            Self::GitlabUsername => &event.gitlab_username,
            Self::Step => &event.step,
            Self::StepId | Self::PrNumber | Self::Attribute(_) | Self::Attributes => return None,
        };
        text.as_deref()
    }

    /// The place of its text; none for a number and for attributes.
    fn place<'a>(&self, event: &'a mut Notification) -> Option<&'a mut Option<String>> {
        Some(match self {
            Self::PipelineName => &mut event.pipeline_name,
            Self::PipelineSource => &mut event.pipeline_source,
            Self::Repository => &mut event.repository,
            Self::CommitSha => &mut event.commit_sha,
            Self::SourceUrl => &mut event.source_url,
            Self::HeadBranch => &mut event.head_branch,
            Self::Email => &mut event.email,
            Self::GithubUsername => &mut event.github_username,
            Self::GitlabUsername => &mut event.gitlab_username,
            Self::Step => &mut event.step,
            Self::StepId => &mut event.step_id,
            Self::ReferenceId | Self::PrNumber | Self::Attribute(_) | Self::Attributes => return None,
        })
    }

    /// Removes its values.
    pub fn remove(&self, event: &mut Notification) {
        match self {
            Self::PrNumber => event.pr_number = None,
            Self::Attribute(key) => event.attributes.retain(|attribute| attribute.key != *key),
            Self::Attributes => event.attributes.clear(),
            _ => {
                if let Some(place) = self.place(event) {
                    *place = None;
                }
            }
        }
    }

    /// Gives it one value in the place of all others.
    pub fn set(&self, event: &mut Notification, value: &str) {
        if let Self::Attribute(key) = self {
            self.remove(event);
            // What an operator sets has room, also where a build gives as many attributes as there may be.
            if event.attributes.len() == MOST_ATTRIBUTES {
                event.attributes.pop();
            }
            let (key, value) = (key.clone(), value.to_owned());
            event.attributes.insert(0, Attribute { key, value });
        } else if let Some(place) = self.place(event) {
            *place = Some(value.to_owned());
        }
    }

    /// Puts another text in the place of each of its texts that is not blank, or removes it.
    pub fn replace(&self, event: &mut Notification, mut by: impl FnMut(&str) -> Option<String>) {
        if let Self::Attribute(key) = self {
            event.attributes.retain_mut(|attribute| {
                if attribute.key != *key || is_blank(&attribute.value) {
                    return true;
                }
                let Some(value) = by(&attribute.value) else {
                    return false;
                };
                attribute.value = value;
                true
            });
        } else if let Some(place) = self.place(event)
            && let Some(text) = place.take_if(|text| !is_blank(text))
        {
            *place = by(&text);
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(key) => write!(f, "{ATTRIBUTES}{key}"),
            Self::Attributes => write!(f, "{ATTRIBUTES}*"),
            _ => f.write_str(
                NAMES
                    .iter()
                    .find(|(_, field)| field == self)
                    .map_or("", |(name, _)| name),
            ),
        }
    }
}

fn is_key(key: &str) -> bool {
    let is_in_key = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (1..=MOST_KEY).contains(&key.len()) && key.bytes().all(is_in_key)
}
