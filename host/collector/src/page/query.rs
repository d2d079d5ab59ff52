//! What the address of a list says.

use super::layout::PageError;
use super::link::with_query;
use crate::store::{Cursor, RunFilter};
use pipefold_sandbox::Status;
use serde::Deserialize;

/// The longest value of a parameter: the longest that a field of a notification may have (DESIGN, section 3).
const MAX_VALUE: usize = 4 * 1024;

/// The query of `/`, as it comes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RunsAddress {
    pipeline: Option<String>,
    status: Option<String>,
    branch: Option<String>,
    person: Option<String>,
    text: Option<String>,
    dx: Option<String>,
    after: Option<String>,
}

/// The same, read.
#[derive(Clone, Debug, Default)]
pub struct RunsWanted {
    pub filter: RunFilter,
    pub after: Option<Cursor>,
}

impl TryFrom<RunsAddress> for RunsWanted {
    type Error = PageError;

    fn try_from(address: RunsAddress) -> Result<Self, PageError> {
        let status = filled("status", address.status)?
            .map(|word| {
                status(&word).ok_or_else(|| {
                    PageError::Address("No such status: take one of the tabs on the list of runs.".into())
                })
            })
            .transpose()?;
        let after = filled("after", address.after)?
            .map(|cursor| cursor.parse::<Cursor>())
            .transpose()
            .map_err(|_| PageError::Address("There is no such page: begin with the newest runs.".into()))?;
        let refused = match filled("dx", address.dx)?.as_deref() {
            None => false,
            Some("refused") => true,
            Some(_) => {
                return Err(PageError::Address(
                    "No such list: take one of the tabs on the list of runs.".into(),
                ));
            }
        };
        Ok(Self {
            filter: RunFilter {
                pipeline: filled("pipeline", address.pipeline)?,
                status,
                branch: filled("branch", address.branch)?,
                person: filled("person", address.person)?,
                refused,
                text: filled("text", address.text)?,
            },
            after,
        })
    }
}

impl RunsWanted {
    /// The address of the list with this filter, from the newest run on.
    pub fn address(filter: &RunFilter) -> String {
        Self::address_after(filter, None)
    }

    /// The address of the page that begins at a cursor.
    pub fn address_after(filter: &RunFilter, after: Option<Cursor>) -> String {
        let after = after.map(|cursor| cursor.to_string());
        with_query(
            "/",
            &[
                ("status", filter.status.map(Status::as_str)),
                ("pipeline", filter.pipeline.as_deref()),
                ("branch", filter.branch.as_deref()),
                ("person", filter.person.as_deref()),
                ("text", filter.text.as_deref()),
                ("dx", filter.refused.then_some("refused")),
                ("after", after.as_deref()),
            ],
        )
    }
}

/// A form sends its empty fields, too. What was pasted has spaces around it.
pub fn filled(name: &str, value: Option<String>) -> Result<Option<String>, PageError> {
    let Some(value) = value else { return Ok(None) };
    if value.len() > MAX_VALUE {
        return Err(PageError::Address(format!(
            "What is looked for as {name} is longer than 4 KiB: shorten it."
        )));
    }
    let value = value.trim();
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

/// In the order in which they are offered.
pub const STATUSES: [Status; 5] = [
    Status::Running,
    Status::Failure,
    Status::Success,
    Status::Cancelled,
    Status::Unknown,
];

fn status(word: &str) -> Option<Status> {
    STATUSES.into_iter().find(|status| status.as_str() == word)
}
