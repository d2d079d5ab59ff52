//! Who let a run go.

/// Whom a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Person {
    /// Someone with this e-mail address.
    Email(String),
    /// A GitHub user who keeps the address private.
    Github(String),
}

/// What set a stage going, as `approvedBy` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trigger<'a> {
    /// A change of a material, or the end of the stage before.
    Changes,
    /// The clock.
    Timer,
    /// Somebody, by GoCD's user name; `anonymous` where nobody has to log in.
    Person(&'a str),
}

impl<'a> Trigger<'a> {
    /// Reads `approvedBy`.
    pub(super) fn parse(approved_by: &'a str) -> Self {
        match approved_by {
            "changes" => Self::Changes,
            "timer" | "CruiseTimer" => Self::Timer,
            name => Self::Person(name),
        }
    }
}

/// Whom an address or `Name <address>` names; none if it is neither, or a machine's. Of several people who share an address it is that.
pub(super) fn person(text: &str) -> Option<Person> {
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
    if domain.eq_ignore_ascii_case("users.noreply.github.com") {
        // `12345+login`, older ones `login`.
        let login = match local.split_once('+') {
            Some((number, login)) if number.bytes().all(|byte| byte.is_ascii_digit()) => login,
            _ => local,
        };
        return (!login.is_empty()).then(|| Person::Github(login.to_owned()));
    }
    let is_machine = ["noreply", "no-reply"]
        .iter()
        .any(|name| local.eq_ignore_ascii_case(name))
        || domain.to_ascii_lowercase().contains("noreply.");
    (!is_machine).then(|| Person::Email(address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_who_hides_behind_them() {
        let email = |text: &str| Some(Person::Email(text.into()));
        let github = |text: &str| Some(Person::Github(text.into()));
        for (text, expected) in [
            ("Birgitta B <bboeckel@example.com>", email("bboeckel@example.com")),
            (
                "Sahil and James <go-saas+sahilm+jrgray@example.com>",
                email("go-saas+sahilm+jrgray@example.com"),
            ),
            ("a@b.example", email("a@b.example")),
            ("Octo <12345+octocat@users.noreply.github.com>", github("octocat")),
            ("octocat@users.noreply.github.com", github("octocat")),
            ("VGarg", None),
            ("Sachin & JJ", None),
            ("A <a>", None),
            ("a b@c", None),
            ("GitHub <noreply@github.com>", None),
            ("x@users.noreply.gitlab.com", None),
            ("", None),
        ] {
            assert_eq!(person(text), expected, "{text}");
        }
    }
}
