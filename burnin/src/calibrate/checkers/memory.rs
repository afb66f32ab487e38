//! The memory checks, on one small chunk.

use kernels::pattern::{self, ERROR_WORDS, Op, Pattern, QUADS_PER_WORKGROUP};
use kernels::{Kernel, stream};
use report::Mismatches;

use super::{Checker, Rounds, Touch, unlike};
use crate::calibrate::anatomy::{Anatomy, Dissect, Region};
use crate::calibrate::class::Class;
use crate::calibrate::draw::Draw;
use crate::device::{DeviceError, Dispatch};
use crate::mismatches::merge;
use crate::session::Session;
use crate::stress::memory::chunks::{Chunk, Chunks};
use crate::stress::memory::run::{Tally, moving_inversions_passes, own_address_passes};

/// One of the memory checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Every word another value.
    OwnAddress,
    /// One value everywhere.
    MovingInversions,
}

/// Both.
pub static ALL: [Memory; 2] = [Memory::OwnAddress, Memory::MovingInversions];

/// The chunk: two workgroups, so that one can be taken for the other.
const QUADS: u32 = 2 * QUADS_PER_WORKGROUP;

impl Checker for Memory {
    fn name(&self) -> &'static str {
        match self {
            Self::OwnAddress => "memory-own-address",
            Self::MovingInversions => "memory-moving-inversions",
        }
    }

    fn kernels(&self) -> Vec<&'static Kernel> {
        vec![&pattern::KERNEL]
    }

    fn claims(&self, class: Class) -> bool {
        match class {
            // These kernels have no hook, and compare with what they compute themselves.
            Class::InKernel | Class::Golden => false,
            // One value everywhere cannot be in the wrong place.
            Class::Exchanged | Class::MisplacedTile => *self == Self::OwnAddress,
            _ => true,
        }
    }

    fn dissect(&self) -> Dissect {
        dissect
    }

    fn prepare(&self, session: &mut Session<'_>) -> Result<Box<dyn Rounds>, DeviceError> {
        Ok(Box::new(Ready { check: *self, chunks: Chunks::one(session, QUADS)? }))
    }
}

// Operations, as `kernels::pattern` puts them into the first parameter.
const WRITE: u32 = 0;
const VERIFY: u32 = 1;
const VERIFY_INVERT: u32 = 2;

/// The parts of a dispatch of the pattern kernel whose writes are read later.
pub(super) fn dissect(dispatch: &Dispatch<'_>) -> Anatomy {
    let [op, quads, ..] = dispatch.params;
    let words = quads as usize * 4;
    let compares = op != WRITE;
    let others: &[u32] = match op {
        WRITE => &[VERIFY, VERIFY_INVERT],
        // A comparison that inverts as well leaves behind what is written anew before it is read.
        VERIFY => &[WRITE],
        _ => &[WRITE, VERIFY],
    };
    Anatomy {
        regions: vec![
            Region { buffer: 0, words, before: compares, after: op != VERIFY },
            // Records are read only where there are some; what matters of a clean buffer is the counters.
            Region { buffer: 1, words: ERROR_WORDS, before: false, after: false },
            Region { buffer: 1, words: 4, before: compares, after: compares },
        ],
        // Quads: only fewer, since more would leave the buffer.
        params: vec![(1, quads), (2, u32::MAX), (3, u32::MAX), (4, u32::MAX)],
        stale: others.iter().map(|other| (dispatch.kernel, *other)).collect(),
        hook: false,
    }
}

/// A memory check on a device.
struct Ready {
    check: Memory,
    chunks: Chunks,
}

impl Ready {
    /// A write, a flip and a comparison that must find just that flip.
    fn flip(
        &self,
        session: &mut Session<'_>,
        op: Op,
        word: u32,
        draw: &mut Draw,
    ) -> Result<Mismatches, DeviceError> {
        let Some(chunk) = self.chunks.first() else { return Ok(unlike(1, 0)) };
        let (mask, pattern) = (draw.bits(), Pattern::own_address(draw.word()));
        self.chunks.run(session, &chunk, Op::Write, pattern, 0)?;
        self.chunks.run(session, &chunk, Op::Flip { word, mask }, pattern, 0)?;
        let seen = self.chunks.run(session, &chunk, op, pattern, 0)?.wrong;
        let value = pattern.value(word);
        let planted = report::Mismatch {
            byte_address: u64::from(word) * 4,
            expected: value,
            found: value ^ mask,
            workgroup: word / 4 / QUADS_PER_WORKGROUP,
            pass: 0,
        };
        let counters = session.read(self.chunks.errors, 4)? == [QUADS, 1, mask, 1];
        let right = counters && seen.count == 1 && seen.bits == mask && seen.first == [planted];
        Ok(if right { Mismatches::default() } else { unlike(1, seen.count) })
    }

