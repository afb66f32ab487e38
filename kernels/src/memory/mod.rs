//! Memory sweeps at the device's full bandwidth: write values that follow from the address, read them back and compare,
//! read-compare-invert, copy; over one buffer or, through a table of addresses, over all that there are in one dispatch.
//!
//! Memory is a row of *tiles* of 64 KiB. A workgroup of [`LANES`] lanes takes one tile or [`Work::tiles_each`] of them, in
//! the order that [`Order`] says; what a lane handles of a tile is a *strip* of 256 bytes, read whole and compared
//! without a branch. Only a strip with a wrong word is looked at again, from the differences that were kept: an error
//! that is gone at a second look is counted and recorded all the same. A *cell* is 32 bytes, the least that a GPU moves.
//!
//! Four forms of one source, with one meaning: 16 or 32 bytes a lane at a time, bound or by table ([`FORMS`]).
//! Buffer 0 takes the errors, see [`errors`]; then the memory: one buffer, or all chunks of the table, of as many tiles each.
//!
//! The loop limit of some software devices (65,536 turns) bounds `tiles_each`; [`Work::WORKGROUPS_LEAST`] keeps far below.

pub mod errors;
pub mod reference;
mod value;

use crate::{Cost, Feature, Kernel, Params};

pub use errors::{ERROR_WORDS, Errors, RECORDS_MAX, Record};
pub use value::{MODULUS, Values};

/// Invocations of a workgroup of these kernels.
pub const LANES: u32 = 256;
/// Words of a tile.
pub const TILE_WORDS: u32 = 16_384;
/// Bytes of a tile.
pub const TILE_BYTES: u64 = TILE_WORDS as u64 * 4;
/// Bytes of a tile that one lane handles.
pub const STRIP_BYTES: u64 = TILE_BYTES / LANES as u64;
/// Regions that wrong words are counted by.
pub const REGIONS: u32 = 64;

/// One buffer, 16 bytes a lane at a time: every device can run it.
pub const BOUND: Kernel = Kernel {
    name: "memory",
    bindings: 2,
    table: false,
    needs: &[],
    specialized: 4,
    spirv: include_bytes!("../../spirv/memory.spv"),
    wgsl: Some(include_str!("memory.wgsl")),
    reference: reference::run,
};

/// One buffer, 32 bytes a lane at a time.
pub const BOUND_WIDE: Kernel = Kernel {
    name: "memory_wide",
    needs: &[Feature::Int64],
    spirv: include_bytes!("../../spirv/memory_wide.spv"),
    wgsl: None,
    ..BOUND
};

/// All chunks, 16 bytes a lane at a time.
pub const TABLE: Kernel = Kernel {
    name: "memory_table",
    bindings: 1,
    table: true,
    needs: &[Feature::Addresses],
    spirv: include_bytes!("../../spirv/memory_table.spv"),
    wgsl: None,
    ..BOUND
};

/// All chunks, 32 bytes a lane at a time.
pub const TABLE_WIDE: Kernel = Kernel {
    name: "memory_table_wide",
    needs: &[Feature::Addresses, Feature::Int64],
    spirv: include_bytes!("../../spirv/memory_table_wide.spv"),
    ..TABLE
};

/// Every form.
pub const FORMS: [&Kernel; 4] = [&TABLE, &TABLE_WIDE, &BOUND, &BOUND_WIDE];

/// What a dispatch does with each word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Write its value.
    Write,
    /// Compare it with its value.
    Verify,
    /// Compare it with its value, then write the complement.
    VerifyInvert,
    /// Write its value unless it is a victim, see [`Values::is_victim`].
    WriteOthers,
    /// Copy it to the tile so many further on.
    Copy {
        /// How many tiles.
        tiles: u32,
    },
    /// Flip the bits of `mask` in one word of the first tile of the dispatch: a planted fault.
    Flip {
        /// Which word of the tile.
        word: u32,
        /// Which bits.
        mask: u32,
    },
}

/// In which order tiles are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The first tile first.
    #[default]
    Forward,
    /// The last tile first.
    Reverse,
    /// Far apart one after the other.
    Shuffled,
}

/// What one dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What to do.
    pub op: Op,
    /// The values.
    pub values: Values,
    /// In which order.
    pub order: Order,
    /// How many tiles one workgroup takes, one after the other; 1 where a loop costs more than a workgroup.
    pub tiles_each: u32,
    /// The tiles of this dispatch.
    pub span: Span,
}

/// Some of the tiles of a buffer or of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first tile, in the buffer or over all chunks of the table.
    pub first: u32,
    /// How many.
    pub tiles: u32,
    /// Number of the buffer's or the table's first tile among all that are tested: values follow from it. It wraps.
    pub base: u32,
    /// Tiles of one chunk of the table; all chunks but the last have as many.
    pub chunk_tiles: u32,
    /// Tiles of one of the [`REGIONS`] that wrong words are counted by.
    pub region_tiles: u32,
}

impl Work {
    /// So many workgroups at least, where there are tiles enough, when one takes several.
    pub const WORKGROUPS_LEAST: u32 = 1024;

    /// Parameters of the dispatch.
    pub fn params(&self) -> Params {
        let Span { first, tiles, base, chunk_tiles, region_tiles } = self.span;
        let [mut kind, multiplier, mut mask, mut extra] = self.values.words();
        let op = match self.op {
            Op::Write => 0,
            Op::Verify => 1,
            Op::VerifyInvert => 2,
            Op::WriteOthers => 3,
            Op::Copy { tiles } => {
                (kind, extra) = (0, tiles);
                4
            }
            Op::Flip { word, mask: flip } => {
                (kind, extra, mask) = (0, word, flip);
                5
            }
        };
        // A flip has one form, whatever is done around it: one thing less to compile.
        let flips = op == 5;
        let order = if flips { 0 } else { self.order.word(tiles) };
        let each = if flips { 1 } else { self.tiles_each };
        [op, kind, each, order, tiles, first, base, chunk_tiles, multiplier, mask, extra, region_tiles]
    }

