//! The values that words are given.

use crate::mix::{GOLDEN, mix32};

use super::TILE_WORDS;

/// Victims of [`Values::modulo`] are so many cells apart: a number that no cache and no interleaving has as a factor of its
/// own (memtest86's choice).
pub const MODULUS: u32 = 20;
/// Second multiplier of the random values (of MurmurHash3's finaliser).
const SECOND: u32 = 0x85eb_ca6b;

/// Which value each word has. Every kind ends in an exclusive or with a mask, so that each has its complement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    kind: Kind,
    mask: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The word's number times this.
    Linear(u32),
    /// A hash of the word's number, with this seed.
    Random(u32),
    /// Ones where this bit of the word's number is set.
    Lines(u32),
    /// Zeros in every 20th cell from this one on, ones in the others.
    Modulo(u32),
}

impl Values {
    /// Every word has a value of its own, within 64 GiB, that is spread over all bits; another for each mask.
    pub const fn own_address(mask: u32) -> Self {
        Self { kind: Kind::Linear(GOLDEN), mask }
    }

    /// One value everywhere.
    pub const fn uniform(value: u32) -> Self {
        Self { kind: Kind::Linear(0), mask: value }
    }

    /// A value for each word that no neighbour foretells.
    pub const fn random(seed: u32) -> Self {
        Self { kind: Kind::Random(seed), mask: 0 }
    }

    /// Lines of 2^`shift` words (8 at least), by turns `mask` (victims) and its complement.
    ///
    /// # Panics
    /// If a line is less than a cell or more than words can be numbered.
    pub const fn lines(shift: u32, mask: u32) -> Self {
        assert!(shift >= 3 && shift < 32);
        Self { kind: Kind::Lines(shift), mask }
    }

    /// `mask` in each cell whose number leaves `residue` when divided by 20 (victims), its complement in the others.
    ///
    /// # Panics
    /// If there is no such residue.
    pub const fn modulo(residue: u32, mask: u32) -> Self {
        assert!(residue < MODULUS);
        Self { kind: Kind::Modulo(residue), mask }
    }

    /// Each word inverted.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self { mask: !self.mask, ..self }
    }

    /// The value of a word of a tile, which is numbered among all that are tested.
    pub const fn at(self, tile: u32, word: u32) -> u32 {
        let high = tile >> 18;
        let fold = if high == 0 { 0 } else { mix32(high) };
        let number = tile.wrapping_mul(TILE_WORDS).wrapping_add(word);
        let value = match self.kind {
            Kind::Linear(0) => 0,
            Kind::Linear(multiplier) => number.wrapping_mul(multiplier) ^ fold,
            Kind::Random(seed) => {
                let mut x = (number ^ fold).wrapping_mul(GOLDEN) ^ seed;
                x ^= x >> 15;
                x = x.wrapping_mul(SECOND);
                x ^ (x >> 13)
            }
            Kind::Lines(shift) => 0u32.wrapping_sub((number >> shift) & 1),
            Kind::Modulo(residue) if number / 8 % MODULUS == residue => 0,
            Kind::Modulo(_) => u32::MAX,
        };
        value ^ self.mask
    }

    /// Is the word of this number (tile times words of a tile, and its own) a victim, which
    /// [`super::Op::WriteOthers`] leaves alone?
    pub const fn is_victim(self, number: u32) -> bool {
        match self.kind {
            Kind::Lines(shift) => (number >> shift) & 1 == 0,
            Kind::Modulo(residue) => number / 8 % MODULUS == residue,
            Kind::Linear(_) | Kind::Random(_) => false,
        }
    }

    /// Bytes that are no victims among so many.
    pub(super) const fn others_bytes(self, bytes: u64) -> u64 {
        match self.kind {
            Kind::Lines(_) => bytes / 2,
            Kind::Modulo(_) => bytes - bytes / MODULUS as u64,
            Kind::Linear(_) | Kind::Random(_) => bytes,
        }
    }

    /// Kind, multiplier or seed, mask, shift or residue, as the kernel takes them.
    pub(super) const fn words(self) -> [u32; 4] {
        match self.kind {
            Kind::Linear(multiplier) => [0, multiplier, self.mask, 0],
            Kind::Random(seed) => [1, seed, self.mask, 0],
            Kind::Lines(shift) => [2, 0, self.mask, shift],
            Kind::Modulo(residue) => [3, 0, self.mask, residue],
        }
    }

    /// What [`Self::words`] gave; a flip's or a copy's own word may stand where shift and residue do.
    pub(super) const fn from_words(words: [u32; 4]) -> Self {
        let [kind, multiplier, mask, extra] = words;
        let kind = match kind {
            0 => Kind::Linear(multiplier),
            1 => Kind::Random(multiplier),
            2 => Kind::Lines(extra % 32),
            _ => Kind::Modulo(extra),
        };
        Self { kind, mask }
    }
}
