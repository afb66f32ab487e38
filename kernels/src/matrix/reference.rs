//! The rate kernel on the processor: every product of every round, as a device does.

use std::ops::Range;

use super::operands::{pack, unpack};
use super::{CLASSES, Types};
use crate::Params;
use crate::chain::share;

/// The parameters that the kernel reads.
struct Shape {
    m: usize,
    n: usize,
    k: usize,
    fragments: usize,
    owners: u32,
    seed: u32,
    rounds: u32,
    fault: [u32; 4],
}

impl Shape {
    fn of(params: &Params) -> Self {
        let [m, n, k, _, fragments, owners, seed, rounds, fault @ ..] = *params;
        let [m, n, k, fragments] = [m, n, k, fragments].map(|word| word as usize);
        Self { m, n, k, fragments, owners, seed, rounds, fault }
    }
}

/// A component's arithmetic: floats in single precision, integers wrapping.
pub(super) trait Number: Copy {
    fn of_element(types: Types, bits: u32) -> Self;
    fn of_accumulator(types: Types, bits: u32) -> Self;
    fn stamp(stamp: u32) -> Self;
    fn multiply_add(self, a: Self, b: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn bits(self, types: Types) -> u32;
}

impl Number for f32 {
    fn of_element(types: Types, bits: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "every element fits single precision")]
        let value = types.element().decode(bits) as f32;
        value
    }
    fn of_accumulator(types: Types, bits: u32) -> Self {
        types.accumulator().decode_float(bits)
    }
    fn stamp(stamp: u32) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "stamps of floats are below 2^13")]
        let value = stamp as f32;
        value
    }
    fn multiply_add(self, a: Self, b: Self) -> Self {
        self + a * b
    }
    fn add(self, other: Self) -> Self {
        self + other
    }
    fn bits(self, types: Types) -> u32 {
        types.accumulator().encode_float(self)
    }
}

impl Number for u32 {
    fn of_element(types: Types, bits: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "8 bits")]
        let value = types.element().decode(bits) as i32;
        value.cast_unsigned()
    }
    fn of_accumulator(_: Types, bits: u32) -> Self {
        bits
    }
    fn stamp(stamp: u32) -> Self {
        stamp
    }
    fn multiply_add(self, a: Self, b: Self) -> Self {
        self.wrapping_add(a.wrapping_mul(b))
    }
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn bits(self, _: Types) -> u32 {
        self
    }
}

/// Runs the kernel for these types.
pub(super) fn run(types: Types, buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    if types.accumulator().is_integer() {
        run_in::<u32>(types, buffers, params, workgroups);
    } else {
        run_in::<f32>(types, buffers, params, workgroups);
    }
}

fn run_in<N: Number>(types: Types, buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    let [operands, results, groups] = buffers else {
        panic!("a matrix kernel binds three buffers, {} are bound", buffers.len())
    };
    let shape = Shape::of(params);
    let tile = shape.fragments.pow(2) * shape.m * shape.n / types.accumulator().per_word();
    for workgroup in workgroups {
        let mut total = 0u32;
        for owner in 0..shape.owners {
            let words = owned::<N>(types, operands, &shape, (workgroup, owner));
            let number = (workgroup * shape.owners + owner) as usize;
            results[number * tile..][..tile].copy_from_slice(&words);
            #[expect(clippy::cast_possible_truncation, reason = "a workgroup's results are few")]
            let first = owner * tile as u32;
            total = (first..).zip(&words).fold(total, |sum, (at, word)| sum.wrapping_add(share(at, *word)));
        }
        let sum = &mut groups[1 + workgroup as usize];
        *sum = sum.wrapping_add(total);
        groups[0] = groups[0].wrapping_add(1);
    }
}

/// What one owner of matrices leaves.
fn owned<N: Number>(types: Types, operands: &[u32], shape: &Shape, at: (u32, u32)) -> Vec<u32> {
    let Shape { m, n, k, fragments: f, .. } = *shape;
    let number = at.0 * shape.owners + at.1;
    let (element, accumulator) = (types.element().per_word(), types.accumulator().per_word());
    let (a_words, b_words, c_words) = (f * m * k / element, f * k * n / element, f * f * m * n / accumulator);
    let class = &operands[(number % CLASSES) as usize * (a_words + b_words + c_words)..];
    let elements = |words: &[u32]| -> Vec<N> {
        unpack(words, element).iter().map(|bits| N::of_element(types, *bits)).collect()
    };
    let a = elements(&class[..a_words]);
    let b = elements(&class[a_words..][..b_words]);
    let stamp = N::stamp(types.stamp(shape.seed, number));
    let c = unpack(&class[a_words + b_words..][..c_words], accumulator);
    let mut c: Vec<N> = c.iter().map(|bits| N::of_accumulator(types, *bits).add(stamp)).collect();
    for part in 0..2 {
        for t in 0..shape.rounds / 2 {
            let turn = (part * (shape.rounds / 2) + t) as usize;
            for (at, c) in c.chunks_exact_mut(m * n).enumerate() {
                let a = &a[(at / f + turn) % f * m * k..][..m * k];
                for q in 0..f {
                    let b = &b[(at % f + q) % f * k * n..][..k * n];
                    multiply_add(a, b, c, (k, n));
                }
            }
        }
        if part == 0 {
            plant(types, &mut c[..m * n], shape, at);
        }
    }
    let bits: Vec<_> = c.iter().map(|number| number.bits(types)).collect();
    pack(&bits, accumulator)
}

pub(super) fn multiply_add<N: Number>(a: &[N], b: &[N], c: &mut [N], (k, n): (usize, usize)) {
    for (row, c) in a.chunks_exact(k).zip(c.chunks_exact_mut(n)) {
        for (a, b) in row.iter().zip(b.chunks_exact(n)) {
            c.iter_mut().zip(b).for_each(|(c, b)| *c = c.multiply_add(*a, *b));
        }
    }
}

/// The fault of the parameters, in the first accumulator of an owner.
fn plant<N: Number>(types: Types, c: &mut [N], shape: &Shape, (workgroup, owner): (u32, u32)) {
    let [kind, at_workgroup, lane, mask] = shape.fault;
    let per_word = types.accumulator().per_word();
    let bits: Vec<_> = c.iter().map(|number| number.bits(types)).collect();
    let mut words = pack(&bits, per_word);
    #[expect(clippy::cast_possible_truncation, reason = "a workgroup's results are few")]
    let tile = (words.len() * shape.fragments.pow(2)) as u32;
    let word = lane.wrapping_sub(owner * tile) as usize;
    match kind {
        1 if workgroup == at_workgroup && word < words.len() => words[word] ^= mask,
        2 => words.iter_mut().skip(lane as usize).step_by(32).for_each(|word| *word |= mask),
        _ => return,
    }
    let bits = unpack(&words, per_word);
    c.iter_mut().zip(bits).for_each(|(c, bits)| *c = N::of_accumulator(types, bits));
}
