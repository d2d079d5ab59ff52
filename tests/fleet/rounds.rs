//! A cluster of three under load, to which everything happens that can: nothing is lost, and DX ends with what was accepted.
//!
//! Six rounds; `make soak` has fifty, by `PIPEFOLD_FLEET_ROUNDS`. `PIPEFOLD_SEED` repeats what an earlier one drew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pipefold_tests::nats::{Cut, Options};
use pipefold_tests::{Collector, Mode, Random, Recorded, eventually};

use crate::expected;
use crate::forwarder::Forwarder;
use crate::load::{Accepted, Runner, through_gateway};
use crate::place::{Fleet, STREAM};

/// Any number; another draws other rounds.
const SEED: u64 = 20_250_101;

/// Requests of one forwarder: so few that it is DX that a backlog waits for.
const PER_SECOND: u32 = 60;

const FORWARDERS: u32 = 2;

/// How long a trouble lasts, as a rule: longer than it takes to elect another leader would be a round of 10 s.
const TROUBLE: Duration = Duration::from_secs(3);

/// What a command may take: its budgets, and a busy machine.
const COMMAND: Duration = Duration::from_secs(15);

/// Longer than the backlog of any round takes to drain.
const DRAIN: Duration = Duration::from_secs(180);

/// What happens in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    LeaderKilled,
    FollowerKilled,
    ForwarderKilled,
    NetworkSilent,
    NetworkReset,
    DxDown,
}

impl Trouble {
    const ALL: [Self; 6] = [
        Self::LeaderKilled,
        Self::ForwarderKilled,
        Self::DxDown,
        Self::FollowerKilled,
        Self::NetworkSilent,
        Self::NetworkReset,
    ];
}