    /// Workgroups of the dispatch.
    pub fn workgroups(&self) -> u32 {
        if matches!(self.op, Op::Flip { .. }) { 1 } else { self.span.tiles.div_ceil(self.tiles_each) }
    }

    /// Its cost, in bytes of device memory.
    pub fn cost(&self) -> Cost {
        let once = u64::from(self.span.tiles) * TILE_BYTES;
        let bytes = match self.op {
            Op::Write | Op::Verify => once,
            Op::VerifyInvert | Op::Copy { .. } => 2 * once,
            Op::WriteOthers => self.values.others_bytes(once),
            Op::Flip { .. } => 8,
        };
        Cost { operations: 0, bytes }
    }
}

/// Strides of the shuffled order: primes, so that one of them shares no factor with the number of tiles.
const STRIDES: [u32; 7] = [251, 241, 127, 61, 31, 13, 3];

impl Order {
    /// As the kernel takes it: 0 forward, 1 reverse, else the stride modulo the number of tiles.
    fn word(self, tiles: u32) -> u32 {
        match self {
            Self::Forward => 0,
            Self::Reverse => 1,
            // Turn times stride must stay below 2^32, and stride and tiles must share no factor, or tiles would be left out.
            Self::Shuffled => STRIDES
                .into_iter()
                .find(|stride| !tiles.is_multiple_of(*stride) && tiles.checked_mul(*stride).is_some())
                .unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_order_takes_each_tile_once() {
        for order in [Order::Forward, Order::Reverse, Order::Shuffled] {
            for tiles in [1, 2, 3, 5, 64, 251, 753, 1000] {
                let mut seen: Vec<u32> =
                    (0..tiles).map(|turn| reference::turned(turn, order.word(tiles), tiles)).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..tiles).collect::<Vec<_>>(), "{order:?} of {tiles}");
            }
        }
    }

    fn work(op: Op, values: Values, tiles: u32) -> Work {
        let span = Span { first: 0, tiles, base: 3, chunk_tiles: 2, region_tiles: 1 };
        Work { op, values, order: Order::Shuffled, tiles_each: 2, span }
    }

    fn run(work: &Work, chunks: &mut [Vec<u32>]) -> Errors {
        let mut errors = vec![0; ERROR_WORDS];
        let mut buffers: Vec<&mut [u32]> = vec![&mut errors];
        buffers.extend(chunks.iter_mut().map(Vec::as_mut_slice));
        reference::run(&mut buffers, &work.params(), 0..work.workgroups());
        Errors::from_words(&errors)
    }

    fn values() -> impl Strategy<Value = Values> {
        prop_oneof![
            any::<u32>().prop_map(Values::own_address),
            any::<u32>().prop_map(Values::uniform),
            any::<u32>().prop_map(Values::random),
            (3u32..20, any::<u32>()).prop_map(|(shift, mask)| Values::lines(shift, mask)),
            (0u32..20, any::<u32>()).prop_map(|(residue, mask)| Values::modulo(residue, mask)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_flipped_bit_is_found_at_its_place_and_nothing_else(values in values(), tile in 0u32..5, word in 0u32..TILE_WORDS, mask in 1u32.., invert: bool) {
            let mut chunks = vec![vec![0; 2 * TILE_WORDS as usize]; 3];
            run(&work(Op::Write, values, 5), &mut chunks);
            let mut flip = work(Op::Flip { word, mask }, values, 5);
            flip.span.first = tile;
            run(&flip, &mut chunks);
            let op = if invert { Op::VerifyInvert } else { Op::Verify };
            let found = run(&work(op, values, 5), &mut chunks);
            let expected = values.at(3 + tile, word);
            prop_assert_eq!((found.compared_bytes(), found.count), (5 * TILE_BYTES, 1));
            prop_assert_eq!((found.set, found.cleared), (mask & !expected, mask & expected));
            let record = found.records[0];
            prop_assert_eq!((record.tile, record.word), (3 + tile, word));
            prop_assert_eq!((record.expected, record.found), (expected, expected ^ mask));
            prop_assert_eq!(record.again, [expected ^ mask; 3]);
            if invert {
                prop_assert_eq!(run(&work(Op::Verify, values.complement(), 5), &mut chunks).count, 0);
            }
        }
    }

    #[test]
    fn a_copy_is_what_the_source_was() {
        let values = Values::random(9);
        let mut chunks = vec![vec![0; 2 * TILE_WORDS as usize]; 3];
        run(&work(Op::Write, values, 3), &mut chunks);
        run(&work(Op::Copy { tiles: 3 }, values, 3), &mut chunks);
        let mut copied = work(Op::Verify, values, 3);
        copied.span = Span { first: 3, base: 0, ..copied.span };
        let found = run(&copied, &mut chunks);
        assert_eq!((found.count, found.strips), (0, 3 * LANES));
    }

    #[test]
    fn victims_are_left_alone() {
        for values in [Values::modulo(7, 0), Values::lines(8, 0)] {
            let mut chunks = vec![vec![0x1234; 2 * TILE_WORDS as usize]; 3];
            run(&work(Op::WriteOthers, values, 6), &mut chunks);
            let words = chunks.iter().flatten().enumerate();
            for (n, word) in words {
                let at = u32::try_from(n).unwrap();
                let global = (3 + at / TILE_WORDS) * TILE_WORDS + at % TILE_WORDS;
                assert_eq!(*word == 0x1234, values.is_victim(global), "word {n}");
            }
        }
    }
}
