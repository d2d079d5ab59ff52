//! Values in the form that detection in a job gives them, so that both sides make the same record. The rules are the reporter's own files: this crate is built for
//! WebAssembly too, and cannot use the crate.

#[allow(dead_code, reason = "the reporter uses the rest")]
#[path = "../../../host/reporter/src/detect/values/person.rs"]
mod person;
#[allow(dead_code, reason = "the reporter uses the rest")]
#[path = "../../../host/reporter/src/detect/values/refs.rs"]
mod refs;
#[allow(dead_code, reason = "the reporter uses the rest")]
#[path = "../../../host/reporter/src/detect/values/repository.rs"]
mod repository;

pub(crate) use person::{Person, person};
pub(crate) use refs::pull_request_of_ref;
use repository::repository;
pub(crate) use repository::{path_segment, unescaped};

use crate::Notification;
use crate::loose::Id;

/// The largest field that the rules accept, in bytes.
const MAX_BYTES: usize = 4096;

/// The reason why a value is not used, for the reporter's warnings.
#[allow(dead_code, reason = "here every such value is absent")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Absent,
    Wrong(&'static str),
}

/// Returns a text that can be a field: the rules refuse a whole notification for one control character.
pub(crate) fn sound(text: Option<String>) -> Option<String> {
    text.filter(|text| text.len() <= MAX_BYTES && !text.chars().any(char::is_control))
}

/// Returns the name of a commit.
pub(crate) fn commit(text: Option<String>) -> Option<String> {
    refs::commit_sha(&text?).ok()
}

/// Returns the name of a branch, if it is not that of this tag.
pub(crate) fn branch(text: Option<String>, tag: Option<&str>) -> Option<String> {
    let branch = refs::branch(&sound(text)?).ok()?;
    (!branch.is_empty() && tag.is_none_or(|tag| tag.trim_start_matches("refs/tags/") != branch)).then_some(branch)
}

/// Returns the address of a page, without credentials.
pub(crate) fn page(text: Option<String>) -> Option<String> {
    repository::page(&sound(text)?).ok()
}

/// Returns the name of the repository at an address.
pub(crate) fn repository_at(address: Option<&str>) -> Option<String> {
    sound(repository(address?).ok())
}

/// Returns the repository of one of its pages, such as that of a pull request.
pub(crate) fn repository_of_page(url: &str) -> Option<String> {
    sound(repository::repository_of_page(url))
}

/// Returns the name of a repository; an address in its place is read as one.
pub(crate) fn repository_name(text: Option<String>) -> Option<String> {
    sound(repository::repository_name(&text?).ok())
}

/// Returns the address of a server, without credentials and without a `/` at its end.
pub(crate) fn server(address: &str) -> Option<String> {
    repository::server(address)
}

/// Returns the number of a pull request from its digits.
pub(crate) fn number_of(digits: Option<Id>) -> Option<i64> {
    refs::pr_number(&digits?.0).ok()?.parse().ok()
}

/// Returns the number of the pull request of a ref such as `refs/pull/7/merge`.
pub(crate) fn number_of_ref(name: &str) -> Option<i64> {
    pull_request_of_ref(name)?
        .number
        .parse()
        .ok()
        .filter(|number| *number > 0)
}

/// Names the person with this address in a notification.
pub(crate) fn name_person(notification: &mut Notification, address: Option<String>) {
    match sound(address).and_then(|address| person(&address, false)) {
        Some(Person::Email(address)) => notification.email = Some(address),
        Some(Person::Github(name)) => notification.github_username = Some(name),
        Some(Person::Gitlab(name)) => notification.gitlab_username = Some(name),
        None => {}
    }
}

/// Returns true for a UUID (RFC 9562).
pub(crate) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().all(is_hex) && groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
}

/// Returns the name of the server of an address, as a part of a `reference_id`.
pub(crate) fn host(address: &str) -> Option<String> {
    repository::host(address).ok()
}

/// Returns the number of a pull request.
pub(crate) fn number(number: Option<i64>) -> Option<i64> {
    number.filter(|number| *number > 0)
}

/// Splits the page of a repository into its server, without a `/` at its end, and the repository's path, which is known.
pub(crate) fn server_of(page: &str, path: &str) -> Option<String> {
    let page = page.trim_end_matches('/');
    let at = page.len().checked_sub(path.len())?;
    let is_path = page.get(at..)?.eq_ignore_ascii_case(path);
    let server = page
        .get(..at)?
        .strip_suffix('/')
        .filter(|_| is_path && !path.is_empty())?;
    repository::server(server)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_pages() {
        for (page, path, server) in [
            ("https://github.com/org/repo", "org/repo", Some("https://github.com")),
            (
                "https://u:p@ci.example.com/git/Org/repo/",
                "org/repo",
                Some("https://ci.example.com/git"),
            ),
            ("https://github.com/org/other", "org/repo", None),
            ("https://github.comorg/repo", "org/repo", None),
            ("https://github.com/org/repo", "", None),
            ("x", "org/repo", None),
            ("é/repo", "/repo", None),
        ] {
            assert_eq!(server_of(page, path).as_deref(), server, "{page}");
        }
    }

    #[test]
    fn unsound_details_are_absent() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(sound(text("a\u{1b}")), None);
        assert_eq!(sound(text(&"x".repeat(MAX_BYTES + 1))), None);
        assert_eq!(branch(text("refs/heads/v1"), Some("refs/tags/v1")), None);
        assert_eq!(branch(text("main"), None), text("main"));
        assert_eq!(commit(text("HEAD")), None);
        assert_eq!(page(text("javascript:x")), None);
    }
}
