//! A reporter made of a JSON object, or of the environment and files as the command makes it.

use crate::abi::{PIPEFOLD_LOG_DEBUG, PIPEFOLD_LOG_INFO, PIPEFOLD_LOG_WARN};
use crate::answer::Fault;
use crate::host::Host;
use crate::log::Log;
use pipefold::config::{Environment, File, Flags, OPERATOR_FILE, Settings, SettingsInput, variables};
use pipefold::dx::ProxyOptions;
use pipefold::{BuildError, Builder, Cache, Compiler, Judge, Limits, Monitoring, PolicySource, Token, TokenError};
use pipefold_sandbox::{
    LogLevel, LogSink, PolicyComponent, built_in_policy_is_embedded, default_is_embedded, leave_signals_alone,
};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::dispatcher::with_default;

/// The most bytes of a configuration, as of a file of settings, and what one with more is.
pub const MAX_CONFIG: (usize, &str) = (256 << 10, "has more than 256 KiB");

/// The name of a JSON configuration, as a file in the working directory.
const NAME: &str = "configuration";

/// Keys of a file that belong to the command alone.
const OF_THE_COMMAND: [&str; 5] = ["queue", "source", "gocd", "strict", "templates"];

/// Opens a reporter. The answer has the warnings about its configuration.
///
/// # Errors
/// [`Fault::Invalid`] with the key that is wrong.
pub fn open(config: Option<&[u8]>, log: &Arc<Log>) -> Result<(Host, Value), Fault> {
    match log.dispatch() {
        Some(dispatch) => with_default(&dispatch, || opened(config, log)),
        None => opened(config, log),
    }
}

fn opened(config: Option<&[u8]>, log: &Arc<Log>) -> Result<(Host, Value), Fault> {
    leave_signals_alone();
    let cwd = std::env::current_dir();
    let cwd = cwd.map_err(|error| Fault::Failed(format!("cannot find the working directory: {error}")))?;
    let environment = Environment::from_process();
    let mut given = match config {
        Some(config) => Given::read(config, &cwd)?,
        None => Given::find(&environment, &cwd)?,
    };
    let settings = &given.settings;
    if settings.queue.is_some() {
        let why = "the library does not report into a queue: run `pipefold exec` or `pipefold start` for that";
        return Err(Fault::Invalid(why.into()));
    }
    let mut warnings = settings.warnings.clone();
    let variables = match config {
        Some(_) => Environment::default(),
        None => environment.clone(),
    };
    let mut builder = Builder::from_settings(settings, &variables)
        // Also with a configuration: these variables name the proxy for all programs of a machine.
        .proxy(ProxyOptions::from_env(|name| environment.get(name).map(str::to_owned)));
    let token = match given.token.take() {
        Some(token) => Some(token),
        None => Token::from_settings(settings, &variables).map_err(|error| Fault::Invalid(error.to_string()))?,
    };
    if let Some(token) = token {
        builder = builder.token(token);
    }
    let judge = judge(&given, log, &mut warnings)?;
    let reporter = builder.judge(judge).build().map_err(|error| {
        Fault::Invalid(match error {
            BuildError::Url(_) => format!("`dx_url`: {error}"),
            error => error.to_string(),
        })
    })?;
    if let Err(error) = reporter.spool() {
        warnings.push(format!("{error}; notifications that cannot be sent at once are lost"));
    }
    if let Err(error) = reporter.plugins().load() {
        warnings.push(format!(
            "{error}; notifications are recorded, and not sent before a reporter can judge them"
        ));
    }
    warnings.extend_from_slice(reporter.plugins().notes());
    let path = cwd.join(NAME);
    let own = |text: &String| without_places(text, &path);
    let warnings: Vec<String> = warnings.iter().map(own).collect();
    let mut policies = reporter.plugins().policies();
    for policy in &mut policies {
        policy.trouble = policy.trouble.as_ref().map(own);
        if policy.file.starts_with(&format!("{}:", path.display())) {
            policy.file = NAME.into();
        }
    }
    for warning in &warnings {
        log.add(PIPEFOLD_LOG_WARN, warning);
    }
    let (fields, violations) = settings.fields.to_notification();
    if let Some(violation) = violations.first() {
        return Err(Fault::Invalid(format!("{violation}")));
    }
    let answer = json!({ "warnings": warnings, "policies": policies });
    Ok((Host::new(reporter, fields, Arc::clone(log)), answer))
}

/// What a host gave.
struct Given {
    settings: Settings,
    token: Option<Token>,
    cache: Option<PathBuf>,
    /// Files of policies that a variable names.
    policies: Vec<String>,
}

