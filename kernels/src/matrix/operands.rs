//! Operands of the rate kernel, and the answers that follow from them.

use super::{CLASSES, Data, Types, Work};
use crate::mix::{GOLDEN, mix32};

/// The matrices of one class, one component after the other as bits.
pub(super) struct Class {
    /// Each m x k.
    pub(super) a: Vec<Vec<u32>>,
    /// Each k x n.
    pub(super) b: Vec<Vec<u32>>,
    /// Each m x n.
    pub(super) c: Vec<Vec<u32>>,
}

/// Random words of one matrix.
struct Hash {
    key: u32,
}

impl Hash {
    fn of(work: &Work, class: u32, matrix: u32) -> Self {
        Self { key: mix32(work.seed ^ mix32(class.wrapping_mul(GOLDEN) ^ (matrix << 8) ^ 0x3a70_11f5)) }
    }

    fn at(&self, place: usize) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "a matrix has few components")]
        let place = place as u32;
        mix32(self.key.wrapping_add(place.wrapping_mul(GOLDEN)))
    }
}

/// A small integer that is not zero, -magnitude to magnitude.
pub(super) fn small(hash: u32, magnitude: u32) -> i32 {
    let value = (1 + (hash >> 8) % magnitude).cast_signed();
    if hash & 1 == 0 { value } else { -value }
}

/// Largest integer of the first accumulators.
pub(super) const START_MAX: u32 = 8;

impl Class {
    pub(super) fn new(work: &Work, class: u32) -> Self {
        let matrices = |kind: u32, count: u32, make: &dyn Fn(u32, &Hash) -> Vec<u32>| {
            (0..count).map(|n| make(n, &Hash::of(work, class, kind << 4 | n))).collect()
        };
        let (m, n, k) = (work.m as usize, work.n as usize, work.k as usize);
        let a = matrices(1, work.fragments, &|_, hash| (0..m * k).map(|at| work.a(hash.at(at))).collect());
        let mut b: Vec<Vec<u32>> =
            matrices(2, work.fragments / 2, &|_, hash| (0..k * n).map(|at| work.b(hash.at(at))).collect());
        let opposite: Vec<_> = b
            .iter()
            .zip(0..)
            .map(|(b, number)| work.opposite(b, number, &Hash::of(work, class, 3 << 4 | number)))
            .collect();
        b.extend(opposite);
        let c = matrices(4, work.fragments * work.fragments, &|_, hash| {
            (0..m * n).map(|at| work.c(hash.at(at))).collect()
        });
        Self { a, b, c }
    }

    /// As words of the operand buffer.
    pub(super) fn words(&self, types: Types) -> Vec<u32> {
        let (element, accumulator) = (types.element().per_word(), types.accumulator().per_word());
        let elements = self.a.iter().chain(&self.b).flat_map(|matrix| pack(matrix, element));
        elements.chain(self.c.iter().flat_map(|matrix| pack(matrix, accumulator))).collect()
    }
}

impl Work {
    fn a(&self, hash: u32) -> u32 {
        let element = self.types.element();
        match self.data() {
            Data::Exact => element.encode(small(hash, self.magnitude())),
            Data::Random => element.random(hash),
        }
    }

    fn b(&self, hash: u32) -> u32 {
        self.a(hash)
    }

    fn c(&self, hash: u32) -> u32 {
        let accumulator = self.types.accumulator();
        match self.data() {
            Data::Exact => accumulator.encode(i64::from(small(hash, START_MAX))),
            Data::Random => accumulator.random(hash),
        }
    }

    /// The matrix that nearly undoes another: of exact ones the negative, but for one component a column of the first that
    /// is one off, so that a round leaves a little more than it found and a round too few is seen.
    fn opposite(&self, b: &[u32], number: u32, hash: &Hash) -> Vec<u32> {
        let element = self.types.element();
        if self.data() == Data::Random {
            return b.iter().enumerate().map(|(at, bits)| element.opposite(*bits, hash.at(at))).collect();
        }
        let n = self.n as usize;
        let off = |at: usize| {
            let column = hash.at(at % n);
            number == 0 && (column >> 1) as usize % self.k as usize == at / n
        };
        let value = |at: usize, bits: u32| {
            #[expect(clippy::cast_possible_truncation, reason = "a small integer")]
            let value = -(element.decode(bits) as i32);
            if off(at) { value + small(hash.at(at % n), 1) } else { value }
        };
        b.iter().enumerate().map(|(at, bits)| element.encode(value(at, *bits))).collect()
    }
}

