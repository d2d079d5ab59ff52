//! The precedence of templates among flags, variables and files.

use super::reader::{TEMPLATE_KEYS, TomlEntry};
use super::{ConfigError, Environment, Origin, Sourced, variables};
use crate::detect::{Detected, Field, Fields, Template};

/// The fields that can have a template: those that name a run. The others are facts, and better absent than made up.
const TEMPLATED: [Field; 2] = [Field::PipelineName, Field::ReferenceId];

/// The templates of one source: the table `[templates]` of a file, or the variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateKeys {
    /// For the name of the pipeline.
    pub pipeline_name: Option<Sourced<Template>>,
    /// For the name of the run.
    pub reference_id: Option<Sourced<Template>>,
}

impl TemplateKeys {
    /// Reads the templates of the variables.
    pub(super) fn from_variables(environment: &Environment) -> Result<Self, ConfigError> {
        let read = |field, name: &'static str| {
            let Some(text) = environment.get(name).filter(|text| !text.trim().is_empty()) else {
                return Ok(None);
            };
            let template = Template::parse(field, text).map_err(|error| ConfigError::Variable {
                name,
                problem: error.to_string(),
            })?;
            Ok(Some(Sourced::new(template, Origin::Variable(name))))
        };
        Ok(Self {
            pipeline_name: read(Field::PipelineName, variables::PIPELINE_NAME_TEMPLATE)?,
            reference_id: read(Field::ReferenceId, variables::REFERENCE_ID_TEMPLATE)?,
        })
    }

    /// Reads an entry of the table.
    pub(super) fn take(&mut self, entry: &TomlEntry<'_>) -> Result<(), ConfigError> {
        let (place, field) = match entry.name {
            "pipeline_name" => (&mut self.pipeline_name, Field::PipelineName),
            "reference_id" => (&mut self.reference_id, Field::ReferenceId),
            _ => return Err(entry.unknown(&TEMPLATE_KEYS)),
        };
        *place = match entry.text()? {
            None => None,
            Some(text) => {
                let template = Template::parse(field, &text).map_err(|error| entry.wrong(error.to_string()))?;
                Some(Sourced::new(template, entry.origin()))
            }
        };
        Ok(())
    }

    fn get(&self, field: Field) -> Option<&Sourced<Template>> {
        match field {
            Field::PipelineName => self.pipeline_name.as_ref(),
            Field::ReferenceId => self.reference_id.as_ref(),
            _ => None,
        }
    }
}

/// A template and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateUse {
    /// The template's field.
    pub field: Field,
    /// The template and its origin.
    pub template: Sourced<Template>,
    /// The template's outcome.
    pub outcome: TemplateOutcome,
}

/// The outcome of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateOutcome {
    /// The template gave the field its value.
    Used,
    /// This origin gave the field, and takes precedence.
    Beaten(Origin),
    /// A placeholder has no value, for this reason; the field is as without the template.
    Incomplete(String),
}

/// One source of fields and templates.
pub struct Layer<'a> {
    pub fields: &'a Fields,
    pub templates: &'a TemplateKeys,
}

/// The resolved fields, the outcomes of the templates, and warnings.
pub struct Resolved {
    pub fields: Fields,
    pub templates: Vec<TemplateUse>,
    pub warnings: Vec<String>,
}

/// Merges the sources by precedence, the first above all and detection below. Within one source a value beats a template; a template beats
/// every source below its own. The pipeline's name is resolved first, so that the run's may contain it.
pub fn resolve(layers: &[Layer<'_>], detected: &Detected) -> Resolved {
    let sources: Vec<&Fields> = layers
        .iter()
        .map(|layer| layer.fields)
        .chain([&detected.fields])
        .collect();
    let mut resolved = Resolved {
        fields: Fields::resolve(&sources),
        templates: Vec::new(),
        warnings: Vec::new(),
    };
    for field in TEMPLATED {
        let mut decided: Option<Origin> = None;
        for layer in layers {
            if decided.is_none() {
                decided = layer.fields.get(field).map(|sourced| sourced.origin.clone());
            }
            let Some(template) = layer.templates.get(field) else {
                continue;
            };
            let outcome = match &decided {
                Some(origin) => TemplateOutcome::Beaten(origin.clone()),
                None => resolved.expand(field, template, detected),
            };
            if outcome == TemplateOutcome::Used {
                decided = Some(template.origin.clone());
            }
            resolved.templates.push(TemplateUse {
                field,
                template: template.clone(),
                outcome,
            });
        }
    }
    resolved
}

impl Resolved {
    fn expand(&mut self, field: Field, template: &Sourced<Template>, detected: &Detected) -> TemplateOutcome {
        match template.value.expand(&detected.facts, &self.fields) {
            Ok(text) => {
                self.fields.set(field, text, template.origin.clone());
                if field == Field::ReferenceId {
                    self.warnings.extend(forgotten_attempt(template, detected));
                }
                TemplateOutcome::Used
            }
            Err(missing) => {
                let instead = match self.fields.get(field) {
                    Some(sourced) => format!("taken from {}", sourced.origin),
                    None => "missing".to_owned(),
                };
                self.warnings.push(format!(
                    "{}: {missing}, so the template is not used and {} is {instead}; {}",
                    template.origin,
                    field.name(),
                    missing.advice()
                ));
                TemplateOutcome::Incomplete(missing.to_string())
            }
        }
    }
}

/// A warning for a template without the attempt, in a system whose re-runs keep the number of the run: DX never takes the failure of the
/// first one back.
fn forgotten_attempt(template: &Sourced<Template>, detected: &Detected) -> Option<String> {
    let counted = detected.facts.contains_key("attempt");
    let is_named = ["attempt", "reference_id"]
        .iter()
        .any(|name| template.value.names(name));
    (counted && !is_named).then(|| {
        format!(
            "{}: a re-run keeps its {{run}} here, so it would be the same record in DX and stay as red as the first attempt was; add {{attempt}} to it",
            template.origin
        )
    })
}
