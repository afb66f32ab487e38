//! The FP32 kernel on the processor.

use std::ops::Range;

use crate::Params;
use crate::chain::{self, first, fold, run_chains};
use crate::mix::{GOLDEN, mix32};

use super::{CHAINS, Rounding};

/// The chains of one invocation.
#[derive(Clone, Debug)]
pub(super) struct Chains {
    x: [f32; CHAINS as usize],
    rounding: Rounding,
}

/// The constants of the chains, -1.9375 - k/1024: exact in FP32, so that no compiler can round them its own way.
fn constants() -> [f32; CHAINS as usize] {
    #[expect(clippy::cast_precision_loss, reason = "below 32, exact")]
    std::array::from_fn(|chain| -1.9375 - chain as f32 / 1024.0)
}

/// `x * x + c` rounded once, bit for bit what `mul_add` gives where neither overflows: the square is exact in 64 bits, and so
/// is nearly always the sum; where it is not, and lies in the middle between two results, its error decides.
///
/// Without an instruction for it `mul_add` is a call of a library, many times slower; this is a loop of vectors.
pub(super) fn fused(x: f32, c: f32) -> f32 {
    let (square, c) = (f64::from(x) * f64::from(x), f64::from(c));
    let sum = square + c;
    // Knuth's two-sum: what the addition lost, exactly.
    let part = sum - square;
    let lost = (square - (sum - part)) + (c - part);
    // 29 bits are dropped; in the middle the first of them is set alone.
    let middle = sum.to_bits() & 0x1fff_ffff == 0x1000_0000;
    let away = (lost > 0.0) == (sum > 0.0);
    let nudged = if away { sum.to_bits().wrapping_add(1) } else { sum.to_bits().wrapping_sub(1) };
    #[expect(clippy::cast_possible_truncation, reason = "the one rounding that is meant")]
    let rounded = f64::from_bits(if middle && lost != 0.0 { nudged } else { sum.to_bits() }) as f32;
    rounded
}

impl Chains {
    /// First values: 22 random bits as a number from -1.5 to 1.5, every step of the making exact.
    pub(super) fn start(seed: u32, lane: u32, rounding: Rounding) -> Self {
        let x = std::array::from_fn(|chain| {
            #[expect(clippy::cast_possible_truncation, reason = "below 32")]
            let number = lane * CHAINS + chain as u32;
            let bits = mix32(number.wrapping_mul(GOLDEN) ^ seed) & 0x003f_ffff;
            #[expect(clippy::cast_precision_loss, reason = "22 bits fit the 24 of the mantissa")]
            // Times 2^-22, not divided by 2^22: Vulkan lets a division be off by 2.5 ULP.
            let unit = bits as f32 * 2.384_185_8e-7;
            // Exact: 3.0 * unit has 24 bits, and so has the difference.
            unit * 3.0 - 1.5
        });
        Self { x, rounding }
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> &[f32] {
        &self.x
    }
}

impl chain::Chains for Chains {
    fn steps(&mut self, count: u32) {
        let constants = constants();
        for _ in 0..count {
            let pairs = self.x.iter_mut().zip(constants);
            match self.rounding {
                Rounding::Fused => pairs.for_each(|(x, c)| *x = fused(*x, c)),
                Rounding::Separate => pairs.for_each(|(x, c)| *x = *x * *x + c),
            }
        }
    }

    fn plant(&mut self, fault: impl Fn(u32) -> u32) {
        self.x[0] = f32::from_bits(fault(self.x[0].to_bits()));
    }

    fn fold(&self, chains: usize) -> u32 {
        first(&self.x, chains).iter().fold(0, |hash, x| fold(hash, x.to_bits()))
    }
}

/// Runs the kernel as a device that fuses.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    run_rounded(buffers, params, workgroups, Rounding::Fused);
}

/// Runs the kernel as a device that rounds so.
pub fn run_rounded(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>, rounding: Rounding) {
    run_chains(buffers, params, workgroups, |lane| Chains::start(params[2], lane, rounding));
}
