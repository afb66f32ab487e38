//! The pattern kernel on the processor.

use std::ops::Range;

use crate::Params;

use super::{Pattern, QUADS_PER_WORKGROUP, RECORDS_MAX};

/// Runs the kernel.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    let [memory, errors] = buffers else {
        panic!("the pattern kernel binds two buffers, {} are bound", buffers.len())
    };
    let [op, quads, base, multiplier, mask, flip_word, flip_mask, ..] = *params;
    let pattern = Pattern { multiplier, mask };
    if op == 3 {
        if workgroups.contains(&0) {
            memory[flip_word as usize] ^= flip_mask;
        }
        return;
    }
    let quad = |workgroup: u32| workgroup.saturating_mul(QUADS_PER_WORKGROUP).min(quads);
    let words = quad(workgroups.start) * 4..quad(workgroups.end) * 4;
    if op != 0 {
        errors[0] = errors[0].wrapping_add((words.end - words.start) / 4);
    }
    let slice = words.start as usize..words.end as usize;
    for (word, value) in words.zip(&mut memory[slice]) {
        let expected = pattern.value(base.wrapping_add(word));
        if op != 0 && *value != expected {
            record(errors, [word, expected, *value, word / 4 / QUADS_PER_WORKGROUP]);
        }
        match op {
            0 => *value = expected,
            2 => *value = !expected,
            _ => {}
        }
    }
}

fn record(errors: &mut [u32], entry: [u32; 4]) {
    errors[1] = errors[1].wrapping_add(1);
    errors[2] |= entry[1] ^ entry[2];
    let at = errors[3];
    errors[3] = errors[3].wrapping_add(1);
    if at < RECORDS_MAX {
        let at = 4 + 4 * at as usize;
        errors[at..at + 4].copy_from_slice(&entry);
    }
}
