//! The configured sources: the translation, the proof and the bounds of each, and what became of its deliveries.

use super::recent::Recent;
use super::secrets::{SecretPlace, Secrets, SecretsError};
use super::signature::Scheme;
use crate::access::{Rate, RateLimit};
use crate::metrics::Durations;
use pipefold::config::nearest;
use pipefold::prometheus::{MetricKind, Page};
use pipefold_sandbox::{Setting, Source};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The CI systems whose deliveries the built-in component translates, by the value of the setting `use`, and the scheme of each.
pub const BUILT_IN: [(&str, Scheme); 13] = [
    ("azure", Scheme::Basic),
    ("bitbucket", Scheme::HubSignature),
    ("buildkite", Scheme::Buildkite),
    ("cdevents", Scheme::Token),
    ("circleci", Scheme::Circleci),
    ("drone", Scheme::Drone),
    ("forgejo", Scheme::Forgejo),
    ("gitea", Scheme::Gitea),
    ("github", Scheme::HubSignature256),
    ("gitlab", Scheme::Gitlab),
    ("jenkins", Scheme::Basic),
    ("teamcity", Scheme::Basic),
    ("tekton", Scheme::Basic),
];

/// The scheme of a source with a component of its own, if none is given.
pub const USUAL_SCHEME: Scheme = Scheme::Token;

/// The name of the setting that chooses a built-in source.
pub const USE: &str = "use";

/// Deliveries a second of one source, in the long run, if no other rate is given: an organisation of a thousand pipelines sends fewer.
pub const USUAL_RATE: u32 = 100;

/// The time for which a signed delivery is good if no other is given, where its signature has a time. Standard Webhooks' libraries allow the
/// same.
pub const USUAL_MAX_AGE: Duration = Duration::from_secs(300);

/// The translations of one source at a time. A slow source holds up its own deliveries alone.
const CALLS: usize = 4;

/// The most characters of a source's name.
const MAX_NAME: usize = 40;

/// The name of a source: the end of its address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceName(String);

impl SourceName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the address at which the source takes deliveries.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/hooks/{}", self.0)
    }
}

impl FromStr for SourceName {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SourceError::Name)
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A fault of a source's configuration.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The name does not fit into an address.
    #[error(
        "a source's name has 1 to {MAX_NAME} of the characters a-z, 0-9, `-` and `_`: it is the end of its address"
    )]
    Name,
    /// No built-in source has the name.
    #[error("there is no built-in source `{name}`{hint}")]
    NotBuiltIn {
        /// The name.
        name: String,
        /// The nearest name, or all of them.
        hint: String,
    },
    /// No scheme has the name.
    #[error("there is no scheme `{name}`{hint}")]
    NoScheme {
        /// The name.
        name: String,
        /// The nearest name, or all of them.
        hint: String,
    },
    /// Two sources have the same address.
    #[error("source {0} is given twice: give each another name")]
    Twice(SourceName),
    /// The secrets cannot be used.
    #[error("source {name}: {why}")]
    Secrets {
        /// The source.
        name: SourceName,
        /// The fault.
        why: SecretsError,
    },
    /// Anyone on the network could report.
    #[error(
        "source {0} has the scheme `none`, and this server can be reached from other machines: give it a scheme and a secret, \
         or listen on 127.0.0.1 without --behind-proxy"
    )]
    Exposed(SourceName),
}

/// Returns the scheme of a built-in source.
///
/// # Errors
/// [`SourceError::NotBuiltIn`].
pub fn built_in(name: &str) -> Result<Scheme, SourceError> {
    let known = BUILT_IN.iter().find(|(known, _)| *known == name);
    known.map(|(_, scheme)| *scheme).ok_or_else(|| SourceError::NotBuiltIn {
        name: name.chars().take(MAX_NAME).collect(),
        hint: hint(name, &BUILT_IN.map(|(name, _)| name), "see `pipefold source list`"),
    })
}

/// Returns the scheme of a name.
///
/// # Errors
/// [`SourceError::NoScheme`].
pub fn scheme(name: &str) -> Result<Scheme, SourceError> {
    Scheme::from_name(name).ok_or_else(|| SourceError::NoScheme {
        name: name.chars().take(MAX_NAME).collect(),
        hint: hint(name, &Scheme::ALL.map(|(name, _)| name), "docs/collector.md lists them"),
    })
}

