//! Cooperative matrices, resident in registers: the rate of the matrix units, every answer compared.
//!
//! An *owner* (a subgroup, or with [`Types::whole`] the workgroup) holds `fragments` matrices A, as many B and their square
//! of accumulators. In a *round* every accumulator meets every B: accumulator i,j gets `A_i * B_((j+q) mod fragments)` for
//! each q; then the As take turns. So no operand is a constant and no product that of the round before: a compiler cannot
//! take the work out of the loop, as the one of Mesa 26.1 does where operands are constants. The second half of the Bs
//! nearly undoes the first, so that accumulators stay small however many rounds there are.
//!
//! Owners repeat [`CLASSES`] classes of operands; owner n is of class n mod `CLASSES`. Two kinds of data ([`Data`]):
//! *exact*, integers whose every partial sum an accumulator holds exactly, so that the order of additions, which devices are
//! free to choose, changes nothing and the processor knows each answer; and *random*, for floats only, whose answers are held
//! against those of other owners of the class. 8-bit integers are exact with all their bits, since sums wrap at 32 bits.
//!
//! Buffer 0: operands, of each class all A, B and first accumulators, row by row. Buffer 1: all accumulators of each owner.
//! Buffer 2, zero before: word 0 counts completed workgroups, to word 1+n each run of workgroup n adds the sum over its
//! results, each word with its place ([`crate::chain::share`]).

mod element;
mod operands;
pub mod product;
mod reference;

pub use element::{Accumulator, Element};
pub use operands::{Expected, operands};

use crate::chain::share;
use crate::mix::stamp as mixed;
use crate::{Cost, Feature, Kernel, Params, SelfFault};

/// Different classes of operands.
pub const CLASSES: u32 = 16;

/// What is multiplied and what is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Types {
    /// Half precision, added up in half precision.
    F16F16,
    /// Half precision, added up in single.
    F16F32,
    /// Upper halves of singles, added up in single.
    Bf16F32,
    /// 8-bit floats with 4 bits of exponent, added up in single.
    E4m3F32,
    /// 8-bit floats with 5 bits of exponent, added up in single.
    E5m2F32,
    /// Signed 8-bit integers, added up in 32 bits.
    S8S32,
    /// Unsigned 8-bit integers, added up in 32 bits.
    U8U32,
}

macro_rules! kernel {
    ($name:literal, $bindings:literal, $run:path, $types:ident) => {
        Kernel {
            name: concat!("matrix-", $name),
            bindings: $bindings,
            table: false,
            needs: &[Feature::Matrix],
            specialized: 6,
            spirv: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/spirv/matrix-", $name, ".spv")),
            wgsl: None,
            reference: |buffers, params, workgroups| $run(Types::$types, buffers, params, workgroups),
        }
    };
}
use kernel;

/// The kernels whose matrices a subgroup owns, in the order of [`Types::ALL`].
pub static SUBGROUP: [Kernel; 7] = [
    kernel!("f16-f16", 3, reference::run, F16F16),
    kernel!("f16-f32", 3, reference::run, F16F32),
    kernel!("bf16-f32", 3, reference::run, Bf16F32),
    kernel!("e4m3-f32", 3, reference::run, E4m3F32),
    kernel!("e5m2-f32", 3, reference::run, E5m2F32),
    kernel!("s8-s32", 3, reference::run, S8S32),
    kernel!("u8-u32", 3, reference::run, U8U32),
];

/// The kernels whose matrices a workgroup owns (`VK_NV_cooperative_matrix2`), in the order of [`Types::ALL`].
pub static WORKGROUP: [Kernel; 7] = [
    kernel!("whole-f16-f16", 3, reference::run, F16F16),
    kernel!("whole-f16-f32", 3, reference::run, F16F32),
    kernel!("whole-bf16-f32", 3, reference::run, Bf16F32),
    kernel!("whole-e4m3-f32", 3, reference::run, E4m3F32),
    kernel!("whole-e5m2-f32", 3, reference::run, E5m2F32),
    kernel!("whole-s8-s32", 3, reference::run, S8S32),
    kernel!("whole-u8-u32", 3, reference::run, U8U32),
];

