//! Cables between the namespaces of two nodes, which the kernel cuts.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use super::namespace::{Namespace, ip, run};
use super::network::Cut;

/// The port on which nodes in namespaces listen for each other. No other process is there.
const ROUTES: u16 = 6222;

/// The same at whatever end of a cable.
pub(super) const ANY_ROUTE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, ROUTES));

/// A cable between two namespaces, with an address at each end. There is no other way from one to the other: none has a route but to what its
/// own cables reach.
#[derive(Debug)]
pub(super) struct Cable {
    /// Each end's namespace, and what the cable is called there.
    ends: [(Arc<Namespace>, String); 2],
    /// The address of the node with the lower index.
    pub(super) low: SocketAddr,
    /// The address of the other one.
    pub(super) high: SocketAddr,
}

impl Cable {
    /// Lays one between the namespaces of two nodes.
    ///
    /// # Panics
    /// If that fails.
    pub(super) fn between(places: &[Arc<Namespace>], low: usize, high: usize) -> Self {
        // Only these two namespaces know of them, so that they may be the same in each cluster.
        let address = |end: u8| Ipv4Addr::new(10, u8::try_from(low).unwrap(), u8::try_from(high).unwrap(), end);
        let ends = [(low, high), (high, low)].map(|(at, to)| (Arc::clone(&places[at]), format!("to-n{to}")));
        let [(one, to_high), (other, to_low)] = &ends;
        let (one, other) = (one.id(), other.id());
        ip(&format!(
            "link add {to_high} netns {one} type veth peer name {to_low} netns {other}"
        ))
        .unwrap();
        for ((place, name), end) in ends.iter().zip([1, 2]) {
            place.ip(&format!("addr add {}/24 dev {name}", address(end))).unwrap();
            place.ip(&format!("link set {name} up")).unwrap();
        }
        Self {
            low: (address(1), ROUTES).into(),
            high: (address(2), ROUTES).into(),
            ends,
        }
    }

    pub(super) fn cut(&self, how: Cut) {
        for (place, name) in &self.ends {
            place.ip(&format!("link set {name} down")).unwrap();
        }
        if how == Cut::Reset {
            for ((place, _), far) in self.ends.iter().zip([self.high, self.low]) {
                // After the link went down, or new connections would take the old ones' place. Each end gets a reset from its own kernel; one that was
                // built without `INET_DIAG_DESTROY` sends none, and the cut is a silent one.
                let far = far.ip().to_string();
                run(place.command("ss".as_ref()).args(["--kill", "--tcp", "dst", &far])).unwrap();
            }
        }
    }

    pub(super) fn heal(&self) {
        for (place, name) in &self.ends {
            place.ip(&format!("link set {name} up")).unwrap();
        }
        for ((place, _), far) in self.ends.iter().zip([self.high, self.low]) {
            // The kernel forgot them with the link, and fails here if they are not there again.
            place.ip(&format!("route get {}", far.ip())).unwrap();
        }
    }
}
