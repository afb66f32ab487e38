//! Chance that a seed repeats: the same seed gives the same fleet, the same faults and the same waits.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and good enough for loads; never for secrets of real nodes.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// One of many independent streams of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        Self(mixed.draw())
    }

    /// 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, and without, 1.
    pub fn share(&mut self) -> f64 {
        // 53 bits are what an `f64` holds.
        #[expect(clippy::cast_precision_loss, reason = "exact up to 53 bits")]
        let share = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        share
    }

    /// A duration drawn evenly from zero up to `ceiling`.
    pub fn up_to(&mut self, ceiling: Duration) -> Duration {
        ceiling.mul_f64(self.share())
    }

    /// One of these.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let count = all.len() as u64;
        &all[usize::try_from(self.draw() % count).unwrap_or_default()]
    }

    /// So many bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.draw().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_its_streams_differ() {
        let draws = |seed, stream| {
            let mut chance = Seeded::new(seed, stream);
            [chance.draw(), chance.draw(), chance.draw()]
        };
        assert_eq!(draws(7, 1), draws(7, 1));
        assert_ne!(draws(7, 1), draws(7, 2));
        assert_ne!(draws(7, 1), draws(8, 1));
    }

    #[test]
    fn shares_are_spread_evenly() {
        let mut chance = Seeded::new(1, 1);
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
            let tenth = (chance.share() * 10.0) as usize;
            tenths[tenth] += 1;
        }
        assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
    }
}
