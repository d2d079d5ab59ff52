//! Hundreds of deaths: at each place of each command once, then at places drawn by a seed. Run by `make soak`.
//!
//! `PIPEFOLD_SOAK_ROUNDS` (default 1000) and `PIPEFOLD_SOAK_SECONDS` (default 600) bound it; `PIPEFOLD_SEED` repeats what an earlier one drew.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use pipefold_tests::killing::{FLUSH, Round, Undisturbed, count_places};
use pipefold_tests::number_from;

/// Two on each of two processors: a process waits for the disk half of its time.
const AT_ONCE: usize = 4;

/// The results of the rounds that were played.
#[derive(Default)]
struct Done {
    rounds: usize,
    deaths: usize,
    /// Each victim with the place at which it died.
    places: BTreeSet<(usize, u64)>,
}

fn main() -> ExitCode {
    let rounds = number_from("PIPEFOLD_SOAK_ROUNDS").unwrap_or(1000) as usize;
    let deadline = Instant::now() + Duration::from_secs(number_from("PIPEFOLD_SOAK_SECONDS").unwrap_or(600));
    let now = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |age| age.as_secs());
    let seed = number_from("PIPEFOLD_SEED").unwrap_or_else(now);
    let places = count_places();
    say(&format!(
        "soak: {} places to die at: {places:?}; PIPEFOLD_SEED={seed}",
        places.iter().sum::<u64>()
    ));

    let drawn = draw(rounds, seed, places);
    let next = Mutex::new(drawn.iter());
    let done = Mutex::new(Done::default());
    let work = || {
        let mut undisturbed = Undisturbed::default();
        while Instant::now() < deadline {
            let Some(round) = next.lock().unwrap().next() else {
                break;
            };
            let died = round.play(&mut undisturbed);
            let mut done = done.lock().unwrap();
            done.rounds += 1;
            if died {
                done.deaths += 1;
                done.places.insert((round.victim, round.kill_at));
            }
            if done.rounds.is_multiple_of(100) {
                say(&format!("soak: {} rounds, {} deaths", done.rounds, done.deaths));
            }
        }
    };
    let failed = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().filter_map(|worker| worker.join().err()).count()
    });
    let Done { rounds, deaths, places } = done.into_inner().unwrap_or_else(|error| error.into_inner());
    say(&format!(
        "soak: {rounds} of {} rounds played, {deaths} deaths at {} different places, {failed} failed; PIPEFOLD_SEED={seed}",
        drawn.len(),
        places.len()
    ));
    if failed == 0 && deaths > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Each place once, then any, as many rounds as are wanted in all.
fn draw(rounds: usize, seed: u64, places: [u64; FLUSH + 1]) -> Vec<Round> {
    let mut random = Rng::with_seed(seed);
    let each = places
        .iter()
        .enumerate()
        .flat_map(|(victim, places)| (1..=*places).map(move |kill_at| (victim, kill_at)));
    let mut drawn: Vec<(usize, u64)> = each.collect();
    while drawn.len() < rounds {
        let victim = random.usize(..places.len());
        drawn.push((victim, 1 + random.u64(..places[victim])));
    }
    let round = |(victim, kill_at)| Round {
        victim,
        kill_at,
        again: random.u64(..2) == 0,
        dx_down: victim == FLUSH || random.u64(..3) == 0,
    };
    drawn.into_iter().take(rounds).map(round).collect()
}

fn say(line: &str) {
    // A closed pipe is no reason to stop.
    let _ = writeln!(io::stdout(), "{line}");
}
