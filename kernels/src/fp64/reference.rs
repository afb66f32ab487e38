//! The FP64 kernel on the processor.

use std::ops::Range;

use crate::Params;
use crate::chain::{self, first, fold, run_chains};
use crate::mix::{GOLDEN, mix32};

use super::{CHAINS, Rounding};

/// The chains of one invocation.
#[derive(Clone, Debug)]
pub(super) struct Chains {
    pub(super) x: [f64; CHAINS as usize],
    rounding: Rounding,
}

/// The constants of the chains, -1.9375 - k/1024.
fn constants() -> [f64; CHAINS as usize] {
    #[expect(clippy::cast_precision_loss, reason = "below 16, exact")]
    std::array::from_fn(|chain| -1.9375 - chain as f64 / 1024.0)
}

impl Chains {
    /// First values: 32 random bits as a number from -1.5 to 1.5, every step of the making exact.
    pub(super) fn start(seed: u32, lane: u32, rounding: Rounding) -> Self {
        let x = std::array::from_fn(|chain| {
            #[expect(clippy::cast_possible_truncation, reason = "below 16")]
            let number = lane * CHAINS + chain as u32;
            // Times 2^-32, not divided by 2^32: a division may be rounded as the device likes.
            f64::from(mix32(number.wrapping_mul(GOLDEN) ^ seed)) * 2.328_306_436_538_696_3e-10 * 3.0 - 1.5
        });
        Self { x, rounding }
    }
}

impl chain::Chains for Chains {
    fn steps(&mut self, count: u32) {
        let constants = constants();
        for _ in 0..count {
            let pairs = self.x.iter_mut().zip(constants);
            match self.rounding {
                Rounding::Fused => pairs.for_each(|(x, c)| *x = x.mul_add(*x, c)),
                Rounding::Separate => pairs.for_each(|(x, c)| *x = *x * *x + c),
            }
        }
    }

    fn plant(&mut self, fault: impl Fn(u32) -> u32) {
        let bits = self.x[0].to_bits();
        #[expect(clippy::cast_possible_truncation, reason = "the low word")]
        let low = fault(bits as u32);
        self.x[0] = f64::from_bits(bits >> 32 << 32 | u64::from(low));
    }

    fn fold(&self, chains: usize) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "low and high word")]
        first(&self.x, chains)
            .iter()
            .flat_map(|x| [x.to_bits() as u32, (x.to_bits() >> 32) as u32])
            .fold(0, fold)
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
