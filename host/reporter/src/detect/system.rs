//! What a CI system says of a run.

use super::{Field, Fields};
use crate::config::{Environment, Origin};

/// A CI system: how it is recognised, and which of its variables give which field.
pub struct System {
    /// Its usual name, such as `GitHub Actions`.
    pub name: &'static str,
    /// Whether this environment is one of its jobs.
    pub is_here: fn(&Environment) -> bool,
    /// For each field the variables that give it, the best first.
    pub fields: &'static [(Field, &'static [&'static str])],
}

/// The CI systems, in the order they are asked: one that sets the variables of another comes before it. None is known by its variables, so
/// a field that no flag, variable or file gives is absent, and the plugin says which one is missing.
const SYSTEMS: &[System] = &[];

/// What was found out about the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detected {
    /// The CI system, by its usual name; none outside of one.
    pub system: Option<&'static str>,
    /// What it says of the run. Nothing in here is guessed.
    pub fields: Fields,
}

/// Reads what the CI system says of the run it is in.
#[must_use]
pub fn detect(environment: &Environment) -> Detected {
    detect_among(SYSTEMS, environment)
}

fn detect_among(systems: &[System], environment: &Environment) -> Detected {
    let Some(system) = systems.iter().find(|system| (system.is_here)(environment)) else {
        return Detected::default();
    };
    let mut fields = Fields::default();
    for (field, variables) in system.fields {
        let given = variables
            .iter()
            .find_map(|variable| Some((variable, environment.get(variable)?)));
        if let Some((variable, value)) = given {
            let system = system.name;
            fields.set(*field, value, Origin::Detected { system, variable });
        }
    }
    Detected {
        system: Some(system.name),
        fields,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const TABLE: &[System] = &[
        System {
            name: "Fork",
            is_here: |environment| environment.get("FORK") == Some("true"),
            fields: &[],
        },
        System {
            name: "Original",
            is_here: |environment| environment.get("ORIGINAL").is_some(),
            fields: &[
                (Field::HeadBranch, &["HEAD_REF", "REF_NAME"]),
                (Field::CommitSha, &["SHA"]),
            ],
        },
    ];

    #[test]
    fn outside_every_system_nothing_is_said() {
        let environment = Environment::from_pairs([("PATH", "/bin"), ("USER", "panda")]);
        assert_eq!(detect(&environment), Detected::default());
        assert_eq!(detect_among(TABLE, &environment), Detected::default());
    }

    #[test]
    fn the_first_variable_that_is_not_empty_gives_the_field() {
        let environment = Environment::from_pairs([("ORIGINAL", "1"), ("HEAD_REF", ""), ("REF_NAME", "main")]);
        let detected = detect_among(TABLE, &environment);
        assert_eq!(detected.system, Some("Original"));
        let branch = detected.fields.get(Field::HeadBranch).unwrap();
        assert_eq!(
            (branch.value.as_str(), branch.origin.to_string().as_str()),
            ("main", "REF_NAME of Original")
        );
        assert_eq!(detected.fields.iter().count(), 1);
    }

    #[test]
    fn the_first_system_that_is_here_wins() {
        let environment = Environment::from_pairs([("ORIGINAL", "1"), ("FORK", "true"), ("SHA", "abc")]);
        assert_eq!(detect_among(TABLE, &environment).system, Some("Fork"));
    }
}
