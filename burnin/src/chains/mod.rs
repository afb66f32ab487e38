//! What the checks of the chain kernels share: run a kernel, compare every lane and every workgroup ([`Chains`],
//! [`Answers`]), the check itself ([`check()`]), which a [`Recipe`] makes that of one kernel, and running one tile of it
//! again and again ([`replay()`]).

use std::ops::Range;

use kernels::chain::{Expected, Shape, Work};
use kernels::units::{self, Place};
use kernels::{Kernel, Params, SelfFault, WORKGROUP_SIZE};
use report::{Bytes, Mismatch, Mismatches};

use crate::device::{Buffer, DeviceError, Dispatch, Elapsed};
use crate::mismatches::add;
use crate::session::{Launch, Session};

mod check;
mod recipe;
mod replay;
mod sweep;
mod units_seen;

pub use check::check;
pub use recipe::{Oracle, Recipe};
pub use replay::{Replayed, Tile, replay};

/// The buffers of a chain kernel, large enough for so many workgroups.
#[derive(Clone, Debug)]
pub struct Chains {
    kernel: &'static Kernel,
    buffers: Vec<Buffer>,
    /// Is the third buffer where each workgroup says on which compute unit it ran?
    by_unit: bool,
}

/// What came out of a dispatch.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Time of all repeats.
    pub elapsed: Elapsed,
    /// A word for each invocation.
    pub lanes: Vec<u32>,
    /// A sum for each workgroup, over all repeats: a repeat that went wrong shows here though its lanes were overwritten.
    groups: Vec<u32>,
    /// Where each workgroup ran, if the kernel says so.
    pub places: Vec<Place>,
    /// Workgroups that said they were done, over all repeats.
    pub completed: u32,
    repeat: u32,
}

/// Most workgroups used: a million invocations fill any device of today, and their results are 4 MiB.
pub const WORKGROUPS_MAX: u32 = 16_384;

impl Chains {
    /// Allocates for [`WORKGROUPS_MAX`].
    pub fn allocate(session: &mut Session<'_>, kernel: &'static Kernel) -> Result<Self, DeviceError> {
        let lanes =
            session.device.allocate(Bytes(u64::from(WORKGROUPS_MAX) * u64::from(WORKGROUP_SIZE) * 4))?;
        let groups = session.device.allocate(Bytes(u64::from(WORKGROUPS_MAX + 1) * 4))?;
        let mut buffers = vec![lanes, groups];
        let by_unit = kernel.bindings > 2;
        if by_unit {
            let words = WORKGROUPS_MAX as usize * units::WORDS;
            buffers.push(session.device.allocate(Bytes(words as u64 * 4))?);
        }
        Ok(Self { kernel, buffers, by_unit })
    }

    /// Allocates for as many workgroups of a kernel that reads this memory, which is given back with the other buffers.
    pub(crate) fn over(
        session: &mut Session<'_>,
        kernel: &'static Kernel,
        memory: Buffer,
        workgroups: u32,
    ) -> Result<Self, DeviceError> {
        let lanes = session.device.allocate(Bytes(u64::from(workgroups) * u64::from(WORKGROUP_SIZE) * 4))?;
        let groups = session.device.allocate(Bytes(u64::from(workgroups + 1) * 4))?;
        Ok(Self { kernel, buffers: vec![lanes, groups, memory], by_unit: false })
    }

    /// The same buffers for another kernel of the same bindings.
    pub(crate) fn with(&self, kernel: &'static Kernel) -> Self {
        Self { kernel, ..self.clone() }
    }

    /// Gives the buffers back.
    pub fn free(self, session: &mut Session<'_>) {
        self.buffers.into_iter().for_each(|buffer| session.device.free(buffer));
    }

    /// Runs the work in this shape so many times in a row and reads its answers.
    pub fn run(
        &self,
        session: &mut Session<'_>,
        (work, shape): (&Work, Shape),
        fault: SelfFault,
        repeat: u32,
    ) -> Result<Answers, DeviceError> {
        let Dispatch { params, workgroups, .. } = self.dispatch((work, shape), fault, repeat);
        self.run_with(session, work, (params, workgroups), repeat)
    }

