//! What every request for a feed has at hand.

use super::public_url::PublicUrl;
use crate::server::App;
use pipefold_gocd::ServerUrl;
use std::sync::{Arc, OnceLock};

/// The feeds of a collector.
pub struct Feeds {
    pub(super) app: Arc<App>,
    server: OnceLock<ServerUrl>,
}

impl Feeds {
    /// Links begin with `public`, else with what [`Feeds::listens_at`] is told.
    #[must_use]
    pub fn new(app: Arc<App>, public: Option<PublicUrl>) -> Arc<Self> {
        let server = public.map_or_else(OnceLock::new, |public| OnceLock::from(public.into_server()));
        Arc::new(Self { app, server })
    }

    /// Where the server can be reached, once it listens.
    pub fn listens_at(&self, url: &str) {
        if let Ok(url) = ServerUrl::parse(url) {
            // An address that was configured goes before.
            let _ = self.server.set(url);
        }
    }

    /// What links begin with. `None` before the server listens.
    pub(super) fn server(&self) -> Option<&ServerUrl> {
        self.server.get()
    }
}
