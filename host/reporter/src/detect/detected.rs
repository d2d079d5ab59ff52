//! Reads a run's fields from a CI system's variables.

use super::job::Job;
use super::systems::{Found, SYSTEMS, Source, System};
use super::values::{MAX_BYTES, Person};
use super::{Field, Fields, values};
use crate::source::{Environment, Origin};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// A function that reads a file that a variable names: usually [`super::read_file`].
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// The result of detection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detected {
    /// The CI system, by its usual name; none outside CI.
    pub system: Option<&'static str>,
    /// The fields that the system gives. No value is guessed, and the plugin accepts each.
    pub fields: Fields,
    /// The values for templates: `system` (its short name), `repository`, `pipeline`, `workflow`, `job`, `step`, `run`, `attempt`,
    /// `branch`, `sha` and `pr`, as far as they are known.
    pub facts: BTreeMap<&'static str, String>,
    /// One line for each variable that was left out and each file that could not be read. It names the variable, never the value.
    pub warnings: Vec<String>,
}

/// Detects the run from the variables of its CI system. `read` reads only the file that describes the run, if a variable names one: the
/// event of GitHub, Gitea and Forgejo, the properties of TeamCity.
#[must_use]
pub fn detect(environment: &Environment, read: ReadFile<'_>) -> Detected {
    detected(environment, None, read)
}

/// Detects the run of a command that runs in `directory`, which is absolute: for values that no variable has, it also reads the git
/// repository around the directory, or the one in Jenkins' `WORKSPACE`. Jenkins has no variable for whether a commit is the head of a pull
/// request or a merge of its own, Bitbucket may abbreviate a commit, and SourceHut names no repository.
#[must_use]
pub fn detect_in(directory: &Path, environment: &Environment, read: ReadFile<'_>) -> Detected {
    detected(environment, Some(directory), read)
}

fn detected(environment: &Environment, directory: Option<&Path>, read: ReadFile<'_>) -> Detected {
    let systems = SYSTEMS
        .iter()
        .map(|system| Job::new(system, environment, directory, read));
    let mut recognised = systems.filter_map(|job| Some((job.system.recognised_by(&job)?, job)));
    match recognised.next() {
        Some((mark, job)) => describe(job, mark),
        None => Detected::default(),
    }
}

/// Collects the values of one system.
fn describe(job: Job<'_>, mark: &'static str) -> Detected {
    let system = job.system;
    let mut found = Collected::new(system);
    let pr = job.first(system.pr, values::pr_number);
    let repository = of_the_pull_request(&job, pr.as_ref()).or_else(|| job.repository());
    let pipeline = job.first(system.pipeline, values::text).or_else(|| repository.clone());
    let workflow = job.first(system.workflow, values::text);
    let sha = job.first(system.sha, values::commit_sha);
    if sha.is_none() {
        warn_of_merge(&job);
    }
    let tag = job.first(system.tag, |tag| Ok(tag.trim_start_matches("refs/tags/").to_owned()));
    let branch = job.first(system.branch, values::branch);
    let branch = branch.filter(|branch| tag.as_ref().is_none_or(|tag| tag.value != branch.value));
    let url = job.first(system.url, values::page);
    let step = job.first(system.step, values::text);
    let name = job.first(system.job, values::text);
    let run = job.first(system.run, values::text);
    let attempt = job.first(system.attempt, values::text);

    found.field(Field::PipelineSource, job.made(system.name, mark));
    found.field(
        Field::ReferenceId,
        reference_id(&job, run.as_ref(), attempt.as_ref(), url.as_ref()),
    );
    found.field(
        Field::Step,
        name_of_step(pipeline.as_ref(), name.as_ref(), step.as_ref()),
    );
    found.field(Field::SourceUrl, url);
    person(&job, &mut found);

    found.fact("system", job.made(system.id, mark));
    found.fact("workflow", workflow);
    found.fact("job", name);
    found.fact("step", step);
    found.fact("run", run);
    found.fact("attempt", attempt);
    for (field, fact, value) in [
        (Field::PipelineName, "pipeline", pipeline),
        (Field::Repository, "repository", repository),
        (Field::CommitSha, "sha", sha),
        (Field::PrNumber, "pr", pr),
        (Field::HeadBranch, "branch", branch),
    ] {
        found.fact(fact, value.clone());
        found.field(field, value);
    }
    for too_long in std::mem::take(&mut found.too_long) {
        job.warn(too_long);
    }
    Detected {
        system: Some(system.name),
        fields: found.fields,
        facts: found.facts,
        warnings: job.into_warnings(),
    }
}

/// The repository that numbers the pull request. Other variables may name a fork, a mirror or the project's own name.
fn of_the_pull_request(job: &Job<'_>, pr: Option<&Found>) -> Option<Found> {
    pr?;
    let page = job.first(job.system.pr_page, values::page)?;
    let name = values::repository_of_page(&page.value)?;
    Some(job.made(name, page.variable))
}

/// Adds a warning if the only known commit is a trial merge: it is on no branch, so DX cannot link it.
fn warn_of_merge(job: &Job<'_>) {
    let merge = job.system.sha.iter().find_map(|source| match source {
        Source::Unmerged(name) if (job.system.is_merge)(job) => job.found(name),
        _ => None,
    });
    if let Some(merge) = merge {
        job.warn_of_merge(merge.variable, "is not");
    }
}

