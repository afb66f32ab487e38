//! Compute kernels: their shaders, what each must answer (a CPU reference), and what each costs.
//!
//! Each kernel is a folder: `*.comp` (GLSL, compiled to the SPIR-V under `spirv/` by `kernels-compile`), `*.wgsl` (for
//! the portable path, compiled by wgpu at run time), `reference.rs` (the same arithmetic in Rust) and `mod.rs` (parameters,
//! expected answers, cost). The three must agree bit for bit; `burnin`'s conformance suite holds them to it.
//!
//! Terms: a *workgroup* is [`WORKGROUP_SIZE`] *invocations* that share memory; a *lane* is an invocation's number within
//! its workgroup. Buffers are arrays of 32-bit words. Nothing here talks to a device.

use std::ops::Range;

pub mod cost;
pub mod mix;
pub mod chain;
pub mod digest;
pub mod fp32;
pub mod fp16;
pub mod fp64;
pub mod int32;
pub mod int64;
pub mod dot;
pub mod transcendental;
pub mod matrix;
pub mod memory;
pub mod chase;
pub mod reread;
pub mod units;

pub use cost::Cost;

/// Invocations of a workgroup, the same for every kernel: two subgroups on NVIDIA, one on AMD's CDNA.
pub const WORKGROUP_SIZE: u32 = 64;

/// Most workgroups of one dispatch: the least `maxComputeWorkGroupCount` that Vulkan allows a device to have.
pub const WORKGROUPS_MAX: u32 = 65_535;

/// Parameters of a dispatch: push constants on Vulkan, a uniform buffer on wgpu. Each kernel names its words.
pub type Params = [u32; 12];

/// Runs workgroups of a kernel on the processor: buffers in the order of the bindings, parameters, which workgroups.
///
/// A range, so that whoever runs it can look at the clock in between.
pub type Reference = fn(&mut [&mut [u32]], &Params, Range<u32>);

/// One compute kernel.
pub struct Kernel {
    /// Its name, which is also that of its files.
    pub name: &'static str,
    /// How many storage buffers it binds.
    pub bindings: u32,
    /// Does it reach further buffers by their addresses? Then those that a dispatch names after the bound ones are its *table*:
    /// one more binding shows their 64-bit addresses, low word first, and no limit of a binding or an allocation bounds
    /// what one dispatch can touch. The reference gets them after the bound ones.
    pub table: bool,
    /// What it asks of a device beyond 32-bit words.
    pub needs: &'static [Feature],
    /// So many first words of its parameters are also specialization constants 0, 1, and so on. The compiler then sees one
    /// operation or one shape at a time, which a device without branches of its own (a software one) thanks with a multiple
    /// of the rate.
    pub specialized: u32,
    /// SPIR-V, little-endian words.
    pub spirv: &'static [u8],
    /// WGSL, where the language can say it; without, the portable backend does not offer the kernel.
    pub wgsl: Option<&'static str>,
    /// The same on the processor.
    pub reference: Reference,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel")
            .field("name", &self.name)
            .field("bindings", &self.bindings)
            .finish_non_exhaustive()
    }
}

impl Kernel {
    /// The values of its specialization constants for these parameters.
    ///
    /// # Panics
    /// If it says that it has more of them than there are parameters.
    pub fn specialization<'a>(&self, params: &'a Params) -> &'a [u32] {
        &params[..self.specialized as usize]
    }
}

/// What a kernel may ask of a device beyond 32-bit words. A device that does not offer it cannot be tried by that kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// 16-bit floating-point arithmetic and storage.
    Float16,
    /// 64-bit floating-point arithmetic.
    Float64,
    /// 64-bit integer arithmetic.
    Int64,
    /// Dot products of packed 8-bit integers.
    DotProduct,
    /// Buffers reached by their addresses: what [`Kernel::table`] needs.
    Addresses,
    /// Cooperative matrices (`VK_KHR_cooperative_matrix`), of whatever shapes.
    Matrix,
    /// The number of the compute unit that an invocation runs on (`VK_NV_shader_sm_builtins`).
    UnitId,
    /// A clock that an invocation can read (`VK_KHR_shader_clock`).
    ShaderClock,
}

/// Every kernel but those of [`matrix`].
pub const ALL: &[&Kernel] = &[
    &digest::KERNEL,
    &fp32::KERNEL,
    &fp16::KERNEL,
    &fp64::KERNEL,
    &int32::KERNEL,
    &int64::KERNEL,
    &dot::KERNEL,
    &transcendental::KERNEL,
    &memory::BOUND,
    &memory::BOUND_WIDE,
    &memory::TABLE,
    &memory::TABLE_WIDE,
    &chase::KERNEL,
    &reread::MEMORY,
    &reread::SHARED,
];

/// Every kernel: [`ALL`] and those of [`matrix`], one for each pair of types.
pub fn all() -> impl Iterator<Item = &'static Kernel> {
    ALL.iter().copied().chain(&matrix::SUBGROUP).chain(&matrix::WORKGROUP).chain(&matrix::product::KERNELS)
}

/// A fault that a compute kernel plants in itself half-way through its chains: the same code path as always, so that
/// what finds it would find a fault of the hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelfFault {
    /// None.
    #[default]
    None,
    /// The bits of `mask` are flipped in one lane of one workgroup, once.
    Flip {
        /// Which workgroup.
        workgroup: u32,
        /// Which lane.
        lane: u32,
        /// Which bits.
        mask: u32,
    },
    /// The bits of `mask` are stuck at 1 in this lane of every 32, in every workgroup.
    StuckLane {
        /// Which lane, 0 to 31.
        lane: u32,
        /// Which bits.
        mask: u32,
    },
}

impl SelfFault {
    /// As the four words from `params[4]` on: kind, workgroup, lane, mask.
    fn words(self) -> [u32; 4] {
        match self {
            Self::None => [0; 4],
            Self::Flip { workgroup, lane, mask } => [1, workgroup, lane, mask],
            Self::StuckLane { lane, mask } => [2, 0, lane, mask],
        }
    }

    /// `value` as this fault leaves it, in this lane of this workgroup. Reads the words of [`Self::words`].
    fn apply(params: &Params, workgroup: u32, lane: u32, value: u32) -> u32 {
        let [kind, at_workgroup, at_lane, mask] = [params[4], params[5], params[6], params[7]];
        match kind {
            1 if workgroup == at_workgroup && lane == at_lane => value ^ mask,
            2 if lane % 32 == at_lane => value | mask,
            _ => value,
        }
    }
}