    /// A write, and a comparison with another pattern, which must find every word and keep as many as there is room for.
    fn all_wrong(
        &self,
        session: &mut Session<'_>,
        op: Op,
        draw: &mut Draw,
    ) -> Result<Mismatches, DeviceError> {
        let Some(chunk) = self.chunks.first() else { return Ok(unlike(1, 0)) };
        let pattern = Pattern::own_address(draw.word());
        self.chunks.run(session, &chunk, Op::Write, pattern, 0)?;
        let seen = self.chunks.run(session, &chunk, op, pattern.complement(), 0)?.wrong;
        let mut places: Vec<u64> = seen.first.iter().map(|mismatch| mismatch.byte_address).collect();
        places.sort_unstable();
        places.dedup();
        let right = seen.first.iter().all(|m| {
            let word = u32::try_from(m.byte_address / 4).unwrap_or(u32::MAX);
            m.found == pattern.value(word) && m.expected == !m.found
        });
        let beyond = session.read(self.chunks.errors, 2 * ERROR_WORDS)?.split_off(ERROR_WORDS);
        let counters = session.read(self.chunks.errors, 4)? == [QUADS, QUADS * 4, u32::MAX, QUADS * 4];
        let right = right && counters && beyond.iter().all(|word| *word == 0);
        let counts = (seen.count, places.len()) == (u64::from(QUADS) * 4, Mismatches::KEPT_MAX);
        Ok(if right && counts { Mismatches::default() } else { unlike(u64::from(QUADS) * 4, seen.count) })
    }
}

impl Ready {
    /// Works on part of the chunk, which ends within a workgroup; the rest must stay as it is.
    fn part(&self, session: &mut Session<'_>, op: Op, draw: &mut Draw) -> Result<Mismatches, DeviceError> {
        // In the second workgroup some lanes have one quad to do and the others none.
        const PART: u32 = QUADS_PER_WORKGROUP + 40;
        let Some(chunk) = self.chunks.first() else { return Ok(unlike(1, 0)) };
        let pattern = Pattern::own_address(draw.word());
        self.chunks.run(session, &chunk, Op::Write, pattern, 0)?;
        let part = Chunk { quads: PART, ..chunk };
        let with = if op == Op::Write { pattern.complement() } else { pattern };
        let mut wrong = self.chunks.run(session, &part, op, with, 0)?.wrong;
        let inverted = if op == Op::Verify { 0 } else { u64::from(PART) * 4 };
        let left = self.chunks.run(session, &chunk, Op::Verify, pattern, 0)?.wrong;
        if left.count != inverted || left.first.iter().any(|m| m.byte_address >= u64::from(PART) * 16) {
            merge(&mut wrong, unlike(inverted, left.count));
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
        let mut tally = Tally::default();
        match self.check {
            Memory::OwnAddress => {
                own_address_passes(session, &self.chunks, &mut tally, Pattern::own_address(seed))?;
            }
            Memory::MovingInversions => moving_inversions_passes(session, &self.chunks, &mut tally)?,
        }
        Ok(tally.wrong)
    }

    fn canary(&mut self, session: &mut Session<'_>, seed: u32) -> Result<Mismatches, DeviceError> {
        let mut draw = Draw::new(u64::from(seed));
        let mut wrong = Mismatches::default();
        let op = if self.check == Memory::OwnAddress { Op::Verify } else { Op::VerifyInvert };
        // The first invocation, both sides of the border of two workgroups, the end, and any.
        let border = QUADS_PER_WORKGROUP * 4;
        for word in [draw.word() % 4, border - 1, border, QUADS * 4 - 1, draw.word() % (QUADS * 4)] {
            merge(&mut wrong, self.flip(session, op, word, &mut draw)?);
        }
        merge(&mut wrong, self.all_wrong(session, op, &mut draw)?);
        for op in [Op::Write, Op::Verify, Op::VerifyInvert] {
            merge(&mut wrong, self.part(session, op, &mut draw)?);
        }
        Ok(wrong)
    }

    fn free(self: Box<Self>, session: &mut Session<'_>) {
        self.chunks.free(session);
    }
}

/// The pattern that fills a destination before a stream must overwrite it all: nothing of it is read.
pub(super) fn is_blank(dispatch: &Dispatch<'_>) -> bool {
    dispatch.params[0] == WRITE && dispatch.params[4] == stream::PATTERN.complement().mask
}
