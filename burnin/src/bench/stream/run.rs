//! Runs the stream bench.

use std::time::Duration;

use kernels::memory::{Op, Order, TILE_BYTES, Values};
use report::{
    Backend, Bytes, CheckResult, DeviceKind, Measurement, Mismatches, Quantity, RegionRates, Sample, Unit,
};

use crate::device::{DeviceError, Elapsed};
use crate::mismatches::merge;
use crate::session::{Session, coverage, measurement, repeats, sample};
use crate::sweep::{Action, Found, Shape, Space, Swept, canaries};

const VALUES: Values = Values::own_address(0);
/// How many parts share the planned time.
const PARTS: f64 = 4.0;
/// Tiles on which forms of the kernel are tried: 64 MiB of a processor's memory, 1 GiB of a GPU's, far beyond its caches.
const TRIED_TILES: [u32; 2] = [1024, 16_384];
/// Sweeps of a region; the best counts.
const REGION_SWEEPS: usize = 3;

const fn action(op: Op, values: Values, repeat: u32) -> Action {
    Action { op, values, order: Order::Forward, repeat }
}

/// The memory and what was found in it so far.
struct Stream {
    space: Space,
    found: Found,
}

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let mut space = Space::allocate(session)?;
    let mut result = session.result();
    let mut strays = Mismatches::default();
    result.canary = Some(canaries(session, &mut space, Some(action(Op::Verify, VALUES, 1)), &mut strays)?);
    let found = choose(session, &mut space)?;
    let mut stream = Stream { space, found };
    result.measurements = vec![
        stream.write(session)?,
        stream.read(session)?,
        stream.read_modify_write(session)?,
        stream.copy(session)?,
    ];
    result.regions.push(stream.by_region(session)?);
    let Stream { space, found } = stream;
    #[expect(clippy::cast_precision_loss, reason = "byte counts below 2^53")]
    result.coverage.push(coverage("compared_bytes", found.compared_bytes as f64));
    let mut wrong = found.wrong;
    merge(&mut wrong, strays);
    result.mismatches = Some(wrong);
    space.free(session);
    Ok(result)
}

/// Tries every form of the kernel on a part of the memory and keeps the fastest; what was wrong meanwhile counts.
fn choose(session: &mut Session<'_>, space: &mut Space) -> Result<Found, DeviceError> {
    let mut found = Found::default();
    let info = session.device.info();
    if info.backend == Backend::Cpu {
        return Ok(found);
    }
    let shapes: Vec<_> = Shape::all(info).collect();
    let most = TRIED_TILES[usize::from(info.kind != DeviceKind::Cpu)];
    let tiles = 0..space.tiles().min(most);
    let mut best: Option<(Duration, Shape)> = None;
    for shape in shapes {
        space.reshape(shape);
        let mut took = Duration::MAX;
        // The first time includes compilation on some drivers.
        for _ in 0..3 {
            let write = space.sweep(session, &action(Op::Write, VALUES, 1), tiles.clone(), 0)?;
            let read = space.sweep(session, &action(Op::Verify, VALUES, 1), tiles.clone(), 0)?;
            took = took.min(time(&write) + time(&read));
            found.add(read.found);
        }
        if best.is_none_or(|(least, _)| took < least) {
            best = Some((took, shape));
        }
    }
    if let Some((_, shape)) = best {
        space.reshape(shape);
    }
    Ok(found)
}

/// By the device's clock where there is one.
fn time(swept: &Swept) -> Duration {
    swept.elapsed.map_or(Duration::MAX / 8, |elapsed| elapsed.device.unwrap_or(elapsed.host))
}

impl Stream {
    fn sweep(&mut self, session: &mut Session<'_>, action: &Action, pass: u32) -> Result<Swept, DeviceError> {
        let all = 0..self.space.tiles();
        let mut swept = self.space.sweep(session, action, all, pass)?;
        self.found.add(std::mem::take(&mut swept.found));
        Ok(swept)
    }

    fn write(&mut self, session: &mut Session<'_>) -> Result<Measurement, DeviceError> {
        self.sweep(session, &action(Op::Write, VALUES.complement(), 1), 0)?;
        let measured = self.measure(session, "write", |this, session, repeat, pass| {
            Ok(vec![this.sweep(session, &action(Op::Write, VALUES, repeat), pass)?])
        })?;
        self.sweep(session, &action(Op::Verify, VALUES, 1), 0)?;
        Ok(measured)
    }

