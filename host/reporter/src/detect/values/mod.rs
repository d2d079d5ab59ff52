//! Checks of values: text here, `person`, `refs` and `repository` in files of their own. Each function takes a text that is trimmed and not empty, and returns it in the form that a record
//! needs, or why it is not such a value.

mod person;
mod refs;
mod repository;

pub use person::{Person, person};
use pipefold_sandbox::foreign::is_hidden;
pub use refs::{BuiltRef, PullRequestRef, branch, built_ref, commit_sha, pr_number, pull_request_of_ref};
pub use repository::{
    host, name, page, path_segment, repository, repository_at, repository_name, repository_of_page, server, unescaped,
};
use std::ffi::OsStr;

/// A function that checks a value and brings it into form.
pub type Clean = fn(&str) -> Result<String, Unfit>;

/// The largest field that the plugin accepts, in bytes (`too_long` of the rules).
pub const MAX_BYTES: usize = 4096;

/// The reason why a value is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The system's own text for no value: no warning is needed.
    Absent,
    /// The value is wrong. The text continues a sentence that begins with the variable's name.
    Wrong(&'static str),
}

/// The text of a variable, trimmed, if it can be a field: the plugin refuses a whole record for one control character.
pub fn sound(value: &OsStr) -> Result<&str, Unfit> {
    // Checked first, since a variable may hold a megabyte.
    if value.len() > MAX_BYTES {
        return Err(Unfit::Wrong("is longer than 4096 bytes"));
    }
    let text = value.to_str().ok_or(Unfit::Wrong("is not UTF-8"))?.trim();
    if text.is_empty() {
        return Err(Unfit::Absent);
    }
    if text.chars().any(char::is_control) {
        return Err(Unfit::Wrong("contains control characters"));
    }
    if is_blank(text) {
        return Err(Unfit::Absent);
    }
    Ok(text)
}

/// Returns true for text without a visible character: the plugin counts such a field as absent.
pub fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|character| character.is_whitespace() || is_hidden(character))
}

/// Accepts any text.
pub fn text(text: &str) -> Result<String, Unfit> {
    Ok(text.to_owned())
}

/// Returns true for `1` and `true`.
pub fn truth(word: &str) -> bool {
    word == "1" || word.eq_ignore_ascii_case("true")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn sound_text_is_trimmed_and_other_text_gives_a_reason() {
        assert_eq!(sound(" main\n".as_ref()), Ok("main"));
        assert_eq!(sound("  ".as_ref()), Err(Unfit::Absent));
        assert_eq!(sound("\u{202e}\u{200b}".as_ref()), Err(Unfit::Absent));
        for (value, why) in [
            ("a\nb", "control"),
            ("a\u{85}b", "control"),
            (&*"x".repeat(4097), "4096 bytes"),
        ] {
            let problem = sound(value.as_ref());
            assert!(
                matches!(problem, Err(Unfit::Wrong(told)) if told.contains(why)),
                "{problem:?}"
            );
        }
        assert!(sound("x".repeat(MAX_BYTES).as_ref()).is_ok());
    }
}
