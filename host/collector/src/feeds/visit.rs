//! A request of a client, and the server's address for clients.

use super::answer;
use super::answer::DocumentRefusal;
use super::instance::STAGE;
use crate::access::Access;
use crate::request::{App, Journal};
use crate::store::{RunDetail, RunKey, Store};
use axum::http::HeaderMap;
use axum::response::Response;
use pipefold_gocd::documents::{Counter, Name, PipelineLocator, StageLocator};
use pipefold_gocd::write::Links;
use pipefold_gocd::{Dialect, ServerUrl};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

/// The most bytes of links to parts in a document. Further ones are left out: readers take 32 MiB (`pipefold_gocd::read`), and names of 4
/// KiB, every byte of them escaped, would make a gigabyte of a list of pipelines. Of usual names 100,000 fit.
const MAX_LINKS: usize = 16 * 1024 * 1024;

/// A request. All its reads of the store go through here.
pub struct Visit<'a> {
    pub feeds: &'a Feeds,
    pub access: &'a Access,
    pub server: &'a ServerUrl,
    pub dialect: Dialect,
    pub headers: &'a HeaderMap,
}

impl Visit<'_> {
    /// Returns a run, if the token may see it.
    pub async fn run(&self, key: RunKey) -> Result<RunDetail, DocumentRefusal> {
        let found = self.feeds.store.run(key).await?;
        found
            .filter(|run| self.access.may_see(&run.summary.pipeline))
            .ok_or(DocumentRefusal::NoSuch)
    }

    /// Checks that there is such a pipeline, and that the token may see it.
    pub async fn pipeline(&self, name: &Name) -> Result<(), DocumentRefusal> {
        if !self.access.may_see(name.as_str()) {
            return Err(DocumentRefusal::NoSuchPipeline);
        }
        let found = self.feeds.store.pipeline(name.as_str().to_owned()).await?;
        found.map(|_| ()).ok_or(DocumentRefusal::NoSuchPipeline)
    }

    /// Returns the key of a run in the store.
    pub fn key(run: &PipelineLocator) -> RunKey {
        RunKey::Counter(run.name.as_str().to_owned(), run.counter.get())
    }

    /// Returns the key of a run by its one stage, which never runs twice.
    pub fn key_of_stage(&self, stage: &StageLocator) -> Result<RunKey, DocumentRefusal> {
        let is_there = stage.name.as_str() == STAGE && stage.counter == Counter::FIRST;
        is_there
            .then(|| Self::key(&stage.pipeline))
            .ok_or(DocumentRefusal::NoSuch)
    }

    pub fn links(&self) -> Links {
        Links::new(self.server.clone(), self.dialect)
    }

    /// Returns as many of these as one document may have.
    pub fn within_bounds<T>(&self, mut items: Vec<T>, link: impl Fn(&T) -> &str) -> Vec<T> {
        let (count, fits) = (items.len(), fitting(items.iter().map(link)));
        items.truncate(fits);
        if fits < count {
            let what = format!("a feed lists {fits} of {count} of its parts: their names are too long for more");
            self.feeds.journal.complain("feeds", &what);
        }
        items
    }
}

/// Returns the number of these links that fit into a document.
fn fitting<'l>(links: impl Iterator<Item = &'l str>) -> usize {
    // The text around a link counts too, or short ones would be too many.
    let sizes = links.map(|link| link.len() + "<pipeline href=\"\"/>\n".len());
    let sums = sizes.scan(0, |sum, size| {
        *sum += size;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= MAX_LINKS).count()
}

/// The feeds of a collector.
pub struct Feeds {
    pub(super) store: Arc<dyn Store>,
    pub(super) journal: Arc<Journal>,
    server: OnceLock<ServerUrl>,
}

impl Feeds {
    /// Links begin with `public`, else with the address given to [`Feeds::listens_at`].
    #[must_use]
    pub fn new(app: &App, public: Option<PublicUrl>) -> Arc<Self> {
        let server = public.map_or_else(OnceLock::new, |public| OnceLock::from(public.into_server()));
        Arc::new(Self {
            store: Arc::clone(&app.store),
            journal: Arc::clone(&app.journal),
            server,
        })
    }

    /// Sets the server's address, once it listens.
    pub fn listens_at(&self, url: &str) {
        if let Ok(url) = ServerUrl::parse(url) {
            // A configured address goes before.
            let _ = self.server.set(url);
        }
    }

    /// Returns the beginning of links; `None` before the server listens.
    pub(super) fn server(&self) -> Option<&ServerUrl> {
        self.server.get()
    }
}

/// The address under which others reach a collector: scheme, host, port, and a path where a proxy serves it below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(ServerUrl);

/// The error of a text that is not the address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give this server's external address, such as https://runs.example.com, without a password, `?` or `#`")]
pub struct PublicUrlError;

impl PublicUrl {
    /// Returns the path, such as `/pipefold`; `None` if there is none.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        let address = self.0.to_string();
        let (_, rest) = address.split_once("://")?;
        let path = rest[rest.find('/')?..].trim_end_matches("/go");
        (!path.is_empty()).then(|| path.to_owned())
    }

    /// Returns the address in the form of a GoCD server's.
    fn into_server(self) -> ServerUrl {
        self.0
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    /// Parses `http[s]://host[:port][/path]`, also with GoCD's `/go` at its end.
    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let url = ServerUrl::parse(text).map(Self).map_err(|_| PublicUrlError)?;
        // With two slashes a link would lead to another host.
        let is_plain = url.path().is_none_or(|path| !path.contains("//"));
        is_plain.then_some(url).ok_or(PublicUrlError)
    }
}

/// The address of the page with the version.
pub const ABOUT: &str = "/go/about";

/// The version is that of the last servers that have both dialects; our own follows it.
const PAGE: &str = concat!(
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>About</title></head><body><table>\n",
    "<tr><td>Go Server Version:</td><td>20.3.0 (its Feeds API, by pipefold ",
    env!("CARGO_PKG_VERSION"),
    ")</td></tr>\n</table></body></html>\n"
);

pub fn about() -> Response {
    answer::page(PAGE)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod visit_tests {
    use super::*;

    #[test]
    fn usual_names_all_fit_and_long_ones_do_not() {
        let usual = "https://runs.example.com/go/api/pipelines/a-pipeline-with-a-name-of-some-length/stages.xml";
        assert_eq!(fitting(std::iter::repeat_n(usual, 100_000)), 100_000);
        let long = "x".repeat(12_300);
        let fit = fitting(std::iter::repeat_n(&*long, 100_000));
        assert!(fit < 1_400 && fit * long.len() > MAX_LINKS / 2, "{fit}");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod public_url_tests {
    use super::*;

    #[test]
    fn what_is_an_address_and_what_is_none() {
        for (text, server) in [
            ("https://runs.example.com", "https://runs.example.com/go"),
            ("http://127.0.0.1:8642/", "http://127.0.0.1:8642/go"),
            ("https://ci.example.com/runs/go", "https://ci.example.com/runs/go"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!(url.path(), text.contains("com/runs").then(|| "/runs".to_owned()));
            assert_eq!(url.into_server().to_string(), server);
        }
        for text in [
            "",
            "runs.example.com",
            "ftp://x",
            "https://u:p@x",
            "https://x?y",
            "https://",
            "https://x//y",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(PublicUrlError), "{text}");
        }
    }
}
