//! Planted faults: bits flipped in memory by a kernel, to be found by the sweep that a check relies on.

use kernels::memory::{Op, Order, Record, TILE_BYTES, TILE_WORDS};
use report::{Canary, Mismatches};

use super::{Action, Found, Space};
use crate::device::DeviceError;
use crate::mismatches::score;
use crate::session::Session;

/// Tile, word and bits of the planted faults: first word, neighbours of a tile's edge, one and two bits.
const CANARIES: [(u32, u32, u32); 4] =
    [(0, 0, 1), (0, TILE_WORDS - 1, 1 << 31), (1, 0, 1 << 9), (3, 4_465, 0x0001_0010)];
/// Canaries are planted in so many first tiles.
const CANARY_TILES: u32 = 4;

/// Flips bits in the first tiles, one fault at a time, and sees that exactly these are found, at every further look
/// too, by the operation and the values of `look`. Nothing is planted where there is no look.
pub fn canaries(
    session: &mut Session<'_>,
    space: &mut Space,
    look: Option<Action>,
    wrong: &mut Mismatches,
) -> Result<Canary, DeviceError> {
    let mut canary = Canary { planted: 0, found: 0, strays: 0 };
    let Some(look) = look else { return Ok(canary) };
    let tiles = space.tiles().min(CANARY_TILES);
    for (tile, word, mask) in CANARIES.into_iter().filter(|(tile, ..)| *tile < tiles) {
        let seen = plant(session, space, look, (tile, word, mask))?;
        let exact =
            |record: &Record| record.expected ^ record.found == mask && record.again == [record.found; 3];
        let right = seen.records.iter().any(exact);
        let before = canary.found;
        score(&mut canary, seen.wrong, u64::from(tile) * TILE_BYTES + u64::from(word) * 4, wrong);
        if !right {
            canary.found = before;
        }
    }
    space.forget(session)?;
    Ok(canary)
}

/// Writes the first tiles, flips bits of one word, and looks.
fn plant(
    session: &mut Session<'_>,
    space: &mut Space,
    look: Action,
    (tile, word, mask): (u32, u32, u32),
) -> Result<Found, DeviceError> {
    let tiles = space.tiles().min(CANARY_TILES);
    // Forgotten before each, so that the bits seen are those of this one.
    space.forget(session)?;
    let write = Action { op: Op::Write, values: look.values, order: Order::Forward, repeat: 1 };
    space.sweep(session, &write, 0..tiles, 0)?;
    space.flip(session, tile, word, mask)?;
    Ok(space.sweep(session, &look, 0..tiles, 0)?.found)
}