/// `job / step`, or the one of the two that is known. A job that has the pipeline's name is left out.
fn name_of_step(pipeline: Option<&Found>, job: Option<&Found>, step: Option<&Found>) -> Option<Found> {
    let job = job.filter(|job| pipeline.is_none_or(|pipeline| pipeline.value != job.value));
    match (job, step) {
        (Some(job), Some(step)) => Some(Found {
            value: format!("{} / {}", job.value, step.value),
            variable: job.variable,
        }),
        (one, other) => one.or(other).cloned(),
    }
}

/// Sets the person who started the run. An address that hides a user name gives that name, unless the system has a variable for it.
fn person(job: &Job<'_>, found: &mut Collected) {
    let system = job.system;
    found.field(Field::GithubUsername, job.first(system.github, values::text));
    found.field(Field::GitlabUsername, job.first(system.gitlab, values::text));
    let on_gitlab = !system.gitlab.is_empty();
    let named = system.email.iter().find_map(|source| {
        let given = job.first(std::slice::from_ref(source), values::text)?;
        Some((values::person(&given.value, on_gitlab)?, given.variable))
    });
    let (field, value, variable) = match named {
        Some((Person::Email(address), variable)) => (Field::Email, address, variable),
        Some((Person::Github(name), variable)) => (Field::GithubUsername, name, variable),
        Some((Person::Gitlab(name), variable)) => (Field::GitlabUsername, name, variable),
        None => return,
    };
    if found.fields.get(field).is_none() {
        found.field(field, job.made(value, variable));
    }
}

/// The fields and facts collected so far.
struct Collected {
    system: &'static str,
    fields: Fields,
    facts: BTreeMap<&'static str, String>,
    too_long: Vec<String>,
}

impl Collected {
    fn new(system: &System) -> Self {
        Self {
            system: system.name,
            fields: Fields::default(),
            facts: BTreeMap::new(),
            too_long: Vec::new(),
        }
    }

    /// Returns the value, unless combining made it longer than a field may be.
    fn fitting(&mut self, found: Option<Found>) -> Option<Found> {
        let found = found?;
        let fits = found.value.len() <= MAX_BYTES;
        if !fits {
            let variable = found.variable;
            self.too_long.push(format!(
                "what {variable} gives is longer than {MAX_BYTES} bytes; it was left out"
            ));
        }
        fits.then_some(found)
    }

    fn field(&mut self, field: Field, found: impl Into<Option<Found>>) {
        if let Some(Found { value, variable }) = self.fitting(found.into()) {
            let system = self.system;
            self.fields.set(field, value, Origin::Detected { system, variable });
        }
    }

    fn fact(&mut self, name: &'static str, found: impl Into<Option<Found>>) {
        if let Some(Found { value, .. }) = self.fitting(found.into()) {
            self.facts.insert(name, value);
        }
    }
}

/// `<system>/<host or organisation>/<repository or pipeline>/<run>[/<attempt>]`: the same in every job of a run, and different for a
/// re-run, since DX never takes a failure back. None if no variable names the run.
pub fn reference_id(job: &Job<'_>, run: Option<&Found>, attempt: Option<&Found>, url: Option<&Found>) -> Option<Found> {
    let system = job.system;
    let host = job.first(system.host, values::host).map(|host| host.value);
    // The scope is a name, also with an `@` in it: only an address is cleaned as one.
    let scope = job.first(system.scope, values::name).map(|scope| scope.value);
    let (parts, variable) = match (run, url) {
        (Some(run), _) if scope.is_some() || is_uuid(&run.value) => {
            let parts = host.into_iter().chain(scope).chain([run.value.clone()]);
            (parts.collect::<Vec<_>>().join("/"), run.variable)
        }
        (_, Some(url)) => {
            job.warn(format!(
                "{} does not say which run this is; it is named after {}, under which other jobs of the run may not meet it (set \
                 PIPEFOLD_REFERENCE_ID)",
                system.name, url.variable
            ));
            (values::host(&url.value).ok()?, url.variable)
        }
        _ => return None,
    };
    let attempt = attempt.map_or(String::new(), |attempt| format!("/{}", attempt.value));
    Some(Found {
        value: shortened(format!("{}/{parts}{attempt}", system.id)),
        variable,
    })
}

/// Returns true for a UUID, which is unique without its server's name (RFC 9562).
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().all(is_hex) && groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
}

/// Cuts an id that is too long for a field, and appends a digest of the whole.
fn shortened(id: String) -> String {
    /// A slash and the digest's digits.
    const DIGEST: usize = 1 + 64;
    if id.len() <= MAX_BYTES {
        return id;
    }
    let kept = id.floor_char_boundary(MAX_BYTES - DIGEST);
    let digest = Sha256::digest(id.as_bytes());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}/{digits}", id.get(..kept).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_stays_within_the_limit_and_its_own() {
        let long = |end: &str| shortened(format!("github/{}/{end}", "é".repeat(3000)));
        assert!(long("1").len() <= MAX_BYTES && long("1").len() > MAX_BYTES - 4);
        assert_ne!(long("1"), long("2"));
        assert_eq!(shortened("github/x/1".into()), "github/x/1");
    }
}
