//! The network between nodes, which a test can cut.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use super::cable::Cable;
use super::namespace::Namespace;
use super::proxy::{Gate, Proxy};

/// The ways to cut a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All bytes vanish for as long as it lasts, as when a cable is pulled: neither end notices. Bytes that were on their way arrive after.
    Silent,
    /// Connections are ended, and new ones refused.
    Reset,
}

/// The networks that the nodes are in: one of its own for each, or the test's own for all.
pub(super) fn places(test: &str, nodes: usize) -> Option<Vec<Namespace>> {
    let made: Result<Vec<Namespace>, String> = (0..nodes).map(|_| Namespace::new()).collect();
    let told = match &made {
        Ok(_) => "between namespaces".to_owned(),
        Err(why) => format!("by proxies: {why}"),
    };
    // Past the test harness, which would hide it. A failure to write cannot be reported either.
    let _ = writeln!(std::io::stdout(), "{test}: the network is cut {told}");
    made.ok()
}

/// The link between two nodes. It has two addresses: the one at which the node with the higher index reaches the other, and the reverse.
#[derive(Debug)]
pub(super) enum Link {
    /// A cable between their namespaces.
    Cable(Cable),
    /// Two proxies that share their fate, one in each direction of connecting.
    Proxies {
        to_low: Proxy,
        to_high: Proxy,
        gate: Arc<Gate>,
    },
}

impl Link {
    /// Proxies to where two nodes listen for each other.
    pub(super) fn proxies(low: SocketAddr, high: SocketAddr) -> Self {
        let gate = Gate::new();
        Self::Proxies {
            to_low: Proxy::to(low, &gate),
            to_high: Proxy::to(high, &gate),
            gate,
        }
    }

    pub(super) fn to_low(&self) -> SocketAddr {
        match self {
            Self::Cable(cable) => cable.low,
            Self::Proxies { to_low, .. } => to_low.address,
        }
    }

    pub(super) fn to_high(&self) -> SocketAddr {
        match self {
            Self::Cable(cable) => cable.high,
            Self::Proxies { to_high, .. } => to_high.address,
        }
    }

    pub(super) fn cut(&self, how: Cut) {
        match self {
            Self::Cable(cable) => cable.cut(how),
            Self::Proxies { gate, .. } => gate.cut(how),
        }
    }

    pub(super) fn heal(&self) {
        match self {
            Self::Cable(cable) => cable.heal(),
            Self::Proxies { gate, .. } => gate.heal(),
        }
    }
}
