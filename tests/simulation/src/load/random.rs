//! Numbers that look random and are the same each time.

/// A generator (SplitMix64, Steele and others 2014): small, and good enough to make a load from.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence of one thing of one simulation.
    pub(super) fn of(seed: u64, number: u32) -> Self {
        let mut random = Self(seed ^ (u64::from(number) << 32));
        // Neighbours begin alike; one step apart they do not.
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    pub(super) fn share(&mut self) -> f64 {
        // As many bits as the fraction of an f64 has.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly between two numbers.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// True in this share of all cases.
    pub(super) fn happens(&mut self, share: f64) -> bool {
        self.share() < share
    }
}
