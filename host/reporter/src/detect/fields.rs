//! The fields of a run: their table, and their values with the origin of each.

use super::{ATTRIBUTES_VARIABLE, Attributes};
use crate::source::{Environment, Origin, Sourced};
use pipefold_sandbox::{Fault, Notification, Violation};
use std::collections::BTreeMap;

/// The values that one source, or all of them by precedence, gives for the fields of a run. Values are unchecked text.
///
/// A blank value counts as absent: `--repository "$REPO"` with an empty variable gives no value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    values: BTreeMap<Field, Sourced<String>>,
    /// Facts that DX has no field for.
    pub attributes: Attributes,
    /// The name of the step that is unique in the run, if its own name is not. Set only by the command that reports the step.
    pub step_id: Option<String>,
    /// True if the step's failure or cancellation is not the run's. Set only by the command that reports the step: it has no variable and
    /// no key.
    pub allowed_to_fail: bool,
    /// True if the step is sent without waiting for the finish of its run. Set only by the command that reports the step.
    pub urgent: bool,
}

impl Fields {
    /// The fields that the `PIPEFOLD_*` variables give.
    #[must_use]
    pub fn from_variables(environment: &Environment) -> Self {
        let mut fields = Self::default();
        for field in Field::ALL {
            let variable = field.variable();
            if let Some(value) = environment.get(variable) {
                fields.set(field, value, Origin::Variable(variable));
            }
        }
        if let Some(lines) = environment.get(ATTRIBUTES_VARIABLE) {
            fields.attributes = Attributes::from_lines(lines, &Origin::Variable(ATTRIBUTES_VARIABLE));
        }
        fields
    }

    /// Sets a field; a blank value removes it.
    pub fn set(&mut self, field: Field, value: impl Into<String>, origin: Origin) {
        let mut value = value.into();
        // A file of variables with CRLF at its line ends, or `$(…)` of a tool for another system.
        value.truncate(value.trim_end_matches(['\r', '\n']).len());
        if value.trim().is_empty() {
            self.values.remove(&field);
        } else {
            self.values.insert(field, Sourced::new(value, origin));
        }
    }

    /// Sets a field from its flag.
    pub fn set_flag(&mut self, field: Field, value: impl Into<String>) {
        self.set(field, value, Origin::Flag(field.flag()));
    }

