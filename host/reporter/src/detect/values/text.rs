//! What every value has to be, and commits and numbers of pull requests.

use std::ffi::OsStr;

use pipefold_sandbox::foreign::is_hidden;

/// The largest field that the plugin takes, in bytes (`too_long` of the rules).
pub const MAX_BYTES: usize = 4096;

/// Why a value is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It says in the system's own way that there is none: no warning is needed.
    Absent,
    /// It is not what it should be. The text continues a sentence that begins with the variable's name.
    Wrong(&'static str),
}

/// The text of a variable, trimmed, if it can be a field: the plugin refuses a whole record for one control character.
pub fn sound(value: &OsStr) -> Result<&str, Unfit> {
    // Before anything else is looked at: a variable may hold a megabyte.
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

/// Whether a text shows nothing: the plugin takes such a field for absent.
pub fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|character| character.is_whitespace() || is_hidden(character))
}

/// Any text will do.
pub fn text(text: &str) -> Result<String, Unfit> {
    Ok(text.to_owned())
}

/// Whether the word means yes.
pub fn truth(word: &str) -> bool {
    word == "1" || word.eq_ignore_ascii_case("true")
}

/// A commit's name: 7 (git's shortest usual abbreviation) to 64 (SHA-256) hexadecimal digits. Buildkite's `HEAD` says that it is not known
/// yet; a number of Subversion or a pipeline's label is no commit that DX could link.
pub fn commit_sha(text: &str) -> Result<String, Unfit> {
    if text == "HEAD" {
        return Err(Unfit::Absent);
    }
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(7..=64).contains(&text.len()) {
        return Err(Unfit::Wrong("is not the name of a commit"));
    }
    // A push that deletes a branch has the zero commit.
    if text.bytes().all(|byte| byte == b'0') {
        return Err(Unfit::Absent);
    }
    Ok(text.to_ascii_lowercase())
}

/// A whole number from 1. `false` and `0` say that there is none.
pub fn pr_number(text: &str) -> Result<String, Unfit> {
    const WRONG: Unfit = Unfit::Wrong("is not the number of a pull request");
    match text {
        "false" | "0" => Err(Unfit::Absent),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => match digits.parse::<i64>() {
            Ok(0) => Err(Unfit::Absent),
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(WRONG),
        },
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sound_is_trimmed_and_what_is_not_says_why() {
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
