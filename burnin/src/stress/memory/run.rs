//! Runs the memory checks.

use kernels::pattern::{Op, Pattern};
use report::{Bytes, Canary, CheckResult, Mismatches};

use super::chunks::Chunks;
use crate::device::DeviceError;
use crate::mismatches::{merge, score};
use crate::session::{Session, coverage};

/// Mask of the own-address pattern.
const MASK: u32 = 0x0a55_a702;
/// Values of the moving inversions.
const VALUES: [u32; 2] = [0x0000_0000, 0x5555_5555];
/// Word of the first chunk and bits of the planted faults: first word, neighbours of a tile's edge, one and two bits.
const CANARIES: [(u32, u32); 4] = [(0, 1), (4095, 1 << 31), (4096, 1 << 9), (70_001, 0x0001_0010)];

/// The own-address check.
pub fn own_address(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let pattern = Pattern::own_address(MASK);
    check(session, pattern, |session, chunks, tally| own_address_passes(session, chunks, tally, pattern))
}

/// The pattern, then its complement, each written everywhere and then compared.
pub(crate) fn own_address_passes(
    session: &mut Session<'_>,
    chunks: &Chunks,
    tally: &mut Tally,
    pattern: Pattern,
) -> Result<(), DeviceError> {
    for (pass, pattern) in (1..).zip([pattern, pattern.complement()]) {
        chunks.sweep(session, Op::Write, pattern, pass)?;
        (session.progress)(f64::from(2 * pass - 1) / 4.0);
        tally.add(chunks.sweep(session, Op::Verify, pattern, pass)?);
        (session.progress)(f64::from(2 * pass) / 4.0);
    }
    Ok(())
}

/// The moving-inversions check.
pub fn moving_inversions(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    check(session, Pattern::uniform(VALUES[0]), moving_inversions_passes)
}

/// Each value written everywhere, inverted twice while it is compared, and compared a last time.
pub(crate) fn moving_inversions_passes(
    session: &mut Session<'_>,
    chunks: &Chunks,
    tally: &mut Tally,
) -> Result<(), DeviceError> {
    for (round, value) in (0u32..).zip(VALUES) {
        let pattern = Pattern::uniform(value);
        chunks.sweep(session, Op::Write, pattern, 0)?;
        let sweeps =
            [(Op::VerifyInvert, pattern), (Op::VerifyInvert, pattern.complement()), (Op::Verify, pattern)];
        for (step, (op, pattern)) in (1u32..).zip(sweeps) {
            tally.add(chunks.sweep(session, op, pattern, 3 * round + step)?);
            (session.progress)(f64::from(3 * round + step) / 6.0);
        }
    }
    Ok(())
}

/// Wrong words of all passes, and the least that one pass compared.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    compared_bytes: Option<u64>,
    pub(crate) wrong: Mismatches,
}

impl Tally {
    fn add(&mut self, swept: super::chunks::Swept) {
        self.compared_bytes =
            Some(self.compared_bytes.map_or(swept.compared_bytes, |least| least.min(swept.compared_bytes)));
        merge(&mut self.wrong, swept.wrong);
    }
}

fn check(
    session: &mut Session<'_>,
    canary_pattern: Pattern,
    passes: impl FnOnce(&mut Session<'_>, &Chunks, &mut Tally) -> Result<(), DeviceError>,
) -> Result<CheckResult, DeviceError> {
    let chunks = Chunks::allocate(session)?;
    let mut result = session.result();
    let mut tally = Tally::default();
    result.canary = Some(canaries(session, &chunks, canary_pattern, &mut tally.wrong)?);
    passes(session, &chunks, &mut tally)?;
    let compared = tally.compared_bytes.unwrap_or(0);
    let Bytes(memory) = session.device.info().memory_bytes;
    #[expect(clippy::cast_precision_loss, reason = "a share to a few digits; byte counts below 2^53")]
    result.coverage.extend([
        coverage("verified_bytes", compared as f64),
        coverage("memory_fraction", compared as f64 / memory.max(1) as f64),
    ]);
    result.mismatches = Some(tally.wrong);
    chunks.free(session);
    Ok(result)
}

/// Flips bits of the first chunk, one fault at a time, and sees that exactly these are found.
fn canaries(
    session: &mut Session<'_>,
    chunks: &Chunks,
    pattern: Pattern,
    wrong: &mut Mismatches,
) -> Result<Canary, DeviceError> {
    let mut canary = Canary { planted: 0, found: 0, strays: 0 };
    let Some(chunk) = chunks.first() else { return Ok(canary) };
    chunks.run(session, &chunk, Op::Write, pattern, 0)?;
    for (word, mask) in CANARIES.into_iter().filter(|(word, _)| *word < chunk.quads * 4) {
        let flip = Op::Flip { word, mask };
        chunks.run(session, &chunk, flip, pattern, 0)?;
        let seen = chunks.run(session, &chunk, Op::Verify, pattern, 0)?.wrong;
        let right_bits = seen.first.iter().any(|m| m.expected ^ m.found == mask);
        let before = canary.found;
        score(&mut canary, seen, u64::from(word) * 4, wrong);
        if !right_bits {
            canary.found = before;
        }
        chunks.run(session, &chunk, flip, pattern, 0)?;
    }
    Ok(canary)
}
