//! The FP32 kernel on the processor.

use std::ops::Range;

use crate::chain;
use crate::mix::{GOLDEN, mix32};
use crate::{Params, SelfFault};

use super::{CHAINS, Rounding};

/// The chains of one invocation.
pub(super) type Chains = [f32; CHAINS as usize];

/// The constant of a chain, -1.9375 - k/1024: exact in FP32, so that no compiler can round it its own way.
fn constant(chain: u32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "below 32, exact")]
    let step = chain as f32;
    -1.9375 - step / 1024.0
}

/// First values: 22 random bits as a number from -1.5 to 1.5, every step of the making exact.
pub(super) fn start(seed: u32, lane: u32) -> Chains {
    std::array::from_fn(|chain| {
        #[expect(clippy::cast_possible_truncation, reason = "below 32")]
        let number = lane * CHAINS + chain as u32;
        let bits = mix32(number.wrapping_mul(GOLDEN) ^ seed) & 0x003f_ffff;
        #[expect(clippy::cast_precision_loss, reason = "22 bits fit the 24 of the mantissa")]
        // Times 2^-22, not divided by 2^22: Vulkan lets a division be off by 2.5 ULP.
        let unit = bits as f32 * 2.384_185_8e-7;
        // Exact: 3.0 * unit has 24 bits, and so has the difference.
        unit * 3.0 - 1.5
    })
}

/// So many steps of every chain.
pub(super) fn steps(chains: &mut Chains, count: u32, rounding: Rounding) {
    for (chain, x) in (0u32..).zip(chains) {
        let c = constant(chain);
        for _ in 0..count {
            *x = match rounding {
                Rounding::Fused => x.mul_add(*x, c),
                Rounding::Separate => *x * *x + c,
            };
        }
    }
}

/// All chains as one word, in their order.
pub(super) fn fold(chains: &Chains) -> u32 {
    chains.iter().fold(0, |hash, x| mix32(hash ^ x.to_bits()).wrapping_add(GOLDEN))
}

/// Runs the kernel as a device that fuses.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    run_rounded(buffers, params, workgroups, Rounding::Fused);
}

/// Runs the kernel as a device that rounds so.
pub fn run_rounded(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>, rounding: Rounding) {
    let [seed, count, ..] = *params;
    chain::run(buffers, seed, workgroups, |workgroup, lane| {
        let mut chains = start(seed, lane);
        steps(&mut chains, count / 2, rounding);
        chains[0] = f32::from_bits(SelfFault::apply(params, workgroup, lane, chains[0].to_bits()));
        steps(&mut chains, count / 2, rounding);
        fold(&chains)
    });
}
