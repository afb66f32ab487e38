//! Chunks of memory and the sweeps over them.

use std::ops::Range;

use kernels::WORKGROUPS_MAX;
use kernels::memory::errors::HEADER_WORDS;
use kernels::memory::{
    ERROR_WORDS, Errors, LANES, Op, Order, RECORDS_MAX, REGIONS, Record, Span, TILE_BYTES, Values, Work,
};
use report::{Bytes, DeviceKind, Mismatch, Mismatches};

use super::{Shape, reserve};
use crate::device::{Buffer, DeviceError, Elapsed};
use crate::mismatches::merge;
use crate::session::{Launch, Session};

/// Largest chunk.
const CHUNK_BYTES_MAX: u64 = 1 << 30;
/// What remains below this is not worth a chunk.
const CHUNK_BYTES_MIN: u64 = 16 << 20;

/// All memory of a check.
#[derive(Debug)]
pub struct Space {
    groups: Vec<Group>,
    errors: Buffer,
    shape: Shape,
    tiles: u32,
    /// The header of the error buffer as it was last read.
    seen: Errors,
    /// Tiles that a persistent workgroup takes, where it isn't left to the shape.
    packed: Option<u32>,
}

/// Chunks of one size.
#[derive(Debug)]
struct Group {
    chunks: Vec<Buffer>,
    chunk_tiles: u32,
    /// Number of its first tile among all.
    base: u32,
}

/// What a sweep does.
#[derive(Clone, Copy, Debug)]
pub struct Action {
    /// With each word.
    pub op: Op,
    /// The values.
    pub values: Values,
    /// In which order.
    pub order: Order,
    /// How many times in a row.
    pub repeat: u32,
}

/// What a sweep took, compared and found.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// By the device's clock where every dispatch of it had one, and by the host's.
    pub elapsed: Option<Elapsed>,
    /// Bytes read and written.
    pub bytes: u64,
    /// What was compared and was wrong.
    pub found: Found,
}

/// What was compared and was wrong.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Bytes compared, counted by the invocations that compared them.
    pub compared_bytes: u64,
    /// The wrong words.
    pub wrong: Mismatches,
    /// Those of them that were recorded, with how they were at further looks.
    pub records: Vec<Record>,
    /// How many were wrong in each region.
    pub regions: Vec<u64>,
}

