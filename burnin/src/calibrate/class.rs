//! Fault classes: what an injection does.
//!
//! Those of data are damage to words of a buffer, [`damage`]; the others are a dispatch that is not what was asked for, see
//! [`super::inject`].

use serde::{Deserialize, Serialize};

use super::draw::Draw;

/// A class of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// One random bit of one word.
    OneBit,
    /// One of the bits 0 to 7 of one word.
    LowBit,
    /// Two bits or more of one word.
    ManyBits,
    /// The same bit in one lane of every 32.
    LaneBit,
    /// A bit stuck at 1 in one lane of every 32.
    StuckAtOne,
    /// A bit stuck at 0 in one lane of every 32.
    StuckAtZero,
    /// Two words exchanged.
    Exchanged,
    /// A tile holds what it held before the dispatch.
    StaleTile,
    /// A tile holds what belongs to another tile.
    MisplacedTile,
    /// A tile of zeros.
    ZeroedTile,
    /// Drawn from the published shape of silent corruption on GPUs: 1 in 100 a NaN or an infinity, more than 60 in 100 of
    /// several bits, every second one in one lane of every 32.
    Published,
    /// A dispatch does not run.
    Dropped,
    /// A buffer of other data is bound in the place of the right one.
    WrongBuffer,
    /// A bit of a parameter is another.
    AlteredParameter,
    /// A pipeline of another operation runs.
    StalePipeline,
    /// Bits of one lane flip within the kernel, half-way through its chains.
    InKernel,
    /// A bit of the expected answers is wrong.
    Golden,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 17] = [
        Self::OneBit,
        Self::LowBit,
        Self::ManyBits,
        Self::LaneBit,
        Self::StuckAtOne,
        Self::StuckAtZero,
        Self::Exchanged,
        Self::StaleTile,
        Self::MisplacedTile,
        Self::ZeroedTile,
        Self::Published,
        Self::Dropped,
        Self::WrongBuffer,
        Self::AlteredParameter,
        Self::StalePipeline,
        Self::InKernel,
        Self::Golden,
    ];

    /// Its name on the command line and in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneBit => "one-bit",
            Self::LowBit => "low-bit",
            Self::ManyBits => "many-bits",
            Self::LaneBit => "lane-bit",
            Self::StuckAtOne => "stuck-at-one",
            Self::StuckAtZero => "stuck-at-zero",
            Self::Exchanged => "exchanged",
            Self::StaleTile => "stale-tile",
            Self::MisplacedTile => "misplaced-tile",
            Self::ZeroedTile => "zeroed-tile",
            Self::Published => "published",
            Self::Dropped => "dropped",
            Self::WrongBuffer => "wrong-buffer",
            Self::AlteredParameter => "altered-parameter",
            Self::StalePipeline => "stale-pipeline",
            Self::InKernel => "in-kernel",
            Self::Golden => "golden",
        }
    }

    /// Is it damage to words of a buffer?
    pub fn is_data(self) -> bool {
        Self::ALL[..11].contains(&self)
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Lanes after which a fault of the hardware repeats.
const PERIOD: usize = 32;
/// Words of a tile: the results of one workgroup.
pub const TILE: usize = kernels::WORKGROUP_SIZE as usize;

/// Damages words; what was done, or `None` where it came out as no damage: then it must be drawn again.
///
/// `before` is what the words were before the dispatch, where there was one.
///
/// # Panics
/// If the class is not one of data.
pub fn damage(class: Class, words: &mut [u32], before: Option<&[u32]>, draw: &mut Draw) -> Option<String> {
    assert!(class.is_data(), "{class} is not damage to words");
    let right = words.to_vec();
    let at = draw.below(words.len());
    let flip = |words: &mut [u32], mask: u32| {
        words[at] ^= mask;
        format!("word {at} ^ {mask:#010x}")
    };
    let what = match class {
        Class::OneBit => flip(words, draw.bit()),
        Class::LowBit => flip(words, 1 << draw.below(8)),
        Class::ManyBits => flip(words, draw.bits()),
        Class::LaneBit => lanes(words, at, draw.bit(), |word, mask| word ^ mask),
        Class::StuckAtOne => lanes(words, at, draw.bit(), |word, mask| word | mask),
        Class::StuckAtZero => lanes(words, at, draw.bit(), |word, mask| word & !mask),
        Class::Exchanged => {
            let other = draw.below(words.len());
            words.swap(at, other);
            format!("words {at} and {other} exchanged")
        }
        Class::StaleTile => {
            let tile = tile(words.len(), draw);
            words[tile.clone()].copy_from_slice(&before?[tile.clone()]);
            format!("words {tile:?} as before the dispatch")
        }
        Class::MisplacedTile => {
            let (from, to) = (tile(words.len(), draw), tile(words.len(), draw));
            if from.len() != to.len() {
                return None;
            }
            words.copy_within(from.clone(), to.start);
            format!("words {from:?} in the place of {to:?}")
        }
        Class::ZeroedTile => {
            let tile = tile(words.len(), draw);
            words[tile.clone()].fill(0);
            format!("words {tile:?} zeroed")
        }
        _ => published(words, at, draw),
    };
    (words != right).then_some(what)
}

/// One of the tiles of so many words; the last may be short.
fn tile(words: usize, draw: &mut Draw) -> std::ops::Range<usize> {
    let first = draw.below(words.div_ceil(TILE)) * TILE;
    first..words.min(first + TILE)
}

/// The same to one lane of every 32.
fn lanes(words: &mut [u32], at: usize, mask: u32, act: fn(u32, u32) -> u32) -> String {
    let lane = at % PERIOD;
    words.iter_mut().skip(lane).step_by(PERIOD).for_each(|word| *word = act(*word, mask));
    format!("lane {lane} of every {PERIOD}, bits {mask:#010x}")
}

/// A mask of the published shape: more than 60 of 100 have several bits.
pub fn published_mask(draw: &mut Draw) -> u32 {
    if draw.percent(65) { draw.bits() } else { draw.bit() }
}

/// Damage of the published shape (research: fault injection into GPU kernels found less than 40 of 100 silent corruptions
/// to be of a single bit, addresses periodic over a warp, and 1.01 of 100 to be NaN or infinity).
fn published(words: &mut [u32], at: usize, draw: &mut Draw) -> String {
    if draw.percent(1) {
        let value = draw.one_of(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]).unwrap_or(f32::NAN);
        words[at] = value.to_bits();
        return format!("word {at} is {value}");
    }
    let mask = published_mask(draw);
    if draw.percent(50) {
        return lanes(words, at, mask, |word, mask| word ^ mask);
    }
    words[at] ^= mask;
    format!("word {at} ^ {mask:#010x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(seed: u32) -> Vec<u32> {
        (0..300).map(|n| kernels::mix::mix32(seed ^ n)).collect()
    }

    /// The words that a class left wrong, with their wrong bits, over many draws.
    fn wrong(class: Class) -> Vec<Vec<(usize, u32)>> {
        let mut draw = Draw::new(5);
        let all = (0..500).filter_map(|_| {
            let mut damaged = words(1);
            damage(class, &mut damaged, Some(&words(2)), &mut draw)?;
            let pairs = damaged.iter().zip(words(1)).map(|(found, right)| found ^ right);
            Some(pairs.enumerate().filter(|(_, bits)| *bits != 0).collect())
        });
        let all: Vec<Vec<_>> = all.collect();
        assert!(all.len() > 200 && all.iter().all(|wrong| !wrong.is_empty()), "{class}: {}", all.len());
        all
    }

    #[test]
    fn damage_to_one_word_is_to_one_word_and_of_its_bits() {
        for (class, fits) in [
            (Class::OneBit, (|bits| bits.count_ones() == 1) as fn(u32) -> bool),
            (Class::LowBit, |bits| bits.count_ones() == 1 && bits < 256),
            (Class::ManyBits, |bits| bits.count_ones() >= 2),
        ] {
            assert!(wrong(class).iter().all(|wrong| wrong.len() == 1 && fits(wrong[0].1)), "{class}");
        }
    }

    #[test]
    fn damage_to_a_lane_is_the_same_bit_in_one_lane_of_every_32() {
        for class in [Class::LaneBit, Class::StuckAtOne, Class::StuckAtZero] {
            for wrong in wrong(class) {
                let (first, bit) = wrong[0];
                assert!(wrong.iter().all(|(at, bits)| at % 32 == first % 32 && *bits == bit), "{wrong:?}");
                assert_eq!(bit.count_ones(), 1);
            }
        }
        assert!(wrong(Class::LaneBit).iter().all(|wrong| wrong.len() >= 9));
    }

    #[test]
    fn an_exchange_is_of_two_words_and_a_tile_is_of_64() {
        assert!(wrong(Class::Exchanged).iter().all(|wrong| wrong.len() == 2));
        for class in [Class::StaleTile, Class::MisplacedTile, Class::ZeroedTile] {
            for wrong in wrong(class) {
                assert!(wrong.iter().all(|(at, _)| at / TILE == wrong[0].0 / TILE), "{class}: {wrong:?}");
            }
        }
    }

    #[test]
    fn the_published_shape_is_mostly_of_several_bits_and_now_and_then_of_a_whole_lane() {
        let all = wrong(Class::Published);
        let several = all.iter().filter(|wrong| wrong[0].1.count_ones() >= 2).count();
        let periodic = all.iter().filter(|wrong| wrong.len() > 1).count();
        assert!(several * 100 >= 60 * all.len(), "{several} of {}", all.len());
        assert!((35..65).contains(&(periodic * 100 / all.len())), "{periodic} of {}", all.len());
    }

    #[test]
    fn damage_that_changes_nothing_is_not_damage() {
        let mut draw = Draw::new(9);
        let mut same = |class, value: u32| damage(class, &mut vec![value; 300], None, &mut draw);
        assert_eq!(same(Class::StuckAtOne, u32::MAX), None);
        assert_eq!(same(Class::StuckAtZero, 0), None);
        assert_eq!(same(Class::Exchanged, 7), None);
        assert_eq!(same(Class::MisplacedTile, 7), None);
        assert_eq!(same(Class::ZeroedTile, 0), None);
        assert_eq!(same(Class::StaleTile, 7), None);
        assert!(same(Class::LaneBit, 7).is_some());
    }
}
