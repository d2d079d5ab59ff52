//! Templates among values: their precedence, and templates that cannot be used.

use std::path::Path;

use crate::config::templates::{Layer, Resolved, resolve};
use crate::config::{Environment, File, Origin, Sourced, TemplateKeys, TemplateOutcome, Trust};
use crate::detect::{Detected, Field, Fields, Template};

fn detected() -> Detected {
    let mut detected = Detected {
        system: Some("GitHub Actions"),
        facts: [
            ("workflow", "CI"),
            ("run", "42"),
            ("attempt", "2"),
            ("repository", "a/b"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into(),
        ..Detected::default()
    };
    let origin = Origin::Detected {
        system: "GitHub Actions",
        variable: "GITHUB_WORKFLOW",
    };
    detected.fields.set(Field::PipelineName, "detected", origin.clone());
    detected.fields.set(Field::ReferenceId, "github/42/2", origin);
    detected
}

fn file(text: &str) -> File {
    File::parse(Path::new("/repo/pipefold.toml"), text, Trust::Workspace).unwrap()
}

/// Flags, variables and two files over what is detected.
fn resolved(flag: Option<&str>, variables: &[(&str, &str)], workspace: &str, operator: &str) -> Resolved {
    let mut flags = Fields::default();
    flags.set_flag(Field::PipelineName, flag.unwrap_or_default());
    let environment = Environment::from_pairs(variables.iter().copied());
    let (workspace, operator) = (file(workspace), file(operator));
    let layer = |fields, templates| Layer { fields, templates };
    resolve(
        &[
            layer(&flags, &TemplateKeys::default()),
            layer(
                &Fields::from_variables(&environment),
                &TemplateKeys::from_variables(&environment).unwrap(),
            ),
            layer(&workspace.fields, &workspace.templates),
            layer(&operator.fields, &operator.templates),
        ],
        &detected(),
    )
}

fn name(resolved: &Resolved) -> &str {
    resolved.fields.value(Field::PipelineName).unwrap()
}

#[test]
fn precedence_of_templates_and_values() {
    let direct = "PIPEFOLD_PIPELINE_NAME";
    let template = "PIPEFOLD_PIPELINE_NAME_TEMPLATE";
    let key = |who: &str| format!("pipeline_name = '{who}'\n");
    let table = |who: &str| format!("[templates]\npipeline_name = '{who} {{run}}'\n");
    let both = |who: &str| key(who) + &table(&format!("{who} template"));
    let variables = [(direct, "variable"), (template, "variable {run}")];
    for (flag, variables, workspace, operator, expected) in [
        (Some("flag"), &variables[..], both("w"), both("o"), "flag"),
        (None, &variables[..], both("w"), both("o"), "variable"),
        (None, &variables[1..], both("w"), both("o"), "variable 42"),
        (None, &[], both("w"), both("o"), "w"),
        (None, &[], table("w"), both("o"), "w 42"),
        (None, &[], String::new(), both("o"), "o"),
        (None, &[], key("w"), table("o"), "w"),
        (None, &[], String::new(), table("o"), "o 42"),
        (None, &[], String::new(), String::new(), "detected"),
    ] {
        assert_eq!(name(&resolved(flag, variables, &workspace, &operator)), expected);
    }
}

#[test]
fn the_outcome_of_each_template_is_returned() {
    let resolved = resolved(
        None,
        &[("PIPEFOLD_PIPELINE_NAME_TEMPLATE", "{pr} {job}")],
        "[templates]\npipeline_name = '{workflow}'\nreference_id = '{run}.{attempt}'",
        "[templates]\npipeline_name = '{run}'",
    );
    assert_eq!(name(&resolved), "CI");
    let outcomes: Vec<_> = resolved
        .templates
        .iter()
        .map(|used| (used.field, &used.outcome))
        .collect();
    let workspace = |key: &str| Origin::File {
        path: "/repo/pipefold.toml".into(),
        key: key.into(),
    };
    let hole = "{pr} and {job} have no value here";
    assert_eq!(
        outcomes,
        [
            (Field::PipelineName, &TemplateOutcome::Incomplete(hole.into())),
            (Field::PipelineName, &TemplateOutcome::Used),
            (
                Field::PipelineName,
                &TemplateOutcome::Beaten(workspace("templates.pipeline_name"))
            ),
            (Field::ReferenceId, &TemplateOutcome::Used),
        ]
    );
    let id = resolved.fields.get(Field::ReferenceId).unwrap();
    assert_eq!(
        id,
        &Sourced::new("42.2".to_owned(), workspace("templates.reference_id"))
    );
}

#[test]
fn an_incomplete_template_is_not_used_and_gives_a_warning() {
    let with = |template: &str| resolved(None, &[("PIPEFOLD_REFERENCE_ID_TEMPLATE", template)], "", "");
    let holed = with("{job}/{run}");
    assert_eq!(holed.fields.value(Field::ReferenceId), Some("github/42/2"));
    insta::assert_snapshot!(holed.warnings.join("\n"), @"PIPEFOLD_REFERENCE_ID_TEMPLATE: {job} has no value here, so the template is not used and reference_id is taken from GITHUB_WORKFLOW of GitHub Actions; only a CI system gives {job}");

    let keys = TemplateKeys {
        reference_id: Some(Sourced::new(
            Template::parse(Field::ReferenceId, "{run}").unwrap(),
            Origin::Variable("PIPEFOLD_REFERENCE_ID_TEMPLATE"),
        )),
        ..TemplateKeys::default()
    };
    let layer = Layer {
        fields: &Fields::default(),
        templates: &keys,
    };
    let alone = resolve(&[layer], &Detected::default());
    assert_eq!(alone.fields.value(Field::ReferenceId), None);
    insta::assert_snapshot!(alone.warnings.join("\n"), @"PIPEFOLD_REFERENCE_ID_TEMPLATE: {run} has no value here, so the template is not used and reference_id is missing; only a CI system gives {run}");
}

#[test]
fn a_template_without_the_attempt_gives_a_warning() {
    let warnings = |template| resolved(None, &[("PIPEFOLD_REFERENCE_ID_TEMPLATE", template)], "", "").warnings;
    insta::assert_snapshot!(warnings("{repository}/{run}").join("\n"), @"PIPEFOLD_REFERENCE_ID_TEMPLATE: a re-run keeps its {run} here, so it would be the same record in DX and stay as red as the first attempt was; add {attempt} to it");
    assert_eq!(warnings("{run}/{attempt}"), [""; 0]);
    assert_eq!(warnings("{reference_id}"), [""; 0]);
}

#[test]
fn a_template_may_contain_its_own_field() {
    let resolved = resolved(
        None,
        &[],
        "[templates]\npipeline_name = 'nightly {pipeline_name}'\nreference_id = '{pipeline_name}/{reference_id}'",
        "",
    );
    assert_eq!(name(&resolved), "nightly detected");
    assert_eq!(
        resolved.fields.value(Field::ReferenceId),
        Some("nightly detected/github/42/2")
    );
}

#[test]
fn values_from_an_exec_are_not_expanded_again() {
    let template = "{workflow} {{x}}";
    let outer = resolved(None, &[("PIPEFOLD_PIPELINE_NAME_TEMPLATE", template)], "", "");
    assert_eq!(name(&outer), "CI {x}");
    let handed_down = [
        ("PIPEFOLD_PIPELINE_NAME", name(&outer)),
        ("PIPEFOLD_PIPELINE_NAME_TEMPLATE", template),
    ];
    assert_eq!(name(&resolved(None, &handed_down, "", "")), "CI {x}");
}

#[test]
fn bad_templates_are_refused_with_their_place() {
    let refused = |text: &str| {
        let error = File::parse(Path::new("/repo/pipefold.toml"), text, Trust::Workspace).unwrap_err();
        error.to_string()
    };
    insta::assert_snapshot!(refused("[templates]\npipeline_name = '{workfow}'"), @"/repo/pipefold.toml:2: `templates.pipeline_name`: there is no placeholder {workfow}; did you mean {workflow}?");
    insta::assert_snapshot!(refused("[templates]\nreference_id = '{sha}'"), @"/repo/pipefold.toml:2: `templates.reference_id`: without {run} every run would have the same reference_id, and DX would make one record of them all; put {run} into it, and {attempt} too, or {reference_id}, which is the id that would be used without the template");
    insta::assert_snapshot!(refused("[templates]\nreferenceid = '{run}'"), @"/repo/pipefold.toml:2: unknown key `templates.referenceid`; did you mean `reference_id`?");
    insta::assert_snapshot!(refused("[templates]\nrepository = '{run}'"), @"/repo/pipefold.toml:2: unknown key `templates.repository`; the keys here are pipeline_name, reference_id");
    insta::assert_snapshot!(refused("templates = '{run}'"), @"/repo/pipefold.toml:1: `templates`: this has to be a table ([templates]), and is text");
    let environment = Environment::from_pairs([("PIPEFOLD_REFERENCE_ID_TEMPLATE", "{run")]);
    insta::assert_snapshot!(TemplateKeys::from_variables(&environment).unwrap_err(), @"PIPEFOLD_REFERENCE_ID_TEMPLATE: the { at character 1 is never closed; close it with }, or write {{ for a brace that is meant");
    let blank = Environment::from_pairs([("PIPEFOLD_REFERENCE_ID_TEMPLATE", " ")]);
    assert_eq!(TemplateKeys::from_variables(&blank).unwrap(), TemplateKeys::default());
}
