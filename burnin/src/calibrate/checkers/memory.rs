//! The memory checks and the stream bench, on a few tiles, in every form of the kernel that the device can run.

use kernels::Kernel;
use kernels::memory::errors::HEADER_WORDS;
use kernels::memory::{ERROR_WORDS, FORMS, Op, Order, TILE_WORDS, Values};
use report::{Canary, Mismatches};

use super::{Checker, Rounds, Touch, unlike};
use crate::calibrate::anatomy::{Anatomy, Dissect, Region};
use crate::calibrate::class::Class;
use crate::calibrate::draw::Draw;
use crate::device::{DeviceError, Dispatch};
use crate::mismatches::merge;
use crate::session::Session;
use crate::stress::memory::suite::{self, Pass, Step};
use crate::sweep::{Action, Shape, Space, canaries};

/// One of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Every word another value.
    OwnAddress,
    /// One value everywhere.
    MovingInversions,
    /// Values that no neighbour foretells.
    Random,
    /// Victims between words that are written again: neighbour and modulo 20. A round is one of their tables.
    Victims,
    /// Write, read, read-modify-write and copy.
    Stream,
}

/// All of them.
pub static ALL: [Memory; 5] =
    [Memory::OwnAddress, Memory::MovingInversions, Memory::Random, Memory::Victims, Memory::Stream];

/// Two chunks of two tiles, and one of one: more than one of everything.
const TILES: u32 = 5;
const CHUNK_TILES: u32 = 2;

// Operations, as `kernels::memory` puts them into the first parameter.
const WRITE: u32 = 0;
const VERIFY: u32 = 1;
const VERIFY_INVERT: u32 = 2;
const WRITE_OTHERS: u32 = 3;
const COPY: u32 = 4;

// What the stream writes: known by its mask to `dissect_stream`.
const STREAM: Values = Values::own_address(0);
const BLANK_MASK: u32 = u32::MAX;
const COPIED_MASK: u32 = 0x0c0b_1ed0;
const COPIED: Values = Values::own_address(COPIED_MASK);

impl Checker for Memory {
    fn name(&self) -> &'static str {
        match self {
            Self::OwnAddress => "memory-own-address",
            Self::MovingInversions => "memory-moving-inversions",
            Self::Random => "memory-random",
            Self::Victims => "memory-victims",
            Self::Stream => "stream",
        }
    }

    fn kernels(&self) -> Vec<&'static Kernel> {
        FORMS.to_vec()
    }

    fn claims(&self, class: Class) -> bool {
        match class {
            // These kernels have no hook, and compare with what they compute themselves.
            Class::InKernel | Class::Golden => false,
            // One value everywhere cannot be in the wrong place.
            Class::Exchanged | Class::MisplacedTile => *self != Self::MovingInversions,
            _ => true,
        }
    }

    fn dissect(&self) -> Dissect {
        match self {
            Self::Victims => dissect_victims,
            Self::Stream => dissect_stream,
            _ => dissect,
        }
    }

    fn prepare(&self, session: &mut Session<'_>) -> Result<Box<dyn Rounds>, DeviceError> {
        let space = Space::of(session, TILES, CHUNK_TILES)?;
        let shapes = Shape::all(session.device.info()).collect();
        Ok(Box::new(Ready { check: *self, space, shapes }))
    }
}

/// The parts of a dispatch of a memory kernel, where whatever is written is compared later, and nothing is compared twice.
pub(crate) fn dissect(dispatch: &Dispatch<'_>) -> Anatomy {
    let [op, kind, each, _, tiles, _, _, chunk_tiles, ..] = dispatch.params;
    let compares = matches!(op, VERIFY | VERIFY_INVERT);
    let words = (chunk_tiles * TILE_WORDS) as usize;
    let mut regions = vec![
        // Records are read only where there are some; what matters of clean ones is the counters.
        Region { buffer: 0, words: ERROR_WORDS, before: false, after: false },
        Region { buffer: 0, words: HEADER_WORDS, before: compares, after: true },
    ];
    let chunk = |buffer| Region { buffer, words, before: compares, after: op != VERIFY };
    regions.extend((1..dispatch.buffers.len()).map(chunk));
    // Number of the first tile, multiplier or seed, mask.
    let mut params = vec![(6, u32::MAX), (8, u32::MAX), (9, u32::MAX)];
    if each > 1 {
        // Only fewer tiles, since more would leave the buffers.
        params.push((4, tiles));
    }
    if kind > 1 {
        params.push((10, 0x1f));
    }
    let others = [WRITE, VERIFY, VERIFY_INVERT, WRITE_OTHERS].into_iter().filter(|other| *other != op);
    let stale = others.map(|other| (dispatch.kernel, other)).collect();
    Anatomy { regions, params, stale, hook: false }
}

