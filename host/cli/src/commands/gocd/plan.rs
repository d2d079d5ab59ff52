//! What was asked for, put together from flags, variables and the table `[[gocd.server]]` of an operator's file.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use pipefold::config::{Environment, GocdKeys, GocdServerKeys, Sourced, server_id_problem, variables};
use pipefold::dx::ProxyOptions;
use pipefold_gocd::client::ClientOptions;
use pipefold_gocd::documents::Name;
use pipefold_gocd::mapping::{LateStages, Mapping, Pattern, Reruns, ServerId};
use pipefold_gocd::sync::Options;
use pipefold_gocd::{Dialect, ServerUrl};

use super::credentials::credentials;
use super::users;
use crate::args::{DialectName, LateStagesName, ReadArgs, RerunsName, parse_since, restarted};
use crate::commands::context::Context;
use crate::commands::trouble::Trouble;

/// The time that a run has to be quiet with `--reruns latest`: a red run is usually started again within that.
const QUIET: TimeDelta = TimeDelta::hours(1);

/// The pause between two rounds of `watch`: a big server takes seconds for a page of the feed.
const EVERY: Duration = Duration::from_secs(60);

/// What to read, from whom, and where to keep how far that was.
pub(super) struct Plan {
    pub(super) client: ClientOptions,
    pub(super) options: Options,
    pub(super) state: PathBuf,
    pub(super) every: Duration,
}

/// Puts it together. `now` is what ages are counted from.
pub(super) fn plan(read: &ReadArgs, context: &Context, now: DateTime<Utc>) -> Result<Plan, Trouble> {
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
    Ok(Plan {
        client,
        options,
        state: state.unwrap_or_else(|| context.settings.spool.path.join("gocd")),
        every: keys.and_then(|keys| keys.every).unwrap_or(EVERY),
    })
}

/// The table of the configuration file that is meant, if one is.
fn chosen<'a>(
    read: &ReadArgs,
    environment: &Environment,
    gocd: &'a GocdKeys,
) -> Result<Option<&'a GocdServerKeys>, Trouble> {
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
            None if servers.is_empty() => Err(Trouble::input(format!(
                "there is no GoCD server {name:?}: the configuration has no table [[gocd.server]]; give --server URL"
            ))),
            None => Err(Trouble::input(format!(
                "there is no GoCD server {name:?}: the configuration has {}",
                names()
            ))),
        },
        (None, _) if read.server.is_some() || environment.get(variables::GOCD_URL).is_some() => Ok(None),
        (None, [server]) => Ok(Some(server)),
        (None, []) => Err(Trouble::input(
            "which GoCD server? Give its address by --server or PIPEFOLD_GOCD_URL, or in a table [[gocd.server]] of \
             /etc/pipefold.toml"
                .into(),
        )),
        (None, _) => Err(Trouble::input(format!(
            "which GoCD server? The configuration has {}",
            names()
        ))),
    }
}

fn address(read: &ReadArgs, environment: &Environment, keys: Option<&GocdServerKeys>) -> Result<ServerUrl, Trouble> {
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

fn url_of(place: &str, text: &str) -> Result<ServerUrl, Trouble> {
    ServerUrl::parse(text).map_err(|error| Trouble::input(format!("{place}: {error}")))
}

fn options(
    read: &ReadArgs,
    environment: &Environment,
    gocd: &GocdKeys,
    keys: Option<&GocdServerKeys>,
    server: ServerUrl,
    now: DateTime<Utc>,
) -> Result<Options, Trouble> {
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
            _ => Err(Trouble::input(format!(
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
        mapping.users.extend(users::read(file)?);
    }
    for (pipeline, id) in &keys.restarted {
        let said = restarted(&format!("{pipeline}={id}"));
        let wrong = |problem| Trouble::input(format!("restarted of the GoCD server {}: {problem}", keys.name));
        mapping.restarted.push(said.map_err(wrong)?);
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
        parse_since(&text.value).map_err(|problem| Trouble::input(format!("{}: {problem}", text.origin)))
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
) -> Result<ServerId, Trouble> {
    let of_the_variable = environment.get(variables::GOCD_SERVER_ID);
    // What jobs here call the server is what the reader calls it, unless it could be about another one.
    let of_the_jobs = gocd.server_id.as_ref().filter(|_| gocd.servers.len() < 2);
    let of_the_file = keys.server_id.as_ref().or(of_the_jobs).map(|id| id.value.as_str());
    let id = read.server_id.as_deref().or(of_the_variable).or(of_the_file);
    let id = id.unwrap_or(server.host());
    // Flag and file were looked at when they were read; the variable was not.
    if let Some(problem) = server_id_problem(id) {
        return Err(Trouble::input(format!("{}: {problem}", variables::GOCD_SERVER_ID)));
    }
    ServerId::new(id).map_err(|error| Trouble::input(error.to_string()))
}