    /// The same with these parameters and workgroups of the device.
    pub(crate) fn run_with(
        &self,
        session: &mut Session<'_>,
        work: &Work,
        (params, workgroups): (Params, u32),
        repeat: u32,
    ) -> Result<Answers, DeviceError> {
        self.prepare(session, work)?;
        let Self { kernel, buffers, .. } = self;
        let elapsed = session.run(Launch { kernel, buffers }, params, workgroups, repeat)?;
        self.collect(session, work, elapsed, repeat)
    }

    /// The counts are zero again.
    pub(crate) fn prepare(&self, session: &mut Session<'_>, work: &Work) -> Result<(), DeviceError> {
        session.write(self.buffers[1], &vec![0; work.groups()])
    }

    /// The dispatch of prepared work.
    pub(crate) fn dispatch(
        &self,
        (work, shape): (&Work, Shape),
        fault: SelfFault,
        repeat: u32,
    ) -> Dispatch<'_> {
        let (params, workgroups) = (work.params_in(shape, fault), shape.dispatched(work.workgroups));
        Dispatch { kernel: self.kernel, buffers: &self.buffers, params, workgroups, repeat }
    }

    /// Reads the answers of a dispatch that is over.
    pub(crate) fn collect(
        &self,
        session: &mut Session<'_>,
        work: &Work,
        elapsed: Elapsed,
        repeat: u32,
    ) -> Result<Answers, DeviceError> {
        let lanes = session.read(self.buffers[0], work.lanes())?;
        let mut groups = session.read(self.buffers[1], work.groups())?;
        let completed = groups.remove(0);
        let places = match self.buffers.get(2).filter(|_| self.by_unit) {
            Some(buffer) => Place::all(&session.read(*buffer, work.workgroups as usize * units::WORDS)?),
            None => Vec::new(),
        };
        Ok(Answers { elapsed, lanes, groups, places, completed, repeat })
    }
}

impl Answers {
    /// Compares every lane, and every workgroup's sum, with what they should be; wrong ones are added to `found`, and the
    /// workgroups that had some are named, with how many words.
    ///
    /// The address of a lane is its place in the result buffer, that of a sum comes after all lanes, and that of the number
    /// of completed workgroups, which must be all of them, after all sums.
    pub fn compare(&self, expected: &Expected, pass: u32, found: &mut Mismatches) -> Vec<(u32, u64)> {
        let workgroup = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let wrong = self.compare_some(expected, 0..workgroup, pass, found);
        let all = workgroup.wrapping_mul(self.repeat);
        if self.completed != all {
            let byte_address = (self.lanes.len() + self.groups.len()) as u64 * 4;
            add(found, Mismatch { byte_address, expected: all, found: self.completed, workgroup, pass });
        }
        wrong
    }

    /// The same for some workgroups only.
    fn compare_some(
        &self,
        expected: &Expected,
        workgroups: Range<u32>,
        pass: u32,
        found: &mut Mismatches,
    ) -> Vec<(u32, u64)> {
        let mut wrong = Vec::new();
        let tiles = self.lanes.chunks_exact(WORKGROUP_SIZE as usize).zip(&self.groups);
        let asked = (0u32..).zip(tiles).skip(workgroups.start as usize).take(workgroups.len());
        for (workgroup, (lanes, sum)) in asked {
            let (should, sum_expected) = expected.tile(workgroup);
            let sum_expected = sum_expected.wrapping_mul(self.repeat);
            if *lanes == should && *sum == sum_expected {
                continue;
            }
            let before = found.count;
            let first = u64::from(workgroup) * u64::from(WORKGROUP_SIZE);
            for (at, (expected, word)) in (first..).zip(should.into_iter().zip(lanes)) {
                if *word != expected {
                    add(found, Mismatch { byte_address: at * 4, expected, found: *word, workgroup, pass });
                }
            }
            // A sum follows from its lanes: it says more only where they are right.
            if found.count == before {
                let byte_address = (self.lanes.len() as u64 + u64::from(workgroup)) * 4;
                add(found, Mismatch { byte_address, expected: sum_expected, found: *sum, workgroup, pass });
            }
            wrong.push((workgroup, found.count - before));
        }
        wrong
    }
}
