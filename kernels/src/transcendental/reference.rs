//! The transcendental kernel on the processor, which is one device among others here: its last bits are its own.

use std::ops::Range;

use crate::chain;
use crate::mix::{GOLDEN, mix32};
use crate::{Params, SelfFault, WORKGROUP_SIZE};

use super::{CLASSES, Function, ROTATION};

/// The random bits of a lane's inputs, before the first step.
pub(super) fn start(seed: u32, workgroup: u32, lane: u32) -> u32 {
    let item = (lane + ROTATION * (workgroup / CLASSES)) % WORKGROUP_SIZE;
    mix32(((workgroup % CLASSES) * WORKGROUP_SIZE + item).wrapping_mul(GOLDEN) ^ seed)
}

/// The bits of the next inputs.
pub(super) fn next(u: u32) -> u32 {
    u.wrapping_mul(0x4c95_7f2d).wrapping_add(0x6a09_e667)
}

/// What a function is given for these bits.
pub(super) fn input(function: Function, u: u32) -> f32 {
    let positive = ((111 + (u >> 3 & 31)) << 23) | (u >> 9);
    #[expect(clippy::cast_precision_loss, reason = "21 bits, exact")]
    let angle = ((u >> 11).cast_signed() - (1 << 20)) as f32 * 2.861_023e-6;
    match function {
        Function::Exp2 => f32::from_bits(0x3f80_0000 | (u >> 9)) * 32.0 - 48.0,
        Function::Log2 => f32::from_bits(positive),
        Function::Sin => angle,
        Function::Cos => -0.75 * angle,
        Function::Sqrt => f32::from_bits(positive ^ 0x0011_1111),
        Function::InverseSqrt => f32::from_bits(positive ^ 0x0022_2222),
        Function::Reciprocal => f32::from_bits(positive ^ 0x8044_4444),
    }
}

fn value(function: Function, x: f32) -> f32 {
    match function {
        Function::Exp2 => x.exp2(),
        Function::Log2 => x.log2(),
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Sqrt => x.sqrt(),
        Function::InverseSqrt => 1.0 / x.sqrt(),
        Function::Reciprocal => 1.0 / x,
    }
}

/// Runs the kernel.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    let (asked, seed, count) = (params[1], params[2], params[3]);
    chain::run(buffers, params, workgroups, |workgroup, lane| {
        let (mut u, mut hash) = (start(seed, workgroup, lane), 0u32);
        let mut steps = |hash: &mut u32, count: u32| {
            for _ in 0..count {
                u = next(u);
                for function in Function::ALL {
                    if asked == 0 || asked == function.number() {
                        let bits = value(function, input(function, u)).to_bits();
                        *hash = hash.wrapping_mul(GOLDEN).wrapping_add(bits);
                    }
                }
            }
        };
        steps(&mut hash, count / 2);
        hash = SelfFault::apply(params, workgroup, lane, hash);
        steps(&mut hash, count - count / 2);
        hash
    });
}
