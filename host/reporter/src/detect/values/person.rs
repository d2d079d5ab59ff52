//! The person that triggered a run, from a name or an e-mail address.

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
mod tests {
    use super::*;

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