impl Types {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::F16F16, Self::F16F32, Self::Bf16F32, Self::E4m3F32, Self::E5m2F32, Self::S8S32, Self::U8U32];

    /// As in the names of kernels and metrics, for example `f16-f32`.
    pub fn name(self) -> &'static str {
        self.subgroup().name.trim_start_matches("matrix-")
    }

    /// The components of A and B.
    pub const fn element(self) -> Element {
        match self {
            Self::F16F16 | Self::F16F32 => Element::F16,
            Self::Bf16F32 => Element::Bf16,
            Self::E4m3F32 => Element::E4m3,
            Self::E5m2F32 => Element::E5m2,
            Self::S8S32 => Element::S8,
            Self::U8U32 => Element::U8,
        }
    }

    /// The components of accumulators.
    pub const fn accumulator(self) -> Accumulator {
        match self {
            Self::F16F16 => Accumulator::F16,
            Self::F16F32 | Self::Bf16F32 | Self::E4m3F32 | Self::E5m2F32 => Accumulator::F32,
            Self::S8S32 => Accumulator::S32,
            Self::U8U32 => Accumulator::U32,
        }
    }

    /// The kernel whose matrices a subgroup owns.
    pub fn subgroup(self) -> &'static Kernel {
        &SUBGROUP[self as usize]
    }

    /// The kernel whose matrices the workgroup owns.
    pub fn whole(self) -> &'static Kernel {
        &WORKGROUP[self as usize]
    }

    /// Integers up to here are exact in the accumulator in any order of additions; `None` where sums wrap.
    ///
    /// 2^11 and 2^24 are the mantissas of half and single precision. Products of 8-bit floats are added up in single
    /// precision by name only: Hopper keeps about 14 bits of them (DeepSeek-V3, arXiv:2412.19437, section 3.3.2), so
    /// 2^12 leaves a bit for the sign and one to spare.
    pub const fn exact_max(self) -> Option<i64> {
        match self {
            Self::F16F16 => Some(1 << 11),
            Self::F16F32 | Self::Bf16F32 => Some(1 << 24),
            Self::E4m3F32 | Self::E5m2F32 => Some(1 << 12),
            Self::S8S32 | Self::U8U32 => None,
        }
    }

    /// Which bits of a stamp are added to every accumulator; as `STAMP` in the shader.
    const fn stamp_mask(self) -> u32 {
        match self {
            Self::F16F16 => 0x1f,
            Self::F16F32 | Self::Bf16F32 => 0x1fff,
            Self::E4m3F32 | Self::E5m2F32 => 0x7f,
            Self::S8S32 | Self::U8U32 => u32::MAX,
        }
    }

    /// The bits of a planted fault: any of an integer, the highest of the mantissa of a float.
    const fn fault_mask(self, mask: u32) -> u32 {
        match self.accumulator() {
            Accumulator::F16 => 1 << 9,
            Accumulator::F32 => 1 << 22,
            Accumulator::S32 | Accumulator::U32 => mask,
        }
    }

    /// What is added to every accumulator of this owner at the start, so that a stale or exchanged tile is seen.
    fn stamp(self, seed: u32, owner: u32) -> u32 {
        if seed == 0 { 0 } else { mixed(seed, owner) & self.stamp_mask() }
    }
}

/// What operands are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// Small integers: every answer is known.
    Exact,
    /// All bits of mantissa and sign: answers are held against each other.
    Random,
}

/// What one dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The types.
    pub types: Types,
    /// Does the workgroup own the matrices, instead of each subgroup?
    pub whole: bool,
    /// Rows of A and of an accumulator.
    pub m: u32,
    /// Columns of B and of an accumulator.
    pub n: u32,
    /// Columns of A, rows of B.
    pub k: u32,
    /// Matrices A and matrices B of an owner; even.
    pub fragments: u32,
    /// Owners of a workgroup: its subgroups, or one.
    pub owners: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// Workgroups.
    pub workgroups: u32,
    /// Rounds; even, at most [`Work::rounds_max`].
    pub rounds: u32,
    /// Start of all operands and stamps; another in every dispatch, not 0.
    pub seed: u32,
    /// What is asked for; integers are exact in any case.
    pub wanted: Data,
}

