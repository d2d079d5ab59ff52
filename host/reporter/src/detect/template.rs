//! Templates for the names of a run: text with placeholders, such as `{repository}: {workflow}`.

use std::collections::BTreeMap;
use std::fmt;

use pipefold_sandbox::foreign;

use super::{Field, Fields};
use crate::source::{Origin, nearest};

/// The longest template, in bytes: as long as the longest value of a field, since the result becomes one.
const LONGEST: usize = 4096;

/// A placeholder: its name, and the field of the run with the same value, if there is one.
struct Placeholder {
    name: &'static str,
    field: Option<Field>,
}

const fn fact(name: &'static str, field: Option<Field>) -> Placeholder {
    Placeholder { name, field }
}

/// The placeholders: first the facts of a CI system, then the fields that are the same in all notifications of a run.
const PLACEHOLDERS: [Placeholder; 21] = [
    fact("system", Some(Field::PipelineSource)),
    fact("repository", Some(Field::Repository)),
    fact("pipeline", Some(Field::PipelineName)),
    fact("workflow", None),
    fact("job", None),
    fact("step", Some(Field::Step)),
    fact("run", None),
    fact("attempt", None),
    fact("branch", Some(Field::HeadBranch)),
    fact("sha", Some(Field::CommitSha)),
    fact("pr", Some(Field::PrNumber)),
    fact("pipeline_name", Some(Field::PipelineName)),
    fact("pipeline_source", Some(Field::PipelineSource)),
    fact("reference_id", Some(Field::ReferenceId)),
    fact("commit_sha", Some(Field::CommitSha)),
    fact("pr_number", Some(Field::PrNumber)),
    fact("source_url", Some(Field::SourceUrl)),
    fact("head_branch", Some(Field::HeadBranch)),
    fact("email", Some(Field::Email)),
    fact("github_username", Some(Field::GithubUsername)),
    fact("gitlab_username", Some(Field::GitlabUsername)),
];

/// The value of `{attempt}` in a system that counts no attempts: each re-run has a new name there, so each is a first attempt.
const FIRST_ATTEMPT: &str = "1";

/// A parsed template: each of its placeholders exists. `{{` and `}}` stand for single braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Index into [`PLACEHOLDERS`].
    Placeholder(usize),
}

/// A fault of a template. Each message continues one that begins with the setting's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{` without its `}`.
    #[error("the {{ at character {at} is never closed; close it with }}, or write {{{{ for a brace that is meant")]
    Unclosed {
        /// The position of the character, from 1.
        at: usize,
    },
    /// `}` without its `{`.
    #[error("the }} at character {at} closes nothing; write }}}} for a brace that is meant")]
    Unopened {
        /// The position of the character, from 1.
        at: usize,
    },
    /// A placeholder that does not exist.
    #[error("there is no placeholder {{{name}}}; {hint}")]
    Unknown {
        /// The text between the braces, escaped and cut.
        name: String,
        /// The nearest placeholder, or all of them.
        hint: String,
    },
    /// Every run would have the same `reference_id`.
    #[error(
        "without {{run}} every run would have the same reference_id, and DX would make one record of them all; put {{run}} into it, and \
         {{attempt}} too, or {{reference_id}}, which is the id that would be used without the template"
    )]
    SameForEveryRun,
    /// The commands of one run would have different ones.
    #[error("{{step}} differs within a run, which then would fall apart in DX; leave it out of reference_id")]
    DiffersWithinARun,
    /// A template that is longer than a field may be.
    #[error("a template has at most {LONGEST} bytes, and this one has {given}")]
    TooLong {
        /// Its length in bytes.
        given: usize,
    },
}

impl Template {
    /// Reads a template for `field`.
    ///
    /// # Errors
    /// [`TemplateError`] for the first fault; the last two rules are those of a `reference_id`.
    pub fn parse(field: Field, text: &str) -> Result<Self, TemplateError> {
        if text.len() > LONGEST {
            return Err(TemplateError::TooLong { given: text.len() });
        }
        let template = Self {
            text: text.to_owned(),
            parts: parts(text)?,
        };
        if field == Field::ReferenceId {
            if !template.names("run") && !template.names("reference_id") {
                return Err(TemplateError::SameForEveryRun);
            }
            if template.names("step") {
                return Err(TemplateError::DiffersWithinARun);
            }
        }
        Ok(template)
    }

