//! The query of `GET /api/runs`.

use crate::store::{Cursor, MAX_PAGE, RunFilter};
use pipefold_sandbox::Status;

/// Runs of a page by default.
const USUAL_PAGE: u16 = 50;

/// The longest value: names are no longer (DESIGN, section 3).
const MAX_VALUE: usize = 4096;

/// A parsed query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub filter: RunFilter,
    pub after: Option<Cursor>,
    pub limit: u16,
}

impl Asked {
    /// Reads a query. A parameter that is not known, or comes twice, is an error: passed over, it would be a filter that does not filter.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut asked = Self {
            filter: RunFilter::default(),
            after: None,
            limit: USUAL_PAGE,
        };
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.iter().any(|seen| *seen == name) {
                return Err(format!("{name} is there twice"));
            }
            if value.len() > MAX_VALUE || value.chars().any(char::is_control) {
                return Err(format!("{name} is too long, or has control characters"));
            }
            let text = || Some(value.clone().into_owned());
            let filter = &mut asked.filter;
            match &*name {
                "pipeline" => filter.pipeline = text(),
                "branch" => filter.branch = text(),
                "person" => filter.person = text(),
                "text" => filter.text = text(),
                "status" => filter.status = Some(status(&value)?),
                "dx" if value == "refused" => filter.refused = true,
                "dx" => return Err("dx: it is refused, or left out".to_owned()),
                "after" => asked.after = Some(value.parse().map_err(|error| format!("after: {error}"))?),
                "limit" => asked.limit = limit(&value)?,
                _ => {
                    // Not shown: it may be anything.
                    let known = "pipeline, status, branch, person, text, dx, after, limit";
                    return Err(format!(
                        "the query has a parameter that is not known; there are {known}"
                    ));
                }
            }
            seen.push(name.into_owned());
        }
        Ok(asked)
    }
}

fn status(text: &str) -> Result<Status, String> {
    let all = [
        Status::Unknown,
        Status::Running,
        Status::Success,
        Status::Cancelled,
        Status::Failure,
    ];
    let found = all.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| "status: it is one of unknown, running, success, cancelled, failure".to_owned())
}

fn limit(text: &str) -> Result<u16, String> {
    let number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten();
    let fits = number.filter(|number| (1..=MAX_PAGE).contains(number));
    fits.ok_or_else(|| format!("limit: it is a number from 1 to {MAX_PAGE}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_asked() {
        let asked = Asked::parse(
            "pipeline=a+b%2F&status=failure&branch=m&person=p&text=%23%231&dx=refused&limit=200&after=5.7",
        )
        .unwrap();
        let filter = RunFilter {
            pipeline: Some("a b/".into()),
            status: Some(Status::Failure),
            branch: Some("m".into()),
            person: Some("p".into()),
            refused: true,
            text: Some("##1".into()),
        };
        assert_eq!(
            (asked.filter, asked.limit, asked.after.unwrap().to_string()),
            (filter, 200, "5.7".into())
        );
        let nothing = Asked::parse("").unwrap();
        assert_eq!(
            (nothing.filter, nothing.limit, nothing.after),
            (RunFilter::default(), 50, None)
        );
    }

    #[test]
    fn what_would_be_guessed_wrong_is_refused() {
        for bad in [
            "limit=0",
            "limit=201",
            "limit=+5",
            "limit=",
            "limit=99999999999",
            "status=Failure",
            "dx=accepted",
            "status=",
            "after=x",
            "after=",
            "pipline=a",
            "branch=a&branch=b",
            "text=%00",
            "x",
        ] {
            assert!(Asked::parse(bad).is_err(), "{bad}");
        }
        assert!(Asked::parse(&format!("text={}", "x".repeat(4097))).is_err());
    }
}
