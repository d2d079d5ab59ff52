//! A run outside CI, from the git repository around the working directory.

use std::path::Path;

use super::git::{self, Git};
use super::values::{self, MAX_BYTES, Person};
use super::{Detected, Field};
use crate::source::{Environment, Origin};

/// The `pipeline_source` of such a run, and the beginning of its `reference_id`.
const LOCAL: &str = "local";

/// Detects a run in `directory`, which is absolute and outside CI: repository, branch, commit and e-mail address from git, and a new
/// `reference_id` at each call.
#[must_use]
pub fn local(environment: &Environment, directory: &Path) -> Detected {
    let Git {
        directory: checkout,
        remote,
        branch,
        commit,
        email,
    } = git::read(environment, directory);
    let repository = remote.and_then(|remote| values::repository(remote.trim()).ok());
    let here = || Some(directory.file_name()?.to_string_lossy().into_owned());
    let (pipeline, from) = match &repository {
        Some(repository) => (Some(repository.clone()), "git's remote"),
        None => (checkout.or_else(here), "the directory's name"),
    };
    // DX takes a commit only with its repository.
    let commit = commit.filter(|_| repository.is_some());
    let (email_field, email) = match email.and_then(|email| values::person(email.trim(), false)) {
        Some(Person::Github(name)) => (Field::GithubUsername, Some(name)),
        Some(Person::Gitlab(name)) => (Field::GitlabUsername, Some(name)),
        Some(Person::Email(address)) => (Field::Email, Some(address)),
        None => (Field::Email, None),
    };
    let run = random();
    let machine = machine(environment);
    let name = pipeline.as_deref().filter(|name| is_good(name)).unwrap_or("unnamed");
    let id = format!("{LOCAL}/{machine}/{name}/{run}");

    let mut found = Detected::default();
    for (field, fact, from, value) in [
        (Field::PipelineName, Some("pipeline"), from, pipeline),
        (Field::PipelineSource, Some("system"), "--local", Some(LOCAL.to_owned())),
        (Field::ReferenceId, None, "--local", Some(id)),
        (Field::Repository, Some("repository"), "git's remote", repository),
        (Field::CommitSha, Some("sha"), "git's HEAD", commit),
        (Field::HeadBranch, Some("branch"), "git's HEAD", branch),
        (email_field, None, "git's user.email", email),
    ] {
        match value {
            Some(value) if is_good(&value) => {
                if let Some(fact) = fact {
                    found.facts.insert(fact, value.clone());
                }
                found.fields.set(field, value, Origin::Local(from));
            }
            Some(_) => found.warnings.push(format!(
                "{from} holds control characters or more than {MAX_BYTES} bytes, and is left out; give {}",
                field.variable()
            )),
            None => {}
        }
    }
    found.facts.insert("run", run);
    found
}

fn is_good(value: &str) -> bool {
    value.len() <= MAX_BYTES && !value.trim().is_empty() && !value.contains(char::is_control)
}

/// 128 random bits in hex, which make the `reference_id` unique.
fn random() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // A system without randomness: two runs of one machine differ in time or in process.
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        bytes = (now ^ (u128::from(std::process::id()) << 96)).to_be_bytes();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The machine's name, else its user's. It is for readers of the record; the random part distinguishes runs.
fn machine(environment: &Environment) -> String {
    let given = ["HOSTNAME", "COMPUTERNAME"]
        .iter()
        .find_map(|name| environment.get(name));
    given
        .map(str::to_owned)
        .or_else(git::host_name)
        .or_else(|| {
            ["USER", "USERNAME"]
                .iter()
                .find_map(|name| environment.get(name).map(str::to_owned))
        })
        // The longest name that DNS allows.
        .filter(|name| name.len() <= 253 && !name.contains(|c: char| c.is_control() || c.is_whitespace() || c == '/'))
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::fs;

    const ID: &str = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d";

    fn machine_with(remote: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let git = directory.path().join("checkout/.git");
        fs::create_dir_all(&git).unwrap();
        fs::write(git.join("HEAD"), ID).unwrap();
        fs::write(
            git.join("config"),
            format!("[remote \"origin\"]\nurl = \"{remote}\"\n[user]\nemail = me@getdx.com\n"),
        )
        .unwrap();
        directory
    }

    fn detected(directory: &tempfile::TempDir) -> Detected {
        let environment = Environment::from_pairs([("HOSTNAME", "laptop")]);
        local(&environment, &directory.path().join("checkout"))
    }

    #[test]
    fn a_checkout_gives_all_fields() {
        let found = detected(&machine_with("git@github.com:getdx/some_repo.git"));
        let value = |field| found.fields.value(field);
        assert_eq!(value(Field::PipelineName), Some("getdx/some_repo"));
        assert_eq!(value(Field::PipelineSource), Some("local"));
        assert_eq!(value(Field::Repository), Some("getdx/some_repo"));
        assert_eq!(value(Field::CommitSha), Some(ID));
        assert_eq!(value(Field::Email), Some("me@getdx.com"));
        assert_eq!(value(Field::HeadBranch), None);
        let id = value(Field::ReferenceId).unwrap();
        let random = id.strip_prefix("local/laptop/getdx/some_repo/").unwrap();
        assert_eq!((random.len(), found.facts["run"].as_str()), (32, random));
        assert_eq!(found.system, None);
        assert!(found.warnings.is_empty());
    }

    #[test]
    fn two_runs_have_two_names() {
        let machine = machine_with("git@github.com:getdx/some_repo.git");
        let id = || detected(&machine).fields.value(Field::ReferenceId).map(str::to_owned);
        assert_ne!(id(), id());
    }

    #[test]
    fn without_a_repository_the_directory_gives_the_name() {
        let found = detected(&machine_with("/srv/git/some_repo.git"));
        assert_eq!(found.fields.value(Field::PipelineName), Some("checkout"));
        assert_eq!(found.fields.value(Field::Repository), None);
        assert_eq!(
            found.fields.value(Field::CommitSha),
            None,
            "DX refuses one without a repository"
        );
    }

    #[test]
    fn an_address_that_hides_a_user_gives_the_user_s_name() {
        let machine = machine_with("https://github.com/a/b");
        let config = machine.path().join("checkout/.git/config");
        fs::write(&config, "[user]\nemail = 123+panda@users.noreply.github.com\n").unwrap();
        let found = detected(&machine);
        assert_eq!(found.fields.value(Field::GithubUsername), Some("panda"));
        fs::write(&config, "[user]\nemail = panda\n").unwrap();
        assert_eq!(detected(&machine).fields.value(Field::Email), None, "it is none");
    }

    #[test]
    fn values_that_the_rules_refuse_are_left_out_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let checkout = directory.path().join("a\nb");
        fs::create_dir_all(&checkout).unwrap();
        let found = local(&Environment::default(), &checkout);
        assert_eq!(found.fields.value(Field::PipelineName), None);
        assert!(found.fields.value(Field::ReferenceId).unwrap().contains("/unnamed/"));
        insta::assert_snapshot!(found.warnings.join("\n"), @"the directory's name holds control characters or more than 4096 bytes, and is left out; give PIPEFOLD_PIPELINE_NAME");
    }
}
