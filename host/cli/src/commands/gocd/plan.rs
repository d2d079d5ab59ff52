//! The settings of the reader, put together from flags, variables and the table `[[gocd.server]]` of an operator's file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use pipefold::config::{Environment, GocdKeys, GocdServerKeys, Sourced, server_id_problem, variables};
use pipefold::dx::ProxyOptions;
use pipefold_gocd::client::{ClientOptions, Credentials, Secret, SecretError};
use pipefold_gocd::documents::Name;
use pipefold_gocd::mapping::{LateStages, Mapping, Pattern, Reruns, ServerId};
use pipefold_gocd::sync::Options;
use pipefold_gocd::{Dialect, ServerUrl};

use crate::args::{DialectName, LateStagesName, ReadArgs, RerunsName, parse_since, restarted};
use crate::commands::context::Context;
use crate::commands::diagnostic::Diagnostic;

/// The time without activity after which `--reruns latest` reports a run: a red run is usually started again within that.
const QUIET: TimeDelta = TimeDelta::hours(1);

/// The pause between two rounds of `watch`: a big server takes seconds for a page of the feed.
const EVERY: Duration = Duration::from_secs(60);

/// The server, the choice of its runs, and the directory that keeps how far it was read.
pub struct ReadPlan {
    pub client: ClientOptions,
    pub options: Options,
    pub state: PathBuf,
    pub every: Duration,
}

/// Puts the settings together. Ages are counted from `now`.
pub fn plan(read: &ReadArgs, context: &Context, now: DateTime<Utc>) -> Result<ReadPlan, Diagnostic> {
    let environment = &context.environment;
    let gocd = &context.settings.gocd;
    let keys = chosen(read, environment, gocd)?;
    let server = address(read, environment, keys)?;
    let options = options(read, environment, gocd, keys, server.clone(), now)?;
    let mut client = ClientOptions::new(server);
    client.credentials = credentials(read, environment, keys)?;
    client.allow_plain = read.insecure_http || keys.and_then(|keys| keys.insecure_http) == Some(true);
    client.ca_file = keys
        .and_then(|keys| keys.ca_file.clone())
        .or_else(|| context.settings.ca_file.as_ref().map(|file| file.value.clone()));
    client.proxy = ProxyOptions::from_env(|name| environment.get(name).map(str::to_owned));
    let state = read.state.clone().or_else(|| keys?.state.clone());
    Ok(ReadPlan {
        client,
        options,
        state: state.unwrap_or_else(|| context.settings.spool.path.join("gocd")),
        every: keys.and_then(|keys| keys.every).unwrap_or(EVERY),
    })
}

