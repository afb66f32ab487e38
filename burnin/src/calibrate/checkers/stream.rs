//! The stream bench: read, write and copy, on small buffers.

use kernels::pattern::{self, QUADS_PER_WORKGROUP};
use kernels::stream::{KERNEL, Op, PATTERN};
use kernels::{Kernel, mix::mix32};
use report::Mismatches;

use super::memory::is_blank;
use super::{Checker, Rounds, Touch, unlike};
use crate::bench::stream::run::Buffers;
use crate::calibrate::anatomy::{Anatomy, Dissect, Region};
use crate::calibrate::class::Class;
use crate::device::{DeviceError, Dispatch};
use crate::mismatches::merge;
use crate::session::Session;

/// What is streamed how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    name: &'static str,
    op: Op,
}

/// All three.
pub static ALL: [Stream; 3] = [
    Stream { name: "stream-read", op: Op::Read },
    Stream { name: "stream-write", op: Op::Write },
    Stream { name: "stream-copy", op: Op::Copy },
];

/// Two workgroups, so that one can be taken for the other; buffers are one longer, to see that it stays as it is.
const QUADS: u32 = 2 * QUADS_PER_WORKGROUP;

impl Checker for Stream {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kernels(&self) -> Vec<&'static Kernel> {
        vec![&KERNEL]
    }

    fn claims(&self, class: Class) -> bool {
        match class {
            Class::InKernel | Class::Golden => false,
            // A weighted sum for each 16 KiB: the same high bit of an even number of words cancels, and so does a source that
            // is wrong everywhere in the same way. What is written and copied is compared word by word, and so is the source.
            Class::LaneBit
            | Class::StuckAtOne
            | Class::StuckAtZero
            | Class::Published
            | Class::AlteredParameter => self.op != Op::Read,
            _ => true,
        }
    }

    fn dissect(&self) -> Dissect {
        dissect
    }

    fn prepare(&self, session: &mut Session<'_>) -> Result<Box<dyn Rounds>, DeviceError> {
        let mut buffers = Buffers::of(session, QUADS + QUADS_PER_WORKGROUP)?;
        buffers.quads = QUADS;
        Ok(Box::new(Ready { op: self.op, buffers }))
    }
}

// Operations, as `kernels::stream` puts them into the first parameter.
const READ: u32 = 0;
const WRITE: u32 = 1;
const COPY: u32 = 2;

fn dissect(dispatch: &Dispatch<'_>) -> Anatomy {
    if dispatch.kernel.name != KERNEL.name {
        let mut anatomy = super::memory::dissect(dispatch);
        if is_blank(dispatch) {
            anatomy.regions.iter_mut().for_each(|region| region.after = false);
        }
        return anatomy;
    }
    let op = dispatch.params[0];
    let words = (dispatch.workgroups * QUADS_PER_WORKGROUP * 4) as usize;
    let sums = 1 + dispatch.workgroups as usize;
    Anatomy {
        regions: vec![
            Region { buffer: 0, words, before: op != WRITE, after: false },
            Region { buffer: 1, words, before: false, after: op != READ },
            Region { buffer: 2, words: sums, before: op == READ, after: op == READ },
        ],
        params: vec![(3, u32::MAX)],
        stale: [READ, WRITE, COPY].into_iter().filter(|n| *n != op).map(|n| (&KERNEL, n)).collect(),
        hook: false,
    }
}

/// The bench on a device.
struct Ready {
    op: Op,
    buffers: Buffers,
}

impl Ready {
    /// What lies beyond the work must stay as it is.
    fn beyond(&mut self, session: &mut Session<'_>) -> Result<Mismatches, DeviceError> {
        let Buffers { source, target, .. } = self.buffers;
        let all = QUADS + QUADS_PER_WORKGROUP;
        self.buffers.quads = all;
        self.buffers.pattern(session, source, pattern::Op::Write, PATTERN)?;
        self.buffers.pattern(session, target, pattern::Op::Write, PATTERN.complement())?;
        self.buffers.quads = QUADS;
        self.buffers.stream(session, self.op, 1)?;
        self.buffers.quads = all;
        let left = self.buffers.pattern(session, target, pattern::Op::Verify, PATTERN)?;
        self.buffers.quads = QUADS;
        let untouched = if self.op == Op::Read { all } else { QUADS_PER_WORKGROUP };
        let expected = u64::from(untouched) * 4;
        Ok(if left.count == expected { Mismatches::default() } else { unlike(expected, left.count) })
    }
}

impl Rounds for Ready {
    fn round(
        &mut self,
        session: &mut Session<'_>,
        _: Touch<'_>,
        _seed: u32,
    ) -> Result<Mismatches, DeviceError> {
        let mut wrong = Mismatches::default();
        let Buffers { source, target, .. } = self.buffers;
        if self.op != Op::Write {
            self.buffers.pattern(session, source, pattern::Op::Write, PATTERN)?;
        }
        if self.op != Op::Read {
            self.buffers.pattern(session, target, pattern::Op::Write, PATTERN.complement())?;
        }
        self.buffers.stream(session, self.op, 1)?;
        if self.op == Op::Read {
            self.buffers.compare_sums(session, 1, 0, &mut wrong)?;
        } else {
            self.buffers.verify(session, target, &mut wrong)?;
        }
        Ok(wrong)
    }

    fn canary(&mut self, session: &mut Session<'_>, seed: u32) -> Result<Mismatches, DeviceError> {
        let mut wrong = self.round(session, &mut |_| (), seed)?;
        let Buffers { source, target, .. } = self.buffers;
        let read = if self.op == Op::Read { source } else { target };
        let flip = pattern::Op::Flip { word: mix32(seed) % (QUADS * 4), mask: 1 << (seed % 32) };
        self.buffers.pattern(session, read, flip, PATTERN)?;
        let mut seen = Mismatches::default();
        if self.op == Op::Read {
            self.buffers.stream(session, self.op, 1)?;
            self.buffers.compare_sums(session, 1, 0, &mut seen)?;
        } else {
            self.buffers.verify(session, target, &mut seen)?;
        }
        if seen.count != 1 {
            wrong = unlike(1, seen.count);
        }
        merge(&mut wrong, self.beyond(session)?);
        Ok(wrong)
    }

    fn free(self: Box<Self>, session: &mut Session<'_>) {
        self.buffers.free(session);
    }
}
