//! Nodes, the network between them, and their failures.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::cable::Cable;
use super::connection::Connection;
use super::namespace::Namespace;
use super::network::{Cut, Link, places};
use super::node::Node;
use super::server::unfit_for_replicas;
use super::standing::tail;
use crate::skipped;

/// The make-up of a cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of nodes; more than one are a cluster.
    pub nodes: usize,
    /// True if the network between the nodes can be cut: each is in a namespace of its own, with a cable to each other, where the test may make
    /// such; else their traffic goes through the test. Costs some speed.
    pub links: bool,
    /// Lines for every node's configuration, such as an `authorization` block.
    pub configuration: String,
    /// The bytes that a node may store.
    pub max_store: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 1,
            links: false,
            configuration: String::new(),
            // A promise, and no file: what `pipefold queue init` asks for by itself fits, with replicas on one disk.
            max_store: 64 << 30,
        }
    }
}

/// Running servers. Dropped, they are killed, and their data goes.
#[derive(Debug)]
pub struct Cluster {
    pub(super) nodes: Vec<Node>,
    /// The links, each with the two nodes that it joins.
    links: Vec<((usize, usize), Link)>,
    directory: TempDir,
}

impl Cluster {
    /// Starts the nodes, and waits until they have agreed on a leader. `None`, and the test of this name counts as skipped, where there is no
    /// nats-server to be had.
    ///
    /// # Panics
    /// If they do not start.
    #[must_use]
    pub fn start(test: &str, nodes: usize) -> Option<Self> {
        let options = Options {
            nodes,
            ..Options::default()
        };
        Self::start_with(test, &options)
    }

    /// The same with a network that can be cut.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_linked(test: &str, nodes: usize) -> Option<Self> {
        let options = Options {
            nodes,
            links: true,
            ..Options::default()
        };
        Self::start_with(test, &options)
    }

    /// The same with options.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_with(test: &str, options: &Options) -> Option<Self> {
        let found = super::server().and_then(|program| match unfit_for_replicas(&program) {
            Some(why) if options.nodes > 1 => Err(why),
            _ => Ok(program),
        });
        let program = match found {
            Ok(program) => program,
            Err(why) => {
                skipped(test, &why);
                return None;
            }
        };
        let directory = tempfile::Builder::new().prefix("pipefold-nats-").tempdir().unwrap();
        let places = options.links.then(|| places(test, options.nodes)).flatten();
        let places: Option<Vec<Arc<Namespace>>> = places.map(|places| places.into_iter().map(Arc::new).collect());
        let nodes: Vec<Node> = (0..options.nodes)
            .map(|index| {
                let place = places.as_ref().map(|places| Arc::clone(&places[index]));
                Node::new(&program, index, &directory.path().join(format!("n{index}")), place)
            })
            .collect();
        let mut links = Vec::new();
        if options.links {
            for low in 0..nodes.len() {
                for high in low + 1..nodes.len() {
                    let link = match &places {
                        Some(places) => Link::Cable(Cable::between(places, low, high)),
                        None => Link::proxies(nodes[low].route, nodes[high].route),
                    };
                    links.push(((low, high), link));
                }
            }
        }
        for index in 0..nodes.len() {
            let routes: Vec<SocketAddr> = (0..nodes.len())
                .filter(|other| *other != index)
                .map(|other| {
                    let link = links
                        .iter()
                        .find(|((low, high), _)| (index.min(other), index.max(other)) == (*low, *high));
                    link.map_or(nodes[other].route, |((low, _), link)| {
                        if other == *low { link.to_low() } else { link.to_high() }
                    })
                })
                .collect();
            nodes[index].configure(&routes, options);
        }
        for node in &nodes {
            node.start();
        }
        let cluster = Self {
            nodes,
            links,
            directory,
        };
        cluster.wait_ready();
        Some(cluster)
    }

    /// The number of nodes, dead ones included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// The address of all nodes for clients, such as `nats://127.0.0.1:14222,nats://127.0.0.1:14223`.
    #[must_use]
    pub fn url(&self) -> String {
        let urls: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("nats://{}", node.client()))
            .collect();
        urls.join(",")
    }

    /// The address of one node for clients.
    #[must_use]
    pub fn url_of(&self, index: usize) -> String {
        format!("nats://{}", self.nodes[index].client())
    }

    /// The directory with the nodes' data, configuration and logs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A node's log so far.
    #[must_use]
    pub fn log(&self, index: usize) -> String {
        self.nodes[index].log()
    }

    /// Returns true if a node runs.
    #[must_use]
    pub fn is_alive(&self, index: usize) -> bool {
        self.nodes[index].is_alive()
    }

    /// Kills a node by SIGKILL. Its data stays.
    pub fn kill(&self, index: usize) {
        self.nodes[index].kill();
    }

    /// Starts a killed node over its data. Does not wait until it has caught up; see [`Self::wait_ready`].
    ///
    /// # Panics
    /// If it does not listen in time.
    pub fn restart(&self, index: usize) {
        self.nodes[index].start();
    }

    /// Cuts the network between two nodes; both still reach the others, and their clients.
    ///
    /// # Panics
    /// If the cluster was not started with links.
    pub fn cut(&self, one: usize, other: usize, how: Cut) {
        self.link(one, other).cut(how);
    }

    /// Restores the network between two nodes.
    ///
    /// # Panics
    /// As [`Self::cut`].
    pub fn heal(&self, one: usize, other: usize) {
        self.link(one, other).heal();
    }

    fn link(&self, one: usize, other: usize) -> &Link {
        let wanted = (one.min(other), one.max(other));
        let found = self.links.iter().find(|(between, _)| *between == wanted);
        found
            .map(|(_, link)| link)
            .expect("a cluster started with links, and two of its nodes")
    }

    /// A client of one node, without credentials.
    ///
    /// # Errors
    /// If it does not answer, or refuses.
    pub fn connect(&self, index: usize) -> std::io::Result<Connection> {
        Connection::open(self.nodes[index].client(), &serde_json::json!({}))
    }

    /// The answer of a node's monitoring to a path. None if it does not answer.
    #[must_use]
    pub fn monitor(&self, index: usize, path: &str) -> Option<Value> {
        self.nodes[index].monitor(path)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The logs go with it, and a test that failed has something to explain.
        if std::thread::panicking() {
            for node in &self.nodes {
                println!("--- n{}\n{}", node.index, tail(&node.log()));
            }
        }
    }
}
