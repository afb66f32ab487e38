//! Chunks of memory and the sweeps over them.

use std::ops::Range;

use kernels::WORKGROUPS_MAX;
use kernels::memory::{Op, Order, REGIONS, Span, TILE_BYTES, Values, Work};
use report::{Bytes, DeviceInfo, DeviceKind};

use super::ledger::{Asked, Found, Ledger, Swept};
use super::{Shape, reserve};
use crate::device::{Buffer, DeviceError};
use crate::session::{Launch, Session};

/// Largest chunk.
const CHUNK_BYTES_MAX: u64 = 1 << 30;
/// What remains below this is not worth a chunk.
const CHUNK_BYTES_MIN: u64 = 16 << 20;

/// All memory of a check.
#[derive(Debug)]
pub struct Space {
    groups: Vec<Group>,
    ledger: Ledger,
    shape: Shape,
    tiles: u32,
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
        let ledger = Ledger::allocate(session)?;
        Ok(Self { groups: Vec::new(), ledger, shape, tiles: 0, packed: None })
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
        chunks.chain([self.ledger.buffer]).for_each(|buffer| session.device.free(buffer));
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
        self.ledger.forget(session)
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
                swept.found.add(self.ledger.collect(session, asked, pass)?);
            }
        }
        Ok(swept)
    }

    /// The first dispatch of a sweep over tiles from the first on, for who runs it beside others; [`Self::collect`] then
    /// says what it found.
    pub(crate) fn first_part(&self, info: &DeviceInfo, action: &Action, tiles: u32) -> (Vec<Buffer>, Work) {
        let Some(part) = self.parts(action, 0..tiles, info.units).into_iter().next() else {
            panic!("memory without a tile was never taken")
        };
        part
    }

    /// What a dispatch of [`Self::first_part`] compared and found.
    pub(crate) fn collect(
        &mut self,
        session: &mut Session<'_>,
        work: &Work,
        repeat: u32,
        pass: u32,
    ) -> Result<Found, DeviceError> {
        self.ledger.collect(session, Asked::of(work, repeat), pass)
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
                    parts.push(([&[self.ledger.buffer], chunks].concat(), work));
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
                let asked = Asked { ahead: half.len, ..Asked::of(&work, 1) };
                found.add(self.ledger.collect(session, asked, pass)?);
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
}

/// The first half of what one dispatch reaches, in tiles.
pub(crate) struct Half {
    pub(crate) first: u32,
    pub(crate) len: u32,
}
