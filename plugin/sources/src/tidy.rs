//! The removal of optional values for which the rules would refuse a whole notification.

use crate::Notification;

/// The most bytes of a field, of an attribute's value, and the most attributes, as in the rules.
const MOST_FIELD: usize = 4096;
const MOST_VALUE: usize = 1024;
const MOST_ATTRIBUTES: usize = 32;

/// Removes optional values that the rules refuse: text that is too long or has control characters, a commit or pull request without a
/// repository, a number below 1. Required fields and times stay as they are, for the rules to judge.
pub(crate) fn tidy(notification: &mut Notification) {
    let optional = [
        &mut notification.repository,
        &mut notification.commit_sha,
        &mut notification.source_url,
        &mut notification.head_branch,
        &mut notification.email,
        &mut notification.github_username,
        &mut notification.gitlab_username,
    ];
    for field in optional {
        field.take_if(|text| !is_sound(text, MOST_FIELD));
    }
    notification.pr_number.take_if(|number| *number < 1);
    if notification.repository.is_none() {
        notification.commit_sha = None;
        notification.pr_number = None;
    }
    let attributes = &mut notification.attributes;
    attributes.retain(|attribute| is_sound(&attribute.value, MOST_VALUE));
    attributes.truncate(MOST_ATTRIBUTES);
}

fn is_sound(text: &str, most: usize) -> bool {
    text.len() <= most && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_rules_refuse_is_left_out() {
        let given = Notification {
            pipeline_name: Some("a\nb".into()),
            repository: Some("x".repeat(5000)),
            commit_sha: Some("abcdef1".into()),
            pr_number: Some(7),
            head_branch: Some("a\u{1b}b".into()),
            source_url: Some("https://ci.example.com/1".into()),
            ..Notification::default()
        };
        let mut tidied = given.clone();
        tidy(&mut tidied);
        let expected = Notification {
            repository: None,
            commit_sha: None,
            pr_number: None,
            head_branch: None,
            ..given
        };
        assert_eq!(tidied, expected);
    }
}
