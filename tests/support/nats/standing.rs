//! The state of a cluster, by its own monitoring.

use dx_standin::until;
use serde_json::Value;

use super::cluster::Cluster;
use super::{PATIENCE, node};

/// A stream's state, as a node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The number of messages in it.
    pub messages: u64,
    /// The number of the newest one, from 1: how many were ever stored.
    pub last_sequence: u64,
    /// The index of the node that leads it; none while there is no leader, and where there is no cluster.
    pub leader: Option<usize>,
    /// True if every replica has all of it.
    pub current: bool,
    /// The number of messages that were given to consumers and not acknowledged yet.
    pub in_flight: u64,
}

impl Cluster {
    /// Waits until every living node is well, and all of them know the same leader and have what it has.
    ///
    /// # Panics
    /// If they do not get there; their logs are shown.
    pub fn wait_ready(&self) {
        if until(PATIENCE, || self.is_ready().then_some(())).is_none() {
            let logs: Vec<String> = (0..self.size())
                .map(|index| {
                    let state = ["/healthz", "/jsz"].map(|path| self.monitor(index, path).unwrap_or_default());
                    format!("--- n{index}: {state:?}\n{}", tail(&self.log(index)))
                })
                .collect();
            panic!("the cluster is not ready after {PATIENCE:?}\n{}", logs.join("\n"));
        }
    }

    fn is_ready(&self) -> bool {
        let mut leaders = Vec::new();
        for node in self.nodes.iter().filter(|node| node.is_alive()) {
            if node.monitor("/healthz").is_none_or(|health| health["status"] != "ok") {
                return false;
            }
            let Some(info) = node.monitor("/jsz") else { return false };
            let meta = &info["meta_cluster"];
            let leader = meta["leader"].as_str().and_then(node::index_of);
            // Only the leader knows how far the others are.
            let behind = |replica: &Value| replica["current"] != true && replica["offline"] != true;
            if leader == Some(node.index) && meta["replicas"].as_array().into_iter().flatten().any(behind) {
                return false;
            }
            leaders.push(leader);
        }
        let agreed = leaders.windows(2).all(|pair| pair[0] == pair[1]);
        self.size() == 1 || (agreed && leaders.first().is_some_and(Option::is_some))
    }

    /// A stream's state, as the living nodes report it: the leader's report, if there is one. None if there is no such stream.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<Stream> {
        let told = (0..self.size()).filter_map(|index| self.stream_at(index, name).map(|stream| (index, stream)));
        let told: Vec<(usize, Stream)> = told.collect();
        let leader = told.iter().find(|(index, stream)| stream.leader == Some(*index));
        leader.or(told.first()).map(|(_, stream)| stream.clone())
    }

    /// A stream's state, as one node reports it.
    #[must_use]
    pub fn stream_at(&self, index: usize, name: &str) -> Option<Stream> {
        let info = self.nodes[index].monitor("/jsz?accounts=true&streams=true&consumers=true")?;
        let accounts = info["account_details"].as_array()?.iter();
        let mut streams = accounts.flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
        let found = streams.find(|stream| stream["name"] == name)?;
        let replicas = found["cluster"]["replicas"].as_array().into_iter().flatten();
        let consumers = found["consumer_detail"].as_array().into_iter().flatten();
        Some(Stream {
            messages: found["state"]["messages"].as_u64().unwrap_or_default(),
            last_sequence: found["state"]["last_seq"].as_u64().unwrap_or_default(),
            leader: found["cluster"]["leader"].as_str().and_then(node::index_of),
            current: replicas.clone().all(|replica| replica["current"] == true),
            in_flight: consumers
                .filter_map(|consumer| consumer["num_ack_pending"].as_u64())
                .sum(),
        })
    }

    /// The number of messages that a node got from another one over their present connections.
    #[must_use]
    pub fn heard(&self, index: usize, from: usize) -> u64 {
        let info = self.monitor(index, "/routez").unwrap_or_default();
        let routes = info["routes"].as_array().into_iter().flatten();
        let of = routes.filter(|route| route["remote_name"].as_str().and_then(node::index_of) == Some(from));
        of.filter_map(|route| route["in_msgs"].as_u64()).sum()
    }

    /// The node that leads a stream; none while there is no leader.
    #[must_use]
    pub fn leader(&self, stream: &str) -> Option<usize> {
        self.stream(stream)?.leader
    }
}

/// The end of a log, where the reason is.
pub(super) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
