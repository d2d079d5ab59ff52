//! The failures of a fleet.

use std::time::Duration;

use fastrand::Rng;
use pipefold_tests::nats::{Cluster, Cut};
use pipefold_tests::{Mode, eventually, until};

use crate::forwarder::Forwarder;
use crate::gateway::Gateway;
use crate::place::{Fleet, STREAM};

/// The usual duration of a trouble: longer than it takes to elect another leader would be a round of 10 s.
const TROUBLE: Duration = Duration::from_secs(3);

/// The time of a cut: long enough for a node without messages to call for another leader.
const CUT: Duration = Duration::from_secs(6);

/// As long as an outage of DX's is, or of a network.
const OUTAGE: Duration = Duration::from_secs(60);

/// The time after which bytes that were on their way when the network was cut have arrived or never will.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// The limit until two nodes get each other's messages again: TCP waits before it sends once more, each time twice as long as before and so at
/// most as long as the cut was; and a node waits before it connects again.
const MENDED: Duration = Duration::from_secs(120);

/// The deaths of a gateway in a round: it must be at work when it dies, and is so about each fourth time.
const GATEWAY_DEATHS: u64 = 4;

/// The trouble of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    LeaderKilled,
    FollowerKilled,
    ForwarderKilled,
    GatewayKilled,
    NetworkSilent,
    NetworkReset,
    DxDown,
}

impl Trouble {
    pub const ALL: [Self; 7] = [
        Self::LeaderKilled,
        Self::ForwarderKilled,
        Self::DxDown,
        Self::FollowerKilled,
        Self::NetworkSilent,
        Self::NetworkReset,
        Self::GatewayKilled,
    ];

    /// Every trouble once in an order of its own, again and again, each with the time that it lasts. In a long run the last outage of DX and of
    /// the network are as long as such are.
    pub fn draw(random: &mut Rng, rounds: usize) -> Vec<(Self, Duration)> {
        let mut drawn = Vec::new();
        while drawn.len() < rounds {
            let mut all = Self::ALL;
            random.shuffle(&mut all);
            drawn.extend(all);
        }
        drawn.truncate(rounds);
        let last = |of: Self| drawn.iter().rposition(|trouble| *trouble == of);
        let long = [last(Self::DxDown), last(Self::NetworkSilent)];
        let with_time = |(round, trouble): (usize, &Self)| {
            let lasts = match trouble {
                _ if rounds > 20 && long.contains(&Some(round)) => OUTAGE,
                Self::NetworkSilent | Self::NetworkReset => CUT,
                _ => TROUBLE,
            };
            (*trouble, lasts)
        };
        drawn.iter().enumerate().map(with_time).collect()
    }
}

/// The parts of a fleet that can fail.
pub struct Victims<'a> {
    pub fleet: &'a Fleet,
    pub forwarders: Vec<Forwarder>,
    pub gateway: &'a Gateway,
}

impl Victims<'_> {
    /// Causes a trouble, and waits until the cluster is whole again.
    pub fn suffer(&mut self, trouble: Trouble, lasts: Duration, random: &mut Rng) {
        let (cluster, dx) = (&self.fleet.cluster, &self.fleet.ci.dx);
        match trouble {
            Trouble::LeaderKilled | Trouble::FollowerKilled => {
                let other = usize::from(trouble == Trouble::FollowerKilled) * (1 + random.usize(..2));
                let victim = (leader(cluster) + other) % 3;
                cluster.kill(victim);
                std::thread::sleep(lasts);
                cluster.restart(victim);
            }
            Trouble::ForwarderKilled => {
                let victim = random.usize(..self.forwarders.len());
                self.forwarders[victim].kill_and_start_another();
            }
            Trouble::GatewayKilled => {
                for _ in 0..GATEWAY_DEATHS {
                    // In the middle of something, and with more or less of it not yet in the queue.
                    std::thread::sleep(Duration::from_millis(100 + random.u64(..500)));
                    self.gateway.kill_and_start_again();
                }
            }
            Trouble::NetworkSilent => cut(cluster, Cut::Silent, lasts, random),
            Trouble::NetworkReset => cut(cluster, Cut::Reset, lasts, random),
            Trouble::DxDown => {
                let modes = [Mode::RefuseConnections, Mode::InternalError, Mode::BadGateway];
                dx.set_mode(modes[random.usize(..3)].clone());
                std::thread::sleep(lasts);
                dx.set_mode(Mode::Normal);
            }
        }
        cluster.wait_ready();
        // The next trouble must not find a majority of one.
        eventually("every node has the stream again", || {
            cluster.stream(STREAM).is_some_and(|stream| stream.current)
        });
    }
}

fn leader(cluster: &Cluster) -> usize {
    let mut leader = None;
    eventually("the stream has a leader", || {
        leader = cluster.leader(STREAM);
        leader.is_some()
    });
    leader.unwrap_or_default()
}

/// Cuts the network between the leader and another node, and sees to it that neither hears the other, by no other way either, and that both do
/// again afterwards.
fn cut(cluster: &Cluster, how: Cut, lasts: Duration, random: &mut Rng) {
    let leader = leader(cluster);
    let other = (leader + 1 + random.usize(..2)) % 3;
    let heard = || [cluster.heard(leader, other), cluster.heard(other, leader)];
    cluster.cut(leader, other, how);
    std::thread::sleep(ON_ITS_WAY);
    let before = heard();
    std::thread::sleep(lasts.saturating_sub(ON_ITS_WAY));
    let after = heard();
    // Fewer, if a node gave a connection up.
    let deaf = (0..2).all(|node| after[node] <= before[node]);
    assert!(
        deaf,
        "n{leader} and n{other} hear each other: {before:?}, {after:?} messages"
    );
    cluster.heal(leader, other);
    let hear = || heard().iter().zip(after).all(|(now, then)| *now > 0 && *now != then);
    if until(MENDED, || hear().then_some(())).is_none() {
        let logs = [leader, other].map(|index| format!("--- n{index}\n{}", cluster.log(index)));
        panic!(
            "n{leader} and n{other} do not hear each other after {MENDED:?}\n{}",
            logs.join("\n")
        );
    }
}
