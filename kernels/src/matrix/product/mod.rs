//! A product of two square matrices, tile by tile: matrix units fed from memory, every component of the answer known.
//!
//! Rows of the left matrix repeat every [`ROWS`], columns of the right one every [`COLUMNS`]; both are prime, so that no
//! tile repeats at a tile's distance and an exchanged one is seen, while the processor knows all of the answer from
//! `ROWS` x `COLUMNS` sums. Operands are small integers, of 8-bit integers all bits; sums stay exact in any order, see
//! [`Product::new`].
//!
//! Buffer 0: left matrix, row by row. Buffer 1: right matrix. Buffer 2: the product. Buffer 3, zero before: word 0 counts
//! completed workgroups, to word 1+n each run of workgroup n adds the sum over its results, each word with its place.

mod reference;

use super::operands::{pack, small};
use super::{Types, kernel};
use crate::chain::share;
use crate::mix::{GOLDEN, mix32};
use crate::{Cost, Feature, Kernel, Params, SelfFault};

/// Different rows of the left matrix.
pub const ROWS: usize = 61;
/// Different columns of the right matrix.
pub const COLUMNS: usize = 67;

/// The kernels, in the order of [`Types::ALL`].
pub static KERNELS: [Kernel; 7] = [
    kernel!("product-f16-f16", 4, reference::run, F16F16),
    kernel!("product-f16-f32", 4, reference::run, F16F32),
    kernel!("product-bf16-f32", 4, reference::run, Bf16F32),
    kernel!("product-e4m3-f32", 4, reference::run, E4m3F32),
    kernel!("product-e5m2-f32", 4, reference::run, E5m2F32),
    kernel!("product-s8-s32", 4, reference::run, S8S32),
    kernel!("product-u8-u32", 4, reference::run, U8U32),
];

/// What one dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The types.
    pub types: Types,
    /// Rows of a fragment of the left matrix.
    pub m: u32,
    /// Columns of a fragment of the right matrix.
    pub n: u32,
    /// Columns and rows of a fragment of the left and the right matrix.
    pub k: u32,
    /// Rows and columns of a subgroup's tile, in fragments.
    pub fragments: u32,
    /// Subgroups of a workgroup.
    pub owners: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// Rows and columns of the matrices; see [`Work::divides`].
    pub size: u32,
    /// Start of all operands.
    pub seed: u32,
}

impl Work {
    /// The kernel.
    pub fn kernel(&self) -> &'static Kernel {
        &KERNELS[self.types as usize]
    }

    /// Do tiles and workgroups divide the matrices?
    pub fn divides(&self) -> bool {
        let Self { m, n, k, fragments, size, owners, .. } = *self;
        let whole = |part: u32| part > 0 && size % part == 0;
        whole(m * fragments)
            && whole(n * fragments)
            && whole(k)
            && (size / (m * fragments) * (size / (n * fragments))) % owners == 0
    }

    /// Workgroups of the dispatch.
    pub fn workgroups(&self) -> u32 {
        let tiles = self.size / (self.m * self.fragments) * (self.size / (self.n * self.fragments));
        tiles / self.owners
    }

    /// Parameters of the dispatch, with a fault planted or not; the lane of a flip is a word of the product.
    pub fn params(&self, fault: SelfFault) -> Params {
        let [kind, workgroup, lane, mask] = fault.words();
        let Self { m, n, k, invocations, fragments, owners, size, .. } = *self;
        [m, n, k, invocations, fragments, owners, size, 0, kind, workgroup, lane, mask]
    }

    /// Words of each operand.
    pub fn operand_words(&self) -> usize {
        (self.size as usize).pow(2) / self.types.element().per_word()
    }

    /// Words of the product.
    pub fn result_words(&self) -> usize {
        (self.size as usize).pow(2) / self.types.accumulator().per_word()
    }

    /// Words of buffer 3.
    pub fn groups(&self) -> usize {
        1 + self.workgroups() as usize
    }

    /// The cost of a dispatch, in operations; a multiply-add is two.
    pub fn cost(&self) -> Cost {
        Cost { operations: 2 * u64::from(self.size).pow(3), bytes: 0 }
    }

    /// First row and column of a tile.
    fn origin(&self, tile: u32) -> (usize, usize) {
        let across = self.size / (self.n * self.fragments);
        (
            (tile / across * self.m * self.fragments) as usize,
            (tile % across * self.n * self.fragments) as usize,
        )
    }
}

