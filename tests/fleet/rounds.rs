//! A cluster of three under load, to which everything happens that can: nothing is lost, and DX ends with what was accepted.
//!
//! Each trouble once; `make soak` has fifty, by `PIPEFOLD_FLEET_ROUNDS`. `PIPEFOLD_SEED` repeats the draw of an earlier run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pipefold_tests::nats::Options;
use pipefold_tests::{Recorded, eventually, number_from, seeded};

use crate::accepted::Accepted;
use crate::gateway::Gateway;
use crate::load::{Runner, through_gateway};
use crate::place::Fleet;
use crate::trouble::{Trouble, Victims};

/// Any number; another draws other rounds.
const SEED: u64 = 20_250_101;

/// The requests of one forwarder a second: so few that a backlog waits for DX.
const PER_SECOND: u32 = 15;

const FORWARDERS: u32 = 2;

/// The time that a command may take: its budgets, and the delays of a busy machine.
const COMMAND: Duration = Duration::from_secs(15);

/// Upserts a second from the gateway into the queue: more than it gets, and with a backlog of its own after each death.
const FROM_GATEWAY: &str = "200";

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

#[test]
fn deaths_under_load_lose_nothing_that_was_accepted() {
    let test = "deaths_under_load_lose_nothing_that_was_accepted";
    let rounds = number_from("PIPEFOLD_FLEET_ROUNDS").unwrap_or(Trouble::ALL.len() as u64) as usize;
    let options = Options {
        nodes: 3,
        links: true,
        ..Options::default()
    };
    let Some(fleet) = Fleet::bare(test, &options) else {
        return;
    };
    fleet.init(&[]);
    fleet.ci.budgets(300, 1000, 300);
    let (mut random, begin) = (seeded(SEED), Instant::now());
    let seed = random.get_seed();
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(&fleet, &directory.path().join("data"), FROM_GATEWAY);
    let rate = PER_SECOND.to_string();
    let forward = || fleet.forward(&["--rate", &rate]);
    let mut victims = Victims {
        fleet: &fleet,
        forwarders: (0..FORWARDERS).map(|_| forward()).collect(),
        gateway: &gateway,
    };
    let mut runners: Vec<Runner> = (0..2)
        .map(|number| Runner::new(directory.path(), number, seed))
        .collect();

    let (stop, mut accepted) = (AtomicBool::new(false), Accepted::default());
    std::thread::scope(|scope| {
        // Ends the others even if a round panics, or the scope would wait for them for ever.
        let stopped = StopAtTheEnd(&stop);
        let mut working: Vec<_> = runners
            .iter_mut()
            .map(|runner| scope.spawn(|| runner.work(&fleet, COMMAND, &stop)))
            .collect();
        for (number, name) in ["gateway-0", "gateway-1"].into_iter().enumerate() {
            let (gateway, stop) = (&gateway, &stop);
            working.push(scope.spawn(move || through_gateway(gateway, name, seed ^ (number as u64) << 32, stop)));
        }
        for (round, (trouble, lasts)) in Trouble::draw(&mut random, rounds).into_iter().enumerate() {
            let (told, at) = (fleet.ci.dx.requests().len(), Instant::now());
            victims.suffer(trouble, lasts, &mut random);
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
            accepted.join(work.join().unwrap());
        }
    });
    for runner in &runners {
        runner.flush(&fleet);
    }
    accepted.assert_told(&fleet);
    let requests = fleet.ci.dx.requests();
    assert!(
        accepted.runs() > 20 * rounds,
        "{} runs: that was no load",
        accepted.runs()
    );
    assert_limit_kept(&requests);
    println!(
        "{rounds} rounds in {} s: {} notifications of {} runs, none lost, in {} requests",
        begin.elapsed().as_secs(),
        accepted.notifications(),
        accepted.runs(),
        requests.len()
    );
    for forwarder in victims.forwarders {
        forwarder.stop();
    }
    gateway.stop();
}

/// Stops the workers when it is dropped.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