/// The table of the configuration file that the flags choose, if any.
fn chosen<'a>(
    read: &ReadArgs,
    environment: &Environment,
    gocd: &'a GocdKeys,
) -> Result<Option<&'a GocdServerKeys>, Diagnostic> {
    let names = || {
        gocd.servers
            .iter()
            .map(|server| server.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (&read.name, gocd.servers.as_slice()) {
        (Some(name), servers) => match servers.iter().find(|server| server.name == *name) {
            Some(server) => Ok(Some(server)),
            None if servers.is_empty() => Err(Diagnostic::input(format!(
                "there is no GoCD server {name:?}: the configuration has no table [[gocd.server]]; give --server URL"
            ))),
            None => Err(Diagnostic::input(format!(
                "there is no GoCD server {name:?}: the configuration has {}",
                names()
            ))),
        },
        (None, _) if read.server.is_some() || environment.get(variables::GOCD_URL).is_some() => Ok(None),
        (None, [server]) => Ok(Some(server)),
        (None, []) => Err(Diagnostic::input(
            "which GoCD server? Give its address by --server or PIPEFOLD_GOCD_URL, or in a table [[gocd.server]] of \
             /etc/pipefold.toml"
                .into(),
        )),
        (None, _) => Err(Diagnostic::input(format!(
            "which GoCD server? The configuration has {}",
            names()
        ))),
    }
}

fn address(read: &ReadArgs, environment: &Environment, keys: Option<&GocdServerKeys>) -> Result<ServerUrl, Diagnostic> {
    if let Some(url) = &read.server {
        return url_of("--server", url);
    }
    match (
        keys.and_then(|keys| keys.url.as_ref()),
        environment.get(variables::GOCD_URL),
    ) {
        (Some(url), _) => url_of(&url.origin.to_string(), &url.value),
        (None, url) => url_of(variables::GOCD_URL, url.unwrap_or_default()),
    }
}

fn url_of(place: &str, text: &str) -> Result<ServerUrl, Diagnostic> {
    ServerUrl::parse(text).map_err(|error| Diagnostic::input(format!("{place}: {error}")))
}

fn options(
    read: &ReadArgs,
    environment: &Environment,
    gocd: &GocdKeys,
    keys: Option<&GocdServerKeys>,
    server: ServerUrl,
    now: DateTime<Utc>,
) -> Result<Options, Diagnostic> {
    let nothing = GocdServerKeys::default();
    let keys = keys.unwrap_or(&nothing);
    let pages = match (&read.pages_url, &keys.pages_url) {
        (Some(url), _) => url_of("--pages-url", url)?,
        (None, Some(url)) => url_of(&url.origin.to_string(), &url.value)?,
        (None, None) => server.clone(),
    };
    let mut mapping = Mapping::new(server_id(read, environment, gocd, keys, &server)?, pages);
    let reruns = read.reruns.or(match keys.reruns {
        Some("latest") => Some(RerunsName::Latest),
        Some("merge") => Some(RerunsName::Merge),
        _ => None,
    });
    let quiet = read
        .quiet_for
        .or(keys.quiet_for)
        .and_then(|quiet| TimeDelta::from_std(quiet).ok());
    mapping.reruns = match reruns.unwrap_or(RerunsName::Attempts) {
        RerunsName::Attempts => Reruns::Attempts,
        RerunsName::Latest => Reruns::Latest {
            quiet: quiet.unwrap_or(QUIET),
        },
        RerunsName::Merge => Reruns::Merge,
    };
    mapping.late_stages = match (read.late_stages, keys.late_stages) {
        (Some(LateStagesName::Extend), _) | (None, Some("extend")) => LateStages::Extend,
        _ => LateStages::Keep,
    };
    mapping.final_stages = keys
        .final_stages
        .iter()
        .map(|(pipeline, stage)| match (Name::new(pipeline), Name::new(stage)) {
            (Ok(pipeline), Ok(stage)) => Ok((pipeline, stage)),
            _ => Err(Diagnostic::input(format!(
                "final_stages of the GoCD server {}: {pipeline:?} or {stage:?} is no name of a pipeline or stage",
                keys.name
            ))),
        })
        .collect::<Result<_, _>>()?;
    mapping.final_stages.extend(read.final_stages.iter().cloned());
    let material = read.material.as_deref().or(keys.material.as_deref());
    mapping.material = material.map(Pattern::new);
    mapping.users.extend(gocd.users.clone());
    mapping.users.extend(keys.users.clone());
    if let Some(file) = &read.user_map {
        mapping.users.extend(read_users(file)?);
    }
    for (pipeline, id) in &keys.restarted {
        let parsed = restarted(&format!("{pipeline}={id}"));
        let wrong = |problem| Diagnostic::input(format!("restarted of the GoCD server {}: {problem}", keys.name));
        mapping.restarted.push(parsed.map_err(wrong)?);
    }
    mapping.restarted.extend(read.restarted.iter().cloned());
    let mut options = Options::new(server, mapping);
    let pipelines = if read.pipelines.is_empty() {
        &keys.pipelines
    } else {
        &read.pipelines
    };
    options.pipelines = pipelines.iter().map(|pattern| Pattern::new(pattern)).collect();
    let of_the_file = |text: &Sourced<String>| {
        parse_since(&text.value).map_err(|problem| Diagnostic::input(format!("{}: {problem}", text.origin)))
    };
    let since = match read.since {
        Some(since) => Some(since),
        None => keys.since.as_ref().map(of_the_file).transpose()?,
    };
    options.since = since.map(|since| since.moment(now));
    options.dialect = match (read.dialect, keys.dialect) {
        (Some(DialectName::Old), _) | (None, Some("old")) => Some(Dialect::Old),
        (Some(DialectName::New), _) | (None, Some("new")) => Some(Dialect::New),
        _ => None,
    };
    options.enrich = read.enrich || keys.enrich == Some(true);
    Ok(options)
}

fn server_id(
    read: &ReadArgs,
    environment: &Environment,
    gocd: &GocdKeys,
    keys: &GocdServerKeys,
    server: &ServerUrl,
) -> Result<ServerId, Diagnostic> {
    let of_the_variable = environment.get(variables::GOCD_SERVER_ID);
    // The name that jobs here use for the server, unless they may mean another one.
    let of_the_jobs = gocd.server_id.as_ref().filter(|_| gocd.servers.len() < 2);
    let of_the_file = keys.server_id.as_ref().or(of_the_jobs).map(|id| id.value.as_str());
    let id = read.server_id.as_deref().or(of_the_variable).or(of_the_file);
    let id = id.unwrap_or(server.host());
    // Flag and file were checked when they were read; the variable was not.
    if let Some(problem) = server_id_problem(id) {
        return Err(Diagnostic::input(format!("{}: {problem}", variables::GOCD_SERVER_ID)));
    }
    ServerId::new(id).map_err(|error| Diagnostic::input(error.to_string()))
}

/// The credentials for the GoCD server, or none: a flag wins over a variable, which wins over the file.
fn credentials(
    read: &ReadArgs,
    environment: &Environment,
    server: Option<&GocdServerKeys>,
) -> Result<Credentials, Diagnostic> {
    let keys = |key: fn(&GocdServerKeys) -> Option<&Path>| server.and_then(key);
    if let Some(file) = &read.access_token_file {
        return Ok(Credentials::Bearer(from_file(file)?));
    }
    let user = read
        .user
        .as_deref()
        .or_else(|| server.and_then(|server| server.user.as_deref()));
    let password = match &read.password_file {
        Some(file) => Some(from_file(file)?),
        None => from_variable(environment, variables::GOCD_PASSWORD)?,
    };
    let by_flag = read.user.is_some() || read.password_file.is_some();
    if !by_flag && let Some(token) = from_variable(environment, variables::GOCD_ACCESS_TOKEN)? {
        return Ok(Credentials::Bearer(token));
    }
    let of_the_file = |file: Option<&Path>| file.map(from_file).transpose();
    match (user, password) {
        (Some(user), Some(password)) => Ok(basic(user, password)),
        (None, Some(_)) => Err(Diagnostic::input(
            "there is a password for GoCD and no user: give --user, or unset GOCD_PASSWORD".into(),
        )),
        _ if !by_flag && keys(|server| server.access_token_file.as_deref()).is_some() => {
            let token = of_the_file(keys(|server| server.access_token_file.as_deref()))?;
            Ok(token.map_or(Credentials::None, Credentials::Bearer))
        }
        (Some(user), None) => match of_the_file(keys(|server| server.password_file.as_deref()))? {
            Some(password) => Ok(basic(user, password)),
            None => Err(Diagnostic::input(
                "there is a user for GoCD and no password: give it by GOCD_PASSWORD or --password-file".into(),
            )),
        },
        (None, None) => Ok(Credentials::None),
    }
}

fn basic(user: &str, password: Secret) -> Credentials {
    Credentials::Basic {
        user: user.to_owned(),
        password,
    }
}

fn from_file(file: &Path) -> Result<Secret, Diagnostic> {
    let (secret, readable_by_others) = Secret::from_file(file).map_err(wrong)?;
    if readable_by_others {
        tracing::info!(path = %file.display(), "the file of the secret for GoCD can be read by other users");
    }
    Ok(secret)
}

fn from_variable(environment: &Environment, name: &'static str) -> Result<Option<Secret>, Diagnostic> {
    match environment.get(name) {
        Some(text) => Secret::new(text.to_owned())
            .map(Some)
            .map_err(|error| Diagnostic::input(format!("{name}: {error}"))),
        None if environment.get_os(name).is_some() => {
            Err(Diagnostic::input(format!("{name} is not UTF-8: correct it")))
        }
        None => Ok(None),
    }
}

fn wrong(error: SecretError) -> Diagnostic {
    Diagnostic::input(error.to_string())
}

/// The largest file of e-mail addresses, in bytes: the users of the largest companies.
const LARGEST_USER_MAP: u64 = 16 * 1024 * 1024;

/// Reads a file of e-mail addresses, with one `NAME = ADDRESS` a line; blank lines and those that begin with `#` are skipped.
fn read_users(path: &Path) -> Result<BTreeMap<String, String>, Diagnostic> {
    let wrong = |why: String| Diagnostic::input(format!("--user-map {}: {why}", path.display()));
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_USER_MAP + 1).read_to_string(&mut text))
        .map_err(|error| wrong(format!("{error}; check the file")))?;
    if text.len() as u64 > LARGEST_USER_MAP {
        return Err(wrong(format!(
            "it is larger than {LARGEST_USER_MAP} bytes; is it the right file?"
        )));
    }
    parse_users(&text).map_err(|line| wrong(format!("line {line} is not of the form NAME = ADDRESS")))
}

/// The users, or the number of the first line that names none.
fn parse_users(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut users = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, address) = line.split_once('=').ok_or(number + 1)?;
        let (name, address) = (name.trim(), address.trim());
        if name.is_empty() || !address.contains('@') {
            return Err(number + 1);
        }
        users.insert(name.to_owned(), address.to_owned());
    }
    Ok(users)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn one_user_a_line() {
        let users = parse_users("# people\n\njez = jez@example.com\r\n Jane Doe=jane@example.com\n").unwrap();
        assert_eq!(users["jez"], "jez@example.com");
        assert_eq!(users["Jane Doe"], "jane@example.com");
        assert_eq!(users.len(), 2);
    }

    #[test]
    fn a_line_without_a_user_is_named() {
        for (text, line) in [("a@b", 1), ("a = a@b\n= x@y", 2), ("\na = b", 2)] {
            assert_eq!(parse_users(text), Err(line), "{text}");
        }
    }
}
