//! `Dice`: chance that comes again with its seed.

use std::time::Duration;

/// Chance.
pub struct Dice(u64);

impl Dice {
    pub fn of(seed: u64) -> Dice {
        Dice(seed)
    }

    /// The next number (SplitMix64).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Heads or tails.
    pub fn flip(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    /// A length of time between two, in milliseconds.
    pub fn between(&mut self, (shortest, longest): (u64, u64)) -> Duration {
        Duration::from_millis(shortest + self.next() % (longest - shortest + 1))
    }

    /// One of some.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(all.len()).unwrap().max(1);
        all.get(usize::try_from(self.next() % count).unwrap())
    }
}
