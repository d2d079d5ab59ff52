//! The table of CI systems as a document: `docs/detection.md`, which a test compares with what is written here.

use std::fmt::Write;

use super::system::{Source, Sources, System};
use super::systems::SYSTEMS;

/// What stands before the systems.
const HEAD: &str = "# What is detected

Made from the table in `host/reporter/src/detect/systems`; `PIPEFOLD_WRITE=1 cargo test --test detection` writes it again.

For each CI system: the fields of a run, and where each comes from. The first source that gives a sound value is taken. Flags, `PIPEFOLD_*`
variables and `pipefold.toml` go before all of them; `pipefold doctor` shows what became of each in a job.

`reference_id` is `system/server/scope/run` and, where there is one, `/attempt`: the same in each job of a run, and another one when the run is
repeated. Parts that are missing are left out. `pipeline_name` is the repository where no source gives one.

- *not in a pull request*: the variable is about something else there.
- *no trial merge*: the variable may hold a merge of a pull request with its target, which is on no branch. It is left out then, with a warning.
- *after a push*: it names who wrote the commit, and only a push is started by that person.
- *by its address*: the variable holds the address of the repository, of which the name is taken.
- *page of the pull request*: the repository of this page goes before the others, since the number counts there.

Systems are asked in this order, and the first that is recognised by one of its sets of variables is taken. Tekton and Argo Workflows set no
variables; their [recipes](../examples/ci/README.md) name the run.
";

/// The text of `docs/detection.md`.
#[must_use]
pub fn table() -> String {
    let mut text = HEAD.to_owned();
    for system in SYSTEMS {
        describe(&mut text, system);
    }
    text
}

fn describe(text: &mut String, system: &System) {
    let title = match SYSTEMS.iter().filter(|other| other.name == system.name).count() {
        1 => system.name.to_owned(),
        _ => format!("{} ({})", system.name, system.marks[0][0]),
    };
    let marks: Vec<String> = system.marks.iter().map(|set| code(set).join(" with ")).collect();
    let mut recognised = format!("Recognised by {}", marks.join(", or by "));
    if !system.unless.is_empty() {
        let _ = write!(recognised, "; not with {}", code(system.unless).join(" or "));
    }
    let _ = write!(
        text,
        "\n## {title}\n\n{recognised}. [Its variables]({}).\n\n",
        system.reference
    );
    text.push_str("| field | from, in order |\n|---|---|\n");
    for (field, sources) in rows(system) {
        if !sources.is_empty() {
            let _ = writeln!(text, "| {field} | {} |", list(sources));
        }
    }
    if !system.left_out.is_empty() {
        text.push_str("\nLeft out:\n\n");
        for (what, why) in system.left_out {
            let _ = writeln!(text, "- {what}: {why}.");
        }
    }
}

fn rows(system: &System) -> [(&'static str, Sources); 18] {
    [
        ("`pipeline_name`", system.pipeline),
        ("`repository`", system.repository),
        ("`commit_sha`", system.sha),
        ("`pr_number`", system.pr),
        ("page of the pull request", system.pr_page),
        ("`head_branch`", system.branch),
        ("a tag, which is no branch", system.tag),
        ("`source_url`", system.url),
        ("`email`", system.email),
        ("`github_username`", system.github),
        ("`gitlab_username`", system.gitlab),
        ("server in `reference_id`", system.host),
        ("scope in `reference_id`", system.scope),
        ("run in `reference_id`", system.run),
        ("attempt in `reference_id`", system.attempt),
        ("workflow", system.workflow),
        ("job", system.job),
        ("step", system.step),
    ]
}

fn list(sources: Sources) -> String {
    let each = sources.iter().map(|source| match source {
        Source::Var(name) => format!("`{name}`"),
        Source::Address(name) => format!("`{name}` (by its address)"),
        Source::OutsidePr(name) => format!("`{name}` (not in a pull request)"),
        Source::Unmerged(name) => format!("`{name}` (no trial merge)"),
        Source::Pushed(name) => format!("`{name}` (after a push)"),
        Source::By(how, _) => (*how).to_owned(),
    });
    each.collect::<Vec<_>>().join("; ")
}

fn code(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}
