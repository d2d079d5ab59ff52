//! Addresses: of our own pages with their queries, and of other sites.

use super::layout::PageError;
use crate::store::{Cursor, RunFilter, bound};
use chrono::{DateTime, NaiveTime, SecondsFormat, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pipefold_sandbox::Status;
use pipefold_sandbox::foreign::is_hidden;
use serde::Deserialize;
use std::fmt::Write;

/// All characters but the unreserved ones of RFC 3986, section 2.3: so escaped, any text is a value in a path and in a query.
pub const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the address of a run's page.
pub(crate) fn run(reference_id: &str) -> String {
    named("/runs", "reference_id", reference_id)
}

/// Returns the address of a pipeline's page.
pub fn pipeline(name: &str) -> String {
    named("/pipelines", "name", name)
}

/// Returns an address with a name in its path. A browser takes `.` and `..` as steps through a path, even percent-encoded (URL standard,
/// dot segments): such a name goes into the query instead.
fn named(base: &str, parameter: &str, name: &str) -> String {
    let value = utf8_percent_encode(name, VALUE);
    if matches!(name, "." | "..") {
        format!("{base}?{parameter}={value}")
    } else {
        format!("{base}/{value}")
    }
}

/// Returns `path` with a query of the parameters that have a value.
pub fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    extended(path.to_owned(), parameters)
}

/// Returns an address, which may have a query, with further parameters that have a value.
pub fn extended(mut address: String, parameters: &[(&str, Option<&str>)]) -> String {
    let mut separator = if address.contains('?') { '&' } else { '?' };
    for (name, value) in parameters {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(address, "{separator}{name}={}", utf8_percent_encode(value, VALUE));
            separator = '&';
        }
    }
    address
}

/// Returns true if a reported text may become a link: `http` and `https` only, and nothing that a browser would read otherwise than a
/// person. Everything else, `javascript:` above all, is shown as text.
pub fn is_web_address(text: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    rest.is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_alphanumeric() || first == '[')
            && !text.contains(|c: char| c.is_whitespace() || is_hidden(c) || c == '\\')
    })
}

/// The relation of a link to another site: that one learns nothing of ours.
pub const ELSEWHERE: &str = "noopener noreferrer nofollow external";

/// The longest value of a parameter, in bytes: the longest that a field of a notification may have.
const MAX_VALUE: usize = 4 * 1024;

/// The path of the list of runs.
pub const RUNS: &str = "/runs";

/// The query of [`RUNS`], unparsed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RunsAddress {
    pipeline: Option<String>,
    status: Option<String>,
    branch: Option<String>,
    person: Option<String>,
    repository: Option<String>,
    source: Option<String>,
    commit: Option<String>,
    pr: Option<String>,
    from: Option<String>,
    to: Option<String>,
    text: Option<String>,
    dx: Option<String>,
    after: Option<String>,
}

/// The query of [`RUNS`], parsed.
#[derive(Clone, Debug, Default)]
pub struct RunsWanted {
    pub filter: RunFilter,
    pub after: Option<Cursor>,
}

/// The word for stale runs among the statuses.
const STALE: &str = "stale";

impl RunsWanted {
    /// Parses an address. A run is stale without activity after `stale_before`.
    ///
    /// # Errors
    /// [`PageError::Address`].
    pub fn parse(address: RunsAddress, stale_before: DateTime<Utc>) -> Result<Self, PageError> {
        let error = |text: &str| PageError::Address(text.to_owned());
        let word = filled("status", address.status)?;
        let is_stale = word.as_deref() == Some(STALE);
        let status = word
            .filter(|_| !is_stale)
            .map(|word| status(&word).ok_or_else(|| error("No such status: use one of the tabs on the list of runs.")))
            .transpose()?;
        let after = filled("after", address.after)?
            .map(|cursor| cursor.parse::<Cursor>())
            .transpose()
            .map_err(|_| error("There is no such page: start with the newest runs."))?;
        let refused = match filled("dx", address.dx)?.as_deref() {
            None => false,
            Some("refused") => true,
            Some(_) => return Err(error("No such list: use one of the tabs on the list of runs.")),
        };
        let pr_number = filled("pr", address.pr)?
            .map(|number| number.trim_start_matches(['#', '!']).parse())
            .transpose()
            .map_err(|_| error("The pull request is a number, such as 12."))?;
        let time = |name, value, is_end| {
            let time = filled(name, value)?.map(|text| {
                bound(&text, is_end).ok_or_else(|| {
                    PageError::Address(format!("{name} is a day, such as 2025-01-31, or a time with its zone."))
                })
            });
            time.transpose()
        };
        Ok(Self {
            filter: RunFilter {
                pipeline: filled("pipeline", address.pipeline)?,
                status,
                branch: filled("branch", address.branch)?,
                person: filled("person", address.person)?,
                repository: filled("repository", address.repository)?,
                source: filled("source", address.source)?,
                commit: filled("commit", address.commit)?,
                pr_number,
                from: time("from", address.from, false)?,
                until: time("to", address.to, true)?,
                stale_before: is_stale.then_some(stale_before),
                active_since: (status == Some(Status::Running)).then_some(stale_before),
                refused,
                text: filled("text", address.text)?,
                parts: true,
            },
            after,
        })
    }

