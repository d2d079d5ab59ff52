//! The settings, resolved from flags, variables, files and detection by precedence.

use super::jobs::jobs;
use super::queue::queue;
use super::templates::{Layer, resolve};
use super::{
    Budgets, ConfigError, DEFAULT_SPOOL_LIMIT, Environment, Failure, File, ForgeKeys, GocdKeys, InJob, JobChoice,
    JobSelection, LimitKeys, OperatorKeys, Origin, PolicyKeys, QueueSettings, SourceKeys, Sourced, SpoolPlace,
    TemplateKeys, TemplateUse, Trust, parse_age, spool_place, variables,
};
use crate::detect;
use crate::detect::Fields;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The operator's file if no other is named.
pub const OPERATOR_FILE: &str = "/etc/pipefold.toml";

/// The settings of the command line, or of the builder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flags {
    /// Fields of the run.
    pub fields: Fields,
    /// `--dx-url`.
    pub dx_url: Option<String>,
    /// `--token-file`.
    pub token_file: Option<PathBuf>,
    /// `--ca-file`.
    pub ca_file: Option<PathBuf>,
    /// `--queue`.
    pub queue: Option<String>,
    /// `--queue-credentials`.
    pub queue_credentials: Option<PathBuf>,
    /// `--queue-token-file`.
    pub queue_token_file: Option<PathBuf>,
    /// `--spool`.
    pub spool: Option<PathBuf>,
    /// `--jobs`.
    pub jobs: Option<JobChoice>,
    /// `--most-jobs`.
    pub most_jobs: Option<usize>,
    /// `--strict`.
    pub strict: bool,
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--local`.
    pub local: bool,
}

/// The input of [`Settings::load`].
#[derive(Clone, Copy, Debug)]
pub struct SettingsInput<'a> {
    /// The process environment.
    pub environment: &'a Environment,
    /// The settings of the command line.
    pub flags: &'a Flags,
    /// The working directory, absolute: the start of the search for the workspace's file, and the base of relative paths.
    pub cwd: &'a Path,
    /// The file that `--config` names. It is trusted, since the operator named it, and has to exist.
    pub config: Option<&'a Path>,
    /// The operator's file when `config` is none; usually [`OPERATOR_FILE`]. It need not exist.
    pub etc: &'a Path,
}

/// The place to read the token from. The token itself is never part of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// The variable of this name.
    Variable(&'static str),
    /// The content of this file.
    File(PathBuf),
}

/// All settings, by the precedence of [`crate::config`].
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Address of the DX instance, unchecked.
    pub dx_url: Option<Sourced<String>>,
    /// The place to read the token from.
    pub token: Option<Sourced<TokenPlace>>,
    /// Certificates to trust, in PEM.
    pub ca_file: Option<Sourced<PathBuf>>,
    /// The queue that reporting ends in, instead of DX.
    pub queue: Option<QueueSettings>,
    /// The spool's directory.
    pub spool: SpoolPlace,
    /// The most the spool may hold, in bytes.
    pub spool_limit: u64,
    /// The time without activity after which a run without an end is ended as cancelled; none for never.
    pub abandon_after: Option<Duration>,
    /// The jobs of a run that are sent.
    pub jobs: JobSelection,
    /// The time that delivery may take.
    pub budgets: Budgets,
    /// The limits of a plugin that a file sets.
    pub limits: LimitKeys,
    /// The failure mode of policies without one of their own.
    pub failure: Failure,
    /// The policies of the operator's file, in order.
    pub policies: Vec<PolicyKeys>,
    /// The sources of webhooks of the operator's file, in order.
    pub sources: Vec<SourceKeys>,
    /// The forges of the operator's file, in order.
    pub forges: Vec<ForgeKeys>,
    /// True if a fault in reporting fails the command.
    pub strict: bool,
    /// True to print the request and send nothing.
    pub dry_run: bool,
    /// The part of its run that a job inside GoCD reports.
    pub in_job: InJob,
    /// The table `[gocd]` of the operator's file.
    pub gocd: GocdKeys,
    /// Fields of the run.
    pub fields: Fields,
    /// The templates that were found, in order of precedence, and the outcome of each.
    pub templates: Vec<TemplateUse>,
    /// True if a run outside CI is reported; none, if not set, counts as false.
    pub local: Option<bool>,
    /// The CI system that was recognised, by its usual name.
    pub system: Option<&'static str>,
    /// The files that were read, with the trust each was given, in order of precedence.
    pub files: Vec<(PathBuf, Trust)>,
    /// One line for each setting without effect.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Reads the files and resolves every source by precedence.
    ///
    /// # Errors
    /// A file or a variable that cannot be used. Then nothing may be sent; [`strict_without_files`] then decides whether the command fails.
    pub fn load(input: SettingsInput<'_>) -> Result<Self, ConfigError> {
        let (environment, flags, cwd) = (input.environment, input.flags, input.cwd);
        let (config, etc) = (input.config, input.etc);
        let mut files = Vec::new();
        let mut faults = Vec::new();
        let workspace = match find_upwards(cwd).filter(|path| !is_operator_file(path, cwd, config, etc)) {
            Some(path) => match File::read_workspace(&path) {
                Ok((file, wrong)) => {
                    faults.extend(wrong);
                    files.push((path, Trust::Workspace));
                    file
                }
                // Such a file has no settings that the run depends on.
                Err(error) if error.is_harmless() => {
                    faults.push(error);
                    File::default()
                }
                Err(error) => return Err(error),
            },
            None => File::default(),
        };
        let operator = match config {
            Some(path) => Some((cwd.join(path), File::read(&cwd.join(path), Trust::Operator)?)),
            None => File::read_if_there(etc, Trust::Operator)?.map(|file| (etc.to_path_buf(), file)),
        };
        let operator = match operator {
            Some((path, file)) => {
                files.push((path, Trust::Operator));
                file
            }
            None => File::default(),
        };
        Self::resolve(environment, flags, cwd, [workspace, operator], files, faults)
    }

    /// The settings of an operator's file alone: no variable, no other file and no CI system is asked. Relative paths are taken from `cwd`.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn of_operator(operator: File, cwd: &Path) -> Result<Self, ConfigError> {
        let files = [File::default(), operator];
        Self::resolve(
            &Environment::default(),
            &Flags::default(),
            cwd,
            files,
            Vec::new(),
            Vec::new(),
        )
    }

    fn resolve(
        environment: &Environment,
        flags: &Flags,
        cwd: &Path,
        [workspace, operator]: [File; 2],
        files: Vec<(PathBuf, Trust)>,
        faults: Vec<ConfigError>,
    ) -> Result<Self, ConfigError> {
        let strict = strict(environment, flags)?;
        let local = if flags.local {
            Some(true)
        } else {
            truth(environment, variables::LOCAL)?
        };
        let in_job = in_job(environment)?
            .or(operator.operator.gocd.in_job)
            .unwrap_or_default();
        let of_job = operator.operator.gocd.completed(environment);
        let mut detected = detect::detect_in(cwd, &of_job, &detect::read_file);
        if detected.system.is_none() && local == Some(true) {
            detected = detect::local(environment, cwd);
        }
        let layer = |fields, templates| Layer { fields, templates };
        let mut resolved = resolve(
            &[
                layer(&flags.fields, &TemplateKeys::default()),
                layer(
                    &Fields::from_variables(environment),
                    &TemplateKeys::from_variables(environment)?,
                ),
                layer(&workspace.fields, &workspace.templates),
                layer(&operator.fields, &operator.templates),
            ],
            &detected,
        );
        let strict = strict.or(operator.operator.strict).unwrap_or(false);
        let mut warnings = variables::warnings(environment);
        for fault in faults {
            if strict {
                return Err(fault);
            }
            warnings.push(format!("left out: {fault}"));
        }
        warnings.extend(detected.warnings);
        warnings.extend(resolved.warnings);
        warnings.extend(resolved.fields.leave_out_orphans());
        let operator = operator.operator;
        let queue = queue(environment, flags, &operator, cwd);
        Ok(Self {
            dx_url: dx_url(environment, flags, &operator),
            token: token_place(environment, flags, &operator, cwd),
            ca_file: flag_path(flags.ca_file.as_deref(), "--ca-file", cwd)
                .or_else(|| variable_path(environment, variables::CA_FILE, cwd))
                .or(operator.ca_file),
            queue,
            spool: spool_place(environment, flags.spool.as_deref(), operator.spool.as_ref(), cwd),
            spool_limit: operator.spool_limit.unwrap_or(DEFAULT_SPOOL_LIMIT),
            abandon_after: abandon_after(environment)?.or(operator.abandon_after),
            jobs: jobs(environment, flags, operator.jobs)?,
            budgets: operator.budgets.resolve(),
            limits: operator.limits,
            failure: operator.failure.unwrap_or(Failure::Closed),
            policies: operator.policies,
            sources: operator.sources,
            forges: operator.forges,
            strict,
            dry_run: flags.dry_run,
            in_job,
            gocd: operator.gocd,
            fields: resolved.fields,
            templates: resolved.templates,
            local,
            system: detected.system,
            files,
            warnings,
        })
    }
}

impl Settings {
    /// True in a job of GoCD whose run is reported from GoCD's feeds: the job reports only the facts that its variables give.
    #[must_use]
    pub fn facts_only(&self) -> bool {
        self.in_job == InJob::Facts && self.system == Some("GoCD")
    }
}

/// Returns true if a fault fails the command, by flag and variable: for use when [`Settings::load`] failed and no file could be read.
#[must_use]
pub fn strict_without_files(environment: &Environment, flags: &Flags) -> bool {
    strict(environment, flags).ok().flatten().unwrap_or(false)
}

fn strict(environment: &Environment, flags: &Flags) -> Result<Option<bool>, ConfigError> {
    if flags.strict {
        return Ok(Some(true));
    }
    truth(environment, variables::STRICT)
}

/// Reads a variable that is true or false.
fn truth(environment: &Environment, name: &'static str) -> Result<Option<bool>, ConfigError> {
    match environment.get(name).map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("true" | "1" | "yes" | "on") => Ok(Some(true)),
        Some("false" | "0" | "no" | "off") => Ok(Some(false)),
        Some(_) => Err(ConfigError::Variable {
            name,
            problem: "this has to be true or false".to_owned(),
        }),
    }
}

/// Reads the variable for jobs inside GoCD.
fn in_job(environment: &Environment) -> Result<Option<InJob>, ConfigError> {
    let name = variables::GOCD_IN_JOB;
    let Some(word) = environment.get(name) else {
        return Ok(None);
    };
    match InJob::of(word.trim()) {
        Some(in_job) => Ok(Some(in_job)),
        None => Err(ConfigError::Variable {
            name,
            problem: "this has to be run or facts".to_owned(),
        }),
    }
}

/// Reads the variable for runs without activity.
fn abandon_after(environment: &Environment) -> Result<Option<Duration>, ConfigError> {
    let name = variables::ABANDON_AFTER;
    let age = environment.get(name).map(parse_age).transpose();
    age.map_err(|problem| ConfigError::Variable { name, problem })
}

/// Returns true if the found file is one of the operator's own, under any name: it is then read as such, or not at all
/// (`/etc/pipefold.toml` below `--config`), but never as the workspace's.
fn is_operator_file(found: &Path, cwd: &Path, config: Option<&Path>, etc: &Path) -> bool {
    // The last component is not resolved: a link that a pull request put there may point to the operator's file, but is not that file.
    let place = |path: &Path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    let found = place(found);
    let named = config.map(|path| cwd.join(path));
    let mut operators = [named.as_deref(), Some(etc)].into_iter().flatten();
    found.is_some() && operators.any(|path| place(path) == found || path.canonicalize().ok() == found)
}

fn dx_url(environment: &Environment, flags: &Flags, operator: &OperatorKeys) -> Option<Sourced<String>> {
    let flag = flags.dx_url.as_deref().map(|url| (url, Origin::Flag("--dx-url")));
    let variable = environment
        .get(variables::DX_API_URL)
        .map(|url| (url, Origin::Variable(variables::DX_API_URL)));
    [flag, variable]
        .into_iter()
        .flatten()
        .find(|(url, _)| !url.trim().is_empty())
        .map(|(url, origin)| Sourced::new(url.to_owned(), origin))
        .or_else(|| operator.dx_url.clone())
}

fn token_place(
    environment: &Environment,
    flags: &Flags,
    operator: &OperatorKeys,
    cwd: &Path,
) -> Option<Sourced<TokenPlace>> {
    let file = |path: Sourced<PathBuf>| Sourced::new(TokenPlace::File(path.value), path.origin);
    let name = variables::DX_API_TOKEN;
    flag_path(flags.token_file.as_deref(), "--token-file", cwd)
        .map(file)
        .or_else(|| {
            environment.get_os(name)?;
            Some(Sourced::new(TokenPlace::Variable(name), Origin::Variable(name)))
        })
        .or_else(|| variable_path(environment, variables::TOKEN_FILE, cwd).map(file))
        .or_else(|| operator.token_file.clone().map(file))
}

pub fn flag_path(path: Option<&Path>, flag: &'static str, cwd: &Path) -> Option<Sourced<PathBuf>> {
    let path = path.filter(|path| !path.as_os_str().is_empty())?;
    Some(Sourced::new(cwd.join(path), Origin::Flag(flag)))
}

fn variable_path(environment: &Environment, name: &'static str, cwd: &Path) -> Option<Sourced<PathBuf>> {
    Some(Sourced::new(
        cwd.join(environment.get_os(name)?),
        Origin::Variable(name),
    ))
}

/// Name of the file in a workspace.
pub const FILE_NAME: &str = "pipefold.toml";

/// The number of directories that are searched upwards: more than any checkout has, and a bound for a hostile tree.
const LEVELS: usize = 64;

/// The first `pipefold.toml` in `directory` or above it. `directory` is absolute. A link counts as found, so that it is refused by name,
/// and the file of a directory above is not used instead.
fn find_upwards(directory: &Path) -> Option<PathBuf> {
    directory
        .ancestors()
        .take(LEVELS)
        .map(|level| level.join(FILE_NAME))
        .find(|path| path.symlink_metadata().is_ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_file_wins() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let (upper, lower) = (
            directory.path().join(FILE_NAME),
            directory.path().join("a").join(FILE_NAME),
        );
        fs::write(&upper, "").unwrap();
        assert_eq!(find_upwards(&deep), Some(upper.clone()));
        fs::write(&lower, "").unwrap();
        assert_eq!(find_upwards(&deep), Some(lower));
        assert_eq!(find_upwards(directory.path()), Some(upper));
    }

    #[test]
    fn the_search_ends() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE_NAME), "").unwrap();
        let below = |levels: usize| directory.path().join(vec!["d"; levels].join("/"));
        assert!(find_upwards(&below(LEVELS - 1)).is_some());
        assert_eq!(find_upwards(&below(LEVELS)), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join(FILE_NAME);
        std::os::unix::fs::symlink("/nowhere", &link).unwrap();
        assert_eq!(find_upwards(directory.path()), Some(link));
    }
}