/// Components as words, the first in the lowest bits.
pub(super) fn pack(components: &[u32], per_word: usize) -> Vec<u32> {
    let bits = if per_word == 1 { 0 } else { 32 / per_word };
    let word = |part: &[u32]| part.iter().rev().fold(0, |word: u32, c| word << bits | c);
    components.chunks(per_word).map(word).collect()
}

/// Words as components.
pub(super) fn unpack(words: &[u32], per_word: usize) -> Vec<u32> {
    let bits = 32 / per_word;
    let mask = u32::MAX >> (32 - bits);
    words.iter().flat_map(|word| (0..per_word).map(move |n| word >> (n * bits) & mask)).collect()
}

/// The operand buffer of some work: every class after the other.
pub fn operands(work: &Work) -> Vec<u32> {
    (0..CLASSES).flat_map(|class| Class::new(work, class).words(work.types)).collect()
}

/// The right answers of exact work.
#[derive(Clone, Debug)]
pub struct Expected {
    types: Types,
    stamp_seed: u32,
    /// By class: the components of all accumulators, without stamp.
    classes: Vec<Vec<i64>>,
}

impl Expected {
    /// Computes them in the integers: accumulator i,j gets every `b` from each `a` whose turn it is, and the sum of all
    /// `b` is the same for each j.
    ///
    /// # Panics
    /// If the work is not exact.
    pub fn new(work: &Work) -> Self {
        assert!(work.is_exact(), "random work has no answer that the processor knows");
        Self {
            types: work.types,
            stamp_seed: work.stamp_seed(),
            classes: (0..CLASSES).map(|class| answers(work, &Class::new(work, class))).collect(),
        }
    }

    /// The words that this owner of matrices must leave.
    pub fn tile(&self, owner: u32) -> Vec<u32> {
        let accumulator = self.types.accumulator();
        let stamp = i64::from(self.types.stamp(self.stamp_seed, owner));
        let components: Vec<_> = self.classes[(owner % CLASSES) as usize]
            .iter()
            .map(|value| accumulator.encode(value.wrapping_add(stamp)))
            .collect();
        pack(&components, accumulator.per_word())
    }
}

fn answers(work: &Work, class: &Class) -> Vec<i64> {
    let element = work.types.element();
    #[expect(clippy::cast_possible_truncation, reason = "integers")]
    let integers = |bits: &Vec<u32>| -> Vec<i64> { bits.iter().map(|b| element.decode(*b) as i64).collect() };
    let (n, k) = (work.n as usize, work.k as usize);
    let mut sum = vec![0i64; k * n];
    for b in &class.b {
        sum.iter_mut().zip(integers(b)).for_each(|(sum, b)| *sum += b);
    }
    let products: Vec<Vec<i64>> = class.a.iter().map(|a| product(&integers(a), &sum, k, n)).collect();
    let (fragments, rounds) = (work.fragments as usize, work.rounds as usize);
    // In how many rounds t is (i + t) mod fragments p?
    let turns = |i: usize, p: usize| {
        let first = (p + fragments - i) % fragments;
        (rounds + fragments - 1).saturating_sub(first) / fragments
    };
    let accumulator = work.types.accumulator();
    (0..fragments * fragments)
        .flat_map(|at| {
            let mut c: Vec<i64> = class.c[at].iter().map(|bits| accumulator.decode(*bits)).collect();
            for (p, product) in products.iter().enumerate() {
                #[expect(clippy::cast_possible_wrap, reason = "a number of rounds")]
                let turns = turns(at / fragments, p) as i64;
                c.iter_mut().zip(product).for_each(|(c, p)| *c = c.wrapping_add(p.wrapping_mul(turns)));
            }
            c
        })
        .collect()
}

fn product(a: &[i64], b: &[i64], k: usize, n: usize) -> Vec<i64> {
    a.chunks_exact(k)
        .flat_map(|row| {
            let mut out = vec![0i64; n];
            for (a, b) in row.iter().zip(b.chunks_exact(n)) {
                out.iter_mut().zip(b).for_each(|(out, b)| *out += a * b);
            }
            out
        })
        .collect()
}