    /// Returns true if the template has the placeholder of this name.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.placeholders().any(|placeholder| placeholder.name == name)
    }

    /// The text with a value for each placeholder: the field of the run with the same value, if a flag, a variable or a file gives it; else
    /// the CI system's value (`facts`); else the field from any other source. Inserted text is not expanded again.
    ///
    /// # Errors
    /// [`Missing`] with the placeholders that have no value: a name with a hole would be the name of several runs.
    pub fn expand(&self, facts: &BTreeMap<&'static str, String>, fields: &Fields) -> Result<String, Missing> {
        let mut expanded = String::new();
        let mut missing = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => expanded.push_str(text),
                Part::Placeholder(index) => {
                    let placeholder = &PLACEHOLDERS[*index];
                    match placeholder.value(facts, fields) {
                        Some(value) => expanded.push_str(value),
                        None if missing.contains(&placeholder.name) => {}
                        None => missing.push(placeholder.name),
                    }
                }
            }
        }
        if missing.is_empty() {
            Ok(expanded)
        } else {
            Err(Missing { names: missing })
        }
    }

    fn placeholders(&self) -> impl Iterator<Item = &'static Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(index) => PLACEHOLDERS.get(*index),
            Part::Text(_) => None,
        })
    }
}

/// The template's text, unchanged.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The placeholders of a template that have no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Their names, in the order of the template, each once.
    pub names: Vec<&'static str>,
}

impl Missing {
    /// Returns the variables that would give them a value, for a message.
    #[must_use]
    pub fn advice(&self) -> String {
        let advice = self.names.iter().map(|name| {
            let same = |placeholder: &&Placeholder| placeholder.name == *name;
            match PLACEHOLDERS.iter().find(same).and_then(|placeholder| placeholder.field) {
                Some(field) => format!("{} gives {{{name}}}", field.variable()),
                None => format!("only a CI system gives {{{name}}}"),
            }
        });
        advice.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.names.iter().map(|name| format!("{{{name}}}")).collect();
        let verb = if names.len() == 1 { "has" } else { "have" };
        write!(f, "{} {verb} no value here", names.join(" and "))
    }
}

impl Placeholder {
    fn value<'a>(&self, facts: &'a BTreeMap<&'static str, String>, fields: &'a Fields) -> Option<&'a str> {
        let field = self.field.and_then(|field| fields.get(field));
        let given = field.filter(|sourced| !matches!(sourced.origin, Origin::Detected { .. } | Origin::Local(_)));
        let fact = facts
            .get(self.name)
            .map(|fact| fact.trim())
            .filter(|fact| !fact.is_empty());
        given
            .map(|sourced| sourced.value.trim())
            .or(fact)
            .or_else(|| field.map(|sourced| sourced.value.trim()))
            .or_else(|| (self.name == "attempt").then_some(FIRST_ATTEMPT))
    }
}

fn parts(text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut characters = text.chars().enumerate().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '{' | '}' if characters.next_if(|(_, next)| *next == character).is_some() => plain.push(character),
            '}' => return Err(TemplateError::Unopened { at: at + 1 }),
            '{' => {
                let mut name = String::new();
                loop {
                    match characters.next() {
                        Some((_, '}')) => break,
                        None | Some((_, '{')) => return Err(TemplateError::Unclosed { at: at + 1 }),
                        Some((_, character)) => name.push(character),
                    }
                }
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::Placeholder(index_of(&name)?));
            }
            character => plain.push(character),
        }
    }
    parts.push(Part::Text(plain));
    Ok(parts)
}