    /// Returns the address of the list with this filter, from the newest run on.
    pub fn address(filter: &RunFilter) -> String {
        Self::address_of(RUNS, filter, None)
    }

    /// Returns the address of a list at `path` with this filter, which starts at a cursor.
    pub fn address_of(path: &str, filter: &RunFilter, after: Option<Cursor>) -> String {
        let after = after.map(|cursor| cursor.to_string());
        let pr_number = filter.pr_number.map(|number| number.to_string());
        let (from, until) = (
            filter.from.map(|time| day(time, false)),
            filter.until.map(|time| day(time, true)),
        );
        let status = if filter.stale_before.is_some() {
            Some(STALE)
        } else {
            filter.status.map(Status::as_str)
        };
        with_query(
            path,
            &[
                ("status", status),
                ("pipeline", filter.pipeline.as_deref()),
                ("branch", filter.branch.as_deref()),
                ("person", filter.person.as_deref()),
                ("repository", filter.repository.as_deref()),
                ("source", filter.source.as_deref()),
                ("commit", filter.commit.as_deref()),
                ("pr", pr_number.as_deref()),
                ("from", from.as_deref()),
                ("to", until.as_deref()),
                ("text", filter.text.as_deref()),
                ("dx", filter.refused.then_some("refused")),
                ("after", after.as_deref()),
            ],
        )
    }
}

/// Returns the text of a bound of time: a day where it is one, else the time.
pub fn day(time: DateTime<Utc>, is_end: bool) -> String {
    if time.time() == NaiveTime::MIN {
        let day = time.date_naive();
        let day = if is_end { day.pred_opt().unwrap_or(day) } else { day };
        day.to_string()
    } else {
        time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

/// Returns the trimmed value of a parameter; `None` for the empty fields that a form sends, too.
pub fn filled(name: &str, value: Option<String>) -> Result<Option<String>, PageError> {
    let Some(value) = value else { return Ok(None) };
    if value.len() > MAX_VALUE {
        return Err(PageError::Address(format!(
            "The value of {name} is longer than 4 KiB: shorten it."
        )));
    }
    let value = value.trim();
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

/// The statuses, in the order of the tabs.
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_segment() {
        assert_eq!(run("a/b?c#d%e f"), "/runs/a%2Fb%3Fc%23d%25e%20f");
        assert_eq!(pipeline("é\"<"), "/pipelines/%C3%A9%22%3C");
        assert_eq!(
            (run("."), pipeline("..")),
            ("/runs?reference_id=.".into(), "/pipelines?name=..".into())
        );
        assert_eq!(run("..."), "/runs/...");
        assert_eq!(
            with_query("/", &[("a", None), ("b", Some("x&y")), ("c", Some("1"))]),
            "/?b=x%26y&c=1"
        );
        assert_eq!(with_query("/", &[("a", None)]), "/");
    }

    #[test]
    fn only_web_addresses_become_links() {
        for text in [
            "https://ci.example/1",
            "HTTP://ci.example:8080/a?b=c#d",
            "http://[::1]/",
            "https://bücher.example/",
        ] {
            assert!(is_web_address(text), "{text}");
        }
        for text in [
            "javascript:alert(1)",
            "JaVaScRiPt://x/%0aalert(1)",
            " https://x",
            "https://",
            "https:///x",
            "https://x y",
            "https://x\n",
            "https://x\u{202e}",
            "https:\\\\x",
            "https://x\\@y",
            "data:text/html,x",
            "vbscript:x",
            "//x",
            "/x",
            "ftp://x",
            "é",
            "",
        ] {
            assert!(!is_web_address(text), "{text}");
        }
    }
}
