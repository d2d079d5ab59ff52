//! Runs newest first, filtered, page by page.

use super::run::RunSummary;
use crate::access::Access;
use pipefold_sandbox::Status;
use std::fmt;
use std::str::FromStr;

/// The most runs a page may have: what a reader scrolls through, and still a few milliseconds.
pub const MAX_PAGE: u16 = 200;

/// Which runs, and where to begin.
#[derive(Clone, Debug)]
pub struct RunQuery {
    /// Which runs.
    pub filter: RunFilter,
    /// Whose pipelines: only those that it may see.
    pub access: Access,
    /// [`Page::next`] of the page before; `None` for the newest.
    pub after: Option<Cursor>,
    /// How many runs at most; taken as [`MAX_PAGE`] when larger, as 1 when 0.
    pub limit: u16,
}

/// What a run must be like. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// The pipeline, exactly.
    pub pipeline: Option<String>,
    /// The status.
    pub status: Option<Status>,
    /// The branch, exactly.
    pub branch: Option<String>,
    /// Any of the e-mail address and the two user names, exactly.
    pub person: Option<String>,
    /// Whether DX refused it for good.
    pub refused: bool,
    /// Part of the reference, of the names of pipeline, repository and branch, of the commit or of the person, in any case; or `#12`, the
    /// number of a pull request. A whole reference finds that run alone.
    pub text: Option<String>,
}

/// Runs, newest first: by their start, or by the arrival of their first notification where that was before it, so that a wrong clock
/// cannot keep a run on top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// Where to go on; `None` at the end. There may be fewer runs than asked for, even none, and yet more of them: a search looks at a
    /// bounded number of runs at a time.
    ///
    /// Going on shows every run that is older; one whose start moves back while one reads may be seen twice.
    pub next: Option<Cursor>,
}

/// A place between two runs of a list. As text it is for URLs, and means nothing to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Milliseconds since 1970.
    pub(super) place: i64,
    pub(super) id: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.place, self.id)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (place, id) = text.split_once('.').ok_or(CursorError)?;
        let cursor = Self {
            place: place.parse().map_err(|_| CursorError)?,
            id: id.parse().map_err(|_| CursorError)?,
        };
        // One text for one place: what is not as we write it (`+1.02`) was not made here. SQLite's integers have a sign.
        if cursor.id > i64::MAX.unsigned_abs() || cursor.to_string() != text {
            return Err(CursorError);
        }
        Ok(cursor)
    }
}

/// A text that is no [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor: take it from the page before, or leave it out to begin with the newest runs")]
pub struct CursorError;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_a_url_and_nothing_else_is_one() {
        for (place, id) in [(0, 0), (-5, 7), (i64::MIN, 1), (i64::MAX, i64::MAX.unsigned_abs())] {
            let cursor = Cursor { place, id };
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for text in [
            "",
            ".",
            "1",
            "1.",
            ".1",
            "+1.2",
            "1.02",
            "1.-2",
            "1.2.3",
            " 1.2",
            "1.9223372036854775808",
            "9223372036854775808.1",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }
}
