//! Runs the transfer bench.

use kernels::memory::{Op, Order, TILE_BYTES, TILE_WORDS, Values};
use report::{Bytes, Canary, CheckResult, Measurement, Mismatch, Mismatches, Unit};

use crate::device::{DeviceError, Elapsed, Transfer};
use crate::mismatches::{add, merge, score};
use crate::session::{Session, TRANSFER_DEADLINE, coverage, measurement, repeats, sample};
use crate::sweep::{Action, Space};

/// Most that is copied at once: long against the start of a copy, short for the host to make and compare, which it does
/// once a window.
const BYTES_MAX: u64 = 64 << 20;
/// Tile, word and bits of the planted faults.
const CANARIES: [(u32, u32, u32); 2] = [(0, 17, 1 << 30), (1, 16_000, 1 << 3)];

/// The words of windows by turns, and the memory that they are copied to and from.
struct Lane {
    space: Space,
    tiles: u32,
    sent: [(Values, Vec<u32>); 2],
    received: Vec<u32>,
    wrong: Mismatches,
    compared_bytes: u64,
}

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let mut lane = Lane::new(session)?;
    let mut result = session.result();
    result.canary = Some(lane.canaries(session)?);
    lane.space.forget(session)?;
    result.measurements = vec![
        lane.measure(session, "host-to-device", Lane::send)?,
        lane.measure(session, "device-to-host", Lane::fetch)?,
    ];
    #[expect(clippy::cast_precision_loss, reason = "byte counts below 2^53")]
    result.coverage.push(coverage("compared_bytes", lane.compared_bytes as f64));
    result.mismatches = Some(lane.wrong);
    lane.space.free(session);
    Ok(result)
}

impl Lane {
    fn new(session: &mut Session<'_>) -> Result<Self, DeviceError> {
        let space = Space::allocate(session)?;
        let most = u32::try_from(BYTES_MAX / TILE_BYTES).unwrap_or(u32::MAX);
        let tiles = space.first_chunk().1.min(most);
        let words = |values: Values| {
            (0..tiles).flat_map(|tile| (0..TILE_WORDS).map(move |word| values.at(tile, word))).collect()
        };
        let values = [Values::random(0xcafe), Values::own_address(0)];
        let sent = values.map(|values| (values, words(values)));
        let received = vec![0; tiles as usize * TILE_WORDS as usize];
        Ok(Self { space, tiles, sent, received, wrong: Mismatches::default(), compared_bytes: 0 })
    }

    /// Host to device, then compared there.
    fn send(&mut self, session: &mut Session<'_>, turn: usize, repeat: u32) -> Result<Elapsed, DeviceError> {
        let (values, words) = &self.sent[turn % 2];
        let (buffer, _) = self.space.first_chunk();
        let elapsed =
            session.device.transfer(buffer, Transfer::ToDevice(words), repeat, TRANSFER_DEADLINE)?;
        let found = self.space.sweep(session, &action(Op::Verify, *values), 0..self.tiles, 0)?.found;
        self.compared_bytes += found.compared_bytes;
        merge(&mut self.wrong, found.wrong);
        Ok(elapsed)
    }

    /// Written on the device, device to host, then compared here.
    fn fetch(&mut self, session: &mut Session<'_>, turn: usize, repeat: u32) -> Result<Elapsed, DeviceError> {
        let values = self.sent[turn % 2].0;
        self.space.sweep(session, &action(Op::Write, values), 0..self.tiles, 0)?;
        self.take(session, turn, repeat)
    }

    fn take(&mut self, session: &mut Session<'_>, turn: usize, repeat: u32) -> Result<Elapsed, DeviceError> {
        let expected = &self.sent[turn % 2].1;
        let words = &mut self.received;
        let (buffer, _) = self.space.first_chunk();
        let elapsed = session.device.transfer(buffer, Transfer::ToHost(words), repeat, TRANSFER_DEADLINE)?;
        self.compared_bytes += words.len() as u64 * 4;
        if words == expected {
            return Ok(elapsed);
        }
        for (number, (expected, found)) in (0u64..).zip(expected.iter().zip(words)) {
            if expected != found {
                let (expected, found) = (*expected, *found);
                let place = Mismatch { byte_address: number * 4, expected, found, workgroup: 0, pass: 0 };
                add(&mut self.wrong, place);
            }
        }
        Ok(elapsed)
    }

    fn measure(
        &mut self,
        session: &mut Session<'_>,
        name: &str,
        window: fn(&mut Self, &mut Session<'_>, usize, u32) -> Result<Elapsed, DeviceError>,
    ) -> Result<Measurement, DeviceError> {
        let bytes = u64::from(self.tiles) * TILE_BYTES;
        // The first copy touches memory that nobody has touched.
        window(self, session, 0, 1)?;
        let repeat = repeats(window(self, session, 1, 1)?);
        let samples = session.measure(0.5, |session, number| {
            Ok(sample(bytes, repeat, window(self, session, number as usize, repeat)?))
        })?;
        let method = format!("{} at once, {repeat} copies a window, answers compared", Bytes(bytes));
        Ok(measurement(name, Unit::BytesPerS, method, samples))
    }

    /// Flips a bit on the way, once on each side, and sees that the other side finds exactly that.
    fn canaries(&mut self, session: &mut Session<'_>) -> Result<Canary, DeviceError> {
        let mut canary = Canary { planted: 0, found: 0, strays: 0 };
        let tiles = self.tiles;
        for (tile, word, mask) in CANARIES.into_iter().filter(|(tile, ..)| *tile < tiles) {
            let at = (tile * TILE_WORDS + word) as usize;
            self.space.forget(session)?;
            self.sent[0].1[at] ^= mask;
            self.send(session, 0, 1)?;
            self.sent[0].1[at] ^= mask;
            self.judge(&mut canary, at, mask);
            let values = self.sent[0].0;
            self.space.sweep(session, &action(Op::Write, values), 0..self.tiles, 0)?;
            self.space.flip(session, tile, word, mask)?;
            self.take(session, 0, 1)?;
            self.judge(&mut canary, at, mask);
        }
        self.compared_bytes = 0;
        Ok(canary)
    }

    /// Is what was found the planted fault and nothing else?
    fn judge(&mut self, canary: &mut Canary, at: usize, mask: u32) {
        let seen = std::mem::take(&mut self.wrong);
        let right = seen.first.iter().any(|m| m.expected ^ m.found == mask);
        let before = canary.found;
        score(canary, seen, at as u64 * 4, &mut self.wrong);
        if !right {
            canary.found = before;
        }
    }
}

const fn action(op: Op, values: Values) -> Action {
    Action { op, values, order: Order::Forward, repeat: 1 }
}