    fn read(&mut self, session: &mut Session<'_>) -> Result<Measurement, DeviceError> {
        self.measure(session, "read", |this, session, repeat, pass| {
            Ok(vec![this.sweep(session, &action(Op::Verify, VALUES, repeat), pass)?])
        })
    }

    fn read_modify_write(&mut self, session: &mut Session<'_>) -> Result<Measurement, DeviceError> {
        let mut values = VALUES;
        let measured = self.measure(session, "read-modify-write", |this, session, repeat, pass| {
            let mut sweeps = Vec::new();
            for _ in 0..repeat {
                sweeps.push(this.sweep(session, &action(Op::VerifyInvert, values, 1), pass)?);
                values = values.complement();
            }
            Ok(sweeps)
        })?;
        self.sweep(session, &action(Op::Verify, values, 1), 0)?;
        Ok(measured)
    }

    fn copy(&mut self, session: &mut Session<'_>) -> Result<Measurement, DeviceError> {
        // Every word has another value than the one that is copied over it.
        self.sweep(session, &action(Op::Write, VALUES, 1), 0)?;
        let measured = self.measure(session, "copy", |this, session, repeat, _| {
            (0..repeat).map(|_| this.space.copy(session, Order::Forward)).collect()
        })?;
        let copied = self.space.verify_copy(session, VALUES, 0)?;
        self.found.add(copied);
        Ok(measured)
    }

    /// Measures windows of as many sweeps as fill one.
    fn measure(
        &mut self,
        session: &mut Session<'_>,
        name: &str,
        mut window: impl FnMut(&mut Self, &mut Session<'_>, u32, u32) -> Result<Vec<Swept>, DeviceError>,
    ) -> Result<Measurement, DeviceError> {
        // The first sweep of a kind includes compilation on some drivers.
        window(self, session, 1, 0)?;
        let repeat = repeats(taken(&window(self, session, 1, 0)?).1);
        let samples = session.measure(1.0 / PARTS, |session, number| {
            let (bytes, elapsed) = taken(&window(self, session, repeat, number)?);
            let sample: Sample = sample(bytes, 1, elapsed);
            Ok(sample)
        })?;
        let (bytes, shape) = (self.space.bytes(), self.space.shape());
        let method = format!("{bytes}, {shape}, {repeat} sweeps a window, answers compared");
        Ok(measurement(name, Unit::BytesPerS, method, samples))
    }

    /// Reads each region alone.
    fn by_region(&mut self, session: &mut Session<'_>) -> Result<RegionRates, DeviceError> {
        self.sweep(session, &action(Op::Write, VALUES, 1), 0)?;
        let (tiles, step) = (self.space.tiles(), self.space.region_tiles());
        let mut bytes_per_s = Vec::new();
        for first in (0..tiles).step_by(step as usize) {
            let region = first..(first + step).min(tiles);
            let mut best = Quantity::ZERO;
            for _ in 0..REGION_SWEEPS {
                let swept = self.space.sweep(session, &action(Op::Verify, VALUES, 1), region.clone(), 0)?;
                let (bytes, elapsed) = taken(std::slice::from_ref(&swept));
                let rate = sample(bytes, 1, elapsed).rate().and_then(|rate| Quantity::new(rate).ok());
                best = rate.filter(|rate| *rate > best).unwrap_or(best);
                self.found.add(swept.found);
            }
            bytes_per_s.push(best);
        }
        let region_bytes = Bytes(u64::from(step) * TILE_BYTES);
        Ok(RegionRates { metric: "read".to_owned(), region_bytes, bytes_per_s })
    }
}

/// Bytes and time of sweeps in a row.
fn taken(sweeps: &[Swept]) -> (u64, Elapsed) {
    let bytes = sweeps.iter().map(|swept| swept.bytes).sum();
    let none = Elapsed { device: None, host: Duration::ZERO };
    let elapsed = sweeps
        .iter()
        .filter_map(|swept| swept.elapsed)
        .reduce(|a, b| Elapsed { device: a.device.zip(b.device).map(|(a, b)| a + b), host: a.host + b.host });
    (bytes, elapsed.unwrap_or(none))
}
