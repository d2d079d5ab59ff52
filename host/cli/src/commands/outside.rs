//! Runs outside of every CI system: a build on a person's own machine is reported only on request.

use pipefold::config::{Environment, Origin, Settings};
use pipefold::detect::Field;

use super::trouble::Trouble;

/// The fields that name a run: giving one of these asks for a report, also outside CI.
const NAMES: [Field; 3] = [Field::PipelineName, Field::PipelineSource, Field::ReferenceId];

/// The reason why a command reports nothing here, if it does not. A remark without text where the user has said that it should not.
pub fn why_unreported(settings: &Settings, environment: &Environment) -> Option<Trouble> {
    if says_ci(environment) && nothing_is_known(settings) {
        return Some(Trouble::input(
            "the run is not reported: no known CI system detected; set --pipeline-name, --pipeline-source and --reference-id (or \
             PIPEFOLD_* variables)"
                .into(),
        ));
    }
    let is_outside = is_outside(settings, environment);
    is_outside.then(|| match settings.local {
        Some(_) => Trouble::remark(String::new()),
        None => Trouble::remark(
            "not reporting: no CI system detected. Use --local, or set --pipeline-name, --pipeline-source and --reference-id"
                .into(),
        ),
    })
}

/// True if a run is outside CI: in no CI system, also in none that pipefold does not know, and without a name of its own.
pub fn is_outside(settings: &Settings, environment: &Environment) -> bool {
    let named = NAMES.iter().any(|field| {
        let origin = settings.fields.get(*field).map(|sourced| &sourced.origin);
        match origin {
            Some(Origin::Flag(_)) => true,
            Some(Origin::Variable(name)) => *name == field.variable(),
            _ => false,
        }
    });
    settings.system.is_none() && settings.local != Some(true) && !named && !says_ci(environment)
}

/// True if no source says anything of the run, apart from what a command itself is about.
fn nothing_is_known(settings: &Settings) -> bool {
    let own = [Field::Step, Field::Status];
    settings.system.is_none() && settings.fields.iter().all(|(field, _)| own.contains(&field))
}

/// True if the variable that most CI systems set says so.
fn says_ci(environment: &Environment) -> bool {
    environment
        .get("CI")
        .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "no"))
}

/// How later commands join a local run whose name was made up here: they would make up another.
pub fn how_to_go_on(settings: &Settings) -> Option<Trouble> {
    let id = settings.fields.get(Field::ReferenceId)?;
    matches!(id.origin, Origin::Local(_)).then(|| {
        Trouble::remark(format!(
            "this run is {id}; give the next command about it --reference-id {id}",
            id = id.value
        ))
    })
}
