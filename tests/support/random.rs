//! Numbers that look random and are the same for the same seed.

/// A generator for one test. `PIPEFOLD_SEED` replaces the seed; a failed test shows the seed that was used.
///
/// # Panics
/// If `PIPEFOLD_SEED` is not a number.
#[must_use]
pub fn seeded(seed: u64) -> fastrand::Rng {
    let seed = number_from("PIPEFOLD_SEED").unwrap_or(seed);
    println!("PIPEFOLD_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// The number in an environment variable, if it is set.
///
/// # Panics
/// If it is not a number.
#[must_use]
pub fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|why| panic!("{variable}={text}: {why}")))
}