    /// The field's value and origin.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&Sourced<String>> {
        self.values.get(&field)
    }

    /// The field's value.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<&str> {
        self.get(field).map(|sourced| sourced.value.as_str())
    }

    /// The fields that have a value, in the order of [`Field`].
    pub fn iter(&self) -> impl Iterator<Item = (Field, &Sourced<String>)> {
        self.values.iter().map(|(field, sourced)| (*field, sourced))
    }

    /// Merges layers: each field and attribute has the value of the first layer that gives one. A step is allowed to fail, or urgent, if any layer sets
    /// it.
    #[must_use]
    pub fn resolve(layers: &[&Self]) -> Self {
        let mut resolved = Self::default();
        for layer in layers {
            for (field, sourced) in &layer.values {
                resolved.values.entry(*field).or_insert_with(|| sourced.clone());
            }
            resolved.attributes.complete(&layer.attributes);
            resolved.step_id = resolved.step_id.or_else(|| layer.step_id.clone());
            resolved.allowed_to_fail |= layer.allowed_to_fail;
            resolved.urgent |= layer.urgent;
        }
        resolved
    }

    /// Removes a detected commit and pull request if there is no repository, without which DX refuses them (`repository_required` of the
    /// rules). Given ones stay, for the plugin to refuse. Returns a warning for each.
    #[must_use = "the caller has to report what was left out"]
    pub fn leave_out_orphans(&mut self) -> Vec<String> {
        if self.get(Field::Repository).is_some() {
            return Vec::new();
        }
        let mut warnings = Vec::new();
        for field in [Field::CommitSha, Field::PrNumber] {
            let is_detected = |sourced: &Sourced<String>| matches!(sourced.origin, Origin::Detected { .. });
            if self.get(field).is_some_and(is_detected)
                && let Some(Sourced { origin, .. }) = self.values.remove(&field)
            {
                warnings.push(format!(
                    "{} (from {origin}) was left out: DX takes it only with a repository; name one with --repository or {}",
                    field.name(),
                    Field::Repository.variable()
                ));
            }
        }
        warnings
    }

    /// Removes the values that a notification cannot hold ([`to_notification`](Self::to_notification)), for a host that reports the rest.
    /// Returns a violation for each.
    #[must_use = "the caller has to report what was left out"]
    pub fn leave_out_unreadable(&mut self) -> Vec<Violation> {
        let (_, violations) = self.to_notification();
        for violation in &violations {
            self.values.retain(|field, _| field.name() != violation.field);
        }
        self.attributes.leave_out_unreadable();
        violations
    }

    /// The notification of these fields, and a violation for each value that it cannot hold: text that is not a number is left out, so that
    /// the plugin can still name all other faults. With violations the notification must not be reported.
    #[must_use = "with violations the notification must not be reported"]
    pub fn to_notification(&self) -> (Notification, Vec<Violation>) {
        let text = |field| self.value(field).map(str::to_owned);
        let (attributes, mut violations) = self.attributes.to_list();
        let pr_number = self.get(Field::PrNumber).and_then(|given| {
            let number = given.value.trim().parse();
            number.map_err(|_| violations.push(not_a_number(given))).ok()
        });
        let notification = Notification {
            pipeline_name: text(Field::PipelineName),
            pipeline_source: text(Field::PipelineSource),
            reference_id: text(Field::ReferenceId),
            started_at: text(Field::StartedAt),
            finished_at: text(Field::FinishedAt),
            status: text(Field::Status),
            repository: text(Field::Repository),
            commit_sha: text(Field::CommitSha),
            pr_number,
            source_url: text(Field::SourceUrl),
            head_branch: text(Field::HeadBranch),
            email: text(Field::Email),
            github_username: text(Field::GithubUsername),
            gitlab_username: text(Field::GitlabUsername),
            step: text(Field::Step),
            step_id: self.step_id.clone(),
            allowed_to_fail: self.allowed_to_fail,
            urgent: self.urgent,
            attributes,
        };
        (notification, violations)
    }
}

fn not_a_number(given: &Sourced<String>) -> Violation {
    // Enough to recognise what was given; it may be megabytes.
    let shown: String = given.value.chars().take(40).collect();
    Violation {
        fault: Fault::InvalidPrNumber,
        field: Field::PrNumber.name().to_owned(),
        message: format!(
            "{shown:?} (from {}) is not the number of a pull request; give a whole number from 1, such as 42",
            given.origin
        ),
    }
}

/// A field of a notification that a user can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Name of the pipeline.
    PipelineName,
    /// The system that runs the pipeline.
    PipelineSource,
    /// The globally unique name of the run.
    ReferenceId,
    /// The start of the run or step.
    StartedAt,
    /// The end of the run or step.
    FinishedAt,
    /// The result of the run or step.
    Status,
    /// Full name of the repository.
    Repository,
    /// The commit that was built.
    CommitSha,
    /// The pull request that was built.
    PrNumber,
    /// Address of a page that shows the run.
    SourceUrl,
    /// The branch that was built.
    HeadBranch,
    /// E-mail address of the person who started the run.
    Email,
    /// GitHub user name of the person who started the run.
    GithubUsername,
    /// GitLab user name of the person who started the run.
    GitlabUsername,
    /// Name of the step; the only field that DX does not have.
    Step,
}

struct Row {
    field: Field,
    name: &'static str,
    flag: &'static str,
    variable: &'static str,
    in_files: bool,
}

macro_rules! row {
    ($field:ident, $name:literal, $flag:literal, $variable:literal, $in_files:literal) => {
        Row {
            field: Field::$field,
            name: $name,
            flag: concat!("--", $flag),
            variable: concat!("PIPEFOLD_", $variable),
            in_files: $in_files,
        }
    };
}

