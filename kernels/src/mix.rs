//! Integer mixing. A digest that is a plain sum or XOR misses exchanged results and faults that repeat from lane to lane;
//! mixing each value with its position first misses neither.

/// Odd multiplier that spreads positions: 2^32 divided by the golden ratio, made odd.
pub const GOLDEN: u32 = 0x9e37_79b1;

/// A bijection of 32-bit words that mixes every bit into every other.
///
/// The constants are `lowbias32` of C. Wellons' search for integer hashes of low bias
/// (<https://nullprogram.com/blog/2018/07/31/>).
pub const fn mix32(word: u32) -> u32 {
    let mut x = word;
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// The word that [`mix32`] made into this one: its three multiplications and shifts undone.
pub const fn unmix32(word: u32) -> u32 {
    let mut x = word;
    x ^= x >> 16;
    // The inverse of 0x846ca68b modulo 2^32.
    x = x.wrapping_mul(0x4302_1123);
    x ^= (x >> 15) ^ (x >> 30);
    // The inverse of 0x7feb352d.
    x = x.wrapping_mul(0x1d69_e2a5);
    x ^ (x >> 16)
}

/// Ties the results of a workgroup to the dispatch and to its place, so that a stale or exchanged tile differs.
pub const fn stamp(seed: u32, workgroup: u32) -> u32 {
    mix32(workgroup.wrapping_mul(GOLDEN) ^ seed)
}

/// Digest of words, each mixed with its position: 64 bits from two independent mixes.
pub fn digest64(words: impl IntoIterator<Item = u32>) -> u64 {
    let mut high = 0u32;
    let mut low = 0u32;
    let mut place = 0u32;
    for word in words {
        let at = place.wrapping_mul(GOLDEN);
        low = low.wrapping_add(mix32(word.wrapping_add(at)));
        high = high.wrapping_add(mix32(word ^ mix32(at ^ 0x5bd1_e995)));
        place = place.wrapping_add(1);
    }
    (u64::from(high) << 32) | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_changed_word_changes_the_digest(words in proptest::collection::vec(any::<u32>(), 1..300), at: usize, mask in 1u32..) {
            let mut changed = words.clone();
            let at = at % words.len();
            changed[at] ^= mask;
            prop_assert_ne!(digest64(words), digest64(changed));
        }

        #[test]
        fn mixing_can_be_undone(word: u32) {
            prop_assert_eq!(unmix32(mix32(word)), word);
        }

        #[test]
        fn exchanged_words_change_the_digest(words in proptest::collection::vec(any::<u32>(), 2..300), a: usize, b: usize) {
            let (a, b) = (a % words.len(), b % words.len());
            prop_assume!(words[a] != words[b]);
            let mut changed = words.clone();
            changed.swap(a, b);
            prop_assert_ne!(digest64(words), digest64(changed));
        }

        #[test]
        fn the_same_bit_flipped_in_one_lane_of_every_32_changes_the_digest(seed: u32, lane in 0usize..32, bit in 0u32..32) {
            let words: Vec<u32> = (0..256).map(|n| mix32(seed ^ n)).collect();
            let mut changed = words.clone();
            changed.iter_mut().skip(lane).step_by(32).for_each(|word| *word ^= 1 << bit);
            prop_assert_ne!(digest64(words), digest64(changed));
        }
    }

    #[test]
    fn mixing_is_a_bijection_on_a_sample() {
        let mut seen: Vec<u32> = (0..1 << 16).map(mix32).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1 << 16);
    }
}