/// As [`dissect`], but the first write is left alone: most of it, not all, is written again before it is compared.
fn dissect_victims(dispatch: &Dispatch<'_>) -> Anatomy {
    if dispatch.params[0] == WRITE { Anatomy::default() } else { dissect(dispatch) }
}

/// As [`dissect`], with the copy.
fn dissect_stream(dispatch: &Dispatch<'_>) -> Anatomy {
    let mut anatomy = dissect(dispatch);
    let (op, chunk_tiles, mask) = (dispatch.params[0], dispatch.params[7], dispatch.params[9]);
    let blank = op == WRITE && mask == BLANK_MASK;
    let copied = mask == COPIED_MASK || op == COPY;
    if op == COPY {
        // Others would take the distance of the copy for something else.
        (anatomy.params, anatomy.stale) = (Vec::new(), vec![(dispatch.kernel, VERIFY)]);
    }
    if !blank && !copied {
        return anatomy;
    }
    let chunks = dispatch.buffers.len() - 1;
    let mut halves = Vec::new();
    for region in anatomy.regions.iter_mut().filter(|region| region.buffer > 0) {
        // Of what is written to be copied, only the first half is read; it is compared after that, as is the copy.
        let before = (region.buffer - 1) * chunk_tiles as usize;
        let half = (chunks * chunk_tiles as usize / 2).saturating_sub(before).min(chunk_tiles as usize);
        (region.before, region.after) = (false, op == COPY);
        if half > 0 && (op == COPY || copied && op == WRITE) {
            let words = half * TILE_WORDS as usize;
            halves.push(Region { words, before: op == COPY, after: op == WRITE, ..*region });
        }
    }
    anatomy.regions.extend(halves);
    anatomy
}

/// A memory check on a device.
struct Ready {
    check: Memory,
    space: Space,
    shapes: Vec<Shape>,
}

impl Ready {
    fn sweep(
        &mut self,
        session: &mut Session<'_>,
        (op, values, order): (Op, Values, Order),
        wrong: &mut Mismatches,
    ) -> Result<(), DeviceError> {
        let action = Action { op, values, order, repeat: 1 };
        merge(wrong, self.space.sweep(session, &action, 0..TILES, 0)?.found.wrong);
        Ok(())
    }

    /// The passes of a table.
    fn passes(&mut self, session: &mut Session<'_>, passes: &[Pass]) -> Result<Mismatches, DeviceError> {
        let mut wrong = Mismatches::default();
        self.space.forget(session)?;
        for pass in passes {
            if let Step::Sweep(action) = pass.step {
                merge(&mut wrong, self.space.sweep(session, &action, 0..TILES, 0)?.found.wrong);
            }
        }
        Ok(wrong)
    }

    /// What the bench does, each once. Order is the bench's, and another.
    fn stream(&mut self, session: &mut Session<'_>, order: Order) -> Result<Mismatches, DeviceError> {
        let mut wrong = Mismatches::default();
        self.space.forget(session)?;
        for (op, values) in [
            (Op::Write, STREAM.complement()),
            (Op::Write, STREAM),
            (Op::VerifyInvert, STREAM),
            (Op::Verify, STREAM.complement()),
            (Op::Write, COPIED),
        ] {
            self.sweep(session, (op, values, order), &mut wrong)?;
        }
        self.space.copy(session, order)?;
        for half in self.space.halves() {
            let action = Action { op: Op::Verify, values: COPIED, order, repeat: 1 };
            let sources = half.first..half.first + half.len;
            merge(&mut wrong, self.space.sweep(session, &action, sources, 0)?.found.wrong);
        }
        merge(&mut wrong, self.space.verify_copy(session, COPIED, 0)?.wrong);
        Ok(wrong)
    }

    /// The tables of the check; a round is one of them.
    fn tables(&self) -> Vec<Vec<Pass>> {
        match self.check {
            Memory::OwnAddress => vec![suite::own_address()],
            Memory::MovingInversions => vec![suite::moving_inversions()],
            Memory::Random => vec![suite::random()],
            Memory::Victims => {
                let all = [suite::neighbour(), suite::modulo_20()].concat();
                all.chunks_exact(3).map(<[Pass]>::to_vec).collect()
            }
            Memory::Stream => Vec::new(),
        }
    }

    /// One round in the form that stands.
    fn once(&mut self, session: &mut Session<'_>, draw: &mut Draw) -> Result<Mismatches, DeviceError> {
        let tables = self.tables();
        if tables.is_empty() {
            let order = [Order::Forward, Order::Reverse, Order::Shuffled][draw.below(3)];
            return self.stream(session, order);
        }
        self.passes(session, &tables[draw.below(tables.len())])
    }
}