/// One row for each [`Field`], in its order. The last column is true if a file may set the field. A time, a status or a step belongs to one
/// moment of one run; in a file it would apply to every run, and DX keeps the earliest start and the worst status for good.
#[rustfmt::skip]
const ROWS: [Row; 15] = [
    row!(PipelineName, "pipeline_name", "pipeline-name", "PIPELINE_NAME", true),
    row!(PipelineSource, "pipeline_source", "pipeline-source", "PIPELINE_SOURCE", true),
    row!(ReferenceId, "reference_id", "reference-id", "REFERENCE_ID", true),
    row!(StartedAt, "started_at", "started-at", "STARTED_AT", false),
    row!(FinishedAt, "finished_at", "finished-at", "FINISHED_AT", false),
    row!(Status, "status", "status", "STATUS", false),
    row!(Repository, "repository", "repository", "REPOSITORY", true),
    row!(CommitSha, "commit_sha", "commit-sha", "COMMIT_SHA", true),
    row!(PrNumber, "pr_number", "pr-number", "PR_NUMBER", true),
    row!(SourceUrl, "source_url", "source-url", "SOURCE_URL", true),
    row!(HeadBranch, "head_branch", "head-branch", "HEAD_BRANCH", true),
    row!(Email, "email", "email", "EMAIL", true),
    row!(GithubUsername, "github_username", "github-username", "GITHUB_USERNAME", true),
    row!(GitlabUsername, "gitlab_username", "gitlab-username", "GITLAB_USERNAME", true),
    row!(Step, "step", "step", "STEP", false),
];

