//! Checks of values, one file a kind. Each function takes a text that is trimmed and not empty, and returns it in the form that a record
//! needs, or why it is not such a value.

mod branch;
mod repository;

pub use branch::{BuiltRef, built_ref};
pub use branch::{PullRequestRef, branch, pull_request_of_ref};
use pipefold_sandbox::foreign::is_hidden;
pub use repository::repository_at;
pub use repository::{host, name, page, path_segment, server};
pub use repository::{repository, repository_name, repository_of_page, unescaped};
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

/// A commit's name: 7 (git's shortest usual abbreviation) to 64 (SHA-256) hexadecimal digits. Buildkite's `HEAD` means that the commit is
/// not known yet; DX cannot link a Subversion revision or a pipeline's label.
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

/// A whole number from 1. `false` and `0` mean that there is none.
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

/// A person, as an address names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Person {
    /// A person with this address.
    Email(String),
    /// A GitHub user who keeps the address private.
    Github(String),
    /// A GitLab user who keeps the address private.
    Gitlab(String),
}

/// Returns the person that an address or `Name <address>` names. None for a machine's address, or a login, which some systems give here.
///
/// `on_gitlab`: the job runs on a GitLab server, so that `users.noreply.…` of any host is GitLab's.
#[must_use]
pub fn person(text: &str, on_gitlab: bool) -> Option<Person> {
    let address = match text.rsplit_once('<') {
        Some((_, rest)) => rest.trim_end().strip_suffix('>')?.trim(),
        None => text.trim(),
    };
    let (local, domain) = address.rsplit_once('@')?;
    let is_address = !local.is_empty()
        && !local.contains('@')
        && !domain.is_empty()
        && !address.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;:".contains(c));
    if !is_address {
        return None;
    }
    let domain = domain.to_ascii_lowercase();
    if let Some(host) = domain.strip_prefix("users.noreply.") {
        // GitHub: `number+name@`, older ones `name@`. GitLab: `number-name@`, and names may contain `-`.
        return match (host, on_gitlab) {
            ("gitlab.com", _) | (_, true) => Some(Person::Gitlab(after_number(local, '-').to_owned())),
            ("github.com", _) => Some(Person::Github(after_number(local, '+').to_owned())),
            _ => None,
        };
    }
    let machine = ["noreply", "no-reply", "donotreply", "do-not-reply"];
    let is_machine = machine.iter().any(|name| local.eq_ignore_ascii_case(name))
        || domain.split('.').any(|label| matches!(label, "noreply" | "no-reply"));
    (!is_machine).then(|| Person::Email(address.to_owned()))
}

fn after_number(local: &str, mark: char) -> &str {
    match local.split_once(mark) {
        Some((number, name)) if !name.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => local,
    }
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

    #[test]
    fn persons_of_addresses() {
        let email = |text: &str| Some(Person::Email(text.into()));
        let github = |text: &str| Some(Person::Github(text.into()));
        let gitlab = |text: &str| Some(Person::Gitlab(text.into()));
        for (text, on_gitlab, expected) in [
            ("panda@example.com", false, email("panda@example.com")),
            ("Red Panda <panda@example.com>", false, email("panda@example.com")),
            ("123+panda@users.noreply.github.com", false, github("panda")),
            ("panda@users.noreply.github.com", false, github("panda")),
            (
                "49699333+dependabot[bot]@users.noreply.github.com",
                false,
                github("dependabot[bot]"),
            ),
            ("123-red-panda@users.noreply.gitlab.com", false, gitlab("red-panda")),
            ("123-panda@users.noreply.git.example.com", true, gitlab("panda")),
            ("123-panda@users.noreply.git.example.com", false, None),
            ("noreply@github.com", false, None),
            ("panda@noreply.localhost", false, None),
            ("donotreply@example.com", false, None),
            ("Red Panda <panda@example.com >", false, email("panda@example.com")),
            ("user:panda@example.com", false, None),
            ("panda@xnoreply.example.com", false, email("panda@xnoreply.example.com")),
            ("panda", false, None),
            ("changes", false, None),
            ("a@b@c", false, None),
            ("panda@example.com, bear@example.com", false, None),
            ("Red <panda", false, None),
            ("@example.com", false, None),
        ] {
            assert_eq!(person(text, on_gitlab), expected, "{text}");
        }
    }
}
