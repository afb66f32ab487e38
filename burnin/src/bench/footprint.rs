//! What the benches by footprint share: which footprints there are, and filling their memory.

use report::{Bytes, DeviceKind};

use crate::device::{Buffer, DeviceError};
use crate::session::{Session, TRANSFER_DEADLINE};

/// The least footprint: fits every cache.
pub(super) const LEAST: u64 = 4 << 10;
/// The largest: on a processor's device twice and on a GPU four times the largest cache of today (32 MiB, 256 MiB).
const MOST: [u64; 2] = [64 << 20, 1 << 30];
/// The powers of two between one footprint and the next, likewise: where a processor's caches end is of no interest, that the check works is.
const STEP: [usize; 2] = [2, 1];
/// Words that are uploaded at once.
const PIECE: usize = 1 << 20;

/// Powers of two, on a processor's device of four, from 4 KiB to what the plan, the device and a binding of it allow.
pub(super) fn footprints(session: &Session<'_>) -> Vec<u32> {
    let info = session.device.info();
    let kind = usize::from(info.kind != DeviceKind::Cpu);
    let most = MOST[kind];
    let most = most.min(session.memory_target().0).min(info.binding_bytes_max.0).max(LEAST);
    (LEAST.ilog2()..=most.ilog2()).step_by(STEP[kind]).map(|bits| 1 << bits).collect()
}

/// Memory of so many bytes; `words` gives those of a range of word numbers.
pub(super) fn filled(
    session: &mut Session<'_>,
    bytes: u32,
    words: impl Fn(std::ops::Range<u32>) -> Vec<u32>,
) -> Result<Buffer, DeviceError> {
    let buffer = session.device.allocate(Bytes(bytes.into()))?;
    let all = u64::from(bytes / 4);
    for first in (0..all).step_by(PIECE) {
        let last = (first + PIECE as u64).min(all);
        #[expect(clippy::cast_possible_truncation, reason = "word numbers of a footprint below 4 GiB")]
        let piece = words(first as u32..last as u32);
        session.device.upload(buffer, first, &piece, TRANSFER_DEADLINE)?;
    }
    Ok(buffer)
}

/// A footprint for people and for rows: `4-kib`, `64-mib`.
pub(super) fn name(bytes: u32) -> String {
    match bytes {
        0x4000_0000.. => format!("{}-gib", bytes >> 30),
        0x10_0000.. => format!("{}-mib", bytes >> 20),
        _ => format!("{}-kib", bytes >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footprints_are_named_by_the_largest_unit_that_divides_them() {
        assert_eq!(
            [4 << 10, 512 << 10, 1 << 20, 512 << 20, 1 << 30].map(name),
            ["4-kib", "512-kib", "1-mib", "512-mib", "1-gib"]
        );
    }
}
