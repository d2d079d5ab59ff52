//! A collector: a store, the server over it, and the work beside it.

use super::error::ServeError;
use super::listen::Server;
use super::router::{guarded, introduced};
use super::tls::TlsFiles;
use crate::access::{TokenFile, Tokens};
use crate::feeds::{Feeds, PublicUrl};
use crate::forward::{ForwardOptions, forward};
use crate::hooks::{Hooks, SourceOptions};
use crate::page::{Forge, PageState};
use crate::policies::Policies;
use crate::request::{App, Exposure, Gate, Limits};
use crate::rules::Rules;
use crate::store::sqlite::SqliteStore;
use crate::store::{Retention, Store, sqlite};
use crate::{feeds, page};
use axum::Router;
use chrono::{TimeDelta, Utc};
use pipefold::Judge;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Settings of a collector.
#[derive(Debug)]
pub struct Options {
    /// Data directory; made if it is missing.
    pub data_dir: PathBuf,
    /// Address to listen on. With port 0 the system chooses one.
    pub address: SocketAddr,
    /// The files of the certificate; `None` for plain HTTP.
    pub tls: Option<TlsFiles>,
    /// True if a proxy in front lets others in, and names them in `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// The external address: the beginning of links in feeds, by default the address that is listened on. Its path is that of the pages.
    pub public_url: Option<PublicUrl>,
    /// Bounds on a peer.
    pub limits: Limits,
    /// Forwarding, if runs are sent on.
    pub forward: Option<ForwardOptions>,
    /// Age of the last activity after which runs are deleted; `None` for never.
    pub keep: Option<Duration>,
    /// Time without activity after which an unfinished run is shown as stale.
    pub stale_after: Duration,
    /// The sources of webhooks.
    pub sources: Vec<SourceOptions>,
    /// The sites of repositories, for links; sites that a run's own page gives away need no mention.
    pub forges: Vec<Forge>,
}

/// A collector that listens, and does not answer yet.
pub struct Collector {
    server: Server,
    app: App,
    forward: Option<ForwardOptions>,
    keep: Option<Duration>,
}

impl Collector {
    /// Opens the store, checks that listening is safe, and listens.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn bind(options: Options, judge: Arc<Judge>) -> Result<Self, ServeError> {
        let dir = &options.data_dir;
        let rules = Rules::new(judge);
        let store = SqliteStore::open(dir, rules.for_store(), sqlite::RunLimits::default())?;
        let store: Arc<dyn Store> = Arc::new(store);
        let tokens = Tokens::open(TokenFile::of(dir))?;
        let exposure = Exposure {
            address: options.address,
            tls: options.tls.is_some(),
            behind_proxy: options.behind_proxy,
        };
        let forwards = options.forward.is_some();
        let hooks = Hooks::open(options.sources, exposure.may_be_open())?;
        let gate = Gate::new(tokens, exposure, options.limits.per_token);
        let app = App::new(Arc::clone(&store), rules, gate, options.limits, forwards)
            .stale_after(options.stale_after)
            .below(options.public_url.as_ref().and_then(PublicUrl::path))
            .with_hooks(hooks);
        let pages = app.signals.changes().map_or_else(Router::new, |changes| {
            let state = PageState::new(store, &changes, pipefold::dx::body, forwards, options.stale_after)
                .with_hooks(Arc::clone(&app.hooks))
                .with_forges(options.forges)
                .with_policies(Policies::of(app.intake.rules()));
            introduced(app.clone(), page::router(state))
        });
        let gocd = Feeds::new(&app, options.public_url);
        let more = pages.merge(guarded(app.clone(), feeds::router(Arc::clone(&gocd))));
        let server = Server::bind(app.clone(), options.tls, more).await?;
        gocd.listens_at(&server.url());
        Ok(Self {
            server,
            app,
            forward: options.forward,
            keep: options.keep,
        })
    }

    /// The URL under which this machine reaches it.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The paths that take webhooks.
    pub fn hooks(&self) -> impl Iterator<Item = String> {
        self.app.hooks.all().iter().map(|hook| hook.name.path())
    }

    /// Returns true if it answers without a token.
    ///
    /// # Errors
    /// The tokens cannot be read.
    pub fn is_open(&self) -> Result<bool, ServeError> {
        Ok(self.app.gate.is_open()?)
    }

    /// Runs until `stop`, then ends as [`Server::run`] does. Acknowledged notifications are on disk all along; those that DX does not have
    /// are sent after the next start.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self {
            server,
            app,
            forward: options,
            keep,
        } = self;
        let mut beside = JoinSet::new();
        if let Some(options) = options {
            beside.spawn(forward(options, app.clone()));
        }
        if let Some(age) = keep {
            let app = app.clone();
            beside.spawn(async move { keep_for(age, &app).await });
        }
        // A request to DX in progress may end within the same time, not after it: container engines soon kill.
        let beside = async {
            app.signals.stopped().await;
            let _ = timeout(app.limits.shutdown, async {
                while beside.join_next().await.is_some() {}
            })
            .await;
        };
        tokio::join!(server.run(stop), beside);
    }
}

/// The time between two removals: data kept for days may stay an hour longer.
const EVERY: Duration = Duration::from_secs(3600);

/// Removes runs whose latest notification is older than `age`, now and every hour, until the server ends. Runs that are to be sent to DX
/// are kept.
pub async fn keep_for(age: Duration, app: &App) {
    loop {
        let before = TimeDelta::from_std(age)
            .ok()
            .and_then(|age| Utc::now().checked_sub_signed(age));
        if let Some(before) = before {
            let retention = Retention {
                before,
                keep_waiting: app.forwards,
            };
            match app.store.retain(retention).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!("removed {removed} runs older than {before}"),
                Err(error) => app
                    .journal
                    .complain("retention", &format!("could not remove old runs: {error}")),
            }
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = app.signals.stopped() => return,
        }
    }
}