impl Field {
    /// Every field, in the order of DX's page.
    pub const ALL: [Self; ROWS.len()] = {
        let mut all = [Self::PipelineName; ROWS.len()];
        let mut i = 0;
        while i < ROWS.len() {
            all[i] = ROWS[i].field;
            i += 1;
        }
        all
    };

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// DX's name of the field, which is also its key in a file: `pr_number`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The field's flag: `--pr-number`.
    #[must_use]
    pub fn flag(self) -> &'static str {
        self.row().flag
    }

    /// The field's variable: `PIPEFOLD_PR_NUMBER`.
    #[must_use]
    pub fn variable(self) -> &'static str {
        self.row().variable
    }

    /// Returns true if a `pipefold.toml` may set the field.
    #[must_use]
    pub fn in_files(self) -> bool {
        self.row().in_files
    }

    /// The field with this name of DX's.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn fields(pairs: &[(Field, &str)], origin: &Origin) -> Fields {
        let mut fields = Fields::default();
        for (field, value) in pairs {
            fields.set(*field, *value, origin.clone());
        }
        fields
    }

    #[test]
    fn every_variable_reaches_its_member_of_the_notification() {
        let pairs = Field::ALL.map(|field| {
            let value = if field == Field::PrNumber { "7" } else { field.name() };
            (field.variable(), value)
        });
        let mut fields = Fields::from_variables(&Environment::from_pairs(pairs));
        (fields.allowed_to_fail, fields.urgent) = (true, true);
        let (notification, violations) = fields.to_notification();
        assert_eq!(violations, []);
        let text = |name: &str| Some(name.to_owned());
        let expected = Notification {
            pipeline_name: text("pipeline_name"),
            pipeline_source: text("pipeline_source"),
            reference_id: text("reference_id"),
            started_at: text("started_at"),
            finished_at: text("finished_at"),
            status: text("status"),
            repository: text("repository"),
            commit_sha: text("commit_sha"),
            pr_number: Some(7),
            source_url: text("source_url"),
            head_branch: text("head_branch"),
            email: text("email"),
            github_username: text("github_username"),
            gitlab_username: text("gitlab_username"),
            step: text("step"),
            allowed_to_fail: true,
            urgent: true,
            ..Notification::default()
        };
        assert_eq!(notification, expected);
        assert_eq!(
            fields.get(Field::Email).unwrap().origin,
            Origin::Variable("PIPEFOLD_EMAIL")
        );
        assert_eq!(fields.iter().count(), Field::ALL.len());
    }

    #[test]
    fn the_first_layer_that_has_a_field_gives_it() {
        let flags = fields(
            &[(Field::Email, "flag"), (Field::Repository, "")],
            &Origin::Flag("--email"),
        );
        let variables = fields(
            &[(Field::Email, "variable"), (Field::Repository, "variable")],
            &Origin::Variable("V"),
        );
        let file = fields(
            &[(Field::HeadBranch, "file"), (Field::Repository, " ")],
            &Origin::Default,
        );
        let resolved = Fields::resolve(&[&flags, &variables, &file]);
        assert_eq!(resolved.value(Field::Email), Some("flag"));
        assert_eq!(resolved.get(Field::Repository).unwrap().origin, Origin::Variable("V"));
        assert_eq!(resolved.value(Field::HeadBranch), Some("file"));
        assert_eq!(resolved.iter().count(), 3);
        assert!(!resolved.urgent && !resolved.allowed_to_fail);
        let urgent = Fields {
            urgent: true,
            ..Fields::default()
        };
        assert!(Fields::resolve(&[&urgent, &flags]).urgent);
    }

    #[test]
    fn a_detected_commit_without_a_repository_is_left_out() {
        let detected = Origin::Detected {
            system: "Jenkins",
            variable: "GIT_COMMIT",
        };
        let mut orphan = fields(&[(Field::CommitSha, "abc"), (Field::Email, "e")], &detected);
        orphan.set_flag(Field::PrNumber, "7");
        insta::assert_snapshot!(
            orphan.leave_out_orphans().join("\n"),
            @"commit_sha (from GIT_COMMIT of Jenkins) was left out: DX takes it only with a repository; name one with --repository or PIPEFOLD_REPOSITORY"
        );
        let left: Vec<_> = orphan.iter().map(|(field, _)| field).collect();
        assert_eq!(left, [Field::PrNumber, Field::Email]);
        let mut whole = fields(&[(Field::CommitSha, "abc"), (Field::Repository, "r")], &detected);
        assert_eq!(whole.leave_out_orphans(), [""; 0]);
        assert_eq!(whole.iter().count(), 2);
    }

    #[test]
    fn a_pull_request_that_is_not_a_number_is_a_violation() {
        for value in ["abc", "12a", "1.0", "#5", "9223372036854775808", "false"] {
            let (notification, violations) = fields(&[(Field::PrNumber, value)], &Origin::Default).to_notification();
            assert_eq!(notification.pr_number, None, "{value}");
            assert_eq!(violations[0].fault, Fault::InvalidPrNumber, "{value}");
        }
        let mut given = Fields::default();
        given.set_flag(Field::PrNumber, "#42\u{1b}");
        insta::assert_snapshot!(
            given.to_notification().1[0],
            @r##"pr_number: "#42\u{1b}" (from --pr-number) is not the number of a pull request; give a whole number from 1, such as 42"##
        );
        given.set_flag(Field::PrNumber, "x".repeat(1_000_000));
        assert!(given.to_notification().1[0].message.len() < 200);
    }

    #[test]
    fn numbers_below_one_are_left_to_the_plugin_to_refuse() {
        for (value, number) in [(" 5 ", 5), ("0", 0), ("-3", -3)] {
            let (notification, violations) = fields(&[(Field::PrNumber, value)], &Origin::Default).to_notification();
            assert_eq!((notification.pr_number, violations), (Some(number), vec![]));
        }
    }

    #[test]
    fn the_table_follows_the_enum_and_its_own_pattern() {
        for (i, row) in ROWS.iter().enumerate() {
            assert_eq!(row.field as usize, i);
            assert_eq!(row.flag, format!("--{}", row.name.replace('_', "-")));
            assert_eq!(row.variable, format!("PIPEFOLD_{}", row.name.to_uppercase()));
            assert_eq!(Field::from_name(row.name), Some(row.field));
            let spelt: String = format!("{:?}", row.field).to_lowercase();
            assert_eq!(row.name.replace('_', ""), spelt);
        }
    }

    #[test]
    fn the_fields_are_dx_s_arguments_and_the_step() {
        let mut fields = Field::ALL.map(Field::name).to_vec();
        fields.retain(|name| *name != Field::Step.name());
        assert_eq!(fields, crate::dx::ARGUMENT_NAMES);
    }
}
