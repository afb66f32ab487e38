//! The product kernel on the processor.

use std::ops::Range;

use super::super::Types;
use super::super::operands::{pack, unpack};
use super::super::reference::{Number, multiply_add};
use super::{Work, tile_sum};
use crate::Params;

/// Runs the kernel for these types on the processor.
pub(super) fn run(types: Types, buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    if types.accumulator().is_integer() {
        run_in::<u32>(types, buffers, params, workgroups);
    } else {
        run_in::<f32>(types, buffers, params, workgroups);
    }
}

fn run_in<N: Number>(types: Types, buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    let [left, right, results, groups] = buffers else {
        panic!("a matrix product binds four buffers, {} are bound", buffers.len())
    };
    let [m, n, k, invocations, fragments, owners, size, ..] = *params;
    let work = Work { types, m, n, k, fragments, owners, invocations, size, seed: 0 };
    for workgroup in workgroups {
        let mut total = 0u32;
        for tile in workgroup * owners..(workgroup + 1) * owners {
            let bits = tile_bits::<N>(&work, (workgroup, tile), (left, right), params);
            let (row, column) = work.origin(tile);
            let per_word = types.accumulator().per_word();
            let line = (n * fragments) as usize / per_word;
            for (at, words) in pack(&bits, per_word).chunks_exact(line).enumerate() {
                let first = ((row + at) * size as usize + column) / per_word;
                results[first..first + line].copy_from_slice(words);
            }
            total = total.wrapping_add(tile_sum(&work, (row, column), results));
        }
        let sum = &mut groups[1 + workgroup as usize];
        *sum = sum.wrapping_add(total);
        groups[0] = groups[0].wrapping_add(1);
    }
}

/// The components of a tile, row by row.
fn tile_bits<N: Number>(
    work: &Work,
    (workgroup, tile): (u32, u32),
    (left, right): (&[u32], &[u32]),
    params: &Params,
) -> Vec<u32> {
    let per_word = work.types.element().per_word();
    let size = work.size as usize;
    let (rows, columns) = ((work.m * work.fragments) as usize, (work.n * work.fragments) as usize);
    let (row, column) = work.origin(tile);
    let elements = |words: &[u32]| -> Vec<N> {
        unpack(words, per_word).iter().map(|bits| N::of_element(work.types, *bits)).collect()
    };
    let a = elements(&left[row * size / per_word..][..rows * size / per_word]);
    let line = |k: usize| elements(&right[(k * size + column) / per_word..][..columns / per_word]);
    let b: Vec<N> = (0..size).flat_map(line).collect();
    let mut c: Vec<N> = vec![N::stamp(0); rows * columns];
    let middle = (work.size / work.k / 2 * work.k) as usize;
    for (first, end) in [(0, middle), (middle, size)] {
        for (a, c) in a.chunks_exact(size).zip(c.chunks_exact_mut(columns)) {
            multiply_add(&a[first..end], &b[first * columns..end * columns], c, (end - first, columns));
        }
        if first == 0 && params[8] == 1 && workgroup == params[9] {
            plant(work, &mut c, (row, column), (params[10], params[11]));
        }
    }
    c.iter().map(|number| number.bits(work.types)).collect()
}

/// Turns bits of a word of the product, if it is in the first accumulator of this tile.
fn plant<N: Number>(work: &Work, c: &mut [N], (row, column): (usize, usize), (lane, mask): (u32, u32)) {
    let per_word = work.types.accumulator().per_word();
    let stride = work.size as usize / per_word;
    let columns = (work.n * work.fragments) as usize;
    let Some(at) = (lane as usize).checked_sub(row * stride + column / per_word) else { return };
    let (line, word) = (at / stride, at % stride);
    if line >= work.m as usize || word >= work.n as usize / per_word {
        return;
    }
    let place = line * columns + word * per_word;
    let bits: Vec<_> = c[place..place + per_word].iter().map(|number| number.bits(work.types)).collect();
    let turned: Vec<_> = pack(&bits, per_word).iter().map(|word| word ^ mask).collect();
    for (c, bits) in c[place..].iter_mut().zip(unpack(&turned, per_word)) {
        *c = N::of_accumulator(work.types, bits);
    }
}