impl Work {
    /// The kernel.
    pub fn kernel(&self) -> &'static Kernel {
        if self.whole { self.types.whole() } else { self.types.subgroup() }
    }

    /// Parameters of the dispatch, with a fault planted or not.
    ///
    /// The lane of [`SelfFault::Flip`] is a word of the workgroup's results, in the first accumulator of an owner; that of
    /// [`SelfFault::StuckLane`] every 32nd word of each owner's first accumulator.
    pub fn params(&self, fault: SelfFault) -> Params {
        let [kind, workgroup, lane, mask] = fault.words();
        let Self { m, n, k, invocations, fragments, owners, rounds, .. } = *self;
        let seed = self.stamp_seed();
        [m, n, k, invocations, fragments, owners, seed, rounds, kind, workgroup, lane, mask]
    }

    /// A fault that changes one component of one owner's first accumulator half-way, and is still there at the end: bits of
    /// an integer, or the highest bit of the mantissa of a float of at least 2, which is worth 1 or more. The component is the
    /// first of that kind from `from` on. And the word of all results that it ends up in.
    ///
    /// # Panics
    /// If the work is not exact.
    pub fn fault(&self, workgroup: u32, owner: u32, from: u32, mask: u32) -> (SelfFault, usize) {
        let number = workgroup * self.owners + owner;
        let half = Expected::new(&Self { rounds: self.rounds / 2, ..*self }).tile(number);
        let accumulator = self.types.accumulator();
        let words = self.tile_words() / (self.fragments as usize).pow(2);
        let carried = |word: &usize| {
            let low = half[*word] & if accumulator.per_word() == 2 { 0xffff } else { u32::MAX };
            accumulator.is_integer() || accumulator.decode(low).abs() >= 2
        };
        let word = (0..words).map(|n| (from as usize + n) % words).find(carried).unwrap_or_default();
        let mask = self.types.fault_mask(mask);
        let lane = owner as usize * self.tile_words() + word;
        let lane = u32::try_from(lane).unwrap_or(u32::MAX);
        (SelfFault::Flip { workgroup, lane, mask }, number as usize * self.tile_words() + word)
    }

    /// Does the processor know the answers?
    pub fn is_exact(&self) -> bool {
        self.wanted == Data::Exact || self.types.element().is_integer()
    }

    /// How operands are made: those of integers have all their bits.
    fn data(&self) -> Data {
        if self.types.element().is_integer() { Data::Random } else { self.wanted }
    }

    /// Stamps would change how random sums are rounded.
    fn stamp_seed(&self) -> u32 {
        if self.is_exact() { self.seed } else { 0 }
    }

    /// Largest integer of exact operands.
    fn magnitude(&self) -> u32 {
        let roomy = |max: i64| i64::from(self.fragments) * i64::from(self.k) * 12 <= max;
        if self.types.exact_max().is_none_or(roomy) { 2 } else { 1 }
    }

    /// Most rounds for which exact work is exact.
    ///
    /// Within a round at most half of the Bs are not yet undone, and the products of one more are being added in any order;
    /// each round adds at most one component of A.
    pub fn rounds_max(&self) -> u32 {
        let Some(max) = self.types.exact_max() else { return 1 << 24 };
        let magnitude = i64::from(self.magnitude());
        let open = (i64::from(self.fragments) / 2 + 1) * i64::from(self.k) * magnitude * (magnitude + 1);
        let room = max - i64::from(self.types.stamp_mask()) - i64::from(operands::START_MAX) - open;
        u32::try_from((room / magnitude).max(0)).unwrap_or(0) & !1
    }

    /// Words of one owner's results.
    pub fn tile_words(&self) -> usize {
        let fragment = self.m as usize * self.n as usize / self.types.accumulator().per_word();
        fragment * (self.fragments as usize).pow(2)
    }

    /// Words of the results.
    pub fn result_words(&self) -> usize {
        self.tile_words() * self.owners as usize * self.workgroups as usize
    }

    /// Words of the operands.
    pub fn operand_words(&self) -> usize {
        let elements = self.fragments as usize * self.k as usize * (self.m + self.n) as usize;
        CLASSES as usize * (elements / self.types.element().per_word() + self.tile_words())
    }

    /// Words of buffer 2.
    pub fn groups(&self) -> usize {
        1 + self.workgroups as usize
    }

    /// The cost of a dispatch, in operations; a multiply-add is two.
    pub fn cost(&self) -> Cost {
        let products = u64::from(self.fragments).pow(3) * u64::from(self.rounds);
        let owners = u64::from(self.workgroups) * u64::from(self.owners);
        let product = u64::from(self.m) * u64::from(self.n) * u64::from(self.k) * 2;
        Cost { operations: owners * products * product, bytes: 0 }
    }
}

/// What the words of a workgroup's results add to its sum.
pub fn sum(words: &[u32]) -> u32 {
    (0..).zip(words).fold(0, |sum: u32, (at, word)| sum.wrapping_add(share(at, *word)))
}

#[cfg(test)]
mod tests;