fn index_of(name: &str) -> Result<usize, TemplateError> {
    let known = || PLACEHOLDERS.iter().map(|placeholder| placeholder.name);
    known()
        .position(|known| known == name)
        .ok_or_else(|| TemplateError::Unknown {
            // Cut to a length that is enough to recognise it; it may be all of a long template.
            name: foreign::cut(name, 40),
            hint: match nearest(name.trim(), known()) {
                Some(near) => format!("did you mean {{{near}}}?"),
                None => format!(
                    "there are {}",
                    known()
                        .map(|known| format!("{{{known}}}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            },
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn facts() -> BTreeMap<&'static str, String> {
        [
            ("system", "GitHub Actions"),
            ("workflow", "CI"),
            ("run", "42"),
            ("repository", "seen/repo"),
            ("pr", " "),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
    }

    fn fields() -> Fields {
        let mut fields = Fields::default();
        let detected = Origin::Detected {
            system: "GitHub Actions",
            variable: "GITHUB_SHA",
        };
        fields.set_flag(Field::Repository, "said/repo");
        fields.set(Field::CommitSha, "abc", detected);
        fields
    }

    fn expand(text: &str) -> Result<String, Missing> {
        Template::parse(Field::PipelineName, text)
            .unwrap()
            .expand(&facts(), &fields())
    }

    fn refused(text: &str) -> String {
        Template::parse(Field::PipelineName, text).unwrap_err().to_string()
    }

    #[test]
    fn placeholders_are_replaced_and_braces_can_be_written() {
        assert_eq!(expand("{system}: {workflow}").unwrap(), "GitHub Actions: CI");
        assert_eq!(expand("{{{run}}} {{run}}").unwrap(), "{42} {run}");
        assert_eq!(expand("a{{}}b").unwrap(), "a{}b");
        assert_eq!(expand("").unwrap(), "");
        assert_eq!(expand("grüße {run}é").unwrap(), "grüße 42é");
    }

    #[test]
    fn given_fields_take_precedence_over_facts() {
        assert_eq!(expand("{repository} {sha} {commit_sha}").unwrap(), "said/repo abc abc");
    }

    #[test]
    fn a_system_without_attempts_is_at_its_first() {
        assert_eq!(expand("{run}/{attempt}").unwrap(), "42/1");
        let mut facts = facts();
        facts.insert("attempt", "3".into());
        let template = Template::parse(Field::ReferenceId, "{run}/{attempt}").unwrap();
        assert_eq!(template.expand(&facts, &Fields::default()).unwrap(), "42/3");
    }

    #[test]
    fn missing_values_are_named_with_their_variables() {
        let missing = expand("{job}/{pr}/{job}").unwrap_err();
        assert_eq!(missing.names, ["job", "pr"]);
        assert_eq!(missing.to_string(), "{job} and {pr} have no value here");
        assert_eq!(
            missing.advice(),
            "only a CI system gives {job}, PIPEFOLD_PR_NUMBER gives {pr}"
        );
    }

    #[test]
    fn inserted_text_is_not_expanded_again() {
        let mut facts = facts();
        facts.insert("workflow", "{run} }} {{".into());
        let template = Template::parse(Field::PipelineName, "{workflow}").unwrap();
        assert_eq!(template.expand(&facts, &Fields::default()).unwrap(), "{run} }} {{");
    }

    #[test]
    fn refusals_name_the_place_and_give_advice() {
        insta::assert_snapshot!(refused("a {run"), @"the { at character 3 is never closed; close it with }, or write {{ for a brace that is meant");
        insta::assert_snapshot!(refused("ä{run{job}"), @"the { at character 2 is never closed; close it with }, or write {{ for a brace that is meant");
        insta::assert_snapshot!(refused("run}"), @"the } at character 4 closes nothing; write }} for a brace that is meant");
        insta::assert_snapshot!(refused("{worklfow}"), @"there is no placeholder {worklfow}; did you mean {workflow}?");
        insta::assert_snapshot!(refused("{ run }"), @"there is no placeholder { run }; did you mean {run}?");
        insta::assert_snapshot!(refused("{}"), @"there is no placeholder {}; there are {system}, {repository}, {pipeline}, {workflow}, {job}, {step}, {run}, {attempt}, {branch}, {sha}, {pr}, {pipeline_name}, {pipeline_source}, {reference_id}, {commit_sha}, {pr_number}, {source_url}, {head_branch}, {email}, {github_username}, {gitlab_username}");
    }

    #[test]
    fn a_reference_id_needs_the_run() {
        let parse = |text| Template::parse(Field::ReferenceId, text);
        for text in ["{repository}/{sha}", "build", "{{run}}", "{job}/{attempt}"] {
            assert_eq!(parse(text), Err(TemplateError::SameForEveryRun), "{text}");
        }
        assert_eq!(parse("{run}/{step}"), Err(TemplateError::DiffersWithinARun));
        assert!(parse("{repository}/{run}").is_ok() && parse("{reference_id}/x").is_ok());
    }

    #[test]
    fn hostile_text_gives_a_short_error() {
        for text in [
            "{".repeat(LONGEST - 1),
            format!("{{{}}}", "\u{1b}".repeat(LONGEST - 2)),
            "x".repeat(1_000_000),
        ] {
            let error = refused(&text);
            assert!(error.len() < 700 && !error.contains(char::is_control), "{error}");
        }
        assert!(Template::parse(Field::PipelineName, &"x".repeat(LONGEST)).is_ok());
    }
}