impl Given {
    /// Reads a JSON configuration.
    fn read(config: &[u8], cwd: &Path) -> Result<Self, Fault> {
        let mut json = serde_json::Deserializer::from_slice(config);
        let read = Object.deserialize(&mut json).and_then(|read| json.end().map(|()| read));
        let (mut object, token) =
            read.map_err(|error| Fault::Invalid(format!("the configuration is not a JSON object: {error}")))?;
        let token = token
            .transpose()
            .map_err(|error| Fault::Invalid(format!("`token`: {error}")))?;
        let cache = match object.remove("cache") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if !path.is_empty() => Some(cwd.join(path)),
            Some(_) => return Err(Fault::Invalid("`cache`: this has to be the path of a directory".into())),
        };
        if let Some(key) = OF_THE_COMMAND.iter().find(|key| object.contains_key(**key)) {
            return Err(Fault::Invalid(format!(
                "`{key}`: the library has no use for it, only the command has"
            )));
        }
        let path = cwd.join(NAME);
        let wrong = |error: String| Fault::Invalid(without_places(&error, &path));
        let file = File::from_json(&path, object).map_err(|error| wrong(error.to_string()))?;
        if file.operator.spool.is_none() {
            return Err(Fault::Invalid(
                "`spool` is missing: name the directory that keeps what is not yet sent".into(),
            ));
        }
        if token.is_some() && file.operator.token_file.is_some() {
            return Err(Fault::Invalid(
                "`token` and `token_file` are both given; leave one out".into(),
            ));
        }
        let settings = Settings::of_operator(file, cwd).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            settings,
            token,
            cache,
            policies: Vec::new(),
        })
    }

    /// Reads the environment and the files that the command reads.
    fn find(environment: &Environment, cwd: &Path) -> Result<Self, Fault> {
        let settings = Settings::load(SettingsInput {
            environment,
            flags: &Flags::default(),
            cwd,
            config: environment.get_os(variables::CONFIG).map(Path::new),
            etc: Path::new(OPERATOR_FILE),
        });
        let mut settings = settings.map_err(|error| Fault::Invalid(error.to_string()))?;
        let left_out = settings.fields.leave_out_unreadable();
        settings
            .warnings
            .extend(left_out.iter().map(|violation| format!("left out: {violation}")));
        Ok(Self {
            settings,
            token: None,
            cache: environment.get_os(variables::POLICY_CACHE).map(PathBuf::from),
            policies: PolicySource::named_by_variable(environment).map_err(Fault::Invalid)?,
        })
    }
}

/// The policies and the rules.
fn judge(given: &Given, log: &Arc<Log>, warnings: &mut Vec<String>) -> Result<Judge, Fault> {
    let settings = &given.settings;
    let limits = settings.limits.over(&Limits::default());
    let sink: LogSink = {
        let log = Arc::clone(log);
        Arc::new(move |policy, level, line| {
            let level = match level {
                LogLevel::Warn => PIPEFOLD_LOG_WARN,
                LogLevel::Info => PIPEFOLD_LOG_INFO,
                LogLevel::Debug => PIPEFOLD_LOG_DEBUG,
            };
            log.add(level, &format!("policy {policy}: {line}"));
        })
    };
    let of_the_file = settings.policies.iter();
    let mut sources = of_the_file
        .map(|keys| PolicySource::from_keys(keys, &limits, settings.failure, &sink))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Fault::Invalid)?;
    for file in &given.policies {
        let component = file
            .parse()
            .map_err(|error| Fault::Invalid(format!("{} {file}: {error}", variables::POLICY)))?;
        let mut source = PolicySource::new(component);
        source.policy.limits = limits.clone();
        source.policy.on_failure = settings.failure.into();
        sources.push(source);
    }
    let is_embedded =
        |source: &PolicySource| source.component == PolicyComponent::BuiltIn && built_in_policy_is_embedded();
    let cache = if sources.iter().all(is_embedded) && default_is_embedded() {
        None
    } else {
        let place = given.cache.clone().unwrap_or_else(Cache::usual_dir);
        Cache::open(&place)
            .map_err(|error| warnings.push(format!("{error}; components are compiled by each process again")))
            .ok()
    };
    // Not in a child process: the program of a child would be the host's. The host chose these components.
    let judge = Judge::new(limits, sources, cache, Compiler::Here);
    judge.set_monitoring(Monitoring::Off);
    Ok(judge)
}

/// An error without the places in the document that stands for the configuration: only the keys in it have a meaning.
fn without_places(error: &str, path: &Path) -> String {
    let place = format!("{}:", path.display());
    let mut parts = error.split(&place);
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        rest.push_str(
            part.trim_start_matches(|c: char| c.is_ascii_digit())
                .trim_start_matches(": "),
        );
    }
    rest
}

/// A reader of the configuration that puts the token aside, so that no other value holds it.
struct Object;

type Read = (Map<String, Value>, Option<Result<Token, TokenError>>);

impl<'de> DeserializeSeed<'de> for Object {
    type Value = Read;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Read, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        let (mut object, mut token) = (Map::new(), None);
        while let Some(key) = map.next_key::<String>()? {
            if key == "token" {
                token = map.next_value_seed(Secret)?;
            } else {
                object.insert(key, map.next_value()?);
            }
        }
        Ok((object, token))
    }
}

/// A reader of a token; none if it is null.
struct Secret;

impl<'de> DeserializeSeed<'de> for Secret {
    type Value = Option<Result<Token, TokenError>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for Secret {
    type Value = Option<Result<Token, TokenError>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text as `token`")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Token::new(text.to_owned())))
    }

    // The library's own messages would show the value.
    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Err(E::custom("`token` has to be a text"))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
        self.visit_bool(true)
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
        self.visit_bool(true)
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
        self.visit_bool(true)
    }
}
