//! Who let a run go.

pub(super) use pipefold::detect::Person;

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

/// Whom an address or `Name <address>` names; none if it is neither, or a machine's. Of several people who share an address it is that. The same
/// rule as for detection in a job of GoCD.
pub(super) fn person(text: &str) -> Option<Person> {
    pipefold::detect::person(text, false)
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
            ("123-ann@users.noreply.gitlab.com", Some(Person::Gitlab("ann".into()))),
            ("donotreply@example.com", None),
            ("x@users.noreply.git.example.com", None),
            ("", None),
        ] {
            assert_eq!(person(text), expected, "{text}");
        }
    }
}