/// Returns the nearest name, else where all of them are.
fn hint(name: &str, known: &[&'static str], all: &str) -> String {
    nearest(name, known.iter().copied()).map_or_else(|| format!("; {all}"), |near| format!("; did you mean `{near}`?"))
}

/// A source as it is configured.
pub struct SourceOptions {
    /// The name.
    pub name: SourceName,
    /// The translator of its deliveries, for people: the name of a built-in source, or of a file.
    pub translation: String,
    /// The component.
    pub source: Arc<Source>,
    /// The settings that the component sees.
    pub settings: Vec<Setting>,
    /// The scheme of the proof that a delivery comes from the CI system.
    pub scheme: Scheme,
    /// The place of the secrets.
    pub secrets: SecretPlace,
    /// The most deliveries a second, in the long run. A pause earns as many at once as ten seconds would.
    pub rate: u32,
    /// The time for which a signed delivery is good, where its signature has a time.
    pub max_age: Duration,
}

impl fmt::Debug for SourceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceOptions")
            .field("name", &self.name)
            .field("translation", &self.translation)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// A source that takes deliveries.
pub struct Hook {
    /// The name.
    pub name: SourceName,
    /// The translator of its deliveries, for people.
    pub translation: String,
    pub(super) source: Arc<Source>,
    pub(super) settings: Vec<Setting>,
    pub(super) secrets: Secrets,
    pub(super) max_age: Duration,
    /// The name that is stored with what it reports. No token has such a name.
    pub(super) sender: String,
    pub(super) calls: Semaphore,
    pub(super) rate: RateLimit<()>,
    /// Its deliveries by their outcome.
    pub counters: Counters,
    /// Its last deliveries.
    pub recent: Recent,
}

impl Hook {
    /// Reads the secrets of a source.
    ///
    /// # Errors
    /// [`SourceError::Secrets`].
    pub fn open(options: SourceOptions) -> Result<Self, SourceError> {
        let rate = Rate {
            burst: options.rate.saturating_mul(10),
            per_second: f64::from(options.rate),
        };
        let secrets = Secrets::open(options.scheme, options.secrets).map_err(|why| SourceError::Secrets {
            name: options.name.clone(),
            why,
        })?;
        Ok(Self {
            sender: format!("hook:{}", options.name),
            name: options.name,
            translation: options.translation,
            source: options.source,
            settings: options.settings,
            secrets,
            max_age: options.max_age,
            calls: Semaphore::new(CALLS),
            rate: RateLimit::new(rate, 1),
            counters: Counters::default(),
            recent: Recent::default(),
        })
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.secrets.scheme()
    }
}

/// The outcome of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least a part of it is stored.
    Accepted,
    /// Policies drop all of it.
    Dropped,
    /// Its event is about no run.
    Ignored,
    /// Refused for its content, or because its body did not arrive whole and in time.
    Refused,
    /// Refused for its signature.
    Unsigned,
    /// There are too many.
    Limited,
    /// The server could not take it.
    Failed,
}

impl Outcome {
    /// All of them, with the names in metrics.
    pub const ALL: [(&'static str, Self); 7] = [
        ("accepted", Self::Accepted),
        ("dropped", Self::Dropped),
        ("ignored", Self::Ignored),
        ("refused", Self::Refused),
        ("unsigned", Self::Unsigned),
        ("limited", Self::Limited),
        ("failed", Self::Failed),
    ];
}

/// The deliveries of a source by their outcome.
#[derive(Debug, Default)]
pub struct Counters {
    counts: [AtomicU64; Outcome::ALL.len()],
    /// The time from a whole delivery to its answer.
    pub durations: Durations,
}

impl Counters {
    /// Counts a delivery.
    pub fn count(&self, outcome: Outcome) {
        self.counts[outcome as usize].fetch_add(1, Relaxed);
    }

    /// Returns the names and numbers of all outcomes.
    #[must_use]
    pub fn now(&self) -> [(&'static str, u64); Outcome::ALL.len()] {
        Outcome::ALL.map(|(name, outcome)| (name, self.counts[outcome as usize].load(Relaxed)))
    }
}

/// The sources of a server.
#[derive(Default)]
pub struct Hooks(Vec<Arc<Hook>>);

impl Hooks {
    /// Reads the secrets of the sources. `may_be_open` is true if no other machine can reach the server.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn open(options: Vec<SourceOptions>, may_be_open: bool) -> Result<Self, SourceError> {
        let mut hooks: Vec<Arc<Hook>> = Vec::new();
        for options in options {
            if hooks.iter().any(|hook| hook.name == options.name) {
                return Err(SourceError::Twice(options.name));
            }
            if options.scheme == Scheme::None && !may_be_open {
                return Err(SourceError::Exposed(options.name));
            }
            hooks.push(Arc::new(Hook::open(options)?));
        }
        hooks.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        Ok(Self(hooks))
    }

    /// The sources, by name.
    #[must_use]
    pub fn all(&self) -> &[Arc<Hook>] {
        &self.0
    }

    /// Writes the counters in Prometheus' format. A server without sources has none.
    pub fn write(&self, page: &mut Page) {
        if self.0.is_empty() {
            return;
        }
        let name = "hook_deliveries_total";
        let mut metric = page.metric(name, MetricKind::Counter, "Webhook deliveries by source and outcome.");
        for hook in &self.0 {
            for (result, count) in hook.counters.now() {
                metric = metric.part("", &[("source", hook.name.as_str()), ("result", result)], count);
            }
        }
        metric.end();
        let help = "The time from a whole webhook delivery to its answer.";
        let mut metric = page.metric("hook_duration_seconds", MetricKind::Histogram, help);
        for hook in &self.0 {
            let labels = [("source", hook.name.as_str())];
            metric = hook.counters.durations.write(metric, &labels);
        }
        metric.end();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_an_address() {
        for name in ["github", "github-2", "our_ci", "0"] {
            assert_eq!(name.parse::<SourceName>().unwrap().path(), format!("/hooks/{name}"));
        }
        for name in ["", "GitHub", "a/b", "..", "a b", "é", &"x".repeat(41)] {
            assert!(name.parse::<SourceName>().is_err(), "{name}");
        }
    }

    #[test]
    fn mistakes_get_the_nearest_name() {
        let why = |name| built_in(name).unwrap_err().to_string();
        assert_eq!(
            why("githb"),
            "there is no built-in source `githb`; did you mean `github`?"
        );
        assert!(why("xyzzy").ends_with("; see `pipefold source list`"));
        let why = scheme("hub-signature256").unwrap_err().to_string();
        assert!(why.contains("did you mean `hub-signature-256`?"), "{why}");
        assert!(scheme("basic").is_ok() && built_in("gitlab").is_ok());
    }

    #[test]
    fn each_outcome_has_its_place() {
        for (place, (_, outcome)) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
    }
}
