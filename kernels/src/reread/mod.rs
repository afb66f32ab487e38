//! Reads of a footprint again and again, 16 bytes a lane: the bandwidth of the cache, or of the memory, that it fits in.
//!
//! Buffer 2 holds the footprint, whose every word is a hash of its number. Workgroup n reads part n modulo [`Reads::parts`],
//! from an offset that the seed decides, and goes on round the footprint for as many loads as are asked; the parts cover
//! all of it, and every round begins at another offset, so that no load is one of before. A sum that keeps the order
//! of what was read is the answer, in buffers 0 and 1 as in [`crate::chain`]. [`SHARED`] reads what a workgroup shares
//! instead, filled with the first [`SHARED_BYTES`].

pub mod reference;

use crate::chain::{Expected, Shape, Work};
use crate::mix::mix32;
use crate::{Cost, Kernel, Params, SelfFault, WORKGROUP_SIZE};

const fn kernel(name: &'static str, spirv: &'static [u8], wgsl: &'static str) -> Kernel {
    Kernel {
        name,
        bindings: 3,
        table: false,
        needs: &[],
        specialized: 2,
        spirv,
        wgsl: Some(wgsl),
        reference: reference::run,
    }
}

/// Reads memory.
pub const MEMORY: Kernel = kernel(
    "reread",
    include_bytes!("../../spirv/reread.spv"),
    concat!(
        include_str!("../params_3.wgsl"),
        include_str!("../chain.wgsl"),
        include_str!("memory.wgsl"),
        include_str!("reread.wgsl")
    ),
);

/// Reads what a workgroup shares; the footprint is [`SHARED_BYTES`].
pub const SHARED: Kernel = kernel(
    "reread-shared",
    include_bytes!("../../spirv/reread-shared.spv"),
    concat!(
        include_str!("../params_3.wgsl"),
        include_str!("../chain.wgsl"),
        include_str!("shared.wgsl"),
        include_str!("reread.wgsl")
    ),
);

/// Bytes of one load.
pub const LOAD_BYTES: u32 = 16;
/// Loads of an invocation that are on their way at once; its steps are a multiple of twice as many.
pub const BLOCK: u32 = 8;
/// Bytes that a workgroup of [`SHARED`] shares: a quarter of the least that Vulkan lets a device have, so that several
/// workgroups fit.
pub const SHARED_BYTES: u32 = 4096;

/// The reads of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// Loads of each invocation (steps) and workgroups.
    pub work: Work,
    /// Bytes of the footprint: a power of two.
    pub footprint: u32,
    /// Workgroup n reads part n modulo this.
    pub parts: u32,
}

impl Reads {
    /// Parameters of the dispatch.
    pub fn params(&self, fault: SelfFault) -> Params {
        let loads = self.footprint / LOAD_BYTES;
        let mut params = self.work.params_in(Shape::BASE, fault);
        params[8..11].copy_from_slice(&[loads - 1, self.parts, loads.ilog2()]);
        params
    }

    /// What it must answer.
    pub fn expected(&self) -> Expected {
        let params = self.params(SelfFault::None);
        let load = |at: u32| std::array::from_fn(|n| word(at * 4 + u32::try_from(n).unwrap_or(0)));
        let words: Vec<u32> = (0..self.parts * WORKGROUP_SIZE)
            .map(|at| {
                let mut reader = reference::Lane::new(&params, at / WORKGROUP_SIZE, at % WORKGROUP_SIZE);
                reader.blocks(0..self.work.steps / BLOCK, load);
                reader.folded()
            })
            .collect();
        Expected::new(self.work.seed, &words)
    }

    /// Its cost: the bytes that were loaded, from wherever.
    pub fn cost(&self) -> Cost {
        let loads = self.work.steps_in_all() / u64::from(BLOCK) * u64::from(BLOCK);
        Cost { operations: 0, bytes: loads * u64::from(LOAD_BYTES) }
    }
}

/// The word of this number.
pub const fn word(number: u32) -> u32 {
    mix32(number ^ 0x5bd1_e995)
}
