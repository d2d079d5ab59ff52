//! Builds a [`Reporter`].

use crate::{
    config::{Budgets, DEFAULT_SPOOL_LIMIT, Environment, JobSelection, QueueSettings, Settings, TokenPlace, variables},
    deliver::Outlet,
    dx::{Client, ClientError, ClientOptions, DxUrl, ProxyOptions, UrlError},
    judge::Judge,
    reporter::Reporter,
    spool::{Destination, Spool},
    store::Store,
    token::{Token, TokenDigest, TokenError},
};
use std::path::PathBuf;
use std::time::Duration;

/// Collects what a [`Reporter`] needs; see [`Reporter::builder`].
#[derive(Default)]
pub struct Builder {
    dx_url: Option<String>,
    token: Option<Token>,
    recorded_for: Option<TokenDigest>,
    spool: Option<PathBuf>,
    spool_limit: Option<u64>,
    read_only: bool,
    ca_file: Option<PathBuf>,
    proxy: ProxyOptions,
    budgets: Budgets,
    jobs: JobSelection,
    abandon_after: Option<Duration>,
    judge: Option<Judge>,
    facts_only: bool,
    outlet: Option<Box<dyn Outlet>>,
}

/// The reason why a [`Reporter`] could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address of DX is not a URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The client could not be set up.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No directory was given for the spool.
    #[error("no directory is given for the spool; name one with `Builder::spool`")]
    NoSpool,
}

impl Builder {
    /// A builder with everything that `settings` and the variables of `environment` name, except the token ([`Token::from_settings`]), the
    /// policies ([`Builder::judge`]) and the queue ([`Builder::outlet`]).
    #[must_use]
    pub fn from_settings(settings: &Settings, environment: &Environment) -> Self {
        let digest = environment.get(variables::DESTINATION);
        // A process without a key for its queue leaves it to the `exec` around it, which has one.
        let has_key = |queue: &QueueSettings| queue.credentials_file.is_some() || queue.token_file.is_some();
        Self {
            dx_url: settings.dx_url.as_ref().map(|url| url.value.clone()),
            recorded_for: digest
                .and_then(|digest| TokenDigest::try_from(digest.to_owned()).ok())
                .filter(|_| !settings.queue.as_ref().is_some_and(has_key)),
            spool: Some(settings.spool.path.clone()),
            spool_limit: Some(settings.spool_limit),
            ca_file: settings.ca_file.as_ref().map(|file| file.value.clone()),
            proxy: ProxyOptions::from_env(|name| environment.get(name).map(str::to_owned)),
            budgets: settings.budgets,
            jobs: settings.jobs,
            abandon_after: settings.abandon_after,
            facts_only: settings.facts_only(),
            ..Self::default()
        }
    }

    /// Address of DX, such as `https://yourinstance.getdx.net`. Without one, notifications are recorded and wait.
    #[must_use]
    pub fn dx_url(mut self, url: impl Into<String>) -> Self {
        self.dx_url = Some(url.into());
        self
    }

    /// The token for DX. Without one, notifications are recorded and wait for an explicit flush.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// For a process without the token whose parent has it: notifications are recorded for that token, and the parent sends them. A token
    /// takes precedence.
    #[must_use]
    pub fn recorded_for(mut self, digest: TokenDigest) -> Self {
        self.recorded_for = Some(digest);
        self
    }

    /// Directory of the spool; made if missing, readable by its owner only.
    #[must_use]
    pub fn spool(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spool = Some(directory.into());
        self
    }

    /// Opens an existing spool read-only.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Size in bytes at which the spool accepts no more; 256 MiB by default.
    #[must_use]
    pub fn spool_limit(mut self, bytes: u64) -> Self {
        self.spool_limit = Some(bytes);
        self
    }

    /// A PEM file of certificates to trust beside the system's.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// The proxy for https.
    #[must_use]
    pub fn proxy(mut self, proxy: ProxyOptions) -> Self {
        self.proxy = proxy;
        self
    }

    /// The time that deliveries may take.
    #[must_use]
    pub fn budgets(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }

    /// The choice of jobs that are sent: all, but at most a hundred of a run, if not set.
    #[must_use]
    pub fn jobs(mut self, jobs: JobSelection) -> Self {
        self.jobs = jobs;
        self
    }