/// Lets something happen, and waits until the cluster is whole again.
fn play(trouble: Trouble, fleet: &Fleet, forwarders: &mut [Forwarder], random: &mut Random, lasts: Duration) {
    let (cluster, dx) = (&fleet.cluster, &fleet.ci.dx);
    let leader = || {
        let mut leader = None;
        eventually("the stream has a leader", || {
            leader = cluster.leader(STREAM);
            leader.is_some()
        });
        leader.unwrap_or_default()
    };
    match trouble {
        Trouble::LeaderKilled | Trouble::FollowerKilled => {
            let other = usize::from(trouble == Trouble::FollowerKilled) * (1 + random.below(2) as usize);
            let victim = (leader() + other) % 3;
            cluster.kill(victim);
            std::thread::sleep(lasts);
            cluster.restart(victim);
        }
        Trouble::ForwarderKilled => {
            forwarders[random.below(forwarders.len() as u64) as usize].kill_and_start_another();
        }
        Trouble::NetworkSilent | Trouble::NetworkReset => {
            let leader = leader();
            let other = (leader + 1 + random.below(2) as usize) % 3;
            let silent = trouble == Trouble::NetworkSilent;
            cluster.cut(leader, other, if silent { Cut::Silent } else { Cut::Reset });
            // Long enough for the one that hears nothing to call for another leader.
            std::thread::sleep(lasts.max(Duration::from_secs(6)));
            cluster.heal(leader, other);
        }
        Trouble::DxDown => {
            let modes = [Mode::RefuseConnections, Mode::InternalError, Mode::BadGateway];
            dx.set_mode(modes[random.below(3) as usize].clone());
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

/// Every trouble once in an order of its own, again and again.
fn draw(random: &mut Random, rounds: usize) -> Vec<Trouble> {
    let mut drawn = Vec::new();
    while drawn.len() < rounds {
        let mut all = Trouble::ALL;
        for at in (1..all.len()).rev() {
            all.swap(at, random.below(at as u64 + 1) as usize);
        }
        drawn.extend(all);
    }
    drawn.truncate(rounds);
    drawn
}

/// What DX knows otherwise than it should, or not at all.
fn wrong(fleet: &Fleet, accepted: &Accepted) -> Vec<String> {
    let known = fleet.ci.dx.records();
    let compare = |(name, upserts): (&String, &Vec<serde_json::Value>)| {
        let expected = expected::fold(upserts);
        let Some(record) = known.get(name) else {
            return Some(format!("{name} is lost: {expected}"));
        };
        let mut record = record.to_json();
        record.as_object_mut().unwrap().remove("upserts");
        (record != expected).then(|| format!("{name} is {record}\n  and should be {expected}"))
    };
    accepted.iter().filter_map(compare).collect()
}

/// Checks that no five seconds had more requests than DX's limit, one burst of each forwarder, and what half a second of a busy machine
/// brings late.
fn assert_limit_kept(requests: &[Recorded]) {
    let limit = f64::from(FORWARDERS * PER_SECOND);
    let most = (limit * 5.5 + limit / 10.0) as usize;
    for (index, first) in requests.iter().enumerate() {
        let within = requests[index..]
            .iter()
            .take_while(|one| one.at - first.at < Duration::from_secs(5));
        let count = within.count();
        assert!(
            count <= most,
            "{count} requests in five seconds, and at most {most} are allowed"
        );
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn whatever_dies_under_load_nothing_is_lost_and_dx_ends_with_what_was_accepted() {
    let test = "whatever_dies_under_load_nothing_is_lost_and_dx_ends_with_what_was_accepted";
    let rounds = number("PIPEFOLD_FLEET_ROUNDS").unwrap_or(Trouble::ALL.len() as u64) as usize;
    let seed = number("PIPEFOLD_SEED").unwrap_or(SEED);
    let options = Options {
        nodes: 3,
        links: true,
        ..Options::default()
    };
    let Some(fleet) = Fleet::bare(test, &options) else {
        return;
    };
    println!("PIPEFOLD_SEED={seed}");
    fleet.init(&[]);
    fleet.ci.budgets(300, 1000, 300);
    let (mut random, begin) = (Random::new(seed), Instant::now());
    let directory = tempfile::tempdir().unwrap();
    let url = fleet.cluster.url();
    let gateway = Collector::start_with(
        &directory.path().join("data"),
        &["--queue", &url, "--forward-rate", "200"],
    );
    let rate = PER_SECOND.to_string();
    let forward = || fleet.forward(&["--rate", &rate]);
    let mut forwarders: Vec<Forwarder> = (0..FORWARDERS).map(|_| forward()).collect();
    let mut runners: Vec<Runner> = (0..2)
        .map(|number| Runner::new(directory.path(), number, seed))
        .collect();

    let (stop, mut accepted) = (AtomicBool::new(false), Accepted::new());
    std::thread::scope(|scope| {
        // Ends the others even if a round panics, or the scope would wait for them for ever.
        let stopped = StopAtTheEnd(&stop);
        let mut working: Vec<_> = runners
            .iter_mut()
            .map(|runner| scope.spawn(|| runner.work(&fleet, COMMAND, &stop)))
            .collect();
        working.push(scope.spawn(|| through_gateway(&gateway, "gateway", seed, &stop)));
        let drawn = draw(&mut random, rounds);
        let last_of_dx = drawn.iter().rposition(|trouble| *trouble == Trouble::DxDown);
        for (round, trouble) in drawn.into_iter().enumerate() {
            let told = fleet.ci.dx.requests().len();
            let lasts = match trouble {
                // Once in a long run, as long as an outage of DX's is.
                Trouble::DxDown if rounds > 20 && Some(round) == last_of_dx => Duration::from_secs(60),
                _ => TROUBLE,
            };
            let at = Instant::now();
            play(trouble, &fleet, &mut forwarders, &mut random, lasts);
            eventually("DX is told of more", || fleet.ci.dx.requests().len() > told);
            println!(
                "round {round}: {trouble:?}, {:.1} s; {} wait, {} requests",
                at.elapsed().as_secs_f32(),
                fleet.waiting(),
                fleet.ci.dx.requests().len()
            );
        }
        drop(stopped);
        for work in working {
            accepted.extend(work.join().unwrap());
        }
    });
    for runner in &runners {
        runner.flush(&fleet);
    }
    let deadline = Instant::now() + DRAIN;
    while !(fleet.waiting() == 0 && wrong(&fleet, &accepted).is_empty()) {
        let wrong = wrong(&fleet, &accepted);
        assert!(
            Instant::now() < deadline,
            "PIPEFOLD_SEED={seed}: {} of {} runs are wrong or missing, {} upserts wait\n{}",
            wrong.len(),
            accepted.len(),
            fleet.waiting(),
            wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n")
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(fleet.refused(), 0, "nothing of it was wrong");
    let (requests, notifications) = (fleet.ci.dx.requests(), accepted.values().map(Vec::len).sum::<usize>());
    assert!(
        accepted.len() > 20 * rounds,
        "{} runs: that was no load",
        accepted.len()
    );
    assert_limit_kept(&requests);
    println!(
        "{rounds} rounds in {} s: {notifications} notifications of {} runs, none lost, in {} requests",
        begin.elapsed().as_secs(),
        accepted.len(),
        requests.len()
    );
    for forwarder in forwarders {
        forwarder.stop();
    }
    gateway.stop();
}

/// Tells the workers to stop when it goes.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