/// Operands and answer of some work.
#[derive(Clone, Debug)]
pub struct Product {
    work: Work,
    /// The different rows of the left matrix, as bits.
    rows: Vec<Vec<u32>>,
    /// The different columns of the right matrix, as bits.
    columns: Vec<Vec<u32>>,
}

impl Product {
    /// Draws operands. Where a sum on its way, with all that one more step could add in any order, would leave the exact
    /// range of the accumulator, smaller integers are drawn, then others.
    pub fn new(work: &Work) -> Self {
        let mut this = Self { work: *work, rows: Vec::new(), columns: Vec::new() };
        for attempt in 0..32 {
            let magnitude = if attempt == 0 { 2 } else { 1 };
            let key = mix32(work.seed ^ mix32(attempt));
            this.rows = (0..61).map(|row| this.line(key ^ (row << 16), magnitude)).collect();
            this.columns =
                (0..67).map(|column| this.line(key ^ 0x8000_0000 ^ (column << 16), magnitude)).collect();
            let step = i64::from(work.k) * i64::from(magnitude).pow(2);
            if work.types.exact_max().is_none_or(|max| this.largest() + step <= max) {
                break;
            }
        }
        this
    }

    fn line(&self, key: u32, magnitude: u32) -> Vec<u32> {
        let element = self.work.types.element();
        let bits = |at: u32| {
            let hash = mix32(key.wrapping_add(at.wrapping_mul(GOLDEN)));
            if element.is_integer() { element.random(hash) } else { element.encode(small(hash, magnitude)) }
        };
        (0..self.work.size).map(bits).collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "integers of a few bits")]
    fn integers(&self, lines: &[Vec<u32>]) -> Vec<Vec<i32>> {
        let element = self.work.types.element();
        lines.iter().map(|line| line.iter().map(|bits| element.decode(*bits) as i32).collect()).collect()
    }

    /// The largest magnitude of a sum on its way.
    pub fn largest(&self) -> i64 {
        let (rows, columns) = (self.integers(&self.rows), self.integers(&self.columns));
        let largest = |row: &Vec<i32>, column: &Vec<i32>| {
            let (mut sum, mut largest) = (0i32, 0);
            for (a, b) in row.iter().zip(column) {
                sum = sum.wrapping_add(a * b);
                largest = largest.max(sum.unsigned_abs());
            }
            i64::from(largest)
        };
        rows.iter().flat_map(|row| columns.iter().map(move |column| largest(row, column))).max().unwrap_or(0)
    }

    /// The words of buffer 0.
    pub fn left(&self) -> Vec<u32> {
        let per_word = self.work.types.element().per_word();
        let lines: Vec<_> = self.rows.iter().map(|row| pack(row, per_word)).collect();
        (0..self.work.size as usize).flat_map(|row| lines[row % ROWS].iter().copied()).collect()
    }

    /// The words of buffer 1.
    pub fn right(&self) -> Vec<u32> {
        let per_word = self.work.types.element().per_word();
        let size = self.work.size as usize;
        let row =
            |k: usize| -> Vec<u32> { (0..size).map(|column| self.columns[column % COLUMNS][k]).collect() };
        (0..size).flat_map(|k| pack(&row(k), per_word)).collect()
    }

    /// The words that the product must have.
    pub fn answer(&self) -> Vec<u32> {
        let accumulator = self.work.types.accumulator();
        let (rows, columns) = (self.integers(&self.rows), self.integers(&self.columns));
        let size = self.work.size as usize;
        let line = |row: &Vec<i32>| {
            let dot = |column: &Vec<i32>| row.iter().zip(column).map(|(a, b)| i64::from(a * b)).sum::<i64>();
            let bits: Vec<_> = columns.iter().map(|column| accumulator.encode(dot(column))).collect();
            let all: Vec<_> = (0..size).map(|column| bits[column % COLUMNS]).collect();
            pack(&all, accumulator.per_word())
        };
        let lines: Vec<_> = rows.iter().map(line).collect();
        (0..size).flat_map(|row| lines[row % ROWS].iter().copied()).collect()
    }

    /// The workgroup that writes this word of the product.
    pub fn workgroup_of(&self, word: u64) -> u32 {
        let Work { types, m, n, fragments, owners, size, .. } = self.work;
        let per_word = if types.accumulator().per_word() == 2 { 2 } else { 1 };
        let stride = u64::from(size / per_word);
        let across = size / (n * fragments);
        #[expect(clippy::cast_possible_truncation, reason = "rows and columns of a matrix")]
        let (row, word) = ((word / stride) as u32, (word % stride) as u32);
        let column = word * per_word;
        (row / (m * fragments) * across + column / (n * fragments)) / owners
    }

    /// The sum of each workgroup over these results.
    pub fn sums(&self, results: &[u32]) -> Vec<u32> {
        let work = &self.work;
        let owned = |group: u32| group * work.owners..(group + 1) * work.owners;
        let sum = |group: u32| {
            owned(group).fold(0u32, |sum, tile| sum.wrapping_add(tile_sum(work, work.origin(tile), results)))
        };
        (0..work.workgroups()).map(sum).collect()
    }

    /// A fault that changes one component of the first accumulator of the first owner of a workgroup half-way, and is
    /// still there at the end: the first from `from` on that is worth it, as for [`super::Work::fault`].
    pub fn fault(&self, workgroup: u32, from: u32, mask: u32) -> SelfFault {
        let work = &self.work;
        let (row, column) = work.origin(workgroup * work.owners);
        let per_word = work.types.accumulator().per_word();
        let (m, words) = (work.m as usize, work.n as usize / per_word);
        let middle = (work.size / work.k / 2 * work.k) as usize;
        let (rows, columns) = (self.integers(&self.rows), self.integers(&self.columns));
        let carried = |at: &usize| {
            let (row, column) = (row + at / words, column + at % words * per_word);
            let pairs = rows[row % ROWS].iter().zip(&columns[column % COLUMNS]).take(middle);
            pairs.map(|(a, b)| i64::from(a * b)).sum::<i64>().abs() >= 2
        };
        let at = (0..m * words).map(|n| (from as usize + n) % (m * words)).find(carried).unwrap_or_default();
        let stride = work.size as usize / per_word;
        let lane = (row + at / words) * stride + column / per_word + at % words;
        let lane = u32::try_from(lane).unwrap_or(u32::MAX);
        SelfFault::Flip { workgroup, lane, mask: work.types.fault_mask(mask) }
    }
}

fn tile_sum(work: &Work, (row, column): (usize, usize), results: &[u32]) -> u32 {
    let per_word = work.types.accumulator().per_word();
    let stride = work.size as usize / per_word;
    let (rows, words) = ((work.m * work.fragments) as usize, (work.n * work.fragments) as usize / per_word);
    (0..rows).fold(0, |sum: u32, n| {
        let first = (row + n) * stride + column / per_word;
        #[expect(clippy::cast_possible_truncation, reason = "a product of at most 2^24 words")]
        let places = first as u32..;
        let line = places.zip(&results[first..first + words]);
        line.fold(sum, |sum, (place, word)| sum.wrapping_add(share(place, *word)))
    })
}

#[cfg(test)]
mod tests;