impl Ready {
    /// Words of part of the tiles are written; the others stay as they are, and are all found wrong by the values of the part.
    fn part(&mut self, session: &mut Session<'_>, draw: &mut Draw) -> Result<Mismatches, DeviceError> {
        let (all, part) = (Values::own_address(draw.word()), Values::random(draw.word()));
        let mut wrong = Mismatches::default();
        self.space.forget(session)?;
        self.sweep(session, (Op::Write, all, Order::Forward), &mut wrong)?;
        let action = |op, values| Action { op, values, order: Order::Shuffled, repeat: 1 };
        self.space.sweep(session, &action(Op::Write, part), 1..4, 0)?;
        for (tiles, values) in [(0..1, all), (1..4, part), (4..5, all)] {
            merge(&mut wrong, self.space.sweep(session, &action(Op::Verify, values), tiles, 0)?.found.wrong);
        }
        let seen = self.space.sweep(session, &action(Op::VerifyInvert, part.complement()), 1..4, 0)?.found;
        let (words, mut places) = (u64::from(3 * TILE_WORDS), seen.records.clone());
        places.sort_unstable_by_key(|record| (record.tile, record.word));
        places.dedup_by_key(|record| (record.tile, record.word));
        let right = seen.records.iter().all(|record| {
            let value = part.at(record.tile, record.word);
            (record.found, record.expected, record.again) == (value, !value, [value; 3])
        });
        let by_region: u64 = seen.regions.iter().skip(1).take(3).sum();
        let bits = seen.wrong.bits == u32::MAX && places.len() == seen.records.len();
        if seen.wrong.count != words || by_region != words || !right || !bits || places.len() < 512 {
            merge(&mut wrong, unlike(words, seen.wrong.count));
        }
        self.sweep_part(session, part, &mut wrong)?;
        Ok(wrong)
    }

    /// What was compared with the complement and inverted is as it was written.
    fn sweep_part(
        &mut self,
        session: &mut Session<'_>,
        part: Values,
        wrong: &mut Mismatches,
    ) -> Result<(), DeviceError> {
        let action = Action { op: Op::Verify, values: part, order: Order::Reverse, repeat: 1 };
        merge(wrong, self.space.sweep(session, &action, 1..4, 0)?.found.wrong);
        Ok(())
    }

    /// The checks' own canaries, by both operations that compare.
    fn planted(&mut self, session: &mut Session<'_>, draw: &mut Draw) -> Result<Mismatches, DeviceError> {
        let mut wrong = Mismatches::default();
        for op in [Op::Verify, Op::VerifyInvert] {
            let values = Values::own_address(draw.word());
            let look = Action { op, values, order: Order::Shuffled, repeat: 1 };
            let Canary { planted, found, strays } =
                canaries(session, &mut self.space, Some(look), &mut wrong)?;
            if (found, strays) != (planted, 0) {
                merge(&mut wrong, unlike(u64::from(planted), u64::from(found)));
            }
        }
        Ok(wrong)
    }
}

impl Rounds for Ready {
    fn round(
        &mut self,
        session: &mut Session<'_>,
        _: Touch<'_>,
        seed: u32,
    ) -> Result<Mismatches, DeviceError> {
        let mut draw = Draw::new(u64::from(seed));
        self.space.reshape(self.shapes[draw.below(self.shapes.len())]);
        self.once(session, &mut draw)
    }

    fn wide(&mut self, session: &mut Session<'_>, _: u32) -> Result<Mismatches, DeviceError> {
        let mut wrong = Mismatches::default();
        for shape in self.shapes.clone() {
            self.space.reshape(shape);
            for table in self.tables() {
                merge(&mut wrong, self.passes(session, &table)?);
            }
            if self.check == Memory::Stream {
                for order in [Order::Forward, Order::Shuffled] {
                    merge(&mut wrong, self.stream(session, order)?);
                }
            }
        }
        Ok(wrong)
    }

    fn canary(&mut self, session: &mut Session<'_>, seed: u32) -> Result<Mismatches, DeviceError> {
        let mut draw = Draw::new(u64::from(seed));
        let mut wrong = Mismatches::default();
        if self.check != Memory::OwnAddress {
            return Ok(wrong);
        }
        for shape in self.shapes.clone() {
            self.space.reshape(shape);
            merge(&mut wrong, self.planted(session, &mut draw)?);
            merge(&mut wrong, self.part(session, &mut draw)?);
        }
        Ok(wrong)
    }

    fn free(self: Box<Self>, session: &mut Session<'_>) {
        self.space.free(session);
    }
}