impl Space {
    /// Takes as much memory as the plan asks for; where there is less, less: the coverage then says how much was tested.
    pub fn allocate(session: &mut Session<'_>) -> Result<Self, DeviceError> {
        let info = session.device.info();
        let mut target = session.memory_target().0;
        if info.kind != DeviceKind::Cpu {
            let free =
                info.memory_budget_bytes.map_or(info.memory_bytes, |budget| budget.min(info.memory_bytes));
            target = target.min(free.0.saturating_sub(reserve(info.memory_bytes).0));
        }
        let target = target.max(TILE_BYTES);
        let largest = CHUNK_BYTES_MAX.min(info.binding_bytes_max.0).max(TILE_BYTES);
        let mut this = Self::empty(session)?;
        // Chunks of one size, as few as can be.
        let mut size = target.div_ceil(target.div_ceil(largest)) / TILE_BYTES * TILE_BYTES;
        let mut left = target;
        while left >= TILE_BYTES && (this.tiles == 0 || size >= CHUNK_BYTES_MIN.min(left)) {
            let bytes = size.clamp(TILE_BYTES, left / TILE_BYTES * TILE_BYTES);
            match session.device.allocate(Bytes(bytes)) {
                Ok(buffer) => {
                    this.push(buffer, bytes);
                    left -= bytes;
                }
                Err(DeviceError::OutOfMemory { .. }) if bytes > TILE_BYTES => size = bytes / 2,
                Err(DeviceError::OutOfMemory { .. }) if this.tiles > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(this)
    }

    /// Takes so many tiles in chunks of `chunk_tiles`, the last of which may be smaller; persistent workgroups take two
    /// each. It has all that much memory has, chunks, groups and loops, and is quickly swept.
    pub fn of(session: &mut Session<'_>, tiles: u32, chunk_tiles: u32) -> Result<Self, DeviceError> {
        let mut this = Self::empty(session)?;
        this.packed = Some(2);
        while this.tiles < tiles {
            let bytes = u64::from(chunk_tiles.min(tiles - this.tiles)) * TILE_BYTES;
            let buffer = session.device.allocate(Bytes(bytes))?;
            this.push(buffer, bytes);
        }
        this.forget(session)?;
        Ok(this)
    }

    fn empty(session: &mut Session<'_>) -> Result<Self, DeviceError> {
        let shape = Shape::usual(session.device.info());
        let errors = session.device.allocate(Bytes(ERROR_WORDS as u64 * 4))?;
        let seen = Errors::from_words(&[0; HEADER_WORDS]);
        Ok(Self { groups: Vec::new(), errors, shape, tiles: 0, seen, packed: None })
    }

    fn push(&mut self, buffer: Buffer, bytes: u64) {
        let tiles = u32::try_from(bytes / TILE_BYTES).unwrap_or(u32::MAX);
        match self.groups.last_mut() {
            Some(group) if group.chunk_tiles == tiles => group.chunks.push(buffer),
            _ => self.groups.push(Group { chunks: vec![buffer], chunk_tiles: tiles, base: self.tiles }),
        }
        self.tiles += tiles;
    }

    /// Gives it back.
    pub fn free(self, session: &mut Session<'_>) {
        let chunks = self.groups.into_iter().flat_map(|group| group.chunks);
        chunks.chain([self.errors]).for_each(|buffer| session.device.free(buffer));
    }

    /// The first chunk, and how many tiles it has: the first of all.
    pub fn first_chunk(&self) -> (Buffer, u32) {
        let Some(group) = self.groups.first() else { panic!("memory without a chunk was never taken") };
        (group.chunks[0], group.chunk_tiles)
    }

    /// Tiles of all chunks.
    pub fn tiles(&self) -> u32 {
        self.tiles
    }

    /// Bytes of all chunks.
    pub fn bytes(&self) -> Bytes {
        Bytes(u64::from(self.tiles) * TILE_BYTES)
    }

    /// How it is swept.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Sweeps it in another way from now on.
    pub fn reshape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    /// Tiles of one of the regions that wrong words are counted by.
    pub fn region_tiles(&self) -> u32 {
        self.tiles.div_ceil(REGIONS).max(1)
    }

    /// Forgets what was found, so that unions of bits and records are those of what comes.
    pub fn forget(&mut self, session: &mut Session<'_>) -> Result<(), DeviceError> {
        self.seen = Errors::from_words(&[0; HEADER_WORDS]);
        session.write(self.errors, &[0; ERROR_WORDS])
    }

    /// Sweeps some of the tiles.
    pub fn sweep(
        &mut self,
        session: &mut Session<'_>,
        action: &Action,
        tiles: Range<u32>,
        pass: u32,
    ) -> Result<Swept, DeviceError> {
        let mut swept = Swept::default();
        for (buffers, work) in self.parts(action, tiles, session.device.info().units) {
            let launch = Launch { kernel: self.shape.kernel, buffers: &buffers };
            let elapsed = session.run(launch, work.params(), work.workgroups(), action.repeat)?;
            swept.took(elapsed);
            swept.bytes += work.cost().bytes * u64::from(action.repeat);
            if matches!(action.op, Op::Verify | Op::VerifyInvert) {
                let asked = Asked::of(&work, action.repeat);
                self.collect(session, &mut swept.found, Numbered { pass, ahead: 0, asked })?;
            }
        }
        Ok(swept)
    }

    /// The dispatches of a sweep: one for each group, or one for each chunk where chunks are bound, and no more
    /// workgroups than a device must allow.
    fn parts(&self, action: &Action, tiles: Range<u32>, units: Option<u32>) -> Vec<(Vec<Buffer>, Work)> {
        let mut parts = Vec::new();
        for group in &self.groups {
            let each = if self.shape.kernel.table { group.chunks.len() } else { 1 };
            let bound = (0u32..).step_by(each).zip(group.chunks.chunks(each));
            for (number, chunks) in bound {
                let base = group.base + number * group.chunk_tiles;
                let end = base + u32::try_from(chunks.len()).unwrap_or(u32::MAX) * group.chunk_tiles;
                let mut from = tiles.start.max(base);
                let end = tiles.end.min(end);
                while from < end {
                    let usual = self.shape.tiles_each(end - from, units);
                    let tiles_each = self.packed.filter(|_| self.shape.persistent).unwrap_or(usual);
                    let count = (end - from).min(WORKGROUPS_MAX.saturating_mul(tiles_each));
                    let span = Span {
                        first: from - base,
                        tiles: count,
                        base,
                        chunk_tiles: group.chunk_tiles,
                        region_tiles: self.region_tiles(),
                    };
                    let work =
                        Work { op: action.op, values: action.values, order: action.order, tiles_each, span };
                    parts.push(([&[self.errors], chunks].concat(), work));
                    from += count;
                }
            }
        }
        parts
    }

    /// Copies the first half of each chunk, or of each table, to its second half; how many tiles are copied, and which
    /// tiles hold them now, numbered as their sources are.
    pub fn copy(&mut self, session: &mut Session<'_>, order: Order) -> Result<Swept, DeviceError> {
        let mut swept = Swept::default();
        for half in self.halves() {
            let action =
                Action { op: Op::Copy { tiles: half.len }, values: Values::uniform(0), order, repeat: 1 };
            let part = self.sweep(session, &action, half.first..half.first + half.len, 0)?;
            if let Some(elapsed) = part.elapsed {
                swept.took(elapsed);
            }
            swept.bytes += part.bytes;
        }
        Ok(swept)
    }

    /// Compares what [`Self::copy`] copied with the values of where it came from.
    pub fn verify_copy(
        &mut self,
        session: &mut Session<'_>,
        values: Values,
        pass: u32,
    ) -> Result<Found, DeviceError> {
        let mut found = Found::default();
        for half in self.halves() {
            let action = Action { op: Op::Verify, values, order: Order::Reverse, repeat: 1 };
            let tiles = half.first + half.len..half.first + 2 * half.len;
            for (buffers, mut work) in self.parts(&action, tiles, session.device.info().units) {
                work.span.base = work.span.base.wrapping_sub(half.len);
                let launch = Launch { kernel: self.shape.kernel, buffers: &buffers };
                session.run(launch, work.params(), work.workgroups(), 1)?;
                let asked = Asked::of(&work, 1);
                self.collect(session, &mut found, Numbered { pass, ahead: half.len, asked })?;
            }
        }
        Ok(found)
    }

    /// What one dispatch can reach, halved.
    pub(crate) fn halves(&self) -> Vec<Half> {
        let table = self.shape.kernel.table;
        let of_group = |group: &Group| {
            let chunks = u32::try_from(group.chunks.len()).unwrap_or(u32::MAX);
            let (count, tiles) =
                if table { (1, chunks * group.chunk_tiles) } else { (chunks, group.chunk_tiles) };
            let base = group.base;
            (0..count).map(move |n| Half { first: base + n * tiles, len: tiles / 2 })
        };
        self.groups.iter().flat_map(of_group).filter(|half| half.len > 0).collect()
    }

    /// Flips bits of one word by a kernel.
    pub fn flip(
        &mut self,
        session: &mut Session<'_>,
        tile: u32,
        word: u32,
        mask: u32,
    ) -> Result<(), DeviceError> {
        let op = Op::Flip { word, mask };
        let action = Action { op, values: Values::uniform(0), order: Order::Forward, repeat: 1 };
        self.sweep(session, &action, tile..tile + 1, 0).map(|_| ())
    }

    /// Reads what a dispatch compared and found since the last time.
    fn collect(
        &mut self,
        session: &mut Session<'_>,
        found: &mut Found,
        numbered: Numbered,
    ) -> Result<(), DeviceError> {
        let mut now = Errors::from_words(&session.read(self.errors, HEADER_WORDS)?);
        let count = u64::from(now.count.wrapping_sub(self.seen.count));
        let kept = self.seen.count.min(RECORDS_MAX) as usize;
        if count > 0 && kept < RECORDS_MAX as usize {
            now.records =
                Errors::from_words(&session.read(self.errors, ERROR_WORDS)?).records.split_off(kept);
            now.records.iter_mut().for_each(|record| record.tile = record.tile.wrapping_add(numbered.ahead));
            now.records.sort_unstable();
        }
        let strips = now.strips.wrapping_sub(self.seen.strips);
        found.compared_bytes += Errors { strips, ..self.seen.clone() }.compared_bytes();
        found.regions.resize(REGIONS as usize, 0);
        for (region, (now, before)) in
            found.regions.iter_mut().zip(now.regions.iter().zip(&self.seen.regions))
        {
            *region += u64::from(now.wrapping_sub(*before));
        }
        let bits = if count > 0 { now.set | now.cleared } else { 0 };
        let first =
            now.records.iter().take(Mismatches::KEPT_MAX).map(|record| mismatch(record, numbered.pass));
        merge(&mut found.wrong, Mismatches { count, bits, first: first.collect() });
        found.records.append(&mut now.records);
        // A comparison that did not run, or of fewer words, is as wrong as a word; so are counters that contradict each other.
        let Asked { strips: asked, address } = numbered.asked;
        // Each counter wraps, their sum does not: the same high bit of two of them must not cancel.
        let by_region = now.regions.iter().zip(&self.seen.regions);
        let by_region: u64 = by_region.map(|(now, before)| u64::from(now.wrapping_sub(*before))).sum();
        let by_region = u32::try_from(by_region).unwrap_or(u32::MAX);
        let silent = count > 0 || (now.set, now.cleared) == (self.seen.set, self.seen.cleared);
        let wrong_count = now.count.wrapping_sub(self.seen.count);
        let counters = [(asked, strips), (wrong_count, by_region), (1, u32::from(silent))];
        for (expected, found_words) in counters.into_iter().filter(|(expected, found)| expected != found) {
            let workgroup = 0;
            let mismatch = Mismatch {
                byte_address: address,
                expected,
                found: found_words,
                workgroup,
                pass: numbered.pass,
            };
            crate::mismatches::add(&mut found.wrong, mismatch);
        }
        self.seen = now;
        Ok(())
    }
}

/// In which pass, and how many tiles further on than their values say the words are.
struct Numbered {
    pass: u32,
    ahead: u32,
    asked: Asked,
}

/// What a dispatch was asked to compare.
struct Asked {
    /// Strips; wraps as the counter does.
    strips: u32,
    /// Address of the first of them.
    address: u64,
}

impl Asked {
    fn of(work: &Work, repeat: u32) -> Self {
        let strips = work.span.tiles.wrapping_mul(LANES).wrapping_mul(repeat);
        let first = work.span.base.wrapping_add(work.span.first);
        Self { strips, address: u64::from(first) * TILE_BYTES }
    }
}

/// The first half of what one dispatch reaches, in tiles.
pub(crate) struct Half {
    pub(crate) first: u32,
    pub(crate) len: u32,
}

/// A wrong word as it stands in a report.
fn mismatch(record: &Record, pass: u32) -> Mismatch {
    Mismatch {
        byte_address: u64::from(record.tile) * TILE_BYTES + u64::from(record.word) * 4,
        expected: record.expected,
        found: record.found,
        workgroup: record.workgroup,
        pass,
    }
}

impl Swept {
    fn took(&mut self, more: Elapsed) {
        self.elapsed = Some(self.elapsed.map_or(more, |so_far| Elapsed {
            device: so_far.device.zip(more.device).map(|(a, b)| a + b),
            host: so_far.host + more.host,
        }));
    }
}

impl Found {
    /// Joins what another sweep compared and found.
    pub fn add(&mut self, more: Self) {
        self.compared_bytes += more.compared_bytes;
        merge(&mut self.wrong, more.wrong);
        self.records.extend(more.records);
        self.regions.resize(REGIONS as usize, 0);
        self.regions.iter_mut().zip(more.regions).for_each(|(region, more)| *region += more);
    }
}
