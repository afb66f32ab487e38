//! On which compute unit each workgroup ran, and when: what variants of the chain kernels write to a third buffer.
//!
//! The variants need `GL_NV_shader_sm_builtins` and a clock of the device. For tests there are *stand-ins*, the same shaders
//! with a unit number and times made up of the workgroup's number, so that all that follows can be tried where no device
//! tells its units. A stand-in is never offered to a burn-in.

use std::ops::Range;

use crate::{Feature, Kernel, Params, Reference, WORKGROUP_SIZE, digest, fp32};

/// Words that a workgroup writes: unit, subgroup slot, low and high word of the time at its start and at its end, two of zero.
pub const WORDS: usize = 8;

/// Where a workgroup ran, in its last run of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The compute unit.
    pub unit: u32,
    /// The slot of its first subgroup within the unit.
    pub slot: u32,
    /// From start to end, in ticks of the device's clock.
    pub ticks: u64,
}

impl Place {
    /// The place of each workgroup, by the words of the third buffer.
    pub fn all(words: &[u32]) -> Vec<Self> {
        let time = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let place = |words: &[u32]| Self {
            unit: words[0],
            slot: words[1],
            ticks: time(words[4], words[5]).wrapping_sub(time(words[2], words[3])),
        };
        words.chunks_exact(WORDS).map(place).collect()
    }
}

const fn by_unit(kernel: &Kernel, name: &'static str, spirv: &'static [u8]) -> Kernel {
    Kernel {
        name,
        bindings: 3,
        table: kernel.table,
        needs: &[Feature::UnitId, Feature::ShaderClock],
        specialized: kernel.specialized,
        spirv,
        wgsl: None,
        reference: kernel.reference,
    }
}

/// [`digest::KERNEL`] that says where it ran.
pub const DIGEST: Kernel =
    by_unit(&digest::KERNEL, "digest-units", include_bytes!("../spirv/digest-units.spv"));
/// [`fp32::KERNEL`] that says where it ran.
pub const FP32: Kernel = by_unit(&fp32::KERNEL, "fp32-units", include_bytes!("../spirv/fp32-units.spv"));

const fn stand_in(kernel: &Kernel, name: &'static str, spirv: &'static [u8], reference: Reference) -> Kernel {
    Kernel { needs: &[], reference, ..by_unit(kernel, name, spirv) }
}

/// The stand-in of [`DIGEST`], for tests.
pub const DIGEST_STAND_IN: Kernel = stand_in(
    &digest::KERNEL,
    "digest-stand-in",
    include_bytes!("../spirv/digest-stand-in.spv"),
    |buffers, params, workgroups| {
        digest::reference::run(buffers, params, workgroups.clone());
        made_up(buffers[2], params, workgroups);
    },
);
/// The stand-in of [`FP32`], for tests.
pub const FP32_STAND_IN: Kernel = stand_in(
    &fp32::KERNEL,
    "fp32-stand-in",
    include_bytes!("../spirv/fp32-stand-in.spv"),
    |buffers, params, workgroups| {
        fp32::reference::run(buffers, params, workgroups.clone());
        made_up(buffers[2], params, workgroups);
    },
);

/// Units that a stand-in makes up.
pub const STAND_IN_UNITS: u32 = 13;

/// The unit that a stand-in makes up for a workgroup.
pub fn stand_in_unit(workgroup: u32) -> u32 {
    workgroup * 7 % STAND_IN_UNITS
}

fn made_up(words: &mut [u32], params: &Params, workgroups: Range<u32>) {
    let side_by_side = params[0] / WORKGROUP_SIZE;
    for workgroup in workgroups.start * side_by_side..workgroups.end * side_by_side {
        let unit = stand_in_unit(workgroup);
        let begun = workgroup * 10;
        let place = [unit, workgroup % 4, begun, 0, begun + 100 + unit, 0];
        words[workgroup as usize * WORDS..][..place.len()].copy_from_slice(&place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_apart_across_a_carry() {
        let words = [5, 2, 0xffff_fff0, 1, 0x10, 2, 0, 0];
        assert_eq!(Place::all(&words), [Place { unit: 5, slot: 2, ticks: 0x20 }]);
    }

    #[test]
    fn no_stand_in_is_among_the_kernels() {
        assert!(crate::ALL.iter().all(|kernel| !kernel.name.contains("stand-in")));
        for kernel in [&DIGEST, &FP32] {
            assert!(kernel.needs.contains(&Feature::UnitId) && kernel.needs.contains(&Feature::ShaderClock));
        }
    }
}
