//! The memory sweeps on the processor, over real words or over a model of memory that has faults of its own.

use std::ops::Range;

use crate::Params;

use super::errors::{Record, record};
use super::{LANES, TILE_WORDS, Values};

/// Memory as the sweeps see it: words by tile and number. A model of broken memory answers as it likes.
pub trait Cells {
    /// Reads a word.
    fn read(&mut self, tile: u32, word: u32) -> u32;
    /// Writes a word.
    fn write(&mut self, tile: u32, word: u32, value: u32);
}

/// Chunks of as many tiles each.
struct Chunks<'a, 'b> {
    chunks: &'a mut [&'b mut [u32]],
    tiles: u32,
}

impl Chunks<'_, '_> {
    fn at(&mut self, tile: u32, word: u32) -> &mut u32 {
        let place = (tile % self.tiles) as usize * TILE_WORDS as usize + word as usize;
        &mut self.chunks[(tile / self.tiles) as usize][place]
    }
}

impl Cells for Chunks<'_, '_> {
    fn read(&mut self, tile: u32, word: u32) -> u32 {
        *self.at(tile, word)
    }

    fn write(&mut self, tile: u32, word: u32, value: u32) {
        *self.at(tile, word) = value;
    }
}

/// Runs the kernel.
pub fn run(buffers: &mut [&mut [u32]], params: &Params, workgroups: Range<u32>) {
    let Some((errors, chunks)) = buffers.split_first_mut().filter(|(_, chunks)| !chunks.is_empty()) else {
        panic!("a memory kernel takes an error buffer and memory")
    };
    // A buffer that is bound alone holds all tiles.
    let tiles = if chunks.len() == 1 { u32::MAX } else { params[7] };
    run_on(&mut Chunks { chunks, tiles }, errors, params, workgroups);
}

/// Runs the kernel on memory of any kind.
pub fn run_on(cells: &mut impl Cells, errors: &mut [u32], params: &Params, workgroups: Range<u32>) {
    let [op, _, each, order, tiles, first, ..] = *params;
    if op == 5 {
        if workgroups.contains(&0) {
            let (word, mask) = (params[10], params[9]);
            let value = cells.read(first, word);
            cells.write(first, word, value ^ mask);
        }
        return;
    }
    let grid = tiles.div_ceil(each);
    for workgroup in workgroups {
        let turns = (0..each).map(|k| workgroup + k * grid).filter(|turn| *turn < tiles);
        for turn in turns {
            let place = first + turned(turn, order, tiles);
            sweep(cells, errors, params, place, workgroup);
        }
    }
}

/// The tile that is taken at this turn.
pub(super) const fn turned(turn: u32, order: u32, tiles: u32) -> u32 {
    match order {
        0 => turn,
        1 => tiles - 1 - turn,
        stride => turn.wrapping_mul(stride) % tiles,
    }
}

/// Handles one tile: all of it is read and compared before any of it is written.
fn sweep(cells: &mut impl Cells, errors: &mut [u32], params: &Params, place: u32, workgroup: u32) {
    let [op, kind, _, _, _, _, base, _, multiplier, mask, extra, region_tiles] = *params;
    let values = Values::from_words([kind, multiplier, mask, extra]);
    let tile = base.wrapping_add(place);
    let words = 0..TILE_WORDS;
    if matches!(op, 1 | 2) {
        errors[0] = errors[0].wrapping_add(LANES);
        for word in words.clone() {
            let (expected, found) = (values.at(tile, word), cells.read(place, word));
            if found != expected {
                let again = [(); 3].map(|()| cells.read(place, word));
                let entry = Record { tile, word, expected, found, workgroup, again };
                record(errors, tile / region_tiles, entry);
            }
        }
    }
    match op {
        0 => words.for_each(|word| cells.write(place, word, values.at(tile, word))),
        2 => words.for_each(|word| cells.write(place, word, !values.at(tile, word))),
        3 => words
            .filter(|word| !values.is_victim(tile.wrapping_mul(TILE_WORDS).wrapping_add(*word)))
            .for_each(|word| cells.write(place, word, values.at(tile, word))),
        4 => words.for_each(|word| {
            let value = cells.read(place, word);
            cells.write(place + extra, word, value);
        }),
        _ => {}
    }
}