    /// Ends runs without an end and without activity for this long: they are sent as cancelled, which DX does not take back if the run
    /// succeeds later. Never by default.
    #[must_use]
    pub fn abandon_after(mut self, age: Option<Duration>) -> Self {
        self.abandon_after = age;
        self
    }

    /// Sets the policies and the default plugin; without this, the default plugin alone. If the executable has no code of it, it is
    /// compiled once and kept in the usual cache.
    #[must_use]
    pub fn judge(mut self, judge: Judge) -> Self {
        self.judge = Some(judge);
        self
    }

    /// For a process that does not know the result of its run, such as a job whose run is read from GoCD's feeds: of each notification only
    /// the names of run, pipeline and source, the repository, commit, pull request and branch are sent, with no status and no finish.
    #[must_use]
    pub fn facts_only(mut self, facts_only: bool) -> Self {
        self.facts_only = facts_only;
        self
    }

    /// Sets where deliveries end instead of DX, such as a queue. Notifications are recorded for it, and DX's address and token are not
    /// used. With [`Builder::recorded_for`] too, they are recorded for it and the parent sends them.
    #[must_use]
    pub fn outlet(mut self, outlet: impl Outlet + 'static) -> Self {
        self.outlet = Some(Box::new(outlet));
        self
    }

    /// Builds the reporter. A spool that cannot be opened is no error: notifications are then kept in memory, as their receipts show.
    ///
    /// # Errors
    /// [`BuildError`] if the address of DX, the CA file or the proxy is wrong, or no spool was named.
    pub fn build(self) -> Result<Reporter, BuildError> {
        let directory = self.spool.ok_or(BuildError::NoSpool)?;
        let dx_url = self.dx_url.filter(|_| self.outlet.is_none());
        let url = dx_url.as_deref().map(DxUrl::parse).transpose()?;
        let token = self.token.filter(|_| self.outlet.is_none());
        let recorded_for = self.recorded_for.map(|digest| digest.to_string());
        let (destination, outlet) = match self.outlet {
            Some(outlet) => {
                let destination = Destination {
                    url: Some(outlet.address()),
                    token: Some(recorded_for.clone().unwrap_or_else(|| outlet.credentials())),
                };
                (destination, recorded_for.is_none().then_some(outlet))
            }
            None => {
                let destination = Destination {
                    url: url.as_ref().map(DxUrl::to_string),
                    token: token.as_ref().map(|token| token.digest().to_string()).or(recorded_for),
                };
                (destination, None)
            }
        };
        let dx = url
            .map(|url| {
                Client::new(ClientOptions {
                    url,
                    ca_file: self.ca_file,
                    proxy: self.proxy,
                })
            })
            .transpose()?;
        Ok(Reporter {
            judge: self.judge.unwrap_or_else(Judge::with_usual_cache),
            store: match self.read_only {
                true => Store::on(Spool::open_existing(&directory)),
                false => Store::open(&directory, self.spool_limit.unwrap_or(DEFAULT_SPOOL_LIMIT)),
            },
            dx,
            token,
            outlet,
            destination,
            budgets: self.budgets,
            jobs: self.jobs,
            abandon_after: self.abandon_after,
            facts_only: self.facts_only,
        })
    }
}

impl Reporter {
    /// A builder with defaults: no DX, no token, no spool.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Token {
    /// Reads the token from the place that `settings` name; none if they name no place.
    ///
    /// # Errors
    /// [`TokenError`] if it cannot be read or is not a token.
    pub fn from_settings(settings: &Settings, environment: &Environment) -> Result<Option<Self>, TokenError> {
        match settings.token.as_ref().map(|sourced| &sourced.value) {
            None => Ok(None),
            Some(TokenPlace::Variable(name)) => match environment.get(name) {
                Some(text) => Self::new(text.to_owned()).map(Some),
                None => Err(TokenError::NotUtf8 { name }),
            },
            Some(TokenPlace::File(path)) => {
                let file = Self::from_file(path)?;
                if file.readable_by_others {
                    tracing::info!(path = %path.display(), "the token file can be read by other users");
                }
                Ok(Some(file.token))
            }
        }
    }
}
